//! The configuration of a [`Mux`](super::Mux) and its streams.

use std::time::Duration;

use crate::{
    Limits, Side, Version,
    proto::{Config, FlowControl, HeaderCompression, Rate, Semantics, ShutdownOrder},
};

/// Configures a [`Mux`](super::Mux).
///
/// The default is for peers that conform to the protocol. [`kubernetes`] is a
/// profile for peers without flow control.
///
/// ```
/// use lacewing_conn::driver::MuxConfig;
///
/// let config = MuxConfig::default().with(|config| config.write_buffer = 16 * 1024);
/// assert!(!config.ignore_flow_control);
/// assert!(MuxConfig::kubernetes().ignore_flow_control);
/// ```
///
/// [`kubernetes`]: Self::kubernetes
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MuxConfig {
    /// The bounds against a peer that sends or asks for too much; `None` for the
    /// defaults of the side, without [`idle_timeout`](Limits::idle_timeout) and
    /// [`max_silence`](Limits::max_silence).
    pub limits: Option<Limits>,
    /// Ignores the windows of both sides, for peers without flow control (the Go
    /// spdystream family). Memory stays bounded: while
    /// [`Limits::max_buffered_bytes`] wait for readers, nothing is read from the
    /// transport, and written bytes wait for the transport. Default `false`.
    pub ignore_flow_control: bool,
    /// Holds data on a stream that we opened until the peer's reply arrives, for
    /// peers that discard earlier data (the Go spdystream family). Default `false`:
    /// data follows the header list at once.
    pub await_reply: bool,
    /// The order at a shutdown: GOAWAY first, or the data of our side of the
    /// streams. Default GOAWAY.
    pub shutdown_order: ShutdownOrder,
    /// Bytes written to a stream that may wait to be sent. Default 64 KiB.
    pub write_buffer: usize,
    /// The compression of SPDY's header blocks. Default
    /// [`WholeField`](HeaderCompression::WholeField).
    pub header_compression: HeaderCompression,
}

impl Default for MuxConfig {
    fn default() -> Self {
        Self {
            limits: None,
            ignore_flow_control: false,
            await_reply: false,
            shutdown_order: ShutdownOrder::default(),
            write_buffer: 64 << 10,
            header_compression: HeaderCompression::default(),
        }
    }
}

impl MuxConfig {
    /// The profile for `kubectl`, kubelets and container runtimes over
    /// SPDY/3.1: the Go spdystream family, which has no flow control at all.
    ///
    /// * [`ignore_flow_control`](Self::ignore_flow_control): we wait for no
    ///   WINDOW_UPDATE, and reset no stream that exceeds a window. One slow
    ///   reader costs at most [`Limits::max_buffered_bytes`] (6 MiB), then holds
    ///   up its connection, as TCP does.
    /// * [`await_reply`](Self::await_reply): data sent before the reply would
    ///   be lost.
    /// * [`shutdown_order`](Self::shutdown_order): such peers stop reading at
    ///   GOAWAY, so it follows all data.
    /// * A [`write_stall_timeout`](Limits::write_stall_timeout) of four hours,
    ///   the kubelet's own for streams that stand still: back-pressure is how
    ///   such a peer says that its terminal is paused. A
    ///   [`frame_timeout`](Limits::frame_timeout) of the same length.
    /// * No [`idle_timeout`](Limits::idle_timeout) and no PINGs on silence
    ///   ([`max_silence`](Limits::max_silence)).
    /// * 1,000 streams at once, instead of 100: a port-forward needs two for
    ///   each connection, and such peers do not wait until one is free. The
    ///   bound of [resets](Limits::resets) grows with it: a browser that closes
    ///   cancels all of its connections.
    pub fn kubernetes() -> Self {
        let limits = Limits::new(Side::Server).with(|limits| {
            allow_silence(limits);
            limits.write_stall_timeout = Duration::from_secs(4 * 3600);
            limits.frame_timeout = limits.write_stall_timeout;
            limits.max_concurrent_streams = 1_000;
            limits.resets = Rate {
                burst: 2_000,
                per_second: 330,
            };
        });
        Self {
            limits: Some(limits),
            ignore_flow_control: true,
            await_reply: true,
            shutdown_order: ShutdownOrder::DataFirst,
            ..Self::default()
        }
    }

    /// Returns the configuration after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Returns the engine's configuration.
    pub(super) fn engine(&self, version: Version, side: Side) -> Config {
        let mut config = Config::new(version, side);
        config.semantics = Semantics::Raw;
        if self.ignore_flow_control {
            config.flow_control = FlowControl::Ignored;
        }
        config.shutdown_order = self.shutdown_order;
        config.header_compression = self.header_compression;
        match &self.limits {
            Some(limits) => config.limits = limits.clone(),
            // Such streams may be silent, and so may their connection.
            None => allow_silence(&mut config.limits),
        }
        config
    }

    /// Returns the part that the streams need.
    pub(super) fn style(&self, version: Version) -> Style {
        Style {
            write_buffer: self.write_buffer.max(1),
            await_reply: self.await_reply,
            shutdown_order: self.shutdown_order,
            lists: match version.rules().headers_anywhere {
                true => Lists::Anywhere,
                false => Lists::AtEnd,
            },
        }
    }
}

/// Takes away the limits that end silent connections.
fn allow_silence(limits: &mut Limits) {
    limits.idle_timeout = None;
    limits.max_silence = None;
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
