//! A server: listeners, and a service behind them.

#[cfg(feature = "tls")]
use std::sync::Arc;
use std::{fmt, net::SocketAddr, num::NonZeroUsize, pin::Pin};

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use lacewing_conn::driver::ConnectionConfig;
use tokio::task::JoinSet;
use tower_service::Service;

use crate::{
    Address, BoxError, ConnectionInfo, H2cUpgrade, HttpService, Protocol, RequestBody,
    ServerOptions, Shutdown, ShutdownSignal, Socket, StartError,
    acceptor::Transport,
    connections::Connections,
    listener::Listener,
    make::{Each, Make, Same},
    shutdown::Tracker,
    socket::{Detached, Sharing},
    threads::Thread,
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
    addresses: Vec<Address>,
    runtimes: Runtimes,
    options: ServerOptions,
    signal: Option<Signal>,
}

/// The runtimes that accept connections and serve them.
enum Runtimes {
    /// The runtime that awaits the server.
    Caller(Vec<Listener>),
    /// One on each of the server's own threads.
    Threads(Vec<(Thread, Vec<Listener<Detached>>)>),
}

impl Server {
    /// Returns a builder with the default options: it offers every protocol
    /// that this build has.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            binds: Vec::new(),
            options: ServerOptions::default(),
            threads: None,
            sharing: Sharing::None,
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
        self.addresses.iter()
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
        let budget = &self.options.connection.memory_budget;
        let accepting = Accepting {
            connections: Connections::new(self.options.max_connections, budget),
            options: self.options,
            make,
            signal: shutdown.signal(),
        };
        let mut runtimes = JoinSet::new();
        match self.runtimes {
            Runtimes::Caller(listeners) => {
                runtimes.spawn(accepting.run(listeners));
            }
            Runtimes::Threads(threads) => {
                for (thread, listeners) in threads {
                    let accepting = accepting.clone();
                    runtimes.spawn(thread.run(async move {
                        let attached = listeners.into_iter().filter_map(|listener| {
                            // Here, on the thread: the listener belongs to its runtime.
                            listener.attach(&accepting.options)
                        });
                        let attached = attached.collect();
                        accepting.run(attached).await;
                    }));
                }
                drop(accepting);
            }
        }
        match self.signal {
            Some(signal) => signal.await,
            None => std::future::pending().await,
        }
        shutdown.start();
        while runtimes.join_next().await.is_some() {}
    }
}

/// The parts of a server that every listener needs.
#[derive(Clone)]
struct Accepting<M> {
    options: ServerOptions,
    make: M,
    connections: Connections,
    signal: ShutdownSignal,
}

impl<M: Make> Accepting<M> {
    /// Accepts on some listeners, and waits for the end of their connections.
    async fn run(self, listeners: Vec<Listener>) {
        let tracker = Tracker::new();
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let Self {
                options,
                make,
                connections,
                signal,
            } = self.clone();
            accepting.spawn(listener.run(options, make, connections, signal, tracker.alive()));
        }
        drop(self);
        while accepting.join_next().await.is_some() {}
        tracker.wait().await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listeners", &self.addresses)
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
    threads: Option<NonZeroUsize>,
    sharing: Sharing,
    signal: Option<Signal>,
}

enum Bind {
    Address(SocketAddr),
    #[cfg(unix)]
    Path(std::path::PathBuf),
    Bound(Socket),
}

impl Bind {
    fn socket(self, sharing: Sharing) -> Result<Socket, StartError> {
        match self {
            Self::Address(address) => Socket::bind(address, sharing),
            #[cfg(unix)]
            Self::Path(path) => Socket::bind_unix(&path),
            Self::Bound(socket) => Ok(socket),
        }
    }

    /// Returns one socket for each of `count` threads, and the address of all.
    fn sockets(
        self,
        count: usize,
        sharing: Sharing,
    ) -> Result<(Address, Vec<Detached>), StartError> {
        if let Self::Address(address) = self {
            return Socket::bind_for_threads(address, count, sharing);
        }
        let socket = self.socket(sharing)?;
        let address = socket.address();
        match socket.detach(count) {
            Ok(sockets) => Ok((address, sockets)),
            Err(source) => Err(StartError::Bind { address, source }),
        }
    }
}

/// The handshake before the protocol.
enum Handshake {
    None,
    #[cfg(feature = "tls")]
    Tls(Arc<rustls::ServerConfig>),
    #[cfg(feature = "npn")]
    Npn(crate::npn::SslAcceptorBuilder),
}

impl Handshake {
    #[cfg_attr(
        not(any(feature = "tls", feature = "npn")),
        expect(clippy::unnecessary_wraps, unused_variables)
    )]
    fn transport(self, protocols: &[Protocol]) -> Result<Transport, StartError> {
        Ok(match self {
            Self::None => Transport::Cleartext,
            #[cfg(feature = "tls")]
            Self::Tls(config) => Transport::Tls(crate::tls::Tls::new(config, protocols)),
            #[cfg(feature = "npn")]
            Self::Npn(acceptor) => Transport::Npn(crate::npn::Npn::new(acceptor, protocols)?),
        })
    }
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

    /// Serves on `count` threads of the server's own in place of the runtime that awaits it.
    /// Each thread has a runtime (tokio's `current_thread`) and a listener for each address. A
    /// connection and its handlers stay on the thread that accepted it: no request wakes another
    /// thread. With many connections this costs less than a runtime whose threads share their work; a
    /// few busy connections may leave threads idle.
    ///
    /// On Linux, the kernel spreads the connections of a [bound](Self::bind) address over the
    /// threads (SO_REUSEPORT). The threads accept in turn from [other listeners](Self::listen), and
    /// on other systems.
    ///
    /// Handlers must not block, as in every runtime. Tasks that they spawn end with the server. The
    /// limits of connections and memory are those of the whole server.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use lacewing_server::Server;
    ///
    /// Server::builder()
    ///     .bind(([0, 0, 0, 0], 8080).into())
    ///     .threads(std::thread::available_parallelism()?)
    ///     .serve(axum::Router::new())
    ///     .await?;
    /// # Ok(())
    /// # }
    /// # let _ = run;
    /// ```
    pub fn threads(mut self, count: NonZeroUsize) -> Self {
        self.threads = Some(count);
        self
    }

    /// Lets other sockets [bind](Self::bind) the same addresses, if they permit it too and are of
    /// the same user (SO_REUSEPORT). The kernel spreads connections over all of them: for
    /// several processes, or for a new one that starts before the old one ends. Without this call, an
    /// address that is in use is an error.
    ///
    /// ```
    /// # async fn run() -> Result<(), lacewing_server::StartError> {
    /// use lacewing_server::Server;
    ///
    /// let first = Server::builder()
    ///     .bind(([127, 0, 0, 1], 0).into())
    ///     .reuse_port()
    ///     .build()
    ///     .await?;
    /// for address in first.local_addrs() {
    ///     Server::builder().bind(address).reuse_port().build().await?;
    /// }
    /// # Ok(())
    /// # }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # runtime.block_on(run()).unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(target_os = "linux")]
    pub fn reuse_port(mut self) -> Self {
        self.sharing = Sharing::ReusePort;
        self
    }

    /// Shuts the server down gracefully when `signal` completes. It then accepts no more
    /// connections, sends GOAWAY, and answers the requests that arrived. It ends at the latest
    /// after the limit `drain_timeout`.
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
        let mut addresses = Vec::with_capacity(self.binds.len());
        let runtimes = match self.threads {
            None => {
                let mut listeners = Vec::with_capacity(self.binds.len());
                for (bind, handshake) in self.binds {
                    let socket = bind.socket(self.sharing)?;
                    let address = socket.address();
                    addresses.push(address.clone());
                    listeners.push(Listener {
                        socket,
                        address,
                        transport: handshake.transport(&options.protocols)?,
                    });
                }
                Runtimes::Caller(listeners)
            }
            Some(count) => {
                let mut threads = Vec::with_capacity(count.get());
                for number in 0..count.get() {
                    let thread = Thread::start(number).await.map_err(StartError::Threads)?;
                    threads.push((thread, Vec::with_capacity(self.binds.len())));
                }
                for (bind, handshake) in self.binds {
                    let transport = handshake.transport(&options.protocols)?;
                    let (address, sockets) = bind.sockets(count.get(), self.sharing)?;
                    addresses.push(address.clone());
                    for ((_, listeners), socket) in threads.iter_mut().zip(sockets) {
                        listeners.push(Listener {
                            socket,
                            address: address.clone(),
                            transport: transport.clone(),
                        });
                    }
                }
                Runtimes::Threads(threads)
            }
        };
        Ok(Server {
            addresses,
            runtimes,
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
