//! The body of a message that is received, as its reader sees it.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::cells::Body;
use crate::Error;

/// The body of a request or response from the peer.
///
/// It implements [`http_body::Body`]: data first, then trailers if there are any.
/// Consumed data returns to the peer as flow-control credit. A slow reader slows
/// the peer down, and costs at most a window of memory. Dropping the body before
/// its end discards the rest; its credit returns to the peer.
///
/// ```
/// use http_body_util::{BodyExt, Limited};
/// use lacewing_conn::{BoxError, driver::Incoming};
///
/// /// Reads a body of at most a mebibyte.
/// async fn read(body: Incoming) -> Result<bytes::Bytes, BoxError> {
///     Ok(Limited::new(body, 1 << 20).collect().await?.to_bytes())
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # assert!(read(Incoming::empty()).await.unwrap().is_empty());
/// # });
/// ```
pub struct Incoming(Source);

/// The place from which the data comes.
enum Source {
    /// It is all here: no cell, no lock.
    Whole(Bytes),
    Stream {
        body: Arc<Body>,
        /// The bytes of a known length that the reader has not taken.
        remaining: Option<u64>,
    },
    /// A body that did not arrive on one of our streams.
    Foreign(Box<Foreign>),
}

impl Default for Incoming {
    fn default() -> Self {
        Self::empty()
    }
}

/// A body that has arrived, from another implementation.
impl From<Bytes> for Incoming {
    fn from(content: Bytes) -> Self {
        Self::whole(content)
    }
}

/// A body of another implementation. The lock makes [`Incoming`] `Sync`, and is never contended.
struct Foreign {
    body: Mutex<Pin<Box<ForeignBody>>>,
    /// They arrived, and wait for their reader.
    trailers: Option<HeaderMap>,
}

type ForeignBody = dyn http_body::Body<Data = Bytes, Error = Error> + Send;

impl Incoming {
    /// Creates a body without data.
    pub fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    /// Creates a body from one that another implementation received, such as hyper over HTTP/1.1.
    /// A facade can then return one type for all protocols.
    ///
    /// ```
    /// use http_body_util::{BodyExt, Full};
    /// use lacewing_conn::driver::Incoming;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let other = Full::new(bytes::Bytes::from("hello")).map_err(|never| match never {});
    /// let body = Incoming::from_body(other);
    /// assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
    /// # }
    /// ```
    pub fn from_body<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = Error> + Send + 'static,
    {
        let body = Mutex::new(Box::pin(body) as Pin<Box<ForeignBody>>);
        let trailers = None;
        Self(Source::Foreign(Box::new(Foreign { body, trailers })))
    }

    /// Creates a body whose content has arrived and is released already.
    pub(super) fn whole(content: Bytes) -> Self {
        Self(Source::Whole(content))
    }

    pub(super) fn new(body: Arc<Body>, length: Option<u64>) -> Self {
        Self(Source::Stream {
            body,
            remaining: length,
        })
    }

    /// Returns the cell that this has in common with its connection.
    pub(super) fn cell(&self) -> Option<&Body> {
        match &self.0 {
            Source::Stream { body, .. } => Some(body),
            Source::Whole(_) | Source::Foreign(_) => None,
        }
    }

    /// Takes the next piece of data; `None` at the end of it. Trailers stay.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        match &mut self.0 {
            Source::Whole(content) => {
                let content = std::mem::take(content);
                Poll::Ready((!content.is_empty()).then_some(Ok(content)))
            }
            Source::Stream { body, remaining } => {
                let polled = body.poll_data(cx);
                if let (Poll::Ready(Some(Ok(data))), Some(remaining)) = (&polled, remaining) {
                    *remaining = remaining.saturating_sub(data.len() as u64);
                }
                polled
            }
            Source::Foreign(foreign) => foreign.poll_data(cx),
        }
    }

    /// Returns `true` once all of it has arrived, read or not.
    pub(super) fn is_whole(&self) -> bool {
        match &self.0 {
            Source::Whole(_) => true,
            Source::Stream { body, .. } => body.has_ended(),
            Source::Foreign(foreign) => foreign.is_read(),
        }
    }

    /// Takes the next header list after the head; `None` when no more will arrive.
    /// For streams on which header lists may arrive at any time.
    pub(super) fn poll_fields(&mut self, cx: &mut Context<'_>) -> Poll<Option<HeaderMap>> {
        match &self.0 {
            Source::Stream { body, .. } => body.poll_fields(cx),
            Source::Whole(_) | Source::Foreign(_) => Poll::Ready(None),
        }
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
                let trailers = match &mut this.0 {
                    Source::Whole(_) => None,
                    Source::Stream { body, .. } => body.take_trailers(),
                    Source::Foreign(foreign) => foreign.trailers.take(),
                };
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Whole(content) => content.is_empty(),
            Source::Stream { body, .. } => body.is_read(),
            Source::Foreign(foreign) => foreign.is_read(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let (body, remaining) = match &self.0 {
            Source::Whole(content) => return SizeHint::with_exact(content.len() as u64),
            Source::Stream { body, remaining } => (body, *remaining),
            Source::Foreign(foreign) => return foreign.with(|body| body.size_hint()),
        };
        let (buffered, ended) = body.waiting();
        let buffered = buffered as u64;
        match (ended, remaining) {
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

impl Foreign {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if self.trailers.is_some() {
            return Poll::Ready(None);
        }
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let frame = std::task::ready!(body.as_mut().poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Some(Ok(data)),
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok();
                    None
                }
            },
            Some(Err(error)) => Some(Err(error)),
            None => None,
        })
    }

    fn is_read(&self) -> bool {
        self.trailers.is_none() && self.with(|body| body.is_end_stream())
    }

    fn with<T>(&self, look: impl FnOnce(&ForeignBody) -> T) -> T {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        look(&**body)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Source::Stream { body, .. } = &self.0 {
            body.drop_reader();
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Incoming");
        match &self.0 {
            Source::Whole(content) => debug.field("remaining", &content.len()),
            Source::Stream { remaining, .. } => debug.field("remaining", remaining),
            Source::Foreign(_) => &mut debug,
        };
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    #[tokio::test]
    async fn a_foreign_body_keeps_its_length_data_and_trailers() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", http::HeaderValue::from_static("5"));
        let data = Full::new(Bytes::from("hello")).map_err(|never| match never {});
        let mut body = Incoming::from_body(data);
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(5));
        assert!(!body.is_whole());
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "hello"
        );
        assert!(http_body::Body::is_end_stream(&body));
        assert!(body.frame().await.is_none());

        let data = Full::new(Bytes::from("hello")).map_err(|never| match never {});
        let sent = trailers.clone();
        let data = data.with_trailers(async move { Some(Ok(sent)) });
        let whole = Incoming::from_body(data).collect().await.unwrap();
        assert_eq!(whole.trailers(), Some(&trailers));
        assert_eq!(whole.to_bytes(), "hello");
    }

    #[test]
    fn a_body_can_be_shared_between_threads() {
        fn check<T: Send + Sync>() {}
        check::<Incoming>();
    }
}
