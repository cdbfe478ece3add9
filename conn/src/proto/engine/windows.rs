//! Receive windows: how credit goes back to the peer, and how windows grow to
//! the bandwidth × delay of the path.
//!
//! *Credit.* A stream's window is given back as its reader takes the bytes; the
//! connection's at once, as long as what the user holds stays within the
//! budget. So a stream that nobody reads stops itself and not the others.
//!
//! *Tuning.* When half a window is given back, a PING goes out with it (at most
//! one, none when idle), and what arrives until its answer is counted. That is
//! what the path holds, or, if the window is the limit, the other half of the
//! window: then it becomes four times as large, and the next probe starts at
//! once, so that a long path is full after few round trips. A reader that takes
//! nothing never makes it grow.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Engine, Phase, ping::Purpose};
use crate::proto::{StreamKey, streams::state::Half};

/// The longest pause between two probes that changed nothing. Short at first:
/// a path may become better at any time.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What all connections that share it may have in windows beyond their initial
/// ones, in bytes: the bound of the process against many connections that each
/// stay within their own.
///
/// ```
/// use lacewing_conn::proto::WindowPool;
///
/// let pool = WindowPool::new(64 << 20);
/// assert_eq!((pool.used(), pool.capacity()), (0, 64 << 20));
/// ```
#[derive(Clone, Debug)]
pub struct WindowPool(Arc<PoolState>);

#[derive(Debug)]
struct PoolState {
    capacity: usize,
    used: AtomicUsize,
}

impl WindowPool {
    /// The capacity of the pool that connections share unless they are given
    /// another: 256 MiB.
    pub const GLOBAL_CAPACITY: usize = 256 << 20;

    /// A pool of its own.
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(PoolState {
            capacity,
            used: AtomicUsize::new(0),
        }))
    }

    /// The pool of the process.
    pub fn global() -> Self {
        static GLOBAL: OnceLock<WindowPool> = OnceLock::new();
        GLOBAL
            .get_or_init(|| Self::new(Self::GLOBAL_CAPACITY))
            .clone()
    }

    /// Bytes that windows may grow by, all together.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Bytes that they have grown by.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = self
            .0
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes)
                    .filter(|sum| *sum <= self.0.capacity)
            });
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// How the windows of a connection have grown.
#[derive(Debug)]
pub(super) struct Tuning {
    pool: WindowPool,
    /// What was taken from the pool.
    taken: usize,
    /// What streams are given when they read.
    stream_size: u32,
    probe: Option<Probe>,
    /// No probe before this.
    next: Option<Instant>,
    pause: Duration,
}

/// What came since the PING.
#[derive(Clone, Copy, Debug)]
struct Probe {
    stream: Option<StreamKey>,
    of_stream: usize,
    of_connection: usize,
}

impl Tuning {
    pub(super) fn new(pool: WindowPool, stream_size: u32) -> Self {
        Self {
            pool,
            taken: 0,
            stream_size,
            probe: None,
            next: None,
            pause: Duration::ZERO,
        }
    }

    /// Data came, for a stream or for none that is known.
    #[inline]
    pub(super) fn count(&mut self, stream: Option<StreamKey>, len: usize) {
        if let Some(probe) = &mut self.probe {
            probe.of_connection = probe.of_connection.saturating_add(len);
            if stream.is_some() && stream == probe.stream {
                probe.of_stream = probe.of_stream.saturating_add(len);
            }
        }
    }

    /// The larger size, if the peer sent nearly half of this one within a round
    /// trip, and the pool has as much.
    fn grown(&mut self, size: u32, max: u32, came: usize) -> Option<u32> {
        let came = u32::try_from(came).unwrap_or(u32::MAX);
        if size >= max || came < size / 8 * 3 {
            return None;
        }
        let larger = size.saturating_mul(4).min(max);
        let more = usize::try_from(larger.saturating_sub(size)).unwrap_or(usize::MAX);
        if !self.pool.take(more) {
            return None;
        }
        self.taken = self.taken.saturating_add(more);
        Some(larger)
    }
}

impl Drop for Tuning {
    fn drop(&mut self) {
        self.pool.give_back(self.taken);
    }
}

impl Engine {
    /// Receive credit goes back here, and nowhere else: `len` bytes of a
    /// stream were consumed, discarded, refused or padding. What the connection
    /// is owed shows from what it holds.
    pub(super) fn give_back(&mut self, stream: Option<StreamKey>, len: usize) {
        let announced = self.replenish();
        let of_stream = stream.filter(|key| len > 0 && self.replenish_stream(*key, len));
        if of_stream.is_some() || announced {
            self.start_probe(of_stream);
        }
    }

    /// `true` if the stream's window was announced.
    fn replenish_stream(&mut self, key: StreamKey, len: usize) -> bool {
        let target = self.tuning.stream_size;
        let open = self.streams.get_mut(key);
        let Some(stream) = open.filter(|stream| stream.state.recv != Half::Closed) else {
            return false;
        };
        let Some(announce) = stream.recv_window.credit(len, target) else {
            return false;
        };
        let id = stream.id;
        self.wire
            .window_update(Some(id), announce.0, self.output.buffer());
        true
    }

    /// The connection gets back all that came and is not held by the user, as
    /// far as the budget allows. `true` if its window was announced, and
    /// readers keep up.
    fn replenish(&mut self) -> bool {
        if self.phase == Phase::Closed {
            return false;
        }
        let budget = i64::try_from(self.budget()).unwrap_or(i64::MAX);
        let held = i64::try_from(self.buffered).unwrap_or(i64::MAX);
        let room = budget.saturating_sub(held);
        let Some(announce) = self.recv_window.replenish(room) else {
            return false;
        };
        self.wire
            .window_update(None, announce.0, self.output.buffer());
        held <= i64::from(announce.0)
    }

    /// Bytes that the user may hold and the peer may send, together.
    pub(super) fn budget(&self) -> usize {
        let window = self.recv_window.size().unwrap_or(0);
        let window = usize::try_from(window).unwrap_or(usize::MAX);
        self.config
            .limits
            .max_buffered_bytes
            .max(window.saturating_mul(2))
    }

    pub(super) fn stream_receive_window(&self) -> Option<u32> {
        let initial = self.rules.stream_window;
        let initial = initial.filter(|_| !self.config.ignore_flow_control);
        initial.map(|_| self.tuning.stream_size)
    }

    /// Half a window was given back: perhaps the window is the limit.
    fn start_probe(&mut self, stream: Option<StreamKey>) {
        let limits = &self.config.limits;
        let full = self.tuning.stream_size >= limits.max_stream_window
            && self
                .recv_window
                .size()
                .is_none_or(|size| size >= limits.max_connection_window);
        let early = self.tuning.next.is_some_and(|next| self.clock < next);
        if full || early || self.is_pinging() {
            return;
        }
        self.tuning.probe = Some(Probe {
            stream,
            of_stream: 0,
            of_connection: 0,
        });
        self.ping_for(self.clock, Purpose::Tuning);
    }

    /// The probe's answer came.
    pub(super) fn finish_probe(&mut self, now: Instant) {
        let Some(probe) = self.tuning.probe.take() else {
            return;
        };
        let limits = &self.config.limits;
        let (max_stream, max_connection) = (limits.max_stream_window, limits.max_connection_window);
        let stream = self
            .tuning
            .grown(self.tuning.stream_size, max_stream, probe.of_stream);
        let connection = self
            .recv_window
            .size()
            .and_then(|size| self.tuning.grown(size, max_connection, probe.of_connection));
        if let Some(size) = connection {
            self.recv_window.grow(size);
            self.replenish();
        }
        if let Some(size) = stream {
            self.tuning.stream_size = size;
            // The others get theirs when they read on.
            if let Some(key) = probe.stream {
                self.replenish_stream(key, 0);
            }
        }
        self.tuning.pause = if stream.is_some() || connection.is_some() {
            Duration::ZERO
        } else {
            (self.tuning.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE)
        };
        self.tuning.next = now.checked_add(self.tuning.pause);
        if self.tuning.pause.is_zero() {
            self.start_probe(probe.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_gives_what_it_has_and_gets_it_back() {
        let pool = WindowPool::new(1000);
        let mut tuning = Tuning::new(pool.clone(), 100);
        assert_eq!(tuning.grown(200, 2000, 100), Some(800));
        assert_eq!(tuning.grown(600, 2000, 600), None, "the pool has only 400");
        assert_eq!(tuning.grown(600, 900, 200), None, "not half of the window");
        assert_eq!(
            tuning.grown(600, 900, 400),
            Some(900),
            "no more than the cap"
        );
        assert_eq!(pool.used(), 900);
        drop(tuning);
        assert_eq!(pool.used(), 0);
    }
}
