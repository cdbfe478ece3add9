//! A session of port-forward.

use std::sync::Arc;

#[cfg(feature = "websocket")]
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
#[cfg(feature = "websocket")]
use tokio_tungstenite::WebSocketStream;
use tokio_util::sync::CancellationToken;

#[cfg(feature = "websocket")]
use super::legacy_forward::LegacyForward;
use super::{forward::Forward, link::Link, pairing::Pairing};
use crate::limits::KubeLimits;
#[cfg(feature = "websocket")]
use crate::protocol::ChannelEncoding;

/// A session of port-forward: one connection of the client, which carries any number
/// of its local connections.
///
/// ```no_run
/// use lacewing_kube::server::PortForwardSession;
/// use tokio::net::TcpStream;
///
/// async fn forward(mut session: PortForwardSession) {
///     while let Some(forward) = session.accept().await {
///         tokio::spawn(async move {
///             match TcpStream::connect(("localhost", forward.port())).await {
///                 Ok(mut pod) => {
///                     let _ = forward.into_io().relay(&mut pod).await;
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
    transport: ForwardTransport,
}

#[derive(Debug)]
enum ForwardTransport {
    Raw(Box<Link>),
    #[cfg(feature = "websocket")]
    Channels(LegacyForward),
}

impl PortForwardSession {
    pub(super) fn start(link: Link, limits: &KubeLimits) -> Self {
        // As many wait as may be open, so that the queue never refuses one.
        let bound = limits.max_forwards.clamp(1, Semaphore::MAX_PERMITS);
        let (sender, forwards) = mpsc::channel(bound);
        let open = Arc::new(Semaphore::new(bound));
        let pairing = Pairing::new(limits, sender, open, link.activity().clone());
        tokio::spawn(pairing.run(link.mux().clone()));
        Self {
            forwards,
            transport: ForwardTransport::Raw(Box::new(link)),
        }
    }

    /// Starts a session over WebSocket channels.
    #[cfg(feature = "websocket")]
    pub(super) fn start_channels<IO>(
        socket: WebSocketStream<IO>,
        encoding: ChannelEncoding,
        ports: &[u16],
        limits: &KubeLimits,
    ) -> Self
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (legacy, forwards) = LegacyForward::start(socket, encoding, ports, limits);
        Self {
            forwards,
            transport: ForwardTransport::Channels(legacy),
        }
    }

    /// Waits for the next local connection of the client, whose two streams are open;
    /// `None` when the client is gone. Cancelling the call loses nothing.
    pub async fn accept(&mut self) -> Option<Forward> {
        self.forwards.recv().await
    }

    /// Returns a token that is cancelled when the client is gone, or idle for longer than
    /// [`KubeLimits::idle_timeout`].
    pub fn cancellation(&self) -> CancellationToken {
        match &self.transport {
            ForwardTransport::Raw(link) => link.cancellation().clone(),
            #[cfg(feature = "websocket")]
            ForwardTransport::Channels(legacy) => legacy.cancellation.clone(),
        }
    }

    /// Ends the session: GOAWAY, then the end of the transport. Forwards that are open may
    /// finish first, within the connection's `drain_timeout`. Those over WebSocket channels
    /// end at once.
    pub async fn shutdown(self) {
        match self.transport {
            ForwardTransport::Raw(link) => {
                link.mux().shutdown();
                link.close().await;
            }
            #[cfg(feature = "websocket")]
            ForwardTransport::Channels(legacy) => {
                legacy.ending.cancel();
                // The task of the WebSocket bounds the wait.
                legacy.cancellation.cancelled().await;
            }
        }
    }
}
