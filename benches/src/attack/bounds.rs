//! The bounds that every case is held to, in one table.

use std::time::Duration;

/// The bounds of every case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Heap above the start, for each connection of the attacker.
    pub(crate) peak: u64,
    /// Heap above the start that is left after the attacker, all in all: the
    /// driver keeps up to 1.5 MiB of buffers for each thread.
    pub(crate) left: u64,
    /// The time for that, after the attacker left.
    pub(crate) left_within: Duration,
    /// Resident memory of lacewingd above the start, all in all: its caches of files
    /// and pages, and the connections.
    pub(crate) program: u64,
    /// CPU of the victim for each byte of the attacker, in nanoseconds.
    pub(crate) cpu_per_byte: u64,
    /// CPU below which the rate means nothing, and bytes below which the cost of a
    /// connection is more than that of its bytes.
    pub(crate) cpu_floor: Duration,
    pub(crate) sent_floor: u64,
    /// The 99th percentile of small requests on another connection; held in a
    /// full run on a quiet machine only.
    pub(crate) honest_p99: Duration,
    /// Handlers at a time, for each connection.
    pub(crate) handlers: u64,
}

pub(crate) const BOUNDS: Bounds = Bounds {
    peak: 8 << 20,
    left: 4 << 20,
    program: 96 << 20,
    left_within: Duration::from_secs(10),
    cpu_per_byte: 5_000,
    cpu_floor: Duration::from_millis(300),
    sent_floor: 10_000,
    honest_p99: Duration::from_millis(30),
    handlers: 100,
};
