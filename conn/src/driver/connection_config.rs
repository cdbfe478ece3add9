//! The configuration that clients and servers of HTTP share.

use super::memory_budget::MemoryBudget;
use crate::{
    Limits, SharedLimits, Side, Version,
    proto::{Config, HeaderCompression, WindowPool},
};

/// Configures a connection that carries HTTP, on either side.
///
/// ```
/// use lacewing_conn::{Side, driver::ConnectionConfig};
///
/// let config = ConnectionConfig::new(Side::Server).with(|config| {
///     config.limits.max_concurrent_streams = 250;
/// });
/// assert_eq!(config.limits.max_concurrent_streams, 250);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// The bounds against a peer that sends or asks for too much. Default:
    /// [`Limits::new`] for the side.
    pub limits: SharedLimits,
    /// The compression of SPDY's header blocks. Default
    /// [`WholeField`](HeaderCompression::WholeField): the length of such a block shows
    /// only whether a guess of a whole value is right, as with HPACK (CRIME).
    pub header_compression: HeaderCompression,
    /// The budget by which the receive windows of all connections that share
    /// it may grow. Default [`WindowPool::global`], shared by all connections
    /// of the process.
    pub window_pool: WindowPool,
    /// The budget of memory in which the connection's bytes count, together with
    /// those of all connections that share it. Default [`MemoryBudget::global`],
    /// shared by all connections of the process: half of the memory that it may
    /// use ([`MemoryBudget::default_capacity`]).
    pub memory_budget: MemoryBudget,
    /// The id of the first stream that this side opens, for tests of what
    /// happens when ids run out, at 2³¹. An id of the other side's parity
    /// becomes the next one. Default 1 for a client, 2 for a server.
    pub first_stream: u32,
}

impl ConnectionConfig {
    /// Creates the default configuration of a side.
    pub fn new(side: Side) -> Self {
        Self {
            limits: Limits::new(side).into(),
            header_compression: HeaderCompression::default(),
            window_pool: WindowPool::global(),
            memory_budget: MemoryBudget::global(),
            first_stream: match side {
                Side::Client => 1,
                Side::Server => 2,
            },
        }
    }

    /// Returns the configuration after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Returns the engine's configuration for a protocol and a side.
    pub fn engine(&self, version: Version, side: Side) -> Config {
        Config::new(version, side).with(|config| {
            config.limits = self.limits.clone();
            config.header_compression = self.header_compression;
            config.window_pool = Some(self.window_pool.clone());
            config.first_stream = self.first_stream;
        })
    }
}
