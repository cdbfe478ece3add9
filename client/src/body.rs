//! Request bodies of any type.

mod outgoing;
mod streamed;

use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

pub use self::outgoing::BodyError;
pub(crate) use self::{
    outgoing::{BodyFailure, Outgoing, Piece},
    streamed::{Replay, Streamed},
};
use crate::BoxError;

/// A body for the usual cases: none, or bytes in memory. The client accepts any other
/// [`http_body::Body`] too; this one (and a `String`) costs least.
///
/// ```
/// use http_body::Body as _;
/// use lacewing_client::Body;
///
/// assert!(Body::empty().is_end_stream());
/// assert_eq!(Body::from("hello").size_hint().exact(), Some(5));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Body {
    bytes: Bytes,
}

impl Body {
    /// No body.
    pub const fn empty() -> Self {
        Self {
            bytes: Bytes::new(),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self {
            bytes: bytes.into(),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))
    }
}

/// A request's body with its type erased. Empty bodies and bodies in memory need no allocation.
#[derive(Default)]
pub(crate) enum RequestBody {
    #[default]
    Empty,
    Bytes(Bytes),
    /// In a box: every request that waits has room for this.
    Source(Box<Outgoing>),
}

impl RequestBody {
    pub(crate) fn new<B>(body: B, replay: Replay) -> Self
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Self::Empty;
        }
        let mut body = Some(body);
        let known: &mut dyn Any = &mut body;
        if let Some(Body { bytes }) = known.downcast_mut().and_then(Option::take) {
            return Self::Bytes(bytes);
        }
        if let Some(text) = known.downcast_mut().and_then(Option::<String>::take) {
            return Self::Bytes(text.into());
        }
        body.map_or(Self::Empty, |body| {
            Self::Source(Outgoing::new(Streamed::new(body, replay)).into())
        })
    }

    /// Returns the same body again, if it is in memory and nothing of it was sent.
    pub(crate) fn replay(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Bytes(bytes) => Some(Self::Bytes(bytes.clone())),
            Self::Source(_) => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// The whole length in bytes, if known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => u64::try_from(bytes.len()).ok(),
            Self::Source(source) => source.length(),
        }
    }

    /// Sets the length that a body in pieces must have.
    pub(crate) fn declare(&mut self, length: u64) {
        if let Self::Source(source) = self {
            source.declare(length);
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("length", &self.length())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_at_hand_are_recognized_and_can_be_sent_again() {
        let of_bytes = RequestBody::new(Body::from("four"), Replay::Never);
        assert!(matches!(&of_bytes, RequestBody::Bytes(bytes) if bytes == "four"));
        let of_text = RequestBody::new(String::from("four"), Replay::Never);
        assert!(matches!(&of_text, RequestBody::Bytes(bytes) if bytes == "four"));
        assert_eq!(of_text.replay().and_then(|again| again.length()), Some(4));
        assert!(matches!(
            RequestBody::new(Body::empty(), Replay::Never),
            RequestBody::Empty
        ));
        let stream = http_body_util::Full::new(Bytes::from("four"));
        assert!(RequestBody::new(stream, Replay::Never).replay().is_none());
    }
}
