//! The limits of connections that carry the requests of many clients, at both ends of a tunnel.

use std::time::Duration;

use lacewing_client::{ConnectionConfig, Rate};

/// Resets and frames of no use are those of all clients together. The gateway has limits for each
/// of its clients; one that resets its requests must not end the tunnel of all.
const SHARED_RATE: Rate = Rate {
    burst: 100_000,
    per_second: 10_000,
};

/// The same configuration for a tunnel. A PING finds out whether the other end is still there, also
/// while there are no requests.
pub(super) fn of_a_tunnel(
    mut connection: ConnectionConfig,
    keep_alive: Duration,
) -> ConnectionConfig {
    let limits = &mut *connection.limits;
    limits.resets = SHARED_RATE;
    limits.glitches = SHARED_RATE;
    limits.keep_alive_interval = Some(keep_alive);
    limits.keep_alive_while_idle = true;
    limits.keep_alive_timeout = keep_alive;
    connection
}
