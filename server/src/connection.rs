//! One connection: by whom it is served, from its first byte to its last.

use bytes::BytesMut;
use http::{Request, Response};
use http_body::Body;
use lacewing_conn::{Side, Version, driver::Connection, proto::Config};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use crate::{
    BoxError, ConnectionError, ConnectionInfo, HttpService, Incoming, Options, Protocol, Rewind,
    exchange::Exchanges,
};

/// Serves one connection whose protocol is known, over any transport: a
/// socket, a TLS stream, a pipe in memory. It completes when the connection is
/// over.
///
/// `connection` is a [`Version`], a [`Protocol`], or a [`ConnectionInfo`] with
/// addresses.
///
/// ```
/// use std::convert::Infallible;
///
/// use http::{Request, Response};
/// use lacewing_server::{Incoming, Options, Version, serve_connection, service_fn};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (client, server) = tokio::io::duplex(64 * 1024);
/// let hello = service_fn(|_: Request<Incoming>| async {
///     Ok::<_, Infallible>(Response::new(String::from("hello")))
/// });
/// let serving = tokio::spawn(serve_connection(server, Version::Http2, Options::default(), hello));
/// drop(client);
/// assert!(serving.await?.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// [`ConnectionError::Connection`] or [`ConnectionError::Http1`] if it did not
/// come to a graceful end, and [`ConnectionError::NotOffered`] for HTTP/1.1
/// without the feature `http1`.
pub async fn serve_connection<T, S, B>(
    io: T,
    connection: impl Into<ConnectionInfo>,
    options: Options,
    service: S,
) -> Result<(), ConnectionError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data: bytes::Buf + Send, Error: Into<BoxError>> + Send + 'static,
{
    let info = connection.into();
    match info.protocol().version() {
        Some(version) => multiplexed(io, BytesMut::new(), version, info, options, service).await,
        None => http1(io, info, options, service).await,
    }
}

/// As [`serve_connection`], with bytes that were read already.
pub(crate) async fn serve_detected<T, S>(
    io: Rewind<T>,
    info: ConnectionInfo,
    options: Options,
    service: S,
) -> Result<(), ConnectionError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    match info.protocol().version() {
        Some(version) => {
            let (io, prefix) = io.into_parts();
            multiplexed(io, prefix.into(), version, info, options, service).await
        }
        None => http1(io, info, options, service).await,
    }
}

async fn multiplexed<T, S>(
    io: T,
    input: BytesMut,
    version: Version,
    info: ConnectionInfo,
    options: Options,
    service: S,
) -> Result<(), ConnectionError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let mut config = Config::new(version, Side::Server);
    config.limits = options.limits.clone();
    config.header_compression = options.header_compression;
    let exchanges = Exchanges::new(version, info, options, service);
    let connection = Connection::new(io, config, exchanges).with_input(input);
    connection.await.map_err(ConnectionError::Connection)
}

#[cfg(feature = "http1")]
async fn http1<T, S>(
    io: T,
    info: ConnectionInfo,
    options: Options,
    service: S,
) -> Result<(), ConnectionError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    // In a box of its own: the connections of the other protocols should not
    // pay for its size.
    Box::pin(crate::http1::serve(io, options, info, service)).await
}

#[cfg(not(feature = "http1"))]
async fn http1<T, S>(_: T, _: ConnectionInfo, _: Options, _: S) -> Result<(), ConnectionError> {
    Err(ConnectionError::NotOffered {
        protocol: Protocol::Http1,
    })
}

impl From<Protocol> for ConnectionInfo {
    fn from(protocol: Protocol) -> Self {
        Self::new(protocol)
    }
}

impl From<Version> for ConnectionInfo {
    fn from(version: Version) -> Self {
        Self::new(version.into())
    }
}
