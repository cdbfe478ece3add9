//! WebSocket (RFC 6455): channels for commands, and a transport for SPDY.

mod channels;
mod message;
mod tunnel;

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub(crate) use channels::{Channel, ChannelReader, ChannelSocket, ChannelWriter, EndOfChannel};
pub(crate) use tunnel::Tunnel;

use crate::limits::KubeLimits;

/// The bytes of one message that we send at most: the size of Go's buffers.
const MAX_SENT: usize = 32 << 10;

/// Returns the configuration of a WebSocket: received messages have a bound, and sent
/// ones wait in our own bounded buffers.
pub(crate) fn config(limits: &KubeLimits) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(32 << 10)
        .write_buffer_size(MAX_SENT)
        .max_write_buffer_size(MAX_SENT.saturating_mul(8))
        .max_message_size(Some(limits.max_message))
        .max_frame_size(Some(limits.max_message))
}
