//! The body of a request, whatever protocol it came by.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use lacewing_conn::{Error, driver};

/// The body of a request: data, then trailers if there are any.
///
/// What is read is given back to the client as flow-control credit, so that a
/// slow handler slows its client down instead of filling memory. A body that is
/// dropped before its end is discarded.
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::BodyExt;
/// use lacewing_server::{Error, Incoming};
///
/// async fn length(request: Request<Incoming>) -> Result<Response<String>, Error> {
///     let body = request.into_body().collect().await?;
///     Ok(Response::new(body.to_bytes().len().to_string()))
/// }
/// # let _ = length;
/// ```
#[derive(Default)]
pub struct Incoming(Source);

enum Source {
    Multiplexed(driver::Incoming),
    #[cfg(feature = "http1")]
    Http1(hyper::body::Incoming),
}

impl Default for Source {
    fn default() -> Self {
        Self::Multiplexed(driver::Incoming::empty())
    }
}

impl Incoming {
    /// A body without data.
    pub fn empty() -> Self {
        Self::default()
    }

    #[cfg(feature = "http1")]
    pub(crate) fn http1(body: hyper::body::Incoming) -> Self {
        Self(Source::Http1(body))
    }
}

impl From<driver::Incoming> for Incoming {
    fn from(body: driver::Incoming) -> Self {
        Self(Source::Multiplexed(body))
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.get_mut().0 {
            Source::Multiplexed(body) => Pin::new(body).poll_frame(cx),
            #[cfg(feature = "http1")]
            Source::Http1(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(neutral))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Multiplexed(body) => body.is_end_stream(),
            #[cfg(feature = "http1")]
            Source::Http1(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Multiplexed(body) => body.size_hint(),
            #[cfg(feature = "http1")]
            Source::Http1(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Multiplexed(body) => body.fmt(f),
            #[cfg(feature = "http1")]
            Source::Http1(body) => body.fmt(f),
        }
    }
}

/// The handler sees one type of error, whatever the protocol.
#[cfg(feature = "http1")]
fn neutral(error: hyper::Error) -> Error {
    use lacewing_conn::{Initiator, Reason};

    let reason = if error.is_incomplete_message() {
        Reason::Cancel
    } else {
        Reason::ProtocolError
    };
    Error::connection(Initiator::Peer, reason, format!("HTTP/1.1: {error}"))
}
