//! Accepts connections, and serves each on a task of its own.

use std::{io, time::Duration};

use tokio::time::sleep;

use crate::{
    Address, ServerEvent, ServerOptions, ShutdownSignal, Socket,
    acceptor::{Acceptor, Transport},
    connections::{Connections, Place},
    make::Make,
    shutdown::{self, Alive},
    socket::{Accept, BACKLOG, Detached, Kind},
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
            Kind::Tcp(listener) => accepting.run(listener).await,
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
        let alive = self.alive.clone();
        let serving = acceptor.run(L::prepare(&io), io, make, Some(place));
        tokio::spawn(async move {
            // The acceptor reports the result to the observer.
            let _ = serving.await;
            drop(alive);
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
        for _ in 0..BACKLOG {
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
                Some(Err(_)) => tokio::select! {
                    () = &mut end => return,
                    () = sleep(PAUSE) => {}
                },
                None => return,
            }
        }
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
    use super::*;

    #[test]
    fn running_out_of_files_is_not_the_connection_s_fault() {
        assert!(is_of_one_connection(
            &io::ErrorKind::ConnectionAborted.into()
        ));
        // EMFILE
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(24)));
    }
}
