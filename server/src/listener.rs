//! Accepts connections, and serves each on a task of its own.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::sleep;

use crate::{
    Address, ServerEvent, ServerOptions, ShutdownSignal, Socket,
    acceptor::{Acceptor, Transport},
    connections::{Connections, Place},
    make::Make,
    running::Running,
    shutdown::{self, Alive},
    socket::{Accept, BACKLOG, Detached, Kind, probe_silent_clients},
};

/// The pause after the machine ran out of something (EMFILE, ENOBUFS): trying
/// again at once would keep a core busy until a connection closes.
const PAUSE: Duration = Duration::from_millis(50);

/// A bound listener, and its TLS.
pub(crate) struct Listener<S = Socket> {
    pub(crate) socket: S,
    pub(crate) address: Address,
    pub(crate) transport: Transport,
}

impl Listener<Detached> {
    /// Registers the listener with the caller's runtime. Reports a failure to the observer.
    pub(crate) fn attach(self, options: &ServerOptions) -> Option<Listener> {
        match self.socket.attach() {
            Ok(socket) => Some(Listener {
                socket,
                address: self.address,
                transport: self.transport,
            }),
            Err(error) => {
                options.observer.tell(&ServerEvent::AcceptFailed {
                    listener: &self.address,
                    error: &error,
                });
                None
            }
        }
    }
}

impl Listener {
    /// Accepts until the shutdown starts. Each connection has a task.
    pub(crate) async fn run<M: Make>(
        self,
        options: ServerOptions,
        make: M,
        connections: Connections,
        shutdown: ShutdownSignal,
        alive: Alive,
    ) {
        let acceptor = Acceptor::with(options.shutdown(shutdown.clone()), self.transport);
        let accepting = Accepting {
            acceptor,
            make,
            connections,
            shutdown,
            alive,
            address: self.address,
        };
        match self.socket.0 {
            Kind::Tcp(listener) => {
                let limits = &accepting.acceptor.options().connection.limits;
                probe_silent_clients(&listener, limits);
                accepting.run(listener).await;
            }
            #[cfg(unix)]
            Kind::Unix(listener) => accepting.run(listener).await,
        }
    }
}

struct Accepting<M> {
    acceptor: Acceptor,
    make: M,
    connections: Connections,
    shutdown: ShutdownSignal,
    alive: Alive,
    address: Address,
}

impl<M: Make> Accepting<M> {
    async fn run<L: Accept>(self, listener: L) {
        let mut stop = self.shutdown.clone();
        let stopped = stop.wait();
        tokio::pin!(stopped);
        let (mut exhausted, mut full) = (false, false);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stopped => return self.empty_backlog(&listener, None, full).await,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(io) => {
                    if std::mem::take(&mut exhausted) {
                        self.connections.note_exhausted(false);
                    }
                    let options = self.acceptor.options();
                    let place = tokio::select! {
                        biased;
                        () = &mut stopped => None,
                        place = place(&self.connections, options, &self.address, &mut full) => Some(place),
                    };
                    let Some(place) = place else {
                        return self.empty_backlog(&listener, Some(io), full).await;
                    };
                    full = false;
                    self.serve::<L>(io, place);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Reported once, not at every attempt until one succeeds.
                    if !std::mem::replace(&mut exhausted, true) {
                        let event = ServerEvent::AcceptFailed {
                            listener: &self.address,
                            error: &error,
                        };
                        self.acceptor.options().observer.tell(&event);
                        self.connections.note_exhausted(true);
                    }
                    // The process may have run out of file descriptors.
                    self.connections.make_room();
                    tokio::select! {
                        () = &mut stopped => return self.empty_backlog(&listener, None, full).await,
                        () = sleep(PAUSE) => {}
                    }
                }
            }
        }
    }

    /// Serves a connection on a task of its own.
    fn serve<L: Accept>(&self, io: L::Io, place: Place) {
        let (acceptor, make) = (self.acceptor.clone(), self.make.clone());
        tokio::spawn(Tracked {
            running: acceptor.run(L::prepare(&io), io, make, Some(place)),
            _alive: self.alive.clone(),
        });
    }

    /// Serves the connections that the kernel took before the shutdown, as many as its queue
    /// holds. Their requests may have arrived, and the kernel resets those that are in its
    /// queue when a listener closes. `first` is already accepted.
    ///
    /// If all places are taken, or the machine has run out of something, they wait for other
    /// connections to end. They wait no longer than those may take: `drain_timeout`.
    async fn empty_backlog<L: Accept>(self, listener: &L, first: Option<L::Io>, mut full: bool) {
        let options = self.acceptor.options();
        let end = sleep(options.connection.limits.drain_timeout);
        tokio::pin!(end);
        let mut first = first.map(Ok);
        let mut left = BACKLOG;
        while left > 0 {
            left = left.saturating_sub(1);
            let accepted = match first.take() {
                Some(first) => Some(first),
                None => shutdown::at_once(listener.accept()).await,
            };
            match accepted {
                Some(Ok(io)) => {
                    let place = tokio::select! {
                        biased;
                        place = place(&self.connections, options, &self.address, &mut full) => place,
                        () = &mut end => return,
                    };
                    self.serve::<L>(io, place);
                }
                Some(Err(error)) if is_of_one_connection(&error) => {}
                Some(Err(_)) => {
                    // Nothing was taken from the queue.
                    left = left.saturating_add(1);
                    tokio::select! {
                        () = &mut end => return,
                        () = sleep(PAUSE) => {}
                    }
                }
                None => return,
            }
        }
    }
}

/// A connection that a shutdown waits for. A future of this size takes the smallest task that
/// tokio has: 128 bytes.
struct Tracked {
    running: Running,
    _alive: Alive,
}

impl Future for Tracked {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // The acceptor reports the result to the observer.
        Pin::new(&mut self.running).poll(cx).map(drop)
    }
}

/// Returns a place for a connection, once there is one. `full` is set when the
/// pause was reported.
async fn place(
    connections: &Connections,
    options: &ServerOptions,
    listener: &Address,
    full: &mut bool,
) -> Place {
    loop {
        if let Some(place) = connections.enter() {
            return place;
        }
        let room = connections.make_room();
        if !room && !std::mem::replace(full, true) {
            options.observer.tell(&ServerEvent::AcceptPaused {
                listener,
                max_connections: connections.max(),
            });
        }
        // A busy connection may become idle without leaving.
        tokio::select! {
            () = connections.one_left() => {}
            () = sleep(PAUSE) => {}
        }
    }
}

/// Only this connection has ended; the next accept may succeed.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Mutex,
            atomic::{AtomicU32, Ordering},
        },
    };

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Empty;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;
    use crate::{
        ConnectionConfig, Endpoints, Limits, MemoryBudget, RequestBody, Shutdown, Side, make::Same,
        service_fn, shutdown::Tracker,
    };

    /// A listener that has no descriptors for a while, and then one connection.
    struct Exhausted {
        attempts: AtomicU32,
        connection: Mutex<Option<DuplexStream>>,
    }

    impl Accept for Exhausted {
        type Io = DuplexStream;

        async fn accept(&self) -> io::Result<DuplexStream> {
            if self.attempts.fetch_add(1, Ordering::Relaxed) < 2 * BACKLOG {
                // EMFILE
                return Err(io::Error::from_raw_os_error(24));
            }
            let connection = self.connection.lock().unwrap().take();
            match connection {
                Some(io) => Ok(io),
                None => std::future::pending().await,
            }
        }

        fn prepare(_: &DuplexStream) -> Endpoints {
            Endpoints::default()
        }
    }

    /// The queue of the kernel still has its connections when descriptors are there again.
    #[tokio::test(start_paused = true)]
    async fn a_queue_outlasts_a_shutdown_without_descriptors() {
        let (mut client, io) = tokio::io::duplex(1 << 16);
        client
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await
            .unwrap();
        let limits = Limits::new(Side::Server)
            .with(|limits| limits.drain_timeout = Duration::from_secs(3600));
        let config =
            ConnectionConfig::new(Side::Server).with(|config| config.limits = limits.into());
        let shutdown = Shutdown::new();
        let options = ServerOptions::default()
            .connection(config)
            .shutdown(shutdown.signal());
        let service = service_fn(|_: Request<RequestBody>| async {
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        });
        let tracker = Tracker::new();
        let accepting = Accepting {
            acceptor: Acceptor::with(options, Transport::Cleartext),
            make: Same(service),
            connections: Connections::new(10, &MemoryBudget::new(1 << 20)),
            shutdown: shutdown.signal(),
            alive: tracker.alive(),
            address: Address::Tcp(([127, 0, 0, 1], 80).into()),
        };
        let listener = Exhausted {
            attempts: AtomicU32::new(0),
            connection: Mutex::new(Some(io)),
        };
        shutdown.start();
        accepting.run(listener).await;
        tracker.wait().await;
        // SETTINGS: it was served.
        let mut head = [0; 9];
        client.read_exact(&mut head).await.unwrap();
        assert_eq!(head[3], 4);
    }

    #[test]
    fn running_out_of_files_is_not_the_connection_s_fault() {
        assert!(is_of_one_connection(
            &io::ErrorKind::ConnectionAborted.into()
        ));
        // EMFILE
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(24)));
    }
}
