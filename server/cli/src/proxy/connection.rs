//! The connections to upstreams in a multiplexed protocol, whoever dialled them.

use lacewing_client::{ConnectionConfig, Limits, MemoryBudget, Side};

use super::settings::Timeouts;

/// Content of one response that may wait for a slow client. Windows that are larger in all than
/// these together keep one slow client from stopping the others on its connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 32 << 20;

/// Bytes of a response's head. A connection in HTTP/1.1 reads as much at once.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// The configuration of a connection to an upstream.
pub(crate) fn connection(timeouts: Timeouts, memory: &MemoryBudget) -> ConnectionConfig {
    ConnectionConfig::new(Side::Client).with(|config| {
        config.limits = Limits::new(Side::Client)
            .with(|limits| {
                limits.max_header_list_size = MAX_HEAD;
                limits.stream_window = STREAM_WINDOW;
                limits.max_stream_window = STREAM_WINDOW;
                limits.connection_window = CONNECTION_WINDOW;
                limits.max_connection_window = CONNECTION_WINDOW;
                limits.max_buffered_bytes =
                    limits.max_buffered_bytes.max(CONNECTION_WINDOW as usize);
                // The proxy has shorter waits of its own.
                limits.stall_timeout = timeouts.response.max(timeouts.idle).saturating_mul(2);
            })
            .into();
        config.memory_budget = memory.clone();
    })
}
