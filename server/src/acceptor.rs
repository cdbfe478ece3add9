//! Serves accepted connections: detects the protocol first.

use std::{fmt, future::pending, sync::Arc, time::Duration};

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use lacewing_conn::proto::VersionSource;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tower_service::Service;

use crate::{
    BoxError, ConnectionInfo, ConnectionOptions, Detected, Endpoints, Protocol, RequestBody,
    Rewind, ServeError, ServerEvent, ServerOptions, ShutdownSignal,
    connections::Place,
    detect,
    make::{Make, Same},
    running::{self, BoxedStep, Running, Step},
};

/// The time in which a client may still show its protocol after a shutdown has started. Its first
/// bytes may be on their way: if its connection closed now, it would not know whether its request
/// was processed.
const GRACE: Duration = Duration::from_secs(1);

/// Detects the protocol of a client and serves it, over any transport, as a
/// [`Server`](crate::Server) does for its listeners. For programs that accept connections
/// themselves.
///
/// Make it once, and clone it for each connection: a clone costs a reference count. The protocols
/// are those of [`ServerOptions::protocols`]. In cleartext the first bytes decide the protocol;
/// behind TLS, ALPN does.
///
/// ```
/// use lacewing_server::{Acceptor, ServerOptions};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let acceptor = Acceptor::new(ServerOptions::default());
/// let (mut client, io) = tokio::io::duplex(64 * 1024);
/// let router = axum::Router::new().fallback(|| async { "hello" });
/// let serving = tokio::spawn(async move { acceptor.serve(io, router).await });
/// # if cfg!(feature = "http1") {
/// client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.ends_with("hello"));
/// serving.await??;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Acceptor(Arc<Settings>);

struct Settings {
    options: Arc<ServerOptions>,
    transport: Transport,
}

/// The layer between a connection and its protocol.
#[derive(Clone)]
pub(crate) enum Transport {
    Cleartext,
    #[cfg(feature = "tls")]
    Tls(crate::tls::Tls),
    #[cfg(feature = "npn")]
    Npn(crate::npn::Npn),
}

impl Acceptor {
    /// For connections in cleartext.
    pub fn new(options: ServerOptions) -> Self {
        Self::with(options, Transport::Cleartext)
    }

    /// For connections with TLS by rustls. The protocols are offered by ALPN,
    /// in place of those that the configuration has.
    #[cfg(feature = "tls")]
    pub fn tls(options: ServerOptions, config: impl Into<Arc<rustls::ServerConfig>>) -> Self {
        let tls = crate::tls::Tls::new(config.into(), &options.protocols);
        Self::with(options, Transport::Tls(tls))
    }

    pub(crate) fn with(options: ServerOptions, transport: Transport) -> Self {
        let options = Arc::new(options);
        Self(Arc::new(Settings { options, transport }))
    }

    pub(crate) fn options(&self) -> &ServerOptions {
        &self.0.options
    }

    /// Serves one connection of which no address is known. It completes when
    /// the connection is over.
    ///
    /// After the start of a shutdown, a connection is served if its first bytes arrive within a
    /// second: its request is answered. Over SPDY, the answer may be a GOAWAY, after which clients
    /// retry the request elsewhere. The server closes a connection that has not shown its protocol by
    /// then, or is still in the TLS handshake. It sends no answer, and reports no error.
    ///
    /// # Errors
    ///
    /// [`ServeError`], if no protocol was negotiated, or the connection did not
    /// end gracefully. The observer receives it too.
    pub async fn serve<T, S, B>(&self, io: T, service: S) -> Result<(), ServeError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.serve_from(Endpoints::default(), io, service).await
    }

    /// As [`serve`](Self::serve), with the addresses for the requests' [`ConnectionInfo`].
    ///
    /// ```
    /// use lacewing_server::{Acceptor, ServeError, Endpoints};
    /// use tokio::net::TcpStream;
    ///
    /// async fn serve(acceptor: Acceptor, socket: TcpStream) -> Result<(), ServeError> {
    ///     let router = axum::Router::new();
    ///     acceptor.serve_from(Endpoints::of_tcp(&socket), socket, router).await
    /// }
    /// # let _ = serve;
    /// ```
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve).
    pub async fn serve_from<T, S, B>(
        &self,
        endpoints: Endpoints,
        io: T,
        service: S,
    ) -> Result<(), ServeError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.clone().run(endpoints, io, Same(service), None).await
    }

    /// A connection from its first byte to its last.
    pub(crate) fn run<T, M>(
        self,
        endpoints: Endpoints,
        io: T,
        make: M,
        place: Option<Place>,
    ) -> Running
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        M: Make,
    {
        Running::new(async move {
            let peer = endpoints.peer.clone();
            match self.prepare(endpoints, io, make, place).await {
                Ok(Some(step)) => Step::Next(step),
                Ok(None) => Step::Over(Ok(())),
                Err(error) => {
                    self.0.options.observer.tell(&ServerEvent::Rejected {
                        peer: peer.as_ref(),
                        error: &error,
                    });
                    Step::Over(Err(error))
                }
            }
        })
    }

    /// Detects the protocol. `None` if the shutdown started, and the bytes that show the protocol did
    /// not arrive in time.
    async fn prepare<T, M>(
        &self,
        endpoints: Endpoints,
        io: T,
        make: M,
        place: Option<Place>,
    ) -> Result<Option<BoxedStep>, ServeError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        M: Make,
    {
        let options = &self.0.options;
        let stop = options.shutdown.clone();
        match &self.0.transport {
            Transport::Cleartext => {
                let detecting = detected(options, io);
                let Some((protocol, io)) = before_shutdown(detecting, stop, place.as_ref()).await?
                else {
                    return Ok(None);
                };
                let alike =
                    protocol == Protocol::Spdy31 && options.protocols.contains(&Protocol::Spdy3);
                let source = if alike {
                    VersionSource::FirstBytes
                } else {
                    VersionSource::Negotiated
                };
                let options = ConnectionOptions::new(Arc::clone(options))
                    .version_source(source)
                    .place(place);
                let info = ConnectionInfo::new(protocol).with_endpoints(endpoints);
                serve(io, info, options, make).await
            }
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => {
                let handshake = tls.accept(io, options);
                self.prepare_tls(endpoints, handshake, make, place).await
            }
            #[cfg(feature = "npn")]
            Transport::Npn(npn) => {
                let handshake = npn.accept(io, options);
                self.prepare_tls(endpoints, handshake, make, place).await
            }
        }
    }

    /// As [`prepare`](Self::prepare), behind TLS.
    #[cfg(feature = "tls")]
    async fn prepare_tls<T, M>(
        &self,
        endpoints: Endpoints,
        handshake: impl Future<Output = Result<(Protocol, crate::TlsInfo, T), ServeError>>,
        make: M,
        place: Option<Place>,
    ) -> Result<Option<BoxedStep>, ServeError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        M: Make,
    {
        let options = &self.0.options;
        let stop = options.shutdown.clone();
        let accepted = before_shutdown(handshake, stop, place.as_ref()).await?;
        let Some((protocol, tls, io)) = accepted else {
            return Ok(None);
        };
        let info = ConnectionInfo::new(protocol)
            .with_endpoints(endpoints)
            .with_tls_info(tls);
        let io = Rewind::new(io, bytes::Bytes::new());
        let options = ConnectionOptions::new(Arc::clone(options)).place(place);
        serve(io, info, options, make).await
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("protocols", &self.0.options.protocols)
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

async fn serve<T, M>(
    io: Rewind<T>,
    info: ConnectionInfo,
    options: ConnectionOptions,
    make: M,
) -> Result<Option<BoxedStep>, ServeError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    M: Make,
{
    // A maker that hangs must not hold up a shutdown, or keep the place of others.
    let making = async { make.make(&info).await.map_err(ServeError::Service) };
    let made = before_shutdown(making, options.shutdown.clone(), options.place.as_ref()).await?;
    let Some(service) = made else {
        return Ok(None);
    };
    Ok(Some(running::serve(io, info, options, service)))
}

/// The protocol of a cleartext connection.
async fn detected<T>(options: &ServerOptions, io: T) -> Result<(Protocol, Rewind<T>), ServeError>
where
    T: AsyncRead + Unpin,
{
    let (detected, io) = detect::detect(io, options.connection.limits.preface_timeout).await?;
    let protocol = match detected {
        Detected::Http2 => Protocol::Http2,
        Detected::Spdy2 => Protocol::Spdy2,
        Detected::Http1 => Protocol::Http1,
        // SPDY/3 and SPDY/3.1 have the same first bytes, so the order of the offered protocols
        // decides. For 3.1, the engine detects whether the client knows the connection's window.
        Detected::Spdy3 => {
            let alike =
                |offered: &&Protocol| matches!(**offered, Protocol::Spdy3 | Protocol::Spdy31);
            let first = options.protocols.iter().find(alike);
            first.copied().unwrap_or(Protocol::Spdy3)
        }
    };
    if options.protocols.contains(&protocol) {
        Ok((protocol, io))
    } else {
        Err(ServeError::NotOffered { protocol })
    }
}

/// Returns the output of `work`; `None` if the shutdown started, and `work` did not complete
/// within [`GRACE`] after that.
async fn before_shutdown<T>(
    work: impl Future<Output = Result<T, ServeError>>,
    shutdown: Option<ShutdownSignal>,
    place: Option<&Place>,
) -> Result<Option<T>, ServeError> {
    let stopped = async {
        match shutdown {
            Some(mut shutdown) => shutdown.wait().await,
            None => pending().await,
        }
    };
    let full = async {
        match place {
            Some(place) => {
                place.leave().await;
                place.max()
            }
            None => pending().await,
        }
    };
    tokio::pin!(work);
    tokio::select! {
        biased;
        result = &mut work => result.map(Some),
        () = stopped => timeout(GRACE, work).await.ok().transpose(),
        max_connections = full => Err(ServeError::MadeRoom { max_connections }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// The size of this task is its cost for as long as the connection lives, so it must hold no
    /// state that it seldom needs.
    #[tokio::test]
    async fn the_task_of_a_connection_is_small() {
        let service = crate::service_fn(|_: http::Request<RequestBody>| async {
            Ok::<_, io::Error>(http::Response::new(String::new()))
        });
        let options = ServerOptions::default().shutdown(crate::Shutdown::new().signal());
        let acceptor = Acceptor::new(options);
        let (io, _) = tokio::io::duplex(1);
        let task = acceptor.run(Endpoints::default(), io, Same(service), None);
        assert!(size_of_val(&task) <= 16, "{}", size_of_val(&task));
        let info = ConnectionInfo::new(Protocol::Http2);
        let (io, _) = tokio::io::duplex(1);
        let serving = crate::serve_connection(io, info, ServerOptions::default(), service);
        // With every feature; the default has fewer.
        assert!(size_of_val(&serving) <= 1280, "{}", size_of_val(&serving));
    }
}
