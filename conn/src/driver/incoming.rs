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
#[derive(Default)]
pub struct Incoming {
    /// `None` for a body that is known to be empty: no allocation, no lock.
    body: Option<Arc<Body>>,
    /// The bytes of a known length that the reader has not taken.
    remaining: Option<u64>,
}

impl Incoming {
    /// Creates a body without data.
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

    /// Returns `true` once all of it has arrived, read or not.
    pub(super) fn is_whole(&self) -> bool {
        let body = self.body.as_ref();
        body.is_none_or(|body| body.has_ended())
    }

    /// Takes the next header list after the head; `None` when no more will arrive.
    /// For streams on which header lists may arrive at any time.
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
