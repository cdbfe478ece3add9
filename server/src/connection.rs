//! Serving one connection, from its first byte to its last.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::BytesMut;
use http::{Request, Response};
use http_body::Body;
use lacewing_conn::proto::ConnectionStats;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use crate::{
    BoxError, ConnectionInfo, ConnectionOptions, HttpService, RequestBody, Rewind, ServeError,
    ServerOptions,
    multiplexed::{self, Multiplexed, Occupied},
    telemetry::Span,
};

/// Serves one connection whose protocol is known, over any transport: a
/// socket, a TLS stream, a pipe in memory. It completes when the connection is
/// over.
///
/// `connection` is a [`Version`](crate::Version), a [`Protocol`](crate::Protocol), or a [`ConnectionInfo`] with
/// addresses.
///
/// ```
/// use std::convert::Infallible;
///
/// use http::{Request, Response};
/// use lacewing_server::{RequestBody, ServerOptions, Version, serve_connection, service_fn};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (client, server) = tokio::io::duplex(64 * 1024);
/// let hello = service_fn(|_: Request<RequestBody>| async {
///     Ok::<_, Infallible>(Response::new(String::from("hello")))
/// });
/// let serving = tokio::spawn(serve_connection(server, Version::Http2, ServerOptions::default(), hello));
/// drop(client);
/// assert!(serving.await?.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// [`ServeError::Connection`] or [`ServeError::Http1`] if it did not
/// end gracefully, and [`ServeError::NotOffered`] for HTTP/1.1
/// without the feature `http1`.
pub fn serve_connection<T, S, B>(
    io: T,
    connection: impl Into<ConnectionInfo>,
    options: ServerOptions,
    service: S,
) -> Serving<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data: bytes::Buf + Send, Error: Into<BoxError>> + Send + 'static,
{
    let options = ConnectionOptions::new(Arc::new(options));
    Serving::new(io, BytesMut::new(), connection.into(), options, service)
}

/// A connection on its way to its end.
#[cfg(feature = "http1")]
type Served = Pin<Box<dyn Future<Output = Result<(), ServeError>> + Send>>;

/// As [`serve_connection`], with bytes that were read already.
pub(crate) fn serve_detected<T, S>(
    io: Rewind<T>,
    info: ConnectionInfo,
    options: ConnectionOptions,
    service: S,
) -> Serving<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let (io, prefix) = io.into_parts();
    Serving::new(io, prefix.into(), info, options, service)
}

/// The future of [`serve_connection`].
///
/// ```
/// use lacewing_server::{ServerOptions, Protocol, serve_connection};
///
/// let (_client, io) = tokio::io::duplex(1024);
/// let serving = serve_connection(io, Protocol::Spdy3, ServerOptions::default(), axum::Router::new());
/// // Nothing happens until it is polled.
/// drop(serving);
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Serving<T, S: HttpService> {
    kind: Kind<T, S>,
    place: Option<Occupied>,
    span: Span,
}

/// A named future instead of an `async fn`, which would keep its arguments beside the connection
/// that it makes from them.
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
enum Kind<T, S: HttpService> {
    Multiplexed(Multiplexed<T, S>),
    #[cfg(feature = "http1")]
    Http1 {
        serving: Served,
        watch: Arc<crate::http1_transport::Watch>,
        facts: Facts,
    },
    #[cfg(not(feature = "http1"))]
    NotBuilt(Facts),
}

/// What the observer of a connection hears of it.
type Facts = (Arc<ServerOptions>, ConnectionInfo);

impl<T, S> Serving<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    fn new(
        io: T,
        input: BytesMut,
        info: ConnectionInfo,
        mut options: ConnectionOptions,
        service: S,
    ) -> Self {
        let Some(version) = info.protocol().version() else {
            return Self::http1(Rewind::new(io, input.freeze()), info, options, service);
        };
        let span = Span::new(&info);
        let place = options.place.take().map(Occupied::new);
        let connection = multiplexed::serve(io, input, version, info, options, service);
        Self {
            kind: Kind::Multiplexed(connection),
            place,
            span,
        }
    }

    /// Returns the connection's statistics. HTTP/1.1 has `open_streams` (0 or 1), `data_sent` and
    /// `data_received` alone; the others are zero or `None`.
    pub fn stats(&mut self) -> ConnectionStats {
        match &mut self.kind {
            Kind::Multiplexed(connection) => connection.stats(),
            #[cfg(feature = "http1")]
            Kind::Http1 { watch, .. } => watch.stats(),
            #[cfg(not(feature = "http1"))]
            Kind::NotBuilt(_) => ConnectionStats::default(),
        }
    }

    #[cfg(feature = "http1")]
    fn http1(io: Rewind<T>, info: ConnectionInfo, options: ConnectionOptions, service: S) -> Self {
        let span = Span::new(&info);
        let watch = Arc::default();
        let facts = (options.shared(), info.clone());
        let serving = crate::http1::serve(io, options, info, service, Arc::clone(&watch));
        Self {
            kind: Kind::Http1 {
                serving: Box::pin(serving),
                watch,
                facts,
            },
            place: None,
            span,
        }
    }

    #[cfg(not(feature = "http1"))]
    fn http1(_: Rewind<T>, info: ConnectionInfo, options: ConnectionOptions, _: S) -> Self {
        Self {
            span: Span::new(&info),
            kind: Kind::NotBuilt((options.shared(), info)),
            place: None,
        }
    }
}

impl<T, S: HttpService> Serving<T, S> {
    /// Returns the options and the information of the connection.
    pub(crate) fn facts(&mut self) -> (&ServerOptions, &ConnectionInfo) {
        match &mut self.kind {
            Kind::Multiplexed(connection) => connection.application().facts(),
            #[cfg(feature = "http1")]
            Kind::Http1 { facts, .. } => (&facts.0, &facts.1),
            #[cfg(not(feature = "http1"))]
            Kind::NotBuilt(facts) => (&facts.0, &facts.1),
        }
    }
}

impl<T, S> Future for Serving<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
{
    type Output = Result<(), ServeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { kind, place, span } = self.get_mut();
        span.within(|| match kind {
            Kind::Multiplexed(connection) => match place {
                Some(place) => place.poll(connection, cx),
                None => Pin::new(connection)
                    .poll(cx)
                    .map_err(ServeError::Connection),
            },
            #[cfg(feature = "http1")]
            Kind::Http1 { serving, .. } => serving.as_mut().poll(cx),
            #[cfg(not(feature = "http1"))]
            Kind::NotBuilt(_) => Poll::Ready(Err(ServeError::NotOffered {
                protocol: crate::Protocol::Http1,
            })),
        })
    }
}

impl<T, S: HttpService> fmt::Debug for Serving<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Multiplexed(connection) => connection.fmt(f),
            #[cfg(feature = "http1")]
            Kind::Http1 { .. } => f.write_str("Serving(http/1.1)"),
            #[cfg(not(feature = "http1"))]
            Kind::NotBuilt(_) => f.write_str("Serving(not built)"),
        }
    }
}
