//! The state of a connection at one moment.

use lacewing_conn::{
    driver::facade::Context,
    proto::{ConnectionStats, StreamStall, StreamStats},
};
use serde::Serialize;

/// Streams of a sample of an engine.
const MAX_STREAMS: usize = 1_000;

/// The cause for which data waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Stall {
    /// The peer's window for the stream is used up.
    StreamWindow,
    /// The peer's window for the connection is used up.
    ConnectionWindow,
    /// As many streams are open as the peer permits.
    MaxStreams,
    /// The transport does not take what waits before it.
    Transport,
    /// Our own reader does not take what has arrived.
    Reader,
}

impl From<StreamStall> for Stall {
    fn from(stall: StreamStall) -> Self {
        match stall {
            StreamStall::StreamWindow => Self::StreamWindow,
            StreamStall::ConnectionWindow => Self::ConnectionWindow,
            StreamStall::Reader => Self::Reader,
            _ => Self::Transport,
        }
    }
}

/// A figure beside its bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gauge {
    /// The name of the limit, as the options have it.
    pub name: &'static str,
    /// The amount in use.
    pub used: u64,
    /// The bound.
    pub bound: u64,
}

impl Gauge {
    /// A figure beside its bound.
    pub fn new(name: &'static str, used: usize, bound: usize) -> Self {
        let (used, bound) = (used as u64, bound as u64);
        Self { name, used, bound }
    }
}

/// The state of one open stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSample {
    /// The number of the stream.
    pub id: u32,
    /// Bytes of content sent, modulo 2³².
    pub sent: u32,
    /// Bytes of content received, modulo 2³².
    pub received: u32,
    /// Bytes that may be sent; `None` without a window.
    pub window: Option<u64>,
    /// The cause for which its data waits; `None` if none does.
    pub stall: Option<Stall>,
}

impl From<StreamStats> for StreamSample {
    fn from(stats: StreamStats) -> Self {
        Self {
            id: stats.id().value(),
            sent: stats.sent,
            received: stats.received,
            window: stats.send_window.map(|window| window as u64),
            stall: stats.stall.map(Stall::from),
        }
    }
}

/// The state of a connection at one moment.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The statistics of the connection.
    pub stats: ConnectionStats,
    /// The streams that are open; `None` if only the connection's figures are known. If `stats` has
    /// more open streams than these, these are those with the highest ids. A stream that is not
    /// here has ended, unless its id is lower than theirs. The board shows 200 of a connection, and
    /// says how many it leaves out.
    pub streams: Option<Vec<StreamSample>>,
    /// Bytes that the peer may send on the connection, where that is known: an end does not know
    /// it.
    pub peer_window: Option<u64>,
    /// The cause for which the connection waits as a whole. [`Stall::Transport`] is shown only if the
    /// transport took nothing since the last sample.
    pub stall: Option<Stall>,
    /// Bytes that the transport has taken since the start.
    pub written: u64,
    /// The limits of the connection.
    pub limits: Vec<Gauge>,
}

impl Sample {
    /// The state of a connection in a turn of its driver.
    pub fn of(conn: &mut Context<'_>) -> Self {
        let stats = conn.stats();
        let streams = conn.stream_stats(MAX_STREAMS);
        let limits = conn.limits();
        let gauges = vec![
            Gauge::new(
                "max_concurrent_streams",
                streams.iter().filter(|stream| stream.is_of_peer).count(),
                usize::try_from(limits.max_concurrent_streams).unwrap_or(usize::MAX),
            ),
            Gauge::new(
                "max_buffered_bytes",
                stats.buffered_bytes,
                limits.max_buffered_bytes,
            ),
            Gauge::new(
                "max_connection_bytes",
                conn.held_bytes(),
                limits.max_connection_bytes,
            ),
            Gauge::new(
                "cut_ahead",
                stats.output_bytes,
                limits.cut_ahead.max(limits.max_output_backlog),
            ),
        ];
        let blocked = stats.output_bytes > 0;
        let narrow = streams
            .iter()
            .any(|stream| stream.stall == Some(StreamStall::ConnectionWindow));
        Self {
            stall: match (blocked, narrow) {
                (true, _) => Some(Stall::Transport),
                (false, true) => Some(Stall::ConnectionWindow),
                (false, false) => None,
            },
            streams: Some(streams.into_iter().map(StreamSample::from).collect()),
            written: conn.written(),
            stats,
            peer_window: None,
            limits: gauges,
        }
    }
}
