//! Listeners, and what happens to a connection before its protocol is known.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::sleep,
};

use crate::{
    ConnectionError, ConnectionInfo, Detected, Event, HttpService, Options, Protocol,
    ShutdownSignal, StartError, connection, detect, shutdown::Alive,
};

/// Connections that the operating system keeps until they are accepted.
const BACKLOG: u32 = 1024;
/// The pause after the machine ran out of something (EMFILE, ENOBUFS): trying
/// again at once would keep a core busy until somebody closes a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// A bound listener, and what it speaks first.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
}

/// What lies between a connection and its protocol.
#[derive(Clone)]
pub(crate) enum Transport {
    Cleartext,
    #[cfg(feature = "tls")]
    Tls(crate::tls::Tls),
    #[cfg(feature = "npn")]
    Npn(crate::npn::Npn),
}

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) options: Options,
}

pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bind = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        // A server that restarts must not wait for connections of the one
        // before to leave TIME_WAIT. On Windows the option means another
        // thing.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bind().map_err(|source| StartError::Bind { address, source })
}

impl Listener {
    /// Accepts until the shutdown starts. Each connection has a task.
    pub(crate) async fn run<S: HttpService>(
        self,
        shared: Arc<Shared>,
        service: S,
        mut shutdown: ShutdownSignal,
        alive: Alive,
    ) {
        let mut stop = shutdown.clone();
        let stopped = stop.wait();
        tokio::pin!(stopped);
        let mut exhausted = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stopped => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => {
                    exhausted = false;
                    let shared = Arc::clone(&shared);
                    let transport = self.transport.clone();
                    let alive = alive.clone();
                    let shutdown = shutdown.clone();
                    let service = service.clone();
                    tokio::spawn(async move {
                        shared
                            .connection(socket, peer, transport, service, shutdown)
                            .await;
                        drop(alive);
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Told once, not at every attempt until it is over.
                    if !std::mem::replace(&mut exhausted, true) {
                        let listener = self.address;
                        let event = Event::AcceptFailed {
                            listener,
                            error: &error,
                        };
                        shared.options.observer.tell(&event);
                    }
                    tokio::select! {
                        () = shutdown.wait() => return,
                        () = sleep(PAUSE) => {}
                    }
                }
            }
        }
    }
}

/// The connection in question is gone already; the next may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

impl Shared {
    async fn connection<S: HttpService>(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        transport: Transport,
        service: S,
        shutdown: ShutdownSignal,
    ) {
        // What comes before the first request is in boxes of its own: it is
        // large, and gone by then.
        //
        // Without TCP_NODELAY, small responses wait for the client's delayed
        // acknowledgements. It fails on a connection that is gone already.
        let _ = socket.set_nodelay(true);
        let local = socket.local_addr().ok();
        let info = |protocol| ConnectionInfo::new(protocol).with_addresses(Some(peer), local);
        let options = self.options.clone().shutdown(shutdown.clone());
        #[cfg(any(feature = "tls", feature = "npn"))]
        let deadline = self.options.limits.preface_timeout;
        let protocols = &self.protocols;
        let ready = match transport {
            Transport::Cleartext => {
                let detected = Box::pin(self.detect(socket, shutdown)).await;
                detected.map(|detected| {
                    detected.map(|(protocol, io)| {
                        let options = options.version_uncertain(
                            protocol == Protocol::Spdy31 && protocols.contains(&Protocol::Spdy3),
                        );
                        let info = info(protocol);
                        let serving =
                            connection::serve_detected(io, info.clone(), options, service);
                        (info, serving)
                    })
                })
            }
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => {
                let accepting = Box::pin(before_shutdown(
                    tls.accept(socket, protocols, deadline),
                    shutdown,
                ));
                let accepted = accepting.await;
                accepted.map(|accepted| accepted.map(|tls| secured(tls, info, options, service)))
            }
            #[cfg(feature = "npn")]
            Transport::Npn(npn) => {
                let accepting = Box::pin(before_shutdown(
                    npn.accept(socket, protocols, deadline),
                    shutdown,
                ));
                let accepted = accepting.await;
                accepted.map(|accepted| accepted.map(|tls| secured(tls, info, options, service)))
            }
        };
        match ready {
            Ok(Some((info, serving))) => self.observe(&info, serving).await,
            Ok(None) => {}
            Err(error) => {
                let error = &error;
                self.options.observer.tell(&Event::Rejected { peer, error });
            }
        }
    }

    /// Tells the observer of a connection's begin and end.
    async fn observe(
        &self,
        connection: &ConnectionInfo,
        serving: impl Future<Output = Result<(), ConnectionError>>,
    ) {
        let observer = &self.options.observer;
        observer.tell(&Event::Connected { connection });
        let result = serving.await;
        observer.tell(&Event::Closed {
            connection,
            error: result.as_ref().err(),
        });
    }

    /// The protocol of a cleartext connection. `None` if the shutdown started
    /// before it was known: such a client has asked for nothing.
    async fn detect(
        &self,
        socket: TcpStream,
        mut shutdown: ShutdownSignal,
    ) -> Result<Option<(Protocol, crate::Rewind<TcpStream>)>, ConnectionError> {
        let detecting = detect::detect(socket, self.options.limits.preface_timeout);
        let (detected, io) = tokio::select! {
            detected = detecting => detected?,
            () = shutdown.wait() => return Ok(None),
        };
        let protocol = match detected {
            Detected::Http2 => Protocol::Http2,
            Detected::Spdy2 => Protocol::Spdy2,
            Detected::Http1 => Protocol::Http1,
            // SPDY/3 and SPDY/3.1 look the same. The order in which they are
            // offered decides; if that is 3.1, the engine finds out whether
            // the client knows of the connection's window.
            Detected::Spdy3 => {
                let alike =
                    |offered: &&Protocol| matches!(**offered, Protocol::Spdy3 | Protocol::Spdy31);
                self.protocols
                    .iter()
                    .find(alike)
                    .copied()
                    .unwrap_or(Protocol::Spdy3)
            }
        };
        if self.protocols.contains(&protocol) {
            Ok(Some((protocol, io)))
        } else {
            Err(ConnectionError::NotOffered { protocol })
        }
    }
}

/// The result of a handshake; `None` if the shutdown started before it was
/// over.
#[cfg(any(feature = "tls", feature = "npn"))]
async fn before_shutdown<T>(
    handshake: impl Future<Output = Result<T, ConnectionError>>,
    mut shutdown: ShutdownSignal,
) -> Result<Option<T>, ConnectionError> {
    tokio::select! {
        result = handshake => result.map(Some),
        () = shutdown.wait() => Ok(None),
    }
}

/// What goes on behind a handshake.
#[cfg(any(feature = "tls", feature = "npn"))]
fn secured<T, S>(
    (protocol, io): (Protocol, T),
    info: impl Fn(Protocol) -> ConnectionInfo,
    options: Options,
    service: S,
) -> (ConnectionInfo, connection::Served)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let info = info(protocol).with_tls();
    let io = crate::Rewind::new(io, bytes::Bytes::new());
    let serving = connection::serve_detected(io, info.clone(), options, service);
    (info, serving)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_an_error_with_its_address() {
        let first = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = first.local_addr().unwrap();
        match bind(address) {
            Err(StartError::Bind {
                address: named,
                source,
            }) => {
                assert_eq!(named, address);
                assert_eq!(source.kind(), io::ErrorKind::AddrInUse);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn running_out_of_files_is_not_the_connection_s_fault() {
        assert!(is_of_one_connection(
            &io::ErrorKind::ConnectionAborted.into()
        ));
        // EMFILE
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(24)));
    }

    /// A task that holds all that a connection may ever need costs memory as
    /// long as it lives.
    #[tokio::test]
    async fn the_task_of_a_connection_is_small() {
        let service = crate::service_fn(|_: http::Request<crate::Incoming>| async {
            Ok::<_, io::Error>(http::Response::new(String::new()))
        });
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let peer = listener.local_addr().unwrap();
        let socket = TcpStream::connect(peer).await.unwrap();
        let shared = Shared {
            protocols: Vec::new(),
            options: Options::default(),
        };
        let signal = crate::Shutdown::new().signal();
        let task = shared.connection(socket, peer, Transport::Cleartext, service, signal);
        assert!(size_of_val(&task) <= 2048, "{}", size_of_val(&task));
        let info = ConnectionInfo::new(Protocol::Http2);
        let (io, _) = tokio::io::duplex(1);
        let serving = crate::serve_connection(io, info, Options::default(), service);
        assert!(size_of_val(&serving) <= 2432, "{}", size_of_val(&serving));
    }
}
