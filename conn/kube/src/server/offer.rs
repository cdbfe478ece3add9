//! The server's conditions for a session.

use lacewing_conn::Side;

pub use crate::command_streams::{CommandStreams, Terminal};
use crate::{
    limits::KubeLimits,
    protocol::{RemoteCommandProtocol, WebSocketProtocol},
};

/// The server's conditions for `exec` and `attach`: streams, protocols and limits.
///
/// [`accept`](Self::accept) decides from a request's header fields. One offer serves
/// clients of SPDY/3.1, of raw streams over HTTP/2 and, with the feature `websocket`, of WebSocket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandOffer {
    /// The streams that the client asked for.
    pub streams: CommandStreams,
    /// The protocols over SPDY/3.1. Default [`RemoteCommandProtocol::SPDY`]. An empty list
    /// refuses SPDY.
    pub spdy: Vec<RemoteCommandProtocol>,
    /// The protocols over raw streams of HTTP/2. Default `V4`, the only one that clients of
    /// this crate ask for there. An empty list refuses HTTP/2. See
    /// [the mapping](crate#raw-streams-over-http2).
    pub http2: Vec<RemoteCommandProtocol>,
    /// The protocols over WebSocket. Default [`WebSocketProtocol::CHANNELS`]. An empty
    /// list refuses WebSocket.
    pub websocket: Vec<WebSocketProtocol>,
    /// The bounds of the session.
    pub limits: KubeLimits,
}

impl CommandOffer {
    /// Creates an offer of every protocol.
    pub fn new(streams: CommandStreams) -> Self {
        Self {
            streams,
            spdy: RemoteCommandProtocol::SPDY.to_vec(),
            http2: vec![RemoteCommandProtocol::V4],
            websocket: WebSocketProtocol::CHANNELS.to_vec(),
            limits: KubeLimits::new(Side::Server),
        }
    }

    /// Returns the offer after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The server's conditions for port-forward.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForwardOffer {
    /// The ports of a client with WebSocket channels, such as kube-rs: at most 32. Empty, the
    /// default, means those of `ports` or `port` in the request's query. Other clients name
    /// a port for each connection.
    pub ports: Vec<u16>,
    /// The bounds of the session.
    pub limits: KubeLimits,
}

impl ForwardOffer {
    /// Creates an offer with the default limits.
    pub fn new() -> Self {
        Self {
            ports: Vec::new(),
            limits: KubeLimits::new(Side::Server),
        }
    }

    /// Returns the offer after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for ForwardOffer {
    fn default() -> Self {
        Self::new()
    }
}
