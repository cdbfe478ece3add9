//! The body of a request while it is sent, piece by piece. It keeps to its
//! declared length, and a panic in it does not harm the connection.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use lacewing_conn::Reason;

use super::Streamed;
use crate::BoxError;

/// A request's body did something that it must not do. [`ClientError::Body`] has it
/// as its source.
///
/// [`ClientError::Body`]: crate::ClientError::Body
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// It ended before its `content-length`.
    TooShort {
        /// The bytes that `content-length` declared.
        declared: u64,
        /// The bytes that it has.
        length: u64,
    },
    /// It continues beyond its `content-length`. No byte of that was sent.
    TooLong {
        /// The bytes that `content-length` declared.
        declared: u64,
        /// The bytes that it has at least.
        length: u64,
    },
    /// It has a trailer that the request's `trailer` field does not name, or that may not be a
    /// trailer (RFC 9110 §6.5.1). HTTP/1.1 needs the names.
    UnnamedTrailer {
        /// The trailer.
        name: http::HeaderName,
    },
    /// It panicked.
    Panicked {
        /// The panic's message.
        message: String,
    },
}

/// A body that is sent piece by piece. The connection's task polls it.
pub(crate) struct Outgoing {
    /// `None` once it panicked.
    source: Option<Streamed>,
    /// The whole length, as the body itself reports it.
    hint: Option<u64>,
    /// The value of `content-length`.
    declared: Option<u64>,
    /// The bytes so far.
    given: u64,
}

/// A piece of a body.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Data; `fin` if that is all.
    Data { data: Bytes, fin: bool },
    /// Trailers, which are the end.
    Trailers(HeaderMap),
    /// A frame that is neither.
    Unknown,
}

/// The failure of a body, and the code for RST_STREAM.
#[derive(Debug)]
pub(crate) struct BodyFailure {
    pub(crate) error: BoxError,
    pub(crate) reason: Reason,
}

impl Outgoing {
    pub(crate) fn new(source: Streamed) -> Self {
        Self {
            hint: source.length(),
            source: Some(source),
            declared: None,
            given: 0,
        }
    }

    /// The whole length in bytes, if known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.hint
    }

    /// Sets the length that the body must have.
    pub(crate) fn declare(&mut self, length: u64) {
        self.declared = Some(length);
    }

    /// Polls for the next piece. Bytes beyond the declared length are never returned,
    /// and an end before it is a failure.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, BodyFailure>> {
        let Some(source) = &mut self.source else {
            return Poll::Pending;
        };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let frame = ready!(source.poll_piece(cx));
            let done = frame.is_none() || source.is_done();
            Poll::Ready((frame, done))
        }));
        let (frame, done) = match polled {
            Ok(polled) => ready!(polled),
            Err(panic) => {
                let message = message_of(&*panic);
                self.discard();
                return Poll::Ready(Err(BodyError::Panicked { message }.into()));
            }
        };
        let piece = match frame {
            None => Piece::Data {
                data: Bytes::new(),
                fin: true,
            },
            Some(Err(error)) => {
                let reason = Reason::Cancel;
                return Poll::Ready(Err(BodyFailure { error, reason }));
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Piece::Data { data, fin: done },
                Err(frame) => frame
                    .into_trailers()
                    .map_or(Piece::Unknown, Piece::Trailers),
            },
        };
        Poll::Ready(match self.check(&piece) {
            Ok(()) => Ok(piece),
            Err(error) => Err(error.into()),
        })
    }

    /// Returns the body from its beginning, if all pieces that were taken are kept.
    pub(crate) fn rewind(mut self: Box<Self>) -> Option<Box<Self>> {
        self.source = Some(self.source.take()?.rewind()?);
        self.given = 0;
        Some(self)
    }

    /// Returns whether [`rewind`](Self::rewind) would return the body.
    pub(crate) fn can_rewind(&self) -> bool {
        self.source.as_ref().is_some_and(Streamed::can_rewind)
    }

    /// Drops the pieces that are kept: the body will not be sent again.
    pub(crate) fn forget(&mut self) {
        if let Some(source) = &mut self.source {
            source.forget();
        }
    }

    /// Counts a piece against what was declared.
    fn check(&mut self, piece: &Piece) -> Result<(), BodyError> {
        let end = match piece {
            Piece::Data { data, fin } => {
                self.given = self.given.saturating_add(data.len() as u64);
                *fin
            }
            Piece::Trailers(_) => true,
            Piece::Unknown => false,
        };
        let Some(declared) = self.declared else {
            return Ok(());
        };
        let length = self.given;
        if length > declared {
            return Err(BodyError::TooLong { declared, length });
        }
        if end && length < declared {
            return Err(BodyError::TooShort { declared, length });
        }
        Ok(())
    }

    /// Drops the body. A panic in the user's destructor must not end the connection.
    fn discard(&mut self) {
        let source = self.source.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(source)));
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.discard();
    }
}

/// The message of a panic, as far as it is text.
fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { declared, length } => write!(
                f,
                "it ended after {length} bytes, and its content-length is {declared}"
            ),
            Self::TooLong { declared, length } => write!(
                f,
                "it has at least {length} bytes, and its content-length is {declared}"
            ),
            Self::UnnamedTrailer { name } => write!(
                f,
                "its trailer {name} cannot be sent over HTTP/1.1: name it in the request's `trailer` \
                 field, unless it controls the message"
            ),
            Self::Panicked { message } => write!(f, "it panicked: {message}"),
        }
    }
}

impl std::error::Error for BodyError {}

impl From<BodyError> for BodyFailure {
    fn from(error: BodyError) -> Self {
        Self {
            error: error.into(),
            reason: Reason::InternalError,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body_util::StreamBody;

    use super::*;
    use crate::body::RequestBody;

    /// A body of these pieces, with an declared length.
    fn outgoing(pieces: &[&'static str], declared: u64) -> Outgoing {
        let frames: Vec<_> = pieces
            .iter()
            .map(|piece| {
                Ok::<_, BoxError>(http_body::Frame::data(Bytes::from_static(piece.as_bytes())))
            })
            .collect();
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let RequestBody::Source(mut outgoing) = RequestBody::new(body, crate::body::Replay::Never)
        else {
            panic!("not a stream")
        };
        outgoing.declare(declared);
        *outgoing
    }

    /// Its pieces, and its end.
    fn collect(mut outgoing: Outgoing) -> (usize, Result<(), String>) {
        let mut given = 0;
        loop {
            match outgoing.poll_piece(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(Piece::Data { data, fin })) => {
                    given += data.len();
                    if fin {
                        return (given, Ok(()));
                    }
                }
                Poll::Ready(Err(failure)) => return (given, Err(failure.error.to_string())),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_body_is_held_to_its_length() {
        assert_eq!(collect(outgoing(&["four", "", "five!"], 9)), (9, Ok(())));
        assert_eq!(collect(outgoing(&[], 0)), (0, Ok(())));
        let (given, end) = collect(outgoing(&["four"], 10));
        assert_eq!(given, 4);
        assert!(end.unwrap_err().contains("after 4 bytes"));
        let (given, end) = collect(outgoing(&["four", "five!", "six"], 8));
        assert_eq!(given, 4, "nothing behind the length");
        assert!(end.unwrap_err().contains("at least 9 bytes"));
    }
}
