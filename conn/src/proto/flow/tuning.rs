//! Windows that grow to the bandwidth × delay of the path.
//!
//! When half a window is released, a PING is sent with it (at most one, none when idle). The bytes
//! that arrive until its answer are counted. They are what the path holds, or, if the window is the
//! limit, the other half of the window. In the second case the window becomes four times as large.
//! The next probe starts at once, so that a long path is full after few round trips. A reader that
//! takes nothing never makes it grow.

use std::time::{Duration, Instant};

use super::WindowPool;
use crate::proto::StreamKey;

/// The longest pause between two probes that changed nothing. Short at first:
/// a path may become better at any time.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The growth of a connection's windows, and the measurement under way.
#[derive(Debug)]
pub(crate) struct Tuning {
    pool: WindowPool,
    /// Bytes taken from the pool.
    taken: usize,
    /// The window that streams are given when they read.
    stream_size: u32,
    /// Made for the first probe: few connections receive so much.
    probing: Option<Box<Probing>>,
}

/// The probe under way, and the pause between two of them.
#[derive(Debug, Default)]
struct Probing {
    probe: Option<Probe>,
    /// No probe starts before this.
    next: Option<Instant>,
    pause: Duration,
}

/// Bytes that arrived since the PING.
#[derive(Clone, Copy, Debug)]
struct Probe {
    stream: Option<StreamKey>,
    of_stream: usize,
    of_connection: usize,
}

/// The outcome of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Growth {
    /// The stream whose window grows now; the others follow as they read.
    pub(crate) stream: Option<StreamKey>,
    /// The new size of the connection's window.
    pub(crate) connection: Option<u32>,
    /// A window was the limit: measure again at once, on this stream.
    pub(crate) again: Option<Option<StreamKey>>,
}

impl Tuning {
    pub(crate) fn new(pool: WindowPool, stream_size: u32) -> Self {
        Self {
            pool,
            taken: 0,
            stream_size,
            probing: None,
        }
    }

    /// The window that streams are given when they read.
    pub(crate) fn stream_size(&self) -> u32 {
        self.stream_size
    }

    /// Data arrived, for a known stream or for none.
    #[inline]
    pub(crate) fn count(&mut self, stream: Option<StreamKey>, len: usize) {
        let probe = self.probing.as_mut().and_then(|it| it.probe.as_mut());
        if let Some(probe) = probe {
            probe.of_connection = probe.of_connection.saturating_add(len);
            if stream.is_some() && stream == probe.stream {
                probe.of_stream = probe.of_stream.saturating_add(len);
            }
        }
    }

    /// The pause between probes is over.
    pub(crate) fn may_probe(&self, now: Instant) -> bool {
        let next = self.probing.as_ref().and_then(|probing| probing.next);
        next.is_none_or(|next| now >= next)
    }

    /// Counts what arrives until the answer to the PING that goes out now.
    pub(crate) fn start_probe(&mut self, stream: Option<StreamKey>) {
        self.probing.get_or_insert_default().probe = Some(Probe {
            stream,
            of_stream: 0,
            of_connection: 0,
        });
    }

    /// The answer has arrived. `connection`: the connection's window as it is.
    pub(crate) fn finish_probe(
        &mut self,
        now: Instant,
        connection: Option<u32>,
        max_stream: u32,
        max_connection: u32,
    ) -> Option<Growth> {
        let probe = self.probing.as_mut()?.probe.take()?;
        let stream = self.grown(self.stream_size, max_stream, probe.of_stream);
        let connection =
            connection.and_then(|size| self.grown(size, max_connection, probe.of_connection));
        if let Some(size) = stream {
            self.stream_size = size;
        }
        let grew = stream.is_some() || connection.is_some();
        let probing = self.probing.as_mut()?;
        probing.pause = if grew {
            Duration::ZERO
        } else {
            (probing.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE)
        };
        probing.next = now.checked_add(probing.pause);
        Some(Growth {
            stream: probe.stream.filter(|_| stream.is_some()),
            connection,
            again: grew.then_some(probe.stream),
        })
    }

    /// The larger size, if the peer sent nearly half of this one within a round
    /// trip, and the pool has as much.
    fn grown(&mut self, size: u32, max: u32, arrived: usize) -> Option<u32> {
        let arrived = u32::try_from(arrived).unwrap_or(u32::MAX);
        if size >= max || arrived < size / 8 * 3 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_lends_its_bytes_and_recovers_them() {
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

    #[test]
    fn probes_without_effect_follow_at_growing_intervals() {
        let start = Instant::now();
        let mut tuning = Tuning::new(WindowPool::new(0), 100);
        assert_eq!(tuning.finish_probe(start, None, 1000, 1000), None);
        let mut now = start;
        for pause in [50, 100, 200, 400] {
            assert!(tuning.may_probe(now));
            tuning.start_probe(None);
            let growth = tuning.finish_probe(now, Some(100), 1000, 1000);
            assert_eq!(growth.and_then(|growth| growth.again), None);
            let pause = Duration::from_millis(pause);
            assert!(!tuning.may_probe(now + pause / 2));
            now += pause;
        }
    }
}
