//! The SPDY/3.1 connection below a session, on either side.

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
        side: Side,
        io: IO,
        early: BytesMut,
        gate: Gate,
        limits: &KubeLimits,
    ) -> Self {
        let config = MuxConfig::kubernetes(side).with(|config| {
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
            Side::Client => Mux::client(io, Version::Spdy31, config),
            Side::Server => Mux::server(io, Version::Spdy31, config),
        };
        Self {
            mux,
            activity,
            task: task.with_input(early),
        }
    }
}
