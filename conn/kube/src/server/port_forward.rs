//! A session of port-forward.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{forward::Forward, link::Link, pairing::Pairing};
use crate::limits::KubeLimits;

/// A session of port-forward: one connection of the client, which carries any number
/// of its local connections.
///
/// ```no_run
/// use lacewing_kube::server::PortForwardSession;
/// use tokio::{io::copy_bidirectional, net::TcpStream};
///
/// async fn forward(mut session: PortForwardSession) {
///     while let Some(forward) = session.accept().await {
///         tokio::spawn(async move {
///             match TcpStream::connect(("localhost", forward.port())).await {
///                 Ok(mut pod) => {
///                     let _ = copy_bidirectional(&mut forward.into_io(), &mut pod).await;
///                 }
///                 Err(error) => forward.fail(&error.to_string()).await,
///             }
///         });
///     }
/// }
/// # let _ = forward;
/// ```
#[derive(Debug)]
#[must_use = "the client waits"]
pub struct PortForwardSession {
    forwards: mpsc::Receiver<Forward>,
    link: Link,
}

impl PortForwardSession {
    pub(super) fn start(link: Link, limits: &KubeLimits) -> Self {
        // As many wait as may be open, so that the queue never refuses one.
        let bound = limits.max_forwards.clamp(1, Semaphore::MAX_PERMITS);
        let (sender, forwards) = mpsc::channel(bound);
        let open = Arc::new(Semaphore::new(bound));
        let pairing = Pairing::new(limits, sender, open, link.activity().clone());
        tokio::spawn(pairing.run(link.mux().clone()));
        Self { forwards, link }
    }

    /// Waits for the next local connection of the client, whose two streams are open;
    /// `None` when the client is gone. Cancelling the call loses nothing.
    pub async fn accept(&mut self) -> Option<Forward> {
        self.forwards.recv().await
    }

    /// Returns a token that is cancelled when the client is gone, or idle for longer than
    /// [`KubeLimits::idle_timeout`].
    pub fn cancellation(&self) -> CancellationToken {
        self.link.cancellation().clone()
    }

    /// Ends the session: GOAWAY, then the end of the transport. Forwards that are open may
    /// finish first, within the connection's `drain_timeout`.
    pub async fn shutdown(self) {
        self.link.mux().shutdown();
        self.link.close().await;
    }
}
