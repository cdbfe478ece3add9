//! Listeners: connections are accepted, and each has a task of its own.

use std::{io, time::Duration};

use tokio::time::sleep;

use crate::{
    Address, ServerEvent, ServerOptions, ShutdownSignal, Socket,
    acceptor::{Acceptor, Transport},
    make::Make,
    shutdown::Alive,
    socket::{Accept, Kind},
};

/// The pause after the machine ran out of something (EMFILE, ENOBUFS): trying
/// again at once would keep a core busy until a connection closes.
const PAUSE: Duration = Duration::from_millis(50);

/// A bound listener, and its TLS.
pub(crate) struct Listener {
    pub(crate) socket: Socket,
    pub(crate) address: Address,
    pub(crate) transport: Transport,
}

impl Listener {
    /// Accepts until the shutdown starts. Each connection has a task.
    pub(crate) async fn run<M: Make>(
        self,
        options: ServerOptions,
        make: M,
        shutdown: ShutdownSignal,
        alive: Alive,
    ) {
        let acceptor = Acceptor::with(options.shutdown(shutdown.clone()), self.transport);
        let accepting = Accepting {
            acceptor,
            make,
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
    shutdown: ShutdownSignal,
    alive: Alive,
    address: Address,
}

impl<M: Make> Accepting<M> {
    async fn run<L: Accept>(mut self, listener: L) {
        let mut stop = self.shutdown.clone();
        let stopped = stop.wait();
        tokio::pin!(stopped);
        let mut exhausted = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stopped => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(io) => {
                    exhausted = false;
                    let (acceptor, make) = (self.acceptor.clone(), self.make.clone());
                    let alive = self.alive.clone();
                    tokio::spawn(async move {
                        // The observer is told what comes of it.
                        let _ = acceptor.run(L::prepare(&io), io, make).await;
                        drop(alive);
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Told once, not at every attempt until it is over.
                    if !std::mem::replace(&mut exhausted, true) {
                        let event = ServerEvent::AcceptFailed {
                            listener: &self.address,
                            error: &error,
                        };
                        self.acceptor.options().observer.tell(&event);
                    }
                    tokio::select! {
                        () = self.shutdown.wait() => return,
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
