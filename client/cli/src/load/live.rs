//! The figures of a run while it lasts, for those who look at them.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use lacewing_server::live::Board;

/// The parts of each power of two in a distribution.
const PARTS: usize = 8;
/// Up to more than an hour, in microseconds.
const BUCKETS: usize = 32 * PARTS;

/// The longest time since the last look over which a rate is one of now.
const MAX_SINCE: Duration = Duration::from_secs(2);

/// Counts that all threads add to.
#[derive(Debug)]
pub(super) struct Live {
    sent: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    connections: AtomicU64,
    /// Service times.
    times: Vec<AtomicU64>,
    /// Times are recorded while somebody looks at this board; `None`: always.
    board: Option<Board>,
}

/// Somebody who looks at the counts again and again.
#[derive(Debug)]
pub(super) struct Look {
    at: Instant,
    answered: u64,
    times: Vec<u64>,
}

/// The figures at one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// Responses in a second, since the look before; `None` if that is too long ago.
    pub(super) rate: Option<f64>,
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// Requests under way.
    pub(super) open: u64,
    /// Connections so far.
    pub(super) connections: u64,
    /// The service times that half and 99 % of the responses since the look before had at most,
    /// about.
    pub(super) times: Option<(Duration, Duration)>,
}

impl Live {
    /// `board`: the one that looks at them, if nobody else does.
    pub(super) fn new(board: Option<Board>) -> Self {
        Self {
            board,
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            times: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    /// A request that was sent counts as not sent.
    pub(super) fn left_alone(&self) {
        self.sent.fetch_sub(1, Relaxed);
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self, service: Duration) {
        self.answered.fetch_add(1, Relaxed);
        if self.board.as_ref().is_some_and(|board| !board.is_watched()) {
            return;
        }
        if let Some(count) = self.times.get(bucket(service)) {
            count.fetch_add(1, Relaxed);
        }
    }
}

impl Look {
    /// Nothing was seen yet.
    pub(super) fn new(at: Instant) -> Self {
        Self {
            at,
            answered: 0,
            times: vec![0; BUCKETS],
        }
    }

    /// The figures now, and since the last look.
    pub(super) fn figures(&mut self, live: &Live, now: Instant) -> Figures {
        let since = now.saturating_duration_since(self.at);
        let answered = live.answered.load(Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = answered.saturating_sub(self.answered) as f64 / since.as_secs_f64().max(1e-3);
        let failed = live.failed.load(Relaxed);
        let sent = live.sent.load(Relaxed);
        (self.at, self.answered) = (now, answered);
        Figures {
            rate: (since <= MAX_SINCE).then_some(rate),
            answered,
            failed,
            open: sent.saturating_sub(answered.saturating_add(failed)),
            connections: live.connections.load(Relaxed),
            times: self.percentiles(live),
        }
    }

    fn percentiles(&mut self, live: &Live) -> Option<(Duration, Duration)> {
        let counts = live.times.iter().zip(&mut self.times);
        let counts: Vec<u64> = counts
            .map(|(count, before)| {
                let now = count.load(Relaxed);
                now.saturating_sub(std::mem::replace(before, now))
            })
            .collect();
        let all: u64 = counts.iter().sum();
        let at = |part: u64| {
            // The rank is at least 1.
            let mut left = (all * part).div_ceil(100);
            let reached = counts.iter().position(|count| {
                let reached = *count >= left;
                left = left.saturating_sub(*count);
                reached
            });
            upper(reached.unwrap_or(BUCKETS))
        };
        (all > 0).then(|| (at(50), at(99)))
    }
}

/// The bucket of a time: its power of two, and the part of it.
fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let power = micros.max(1).ilog2() as usize;
    let part = match power {
        0..3 => (micros << (3 - power)) & 7,
        _ => (micros >> (power - 3)) & 7,
    };
    let bucket = power * PARTS + usize::try_from(part).unwrap_or(0);
    bucket.min(BUCKETS - 1)
}

/// The end of a bucket.
fn upper(bucket: usize) -> Duration {
    let (power, part) = (bucket / PARTS, bucket % PARTS);
    let part = u64::try_from(part).unwrap_or(0) + PARTS as u64 + 1;
    Duration::from_nanos((part * 1000).saturating_mul(1 << power.min(40)) / PARTS as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_at_most_an_eighth_above_its_times() {
        for micros in [1, 2, 3, 5, 7, 8, 9, 100, 1023, 1024, 999_999, 60_000_000] {
            let time = Duration::from_micros(micros);
            let end = upper(bucket(time));
            assert!(time <= end, "{time:?} {end:?}");
            assert!(
                end <= time * 9 / 8 + Duration::from_nanos(1),
                "{time:?} {end:?}"
            );
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn each_who_looks_sees_what_is_new() {
        let (live, start) = (Live::new(None), Instant::now());
        let mut looks = [Look::new(start), Look::new(start)];
        live.connected();
        for millis in 1..=100 {
            live.sent();
            live.answered(Duration::from_millis(millis));
        }
        live.sent();
        live.sent();
        live.failed();
        for look in &mut looks {
            let seen = look.figures(&live, start + Duration::from_millis(500));
            assert_eq!((seen.answered, seen.failed), (100, 1));
            assert_eq!((seen.open, seen.connections), (1, 1));
            assert!((seen.rate.unwrap() - 200.0).abs() < 1e-6, "{seen:?}");
            let (half, most) = seen.times.unwrap();
            assert!((50..=57).contains(&half.as_millis()), "{seen:?}");
            assert!((99..=112).contains(&most.as_millis()), "{seen:?}");
            let next = look.figures(&live, start + Duration::from_secs(1));
            assert_eq!((next.answered, next.times), (100, None));
            assert!(next.rate.unwrap().abs() < 1e-6, "{next:?}");
            // Whoever looks again after a while sees no rate of all that time.
            let late = look.figures(&live, start + Duration::from_secs(60));
            assert_eq!(late.rate, None);
            let next = look.figures(&live, start + Duration::from_secs(61));
            assert!(next.rate.is_some(), "{next:?}");
        }
    }

    #[test]
    fn a_request_that_the_server_left_alone_is_not_open() {
        let (live, start) = (Live::new(None), Instant::now());
        for _ in 0..10 {
            live.sent();
            live.left_alone();
        }
        live.sent();
        assert_eq!(Look::new(start).figures(&live, start).open, 1);
    }

    #[test]
    fn times_are_recorded_for_those_who_look() {
        let live = Live::new(Some(Board::new("test")));
        live.answered(Duration::from_millis(3));
        let start = Instant::now();
        let seen = Look::new(start).figures(&live, start + Duration::from_secs(1));
        assert_eq!((seen.answered, seen.times), (1, None));
    }
}
