//! CONNECT requests: from a request to a stream of bytes.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use http::{Request, Response};
use lacewing_conn::{
    driver::{self, Tunnel, TunnelBody},
    proto::ConnectProtocol,
};

/// Accepts a CONNECT request. Returns the response for the handler to return, and the stream of
/// bytes. The response has status 200; you may add header fields. Short for
/// [`ConnectRequest::accept`].
///
/// Bytes pass through the tunnel after the handler has returned the response: use the tunnel on
/// another task.
///
/// ```
/// use axum::{body::Body, extract::Request, response::Response};
/// use lacewing_server::TunnelError;
///
/// /// An axum handler that echoes the bytes it receives.
/// async fn echo(request: Request) -> Result<Response, String> {
///     let (response, tunnel) =
///         lacewing_server::tunnel(&request).map_err(|error| error.to_string())?;
///     tokio::spawn(async move {
///         let (mut reader, mut writer) = tokio::io::split(tunnel);
///         if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
///             let _ = tokio::io::AsyncWriteExt::shutdown(&mut writer).await;
///         }
///     });
///     Ok(response.map(Body::new))
/// }
/// # let _ = echo;
/// ```
///
/// # Errors
///
/// [`TunnelError`], if the request is no CONNECT request of HTTP/2 or SPDY, or
/// was accepted before.
pub fn tunnel<B>(request: &Request<B>) -> Result<(Response<TunnelBody>, Tunnel), TunnelError> {
    let connect = request.extensions().get::<ConnectRequest>();
    connect.ok_or(TunnelError::NotConnect)?.accept()
}

/// An extension of every CONNECT request of HTTP/2 and SPDY (RFC 9113 §8.5, RFC 8441): the stream
/// on which the client asks for a tunnel. The request itself has an empty body. Over HTTP/1.1,
/// hyper's upgrades take its place.
///
/// A handler that answers without [accepting](Self::accept) refuses the tunnel; its status must
/// then not be 2xx.
///
/// ```
/// use http::{Request, StatusCode};
/// use lacewing_server::ConnectRequest;
///
/// fn wants_a_websocket<B>(request: &Request<B>) -> bool {
///     let connect = request.extensions().get::<ConnectRequest>();
///     connect.and_then(ConnectRequest::protocol) == Some("websocket")
/// }
/// assert!(!wants_a_websocket(&Request::new(())));
/// ```
#[derive(Clone)]
pub struct ConnectRequest(Arc<Requested>);

struct Requested {
    protocol: Option<ConnectProtocol>,
    incoming: Mutex<Option<driver::Incoming>>,
}

impl ConnectRequest {
    pub(crate) fn new(incoming: driver::Incoming, protocol: Option<ConnectProtocol>) -> Self {
        Self(Arc::new(Requested {
            protocol,
            incoming: Mutex::new(Some(incoming)),
        }))
    }

    /// Returns the `:protocol` of the request; `None` for a plain CONNECT request, whose URI has
    /// the host and the port.
    pub fn protocol(&self) -> Option<&str> {
        self.0.protocol.as_ref().map(ConnectProtocol::as_str)
    }

    /// As [`tunnel`].
    ///
    /// # Errors
    ///
    /// [`TunnelError::Taken`] the second time.
    pub fn accept(&self) -> Result<(Response<TunnelBody>, Tunnel), TunnelError> {
        let mut incoming = self
            .0
            .incoming
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let incoming = incoming.take().ok_or(TunnelError::Taken)?;
        let (tunnel, body) = Tunnel::new(incoming);
        Ok((Response::new(body), tunnel))
    }
}

impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("protocol", &self.protocol())
            .finish_non_exhaustive()
    }
}

/// The error of a request that does not become a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelError {
    /// It is not a CONNECT request, or arrived over HTTP/1.1.
    NotConnect,
    /// It has become a tunnel already.
    Taken,
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnect => {
                "not a CONNECT request of HTTP/2 or SPDY, so that it can't become a tunnel"
            }
            Self::Taken => "the CONNECT request has become a tunnel already",
        })
    }
}

impl std::error::Error for TunnelError {}
