//! The body of a request, over any protocol.

#[cfg(feature = "http1")]
mod upload;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use lacewing_conn::{Error, driver};

use crate::ConnectionInfo;

#[cfg(feature = "http1")]
pub(crate) use self::upload::Upload;

/// The body of a request: data, then trailers if there are any.
///
/// Reading releases the bytes as flow-control credit to the client, so that a
/// slow handler slows its client down instead of filling memory. A body that is
/// dropped before its end is discarded.
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::BodyExt;
/// use lacewing_server::{Error, RequestBody};
///
/// async fn length(request: Request<RequestBody>) -> Result<Response<String>, Error> {
///     let body = request.into_body().collect().await?;
///     Ok(Response::new(body.to_bytes().len().to_string()))
/// }
/// # let _ = length;
/// ```
///
/// The body knows its connection: [`connection`](Self::connection).
#[derive(Default)]
pub struct RequestBody {
    source: Source,
    connection: Option<ConnectionInfo>,
}

enum Source {
    Multiplexed(driver::Incoming),
    #[cfg(feature = "http1")]
    Http1(Upload),
    /// Some of it was read before the handler received it.
    #[cfg(feature = "http1")]
    Read(Box<Read>),
}

#[cfg(feature = "http1")]
struct Read {
    data: Bytes,
    trailers: Option<http::HeaderMap>,
    /// The part that was not read.
    rest: Option<Upload>,
}

impl Default for Source {
    fn default() -> Self {
        Self::Multiplexed(driver::Incoming::empty())
    }
}

impl RequestBody {
    /// A body without data.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Information about the request's connection: protocol, addresses, TLS. `None` only for a
    /// body that no server made, such as [`empty`](Self::empty).
    ///
    /// For services that see the extensions of a request and not its body, see
    /// [`ServerOptions::connection_info`](crate::ServerOptions::connection_info).
    ///
    /// ```
    /// use http::{Request, Response};
    /// use lacewing_server::RequestBody;
    ///
    /// fn greet(request: &Request<RequestBody>) -> Response<String> {
    ///     let connection = request.body().connection();
    ///     let peer = connection.and_then(|connection| connection.peer_addr());
    ///     Response::new(format!("Hello, {peer:?}!"))
    /// }
    /// # assert_eq!(greet(&Request::new(RequestBody::empty())).body(), "Hello, None!");
    /// ```
    pub fn connection(&self) -> Option<&ConnectionInfo> {
        self.connection.as_ref()
    }

    pub(crate) fn set_connection(&mut self, connection: &ConnectionInfo) {
        self.connection = Some(connection.clone());
    }

    #[cfg(feature = "http1")]
    pub(crate) fn http1(body: Upload) -> Self {
        Source::Http1(body).into()
    }

    /// A body that has arrived whole.
    #[cfg(feature = "http1")]
    pub(crate) fn replayed(data: Bytes, trailers: Option<http::HeaderMap>) -> Self {
        Source::Read(Box::new(Read {
            data,
            trailers,
            rest: None,
        }))
        .into()
    }

    /// A body that began with `data`.
    #[cfg(feature = "http1")]
    pub(crate) fn partly_read(data: Bytes, rest: Upload) -> Self {
        Source::Read(Box::new(Read {
            data,
            trailers: None,
            rest: Some(rest),
        }))
        .into()
    }
}

impl From<driver::Incoming> for RequestBody {
    fn from(body: driver::Incoming) -> Self {
        Source::Multiplexed(body).into()
    }
}

impl From<Source> for RequestBody {
    fn from(source: Source) -> Self {
        Self {
            source,
            connection: None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.get_mut().source {
            Source::Multiplexed(body) => Pin::new(body).poll_frame(cx),
            #[cfg(feature = "http1")]
            Source::Http1(body) => Pin::new(body).poll_frame(cx),
            #[cfg(feature = "http1")]
            Source::Read(body) => {
                if !body.data.is_empty() {
                    let data = std::mem::take(&mut body.data);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                match &mut body.rest {
                    Some(rest) => Pin::new(rest).poll_frame(cx),
                    None => Poll::Ready(body.trailers.take().map(Frame::trailers).map(Ok)),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Multiplexed(body) => body.is_end_stream(),
            #[cfg(feature = "http1")]
            Source::Http1(body) => body.is_end_stream(),
            #[cfg(feature = "http1")]
            Source::Read(body) => {
                let rest = body.rest.as_ref();
                body.data.is_empty()
                    && body.trailers.is_none()
                    && rest.is_none_or(Body::is_end_stream)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Multiplexed(body) => body.size_hint(),
            #[cfg(feature = "http1")]
            Source::Http1(body) => body.size_hint(),
            #[cfg(feature = "http1")]
            Source::Read(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Multiplexed(body) => body.fmt(f),
            #[cfg(feature = "http1")]
            Source::Http1(body) => body.fmt(f),
            #[cfg(feature = "http1")]
            Source::Read(body) => write!(f, "RequestBody({} B read before)", body.data.len()),
        }
    }
}

#[cfg(feature = "http1")]
impl Read {
    fn size_hint(&self) -> SizeHint {
        let read = self.data.len() as u64;
        let Some(rest) = self.rest.as_ref().map(Body::size_hint) else {
            return SizeHint::with_exact(read);
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}
