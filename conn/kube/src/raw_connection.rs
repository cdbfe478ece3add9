//! The connection of raw streams below a session, on either side: SPDY/3.1 or HTTP/2.

use bytes::BytesMut;
use lacewing_conn::{
    Side, Version,
    driver::{Mux, MuxConfig, MuxConnection},
};

use crate::{
    activity::{ActivityClock, Gate, Metered},
    limits::KubeLimits,
};

/// The parts of a connection that waits for its task.
pub(crate) struct RawConnection<IO> {
    pub(crate) mux: Mux,
    pub(crate) activity: ActivityClock,
    pub(crate) task: MuxConnection<Metered<IO>>,
}

impl<IO> RawConnection<IO> {
    /// Creates a connection. `early` are bytes that were read behind the HTTP message. The gate
    /// holds our frames.
    pub(crate) fn new(
        version: Version,
        side: Side,
        io: IO,
        early: BytesMut,
        gate: Gate,
        limits: &KubeLimits,
    ) -> Self {
        let config = MuxConfig::kubernetes(side).with(|config| {
            // No program of Go is at the other end of HTTP/2: its windows hold, and each stream
            // waits for its own reader alone.
            let has_quirks = version != Version::Http2;
            config.ignore_flow_control = has_quirks;
            config.await_reply = has_quirks;
            config.write_buffer = limits.write_buffer;
            let conn = &mut config.connection.limits;
            // One write takes what a stream has ready.
            conn.max_output_backlog = limits.write_buffer;
            conn.keep_alive_interval = limits.ping_interval;
            conn.keep_alive_timeout = limits.ping_timeout;
            // A client's port-forward without a local connection stays open behind proxies.
            conn.keep_alive_while_idle = side == Side::Client;
        });
        let activity = ActivityClock::new(limits);
        let io = Metered::new(io, activity.clone(), gate);
        let (mux, task) = match side {
            Side::Client => Mux::client(io, version, config),
            Side::Server => Mux::server(io, version, config),
        };
        Self {
            mux,
            activity,
            task: task.with_input(early),
        }
    }
}
