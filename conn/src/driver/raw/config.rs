//! The configuration of a [`Mux`](super::Mux) and its streams.

use std::time::Duration;

use crate::{
    Side, Version,
    driver::connection_config::ConnectionConfig,
    proto::{Config, FlowControl, Rate, Rules, Semantics, ShutdownOrder},
};

/// The bytes of one write to the transport in the profile of Kubernetes, at most.
const KUBERNETES_WRITE_BUFFER: usize = 256 << 10;

/// Configures one side of a [`Mux`](super::Mux).
///
/// [`new`] is for peers that conform to the protocol. [`kubernetes`] is a profile
/// for peers without flow control.
///
/// ```
/// use lacewing_conn::{Side, driver::MuxConfig};
///
/// let config = MuxConfig::new(Side::Server).with(|config| {
///     config.connection.limits.max_concurrent_streams = 250;
///     config.write_buffer = 16 * 1024;
/// });
/// assert!(!config.ignore_flow_control);
/// ```
///
/// [`new`]: Self::new
/// [`kubernetes`]: Self::kubernetes
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MuxConfig {
    /// The limits and the other options that every connection has. Default: those
    /// of the side, without [`idle_timeout`](crate::Limits::idle_timeout) and
    /// [`max_silence`](crate::Limits::max_silence), since raw streams may be silent.
    pub connection: ConnectionConfig,
    /// Ignores the windows of both sides, for peers without flow control (the Go
    /// spdystream family). Memory stays bounded: while
    /// [`max_buffered_bytes`](crate::Limits::max_buffered_bytes) wait for readers, nothing is read from the
    /// transport, and written bytes wait for the transport. Default `false`.
    pub ignore_flow_control: bool,
    /// Holds data on a stream that we opened until the peer's reply arrives, for
    /// peers that discard earlier data (the Go spdystream family). Default `false`:
    /// data follows the header list at once.
    pub await_reply: bool,
    /// The order at a shutdown: GOAWAY first, or the data of our side of the
    /// streams. Default GOAWAY.
    pub shutdown_order: ShutdownOrder,
    /// Bytes written to a stream that may wait to be sent. Default 64 KiB. The streams of a connection
    /// share the half of [`max_unsent_bytes`](crate::Limits::max_unsent_bytes): beyond it, each has
    /// 2 KiB. Of a longer chunk, only that much counts.
    pub write_buffer: usize,
}

impl MuxConfig {
    /// Creates the default configuration of a side.
    pub fn new(side: Side) -> Self {
        let connection = ConnectionConfig::new(side).with(|connection| {
            connection.limits.idle_timeout = None;
            connection.limits.max_silence = None;
        });
        Self {
            connection,
            ignore_flow_control: false,
            await_reply: false,
            shutdown_order: ShutdownOrder::default(),
            write_buffer: 64 << 10,
        }
    }

    /// The profile for `kubectl`, kubelets and container runtimes over
    /// SPDY/3.1: the Go spdystream family, which has no flow control at all.
    ///
    /// * [`ignore_flow_control`](Self::ignore_flow_control): we wait for no
    ///   WINDOW_UPDATE, and reset no stream that exceeds a window. One slow
    ///   reader costs at most [`max_buffered_bytes`](crate::Limits::max_buffered_bytes), then holds up its
    ///   connection, as TCP does.
    /// * [`await_reply`](Self::await_reply): data sent before the reply would
    ///   be lost.
    /// * [`shutdown_order`](Self::shutdown_order): such peers stop reading at
    ///   GOAWAY, which therefore follows all data.
    /// * A [`write_buffer`](Self::write_buffer) of 256 KiB, and as much
    ///   [output](crate::Limits::max_output_backlog): one write to the transport takes four
    ///   frames. Each write may wake the peer, which costs more than its copy. All streams share
    ///   512 KiB ([`max_unsent_bytes`](crate::Limits::max_unsent_bytes) is 1 MiB).
    /// * A [`write_stall_timeout`](crate::Limits::write_stall_timeout) of four hours,
    ///   the kubelet's own for streams that stand still: such a peer pauses its
    ///   terminal by back-pressure. A [`frame_timeout`](crate::Limits::frame_timeout) of
    ///   the same length.
    /// * 1,000 streams at once, instead of 100. A port-forward needs two for each
    ///   connection, and such peers do not wait until one is free. The bound of
    ///   [resets](crate::Limits::resets) grows with it: a browser that closes cancels
    ///   all of its connections.
    pub fn kubernetes(side: Side) -> Self {
        Self::new(side).with(|config| {
            config.ignore_flow_control = true;
            config.await_reply = true;
            config.shutdown_order = ShutdownOrder::DataFirst;
            config.write_buffer = KUBERNETES_WRITE_BUFFER;
            let limits = &mut config.connection.limits;
            // One write takes what a stream has ready.
            limits.max_output_backlog = KUBERNETES_WRITE_BUFFER;
            // Two streams may fill their write buffers, and each other one has a little.
            limits.max_unsent_bytes = 4 * KUBERNETES_WRITE_BUFFER;
            limits.write_stall_timeout = Duration::from_secs(4 * 3600);
            limits.frame_timeout = limits.write_stall_timeout;
            limits.max_concurrent_streams = 1_000;
            limits.resets = Rate {
                burst: 2_000,
                per_second: 330,
            };
        })
    }

    /// Returns the configuration after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Returns the engine's configuration.
    pub(super) fn engine(&self, version: Version, side: Side) -> Config {
        self.connection.engine(version, side).with(|config| {
            config.semantics = Semantics::Raw;
            if self.ignore_flow_control {
                config.flow_control = FlowControl::Ignored;
            }
            config.shutdown_order = self.shutdown_order;
        })
    }

    /// Returns the part that the streams need.
    pub(super) fn style(&self, version: Version) -> Style {
        Style {
            write_buffer: self.write_buffer.max(1),
            await_reply: self.await_reply,
            shutdown_order: self.shutdown_order,
            lists: match Rules::of(version).headers_anywhere {
                true => Lists::Anywhere,
                false => Lists::AtEnd,
            },
        }
    }
}

/// The sending behaviour of a connection's streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Bytes that may wait.
    pub(super) write_buffer: usize,
    /// Nothing is sent before the peer's reply.
    pub(super) await_reply: bool,
    pub(super) shutdown_order: ShutdownOrder,
    pub(super) lists: Lists,
}

/// The places at which the protocol permits header lists after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lists {
    /// Between any two pieces of data.
    Anywhere,
    /// As the end of a half only.
    AtEnd,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    /// Both profiles begin with the limits of their side.
    #[test]
    fn limits_that_a_profile_does_not_change_are_the_sides() {
        for side in [Side::Client, Side::Server] {
            let defaults = Limits::new(side);
            let kubernetes = MuxConfig::kubernetes(side).connection.limits;
            for limits in [&MuxConfig::new(side).connection.limits, &kubernetes] {
                let of_side = |limits: &Limits| {
                    let sizes = (limits.max_buffered_bytes, limits.max_header_list_size);
                    (sizes, limits.body_timeout)
                };
                assert_eq!(of_side(limits), of_side(&defaults), "{side:?}");
                assert_eq!((limits.idle_timeout, limits.max_silence), (None, None));
            }
            assert_eq!(kubernetes.max_concurrent_streams, 1_000);
        }
    }
}
