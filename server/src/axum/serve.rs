//! `serve(listener, app)`.

use std::{
    fmt,
    future::{Future, IntoFuture},
    io,
    marker::PhantomData,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use ::axum::extract::{Request, connect_info::Connected};
use bytes::Bytes;
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::Upgrades;
use crate::{
    Address, BoxError, ConnectionInfo, ExtendedConnect, Extension, HttpService, RequestBody,
    Server, ServerBuilder, Socket, StartError,
};

/// Serves an axum `Router` in all protocols, as `axum::serve` does in
/// HTTP/1.1: in cleartext, each connection on a task of its own.
///
/// `listener` is a [`TcpListener`](tokio::net::TcpListener) or a
/// [`UnixListener`](tokio::net::UnixListener); `app` a `Router`, another
/// service, or what makes one for each connection, such as
/// `router.into_make_service_with_connect_info::<SocketAddr>()`. As with
/// `axum::serve`, a service takes an [`axum::extract::Request`](::axum::extract::Request),
/// so that layers may be around a whole router too.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let app = axum::Router::new();
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// lacewing_server::axum::serve(listener, app)
///     .with_graceful_shutdown(async {
///         let _ = tokio::signal::ctrl_c().await;
///     })
///     .await?;
/// # Ok(())
/// # }
/// # let _ = run;
/// ```
pub fn serve<A, K>(listener: impl Into<Socket>, app: A) -> Serve<A, K>
where
    A: App<K>,
{
    Serve {
        socket: listener.into(),
        transport: Transport::Cleartext,
        // As `axum::serve` has it.
        builder: Server::builder()
            .options(|options| options.extended_connect(ExtendedConnect::Offer))
            // Extractors see the extensions, and no longer the body.
            .options(|options| options.connection_info(Extension::Insert)),
        app,
        kind: PhantomData,
    }
}

/// A server that starts when it is awaited; from [`serve`]. Without
/// [`with_graceful_shutdown`](Self::with_graceful_shutdown) it never ends.
#[must_use = "a server does nothing until it is awaited"]
pub struct Serve<A, K> {
    socket: Socket,
    transport: Transport,
    builder: ServerBuilder,
    app: A,
    kind: PhantomData<fn() -> K>,
}

enum Transport {
    Cleartext,
    #[cfg(feature = "tls")]
    Tls(std::sync::Arc<rustls::ServerConfig>),
}

impl<A, K> Serve<A, K> {
    /// Shuts down gracefully when `signal` completes: accepts no more
    /// connections, sends GOAWAY, answers the requests that arrived, and ends.
    pub fn with_graceful_shutdown(self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.configure(|builder| builder.shutdown(signal))
    }

    /// Changes the [`ServerBuilder`]: limits, protocols, the observer, and so on.
    ///
    /// ```no_run
    /// # async fn run(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    /// lacewing_server::axum::serve(listener, axum::Router::new())
    ///     .configure(|builder| builder.options(|options| options.observer(|event| eprintln!("{event}"))))
    ///     .await
    /// # }
    /// # let _ = run;
    /// ```
    pub fn configure(mut self, configure: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        self.builder = configure(self.builder);
        self
    }

    /// Speaks TLS on the listener, by an [`Identity`](crate::Identity) or a
    /// configuration of rustls. The protocols are negotiated by ALPN.
    ///
    /// ```no_run
    /// # async fn run(listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
    /// use lacewing_server::Identity;
    ///
    /// lacewing_server::axum::serve(listener, axum::Router::new())
    ///     .with_tls(Identity::from_pem_files("cert.pem", "key.pem")?)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// # let _ = run;
    /// ```
    #[cfg(feature = "tls")]
    pub fn with_tls(mut self, config: impl Into<std::sync::Arc<rustls::ServerConfig>>) -> Self {
        self.transport = Transport::Tls(config.into());
        self
    }

    /// The address to which the listener is bound.
    pub fn address(&self) -> Address {
        self.socket.address()
    }

    /// As [`address`](Self::address), for TCP.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] for a Unix socket, which has no IP
    /// address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.address().socket_addr();
        address.ok_or_else(|| {
            let text = "a Unix socket has no IP address";
            io::Error::new(io::ErrorKind::Unsupported, text)
        })
    }
}

impl<A, K> IntoFuture for Serve<A, K>
where
    A: App<K>,
{
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let builder = match self.transport {
            Transport::Cleartext => self.builder.listen(self.socket),
            #[cfg(feature = "tls")]
            Transport::Tls(config) => self.builder.listen_tls(self.socket, config),
        };
        let running = self.app.run(builder);
        Box::pin(async move {
            running
                .await
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
        })
    }
}

impl<A, K> fmt::Debug for Serve<A, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("address", &self.address())
            .field("builder", &self.builder)
            .finish_non_exhaustive()
    }
}

/// An application for [`serve`]: a service, or a maker of one for each
/// connection.
/// There is nothing to implement, and `K` is found out by the compiler.
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::Router;
/// use lacewing_server::axum::App;
///
/// fn servable<K>(_: impl App<K>) {}
///
/// servable(Router::new());
/// servable(Router::new().into_make_service());
/// servable(Router::new().into_make_service_with_connect_info::<SocketAddr>());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be served",
    note = "a `Router` is served once its state is given: `router.with_state(state)`",
    note = "a service takes `axum::extract::Request`; where the compiler cannot know which body, \
            say it: `ServiceExt::<axum::extract::Request>::into_make_service(app)`",
    note = "for `into_make_service_with_connect_info::<C>()`, `C` has to be \
            `Connected<lacewing_server::ConnectionInfo>`"
)]
pub trait App<K>: Sized + Send + 'static {
    /// Builds the server and runs it to its end.
    #[doc(hidden)]
    fn run(
        self,
        builder: ServerBuilder,
    ) -> Pin<Box<dyn Future<Output = Result<(), StartError>> + Send>>;
}

/// The kind of an [`App`] that is one service for all connections.
#[derive(Debug)]
pub enum Shared {}

/// The kind of an [`App`] that makes a service for each connection.
#[derive(Debug)]
pub enum PerConnection {}

impl<S> App<Shared> for S
where
    S: Service<Request> + Send + 'static,
    Boxing<S>: HttpService<ResponseBody: Body<Data = Bytes>>,
{
    fn run(
        self,
        builder: ServerBuilder,
    ) -> Pin<Box<dyn Future<Output = Result<(), StartError>> + Send>> {
        Box::pin(builder.serve(Upgrades::new(Boxing(self))))
    }
}

impl<M> App<PerConnection> for M
where
    M: Service<ConnectionInfo, Response: Service<Request>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    Boxing<M::Response>: HttpService<ResponseBody: Body<Data = Bytes>>,
{
    fn run(
        self,
        builder: ServerBuilder,
    ) -> Pin<Box<dyn Future<Output = Result<(), StartError>> + Send>> {
        Box::pin(builder.serve_each(Upgrading(self)))
    }
}

/// A service for requests with axum's body, which boxes any other. A router boxes it in any case,
/// and never twice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boxing<S>(S);

impl<S: Service<Request>> Service<http::Request<RequestBody>> for Boxing<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<RequestBody>) -> S::Future {
        self.0.call(request.map(::axum::body::Body::new))
    }
}

/// Makes services that support [`Upgrades`].
#[derive(Clone)]
struct Upgrading<M>(M);

impl<M> Service<ConnectionInfo> for Upgrading<M>
where
    M: Service<ConnectionInfo, Future: Send>,
{
    type Response = Upgrades<Boxing<M::Response>>;
    type Error = M::Error;
    type Future = Made<M::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, connection: ConnectionInfo) -> Self::Future {
        Made {
            service: self.0.call(connection),
        }
    }
}

pin_project! {
    /// One service on its way.
    struct Made<F> {
        #[pin]
        service: F,
    }
}

impl<F, S, E> Future for Made<F>
where
    F: Future<Output = Result<S, E>>,
{
    type Output = Result<Upgrades<Boxing<S>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let service = self.project().service.poll(cx);
        service.map_ok(|service| Upgrades::new(Boxing(service)))
    }
}

/// The peer's IP address and port. On a Unix socket, which has none, this is `0.0.0.0:0`; extract a
/// `ConnectInfo<Address>` there.
impl Connected<ConnectionInfo> for SocketAddr {
    fn connect_info(connection: ConnectionInfo) -> Self {
        let unspecified = Self::from((Ipv4Addr::UNSPECIFIED, 0));
        connection.peer_addr().unwrap_or(unspecified)
    }
}

/// Everything that is known of the connection.
impl Connected<ConnectionInfo> for ConnectionInfo {
    fn connect_info(connection: ConnectionInfo) -> Self {
        connection
    }
}

/// The peer's address, of any kind. If it is unknown, as on a transport in memory, this is an
/// unnamed Unix socket.
impl Connected<ConnectionInfo> for Address {
    fn connect_info(connection: ConnectionInfo) -> Self {
        let unnamed = || Self::Unix(crate::UnixAddress::default());
        connection.peer().cloned().unwrap_or_else(unnamed)
    }
}
