//! The body of a message that is received, as its reader sees it.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::cells::Body;
use crate::Error;

/// The body of a request or of a response that comes from the peer.
///
/// It is read with [`http_body::Body`]: first the data, then trailers if there
/// are any. What the reader takes is given back to the peer as flow-control
/// credit, so a slow reader slows the peer down and costs at most a window of
/// memory. Dropping it before its end discards what is still to come; the
/// credit goes back all the same.
///
/// ```
/// use http_body::Body;
/// use lacewing_conn::driver::Incoming;
///
/// let body = Incoming::empty();
/// assert!(body.is_end_stream());
/// assert_eq!(body.size_hint().exact(), Some(0));
/// ```
#[derive(Default)]
pub struct Incoming {
    /// `None` for a body that is known to be empty: no allocation, no lock.
    body: Option<Arc<Body>>,
    /// What is still to come of a known length.
    remaining: Option<u64>,
}

impl Incoming {
    /// A body without data.
    pub fn empty() -> Self {
        Self::default()
    }

    pub(super) fn new(body: Arc<Body>, length: Option<u64>) -> Self {
        Self {
            body: Some(body),
            remaining: length,
        }
    }

    /// Takes the next piece of data; `None` at the end of it. Trailers stay.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(body) = &self.body else {
            return Poll::Ready(None);
        };
        let polled = body.poll_data(cx);
        if let (Poll::Ready(Some(Ok(data))), Some(remaining)) = (&polled, &mut self.remaining) {
            *remaining = remaining.saturating_sub(data.len() as u64);
        }
        polled
    }

    /// Everything of it came, read or not.
    pub(super) fn is_whole(&self) -> bool {
        let body = self.body.as_ref();
        body.is_none_or(|body| body.has_ended())
    }

    /// Takes the next header list that came after the head, for streams on
    /// which lists may come at any time; `None` when no more will come.
    pub(super) fn poll_fields(&mut self, cx: &mut Context<'_>) -> Poll<Option<HeaderMap>> {
        let Some(body) = &self.body else {
            return Poll::Ready(None);
        };
        body.poll_fields(cx)
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match this.poll_data(cx) {
            Poll::Ready(Some(data)) => Poll::Ready(Some(data.map(Frame::data))),
            Poll::Ready(None) => {
                let trailers = this.body.as_ref().and_then(|body| body.take_trailers());
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_read())
    }

    fn size_hint(&self) -> SizeHint {
        let Some(body) = &self.body else {
            return SizeHint::with_exact(0);
        };
        let (buffered, ended) = body.waiting();
        let buffered = buffered as u64;
        match (ended, self.remaining) {
            (true, _) => SizeHint::with_exact(buffered),
            (_, Some(remaining)) => SizeHint::with_exact(remaining),
            (_, None) => {
                let mut hint = SizeHint::new();
                hint.set_lower(buffered);
                hint
            }
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(body) = &self.body {
            body.drop_reader();
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("empty", &self.body.is_none())
            .field("remaining", &self.remaining)
            .finish()
    }
}
