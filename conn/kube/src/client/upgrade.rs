//! The parts of an upgrade, before and behind it.

use http::{HeaderMap, Uri};
use lacewing_conn::driver::upgrade::Switched;
#[cfg(feature = "websocket")]
use tokio_tungstenite::WebSocketStream;

use super::request::StreamingProtocol;
use crate::limits::KubeLimits;
#[cfg(feature = "websocket")]
use crate::protocol::WebSocketProtocol;

/// The parts of a request for an upgrade.
pub(super) struct Ask<'a> {
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) transport: StreamingProtocol,
    pub(super) limits: &'a KubeLimits,
    /// The stream protocols over raw streams, the best first.
    pub(super) stream_protocols: Vec<&'static str>,
    #[cfg(feature = "websocket")]
    pub(super) websocket: WebSocketProtocol,
}

/// A transport behind the server's 101 response.
pub(super) enum Upgraded<IO> {
    /// Raw streams, and the stream protocol that the server chose.
    Raw(Switched<IO>, Option<String>),
    #[cfg(feature = "websocket")]
    WebSocket(Box<WebSocketStream<IO>>),
}
