//! Pulls the body of a response, and checks it against the response's head.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use lacewing_conn::proto::fields::content_length;
use pin_project_lite::pin_project;

use crate::{BoxError, StreamError};

/// The number of empty frames that a body may give in one poll. A body with endless empty
/// frames would otherwise hold the task of its connection, and all other streams with it.
const EMPTY_FRAMES: usize = 16;

pin_project! {
    /// The body of a response. It fails instead of being shorter or longer than
    /// its content-length: a client must never take an incomplete body for a
    /// complete one. A panic of the service's body becomes an error too. Empty frames
    /// before the end are left out.
    pub(crate) struct Outgoing<B> {
        #[pin]
        body: B,
        length: Option<Length>,
    }
}

/// A content-length, and how much of it there was.
#[derive(Clone, Copy, Debug)]
struct Length {
    declared: u64,
    given: u64,
}

impl Length {
    /// The body may not end here.
    fn is_short(self) -> bool {
        self.given < self.declared
    }

    fn error(self) -> StreamError {
        let Self { declared, given } = self;
        StreamError::ContentLength { declared, given }
    }
}

impl<B: Body> Outgoing<B> {
    /// `declared` is the content-length that the response's head has, if the
    /// body is sent with it.
    pub(crate) fn new(body: B, declared: Option<u64>) -> Self {
        let length = declared.map(|declared| Length { declared, given: 0 });
        Self { body, length }
    }

    fn is_short(&self) -> bool {
        self.length.is_some_and(Length::is_short)
    }

    /// The head has a content-length.
    #[cfg(feature = "http1")]
    pub(crate) fn has_length(&self) -> bool {
        self.length.is_some()
    }

    /// The body has given all the bytes of the content-length.
    #[cfg(feature = "http1")]
    pub(crate) fn is_complete(&self) -> bool {
        self.length.is_some_and(|length| !length.is_short())
    }
}

/// The length that all values of a response's content-length agree on.
pub(crate) fn declared<'a>(
    values: impl IntoIterator<Item = &'a HeaderValue>,
) -> Result<Option<u64>, StreamError> {
    content_length(values).map_err(|value| {
        let text = format!("its content-length is not one number: {value:?}");
        StreamError::Response(text.into())
    })
}

impl<B> Body for Outgoing<B>
where
    B: Body<Data: Buf, Error: Into<BoxError>>,
{
    type Data = B::Data;
    type Error = StreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, StreamError>>> {
        let this = self.project();
        let mut body = this.body;
        for _ in 0..EMPTY_FRAMES {
            let mut empty = false;
            let polled = catch_unwind(AssertUnwindSafe(|| {
                poll_once(body.as_mut(), *this.length, cx, &mut empty)
            }));
            let frame = match polled {
                Ok(polled) => ready!(polled),
                Err(_) => return Poll::Ready(Some(Err(StreamError::BodyPanicked))),
            };
            let frame = match frame {
                Some(Ok(frame)) => Some(frame),
                None => None,
                Some(Err(error)) => return Poll::Ready(Some(Err(StreamError::Body(error.into())))),
            };
            if empty {
                match catch_unwind(AssertUnwindSafe(|| drop(frame))) {
                    Ok(()) => continue,
                    Err(_) => return Poll::Ready(Some(Err(StreamError::BodyPanicked))),
                }
            }
            if let Some(error) = count(this.length.as_mut(), frame.as_ref()) {
                return Poll::Ready(Some(Err(error)));
            }
            return Poll::Ready(frame.map(Ok));
        }
        // Other streams take their turns before the next poll.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let ended = || self.body.is_end_stream();
        // A body that panics here is asked for a frame, and fails there.
        !self.is_short() && catch_unwind(AssertUnwindSafe(ended)).unwrap_or(false)
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) => SizeHint::with_exact(length.declared.saturating_sub(length.given)),
            None => catch_unwind(AssertUnwindSafe(|| self.body.size_hint())).unwrap_or_default(),
        }
    }
}

/// The next frame of a body; `None` at its end.
type Next<B> = Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>;

/// Polls a body for its next frame. `empty` becomes true if the frame has no data and is not the
/// last.
fn poll_once<B: Body>(
    mut body: Pin<&mut B>,
    length: Option<Length>,
    cx: &mut Context<'_>,
    empty: &mut bool,
) -> Poll<Next<B>> {
    // A body may not be polled after its end.
    if length.is_some_and(Length::is_short) && body.is_end_stream() {
        return Poll::Ready(None);
    }
    let polled = ready!(body.as_mut().poll_frame(cx));
    if let Some(Ok(frame)) = &polled {
        let no_data = frame.data_ref().is_some_and(|data| !data.has_remaining());
        *empty = no_data && !body.is_end_stream();
    }
    Poll::Ready(polled)
}

/// Counts a frame, or the end of the body, against its content-length. Returns an error if the two
/// disagree.
fn count<D: Buf>(length: Option<&mut Length>, frame: Option<&Frame<D>>) -> Option<StreamError> {
    let length = length?;
    let wrong = match frame.and_then(Frame::data_ref).map(Buf::remaining) {
        Some(more) => {
            length.given = length.given.saturating_add(more as u64);
            length.given > length.declared
        }
        // The end, or trailers, which end the body too.
        None => length.is_short(),
    };
    wrong.then(|| length.error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[test]
    fn a_length_is_one_number() {
        let values = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| HeaderValue::from_str(text).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(declared(&values(&[])).unwrap(), None);
        assert_eq!(declared(&values(&["12"])).unwrap(), Some(12));
        assert_eq!(declared(&values(&["12", "12"])).unwrap(), Some(12));
        for wrong in [
            &["12", "13"][..],
            &["12, 12"],
            &["+1"],
            &["-1"],
            &["0x10"],
            &["99999999999999999999"],
            &[""],
        ] {
            let error = declared(&values(wrong)).unwrap_err();
            assert!(error.to_string().contains("content-length"), "{error}");
        }
    }

    /// Others rely on the declared length, HTTP/1.1's encoder for example.
    #[test]
    fn a_contradiction_shows_in_neither_end_nor_size() {
        let body = Outgoing::new(Full::new(&b"four"[..]), Some(10));
        assert_eq!(body.size_hint().exact(), Some(10));
        assert!(!body.is_end_stream());
        let empty = Outgoing::new(Full::new(&b""[..]), Some(1));
        assert!(!empty.is_end_stream());
        let whole = Outgoing::new(Full::new(&b""[..]), Some(0));
        assert!(whole.is_end_stream());
    }
}
