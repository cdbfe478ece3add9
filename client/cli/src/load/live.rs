//! The figures of a run while it lasts, for those who look at them.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use lacewing_server::live::Board;

use super::shared_times::{Counts, SharedTimes};

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
    times: SharedTimes,
    /// Times are recorded while somebody looks at this board; `None`: always.
    board: Option<Board>,
}

/// Somebody who looks at the counts again and again.
#[derive(Debug)]
pub(super) struct Look {
    at: Instant,
    answered: u64,
    times: Counts,
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
            times: SharedTimes::new(),
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
        self.times.record(service);
    }
}

impl Look {
    /// Nothing was seen yet.
    pub(super) fn new(at: Instant) -> Self {
        Self {
            at,
            answered: 0,
            times: Counts::none(),
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
        let now = live.times.counts();
        let new = now.since(&self.times);
        self.times = now;
        new.percentile(50.0).zip(new.percentile(99.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!((50..=51).contains(&half.as_millis()), "{seen:?}");
            assert!((99..=101).contains(&most.as_millis()), "{seen:?}");
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
