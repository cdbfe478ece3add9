//! A server: listeners, and a service behind them.

#[cfg(feature = "tls")]
use std::sync::Arc;
use std::{fmt, net::SocketAddr, pin::Pin};

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use lacewing_conn::driver::ConnectionConfig;
use tokio::task::JoinSet;
use tower_service::Service;

use crate::{
    Address, BoxError, ConnectionInfo, H2cUpgrade, HttpService, Protocol, RequestBody,
    ServerOptions, Shutdown, Socket, StartError,
    acceptor::Transport,
    connections::Connections,
    listener::Listener,
    make::{Each, Make, Same},
    shutdown::Tracker,
};

type Signal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A server whose listeners are bound.
///
/// ```
/// use std::convert::Infallible;
///
/// use http::{Request, Response};
/// use lacewing_server::{RequestBody, Server, service_fn};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let server = Server::builder()
///     .bind(([127, 0, 0, 1], 0).into())
///     .shutdown(async { /* for example: tokio::signal::ctrl_c() */ })
///     .build()
///     .await?;
/// println!("listening on {:?}", server.local_addrs().collect::<Vec<_>>());
///
/// let service = service_fn(|request: Request<RequestBody>| async move {
///     Ok::<_, Infallible>(Response::new(format!("hello over {:?}\n", request.version())))
/// });
/// server.serve(service).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Server {
    listeners: Vec<Listener>,
    options: ServerOptions,
    signal: Option<Signal>,
}

impl Server {
    /// Returns a builder with the default options: it offers every protocol
    /// that this build has.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            binds: Vec::new(),
            options: ServerOptions::default(),
            signal: None,
        }
    }

    /// Returns the IP addresses and ports of the listeners, in the order of the
    /// builder's calls; Unix sockets have none.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses().filter_map(Address::socket_addr)
    }

    /// Returns the addresses of all listeners, in the order of the builder's
    /// calls.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.listeners.iter().map(|listener| &listener.address)
    }

    /// Accepts connections and serves each on a task of its own, until the
    /// [shutdown signal](ServerBuilder::shutdown) completes and every connection
    /// has ended. Without a signal it never completes.
    ///
    /// Dropping the future closes the listeners and starts a graceful shutdown
    /// of the connections.
    pub async fn serve<S, B>(self, service: S)
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.run(Same(service)).await;
    }

    /// As [`serve`](Self::serve), with a service for each connection: `make`
    /// receives the [`ConnectionInfo`] of a connection once its protocol is known.
    /// axum's `into_make_service_with_connect_info` is one, with the feature
    /// `axum`.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use lacewing_server::{ConnectionInfo, Server};
    /// use tower::service_fn;
    ///
    /// # async fn run(server: Server) {
    /// server
    ///     .serve_each(service_fn(|connection: ConnectionInfo| async move {
    ///         let greeting = format!("you came by {connection}\n");
    ///         let router = axum::Router::new().fallback(|| async { greeting });
    ///         Ok::<_, Infallible>(router)
    ///     }))
    ///     .await;
    /// # }
    /// # let _ = run;
    /// ```
    pub async fn serve_each<M>(self, make: M)
    where
        M: Service<ConnectionInfo, Response: HttpService, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        self.run(Each(make)).await;
    }

    async fn run<M: Make>(self, make: M) {
        let shutdown = Shutdown::new();
        let tracker = Tracker::new();
        let budget = &self.options.connection.memory_budget;
        let connections = Connections::new(self.options.max_connections, budget);
        let mut accepting = JoinSet::new();
        for listener in self.listeners {
            let (options, make) = (self.options.clone(), make.clone());
            let connections = connections.clone();
            let (signal, alive) = (shutdown.signal(), tracker.alive());
            accepting.spawn(listener.run(options, make, connections, signal, alive));
        }
        drop(make);
        match self.signal {
            Some(signal) => signal.await,
            None => std::future::pending().await,
        }
        shutdown.start();
        while accepting.join_next().await.is_some() {}
        tracker.wait().await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listeners", &self.addresses().collect::<Vec<_>>())
            .field("protocols", &self.options.protocols)
            .finish_non_exhaustive()
    }
}

/// Builds a [`Server`].
///
/// ```
/// use lacewing_server::{ConnectionConfig, Protocol, Server, Side};
///
/// let connection = ConnectionConfig::new(Side::Server)
///     .with(|config| config.limits.max_concurrent_streams = 250);
/// let builder = Server::builder()
///     .bind(([127, 0, 0, 1], 0).into())
///     .connection(connection)
///     .options(|options| options.protocols([Protocol::Http2, Protocol::Spdy31]));
/// # let _ = builder;
/// ```
#[must_use]
pub struct ServerBuilder {
    binds: Vec<(Bind, Handshake)>,
    options: ServerOptions,
    signal: Option<Signal>,
}

enum Bind {
    Address(SocketAddr),
    #[cfg(unix)]
    Path(std::path::PathBuf),
    Bound(Socket),
}

/// The handshake before the protocol.
enum Handshake {
    None,
    #[cfg(feature = "tls")]
    Tls(Arc<rustls::ServerConfig>),
    #[cfg(feature = "npn")]
    Npn(crate::npn::SslAcceptorBuilder),
}

impl ServerBuilder {
    /// Listens in cleartext on an address. The first bytes of a connection show the client's
    /// protocol.
    pub fn bind(self, address: SocketAddr) -> Self {
        self.bind_with(Bind::Address(address), Handshake::None)
    }

    /// As [`bind`](Self::bind), on a listener that is bound already, of TCP or
    /// a Unix socket.
    pub fn listen(self, listener: impl Into<Socket>) -> Self {
        self.bind_with(Bind::Bound(listener.into()), Handshake::None)
    }

    /// Listens in cleartext on a Unix socket. A socket that a server left
    /// behind when it died is replaced; the file is removed when the server
    /// ends. The permissions of the folder and the
    /// file say which users may connect. (TLS on a Unix socket is `listen_tls`, with the feature `tls`.)
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), lacewing_server::StartError> {
    /// use lacewing_server::Server;
    ///
    /// let server = Server::builder().bind_unix("/run/app.sock").build().await?;
    /// server.serve(axum::Router::new()).await;
    /// # Ok(())
    /// # }
    /// # let _ = run;
    /// ```
    #[cfg(unix)]
    pub fn bind_unix(self, path: impl Into<std::path::PathBuf>) -> Self {
        self.bind_with(Bind::Path(path.into()), Handshake::None)
    }

    /// Listens with TLS on an address. The [protocols](ServerOptions::protocols) are
    /// offered by ALPN, in place of those that the configuration has.
    ///
    /// `config` is an [`Identity`](crate::Identity), which is a certificate and
    /// its key, or a configuration of rustls.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use lacewing_server::{Identity, Server};
    ///
    /// Server::builder()
    ///     .bind_tls(([0, 0, 0, 0], 443).into(), Identity::from_pem_files("cert.pem", "key.pem")?)
    ///     .serve(axum::Router::new())
    ///     .await?;
    /// # Ok(())
    /// # }
    /// # let _ = run;
    /// ```
    #[cfg(feature = "tls")]
    pub fn bind_tls(
        self,
        address: SocketAddr,
        config: impl Into<Arc<rustls::ServerConfig>>,
    ) -> Self {
        self.bind_with(Bind::Address(address), Handshake::Tls(config.into()))
    }

    /// As [`bind_tls`](Self::bind_tls), on a listener that is bound already.
    #[cfg(feature = "tls")]
    pub fn listen_tls(
        self,
        listener: impl Into<Socket>,
        config: impl Into<Arc<rustls::ServerConfig>>,
    ) -> Self {
        self.bind_with(Bind::Bound(listener.into()), Handshake::Tls(config.into()))
    }

    /// Listens on an address with TLS by OpenSSL, for legacy clients (NPN
    /// era). The [protocols](ServerOptions::protocols) are offered by ALPN and by NPN; see
    /// [`npn`](crate::npn).
    #[cfg(feature = "npn")]
    pub fn bind_npn(self, address: SocketAddr, acceptor: crate::npn::SslAcceptorBuilder) -> Self {
        self.bind_with(Bind::Address(address), Handshake::Npn(acceptor))
    }

    /// As [`bind_npn`](Self::bind_npn), on a listener that is bound already.
    #[cfg(feature = "npn")]
    pub fn listen_npn(
        self,
        listener: impl Into<Socket>,
        acceptor: crate::npn::SslAcceptorBuilder,
    ) -> Self {
        self.bind_with(Bind::Bound(listener.into()), Handshake::Npn(acceptor))
    }

    /// Configures the connections: limits, header compression, window pool.
    pub fn connection(self, config: ConnectionConfig) -> Self {
        self.options(|options| options.connection(config))
    }

    /// Changes what [`ServerOptions`] has: the protocols that are offered,
    /// where handlers run, what requests carry, the observer, and more.
    pub fn options(mut self, change: impl FnOnce(ServerOptions) -> ServerOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// Shuts the server down gracefully when `signal` completes: it accepts no
    /// more connections, sends GOAWAY, answers the requests that arrived, and
    /// ends, at the latest after the limit `drain_timeout`.
    pub fn shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signal = Some(Box::pin(signal));
        self
    }

    /// Binds the listeners.
    ///
    /// # Errors
    ///
    /// [`StartError`], if an address cannot be bound, TLS cannot be set up, or
    /// the options exclude every connection.
    #[expect(
        clippy::unused_async,
        reason = "listeners belong to the runtime that this awaits on"
    )]
    pub async fn build(self) -> Result<Server, StartError> {
        if self.binds.is_empty() {
            return Err(StartError::NoListener);
        }
        let mut options = self.options;
        if options.protocols.is_empty() {
            return Err(StartError::NoProtocol);
        }
        if cfg!(not(feature = "http1")) && options.protocols.contains(&Protocol::Http1) {
            return Err(StartError::NotBuilt {
                protocol: Protocol::Http1,
            });
        }
        // A protocol that is not offered is not upgraded to either.
        if !options.protocols.contains(&Protocol::Http2) {
            options.h2c_upgrade = H2cUpgrade::Ignore;
        }
        let mut listeners = Vec::with_capacity(self.binds.len());
        for (bind, handshake) in self.binds {
            let socket = match bind {
                Bind::Address(address) => Socket::bind(address)?,
                #[cfg(unix)]
                Bind::Path(path) => Socket::bind_unix(&path)?,
                Bind::Bound(socket) => socket,
            };
            let address = socket.address();
            let transport = match handshake {
                Handshake::None => Transport::Cleartext,
                #[cfg(feature = "tls")]
                Handshake::Tls(config) => {
                    Transport::Tls(crate::tls::Tls::new(config, &options.protocols))
                }
                #[cfg(feature = "npn")]
                Handshake::Npn(acceptor) => {
                    Transport::Npn(crate::npn::Npn::new(acceptor, &options.protocols)?)
                }
            };
            listeners.push(Listener {
                socket,
                address,
                transport,
            });
        }
        Ok(Server {
            listeners,
            options,
            signal: self.signal,
        })
    }

    /// [Builds](Self::build) the server and [serves](Server::serve).
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub async fn serve<S, B>(self, service: S) -> Result<(), StartError>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.build().await?.serve(service).await;
        Ok(())
    }

    /// [Builds](Self::build) the server and [serves](Server::serve_each) each connection by a
    /// service of its own.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub async fn serve_each<M>(self, make: M) -> Result<(), StartError>
    where
        M: Service<ConnectionInfo, Response: HttpService, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        self.build().await?.serve_each(make).await;
        Ok(())
    }

    fn bind_with(mut self, bind: Bind, handshake: Handshake) -> Self {
        self.binds.push((bind, handshake));
        self
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("protocols", &self.options.protocols)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
