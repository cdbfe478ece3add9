//! The times at which a facade reports the statistics of a connection.

use std::time::{Duration, Instant};

/// The shortest interval. A shorter one would report in every turn.
const SHORTEST: Duration = Duration::from_millis(1);

/// The times of the reports about one connection. A report that was missed is not repeated:
/// the next interval begins when a report is made.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use lacewing_conn::driver::facade::StatsTimer;
///
/// let second = Duration::from_secs(1);
/// let mut timer = StatsTimer::new(second);
/// let start = Instant::now();
/// assert!(!timer.is_due(start), "the first call begins the first interval");
/// assert_eq!(timer.next(), Some(start + second));
/// assert!(timer.is_due(start + 5 * second));
/// assert_eq!(timer.next(), Some(start + 6 * second));
/// ```
#[derive(Debug)]
pub struct StatsTimer {
    every: Duration,
    next: Option<Instant>,
}

impl StatsTimer {
    /// Creates the timer of a connection. The shortest interval is a millisecond.
    pub fn new(every: Duration) -> Self {
        Self {
            every: every.max(SHORTEST),
            next: None,
        }
    }

    /// Returns `true` if the interval has passed, and then begins the next one. The first call
    /// begins the first interval.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let due = self.next.is_some_and(|next| now >= next);
        if due || self.next.is_none() {
            self.next = now.checked_add(self.every);
        }
        due
    }

    /// Returns the end of the interval: `None` before the first call of
    /// [`is_due`](Self::is_due), and where the clock has no such time.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }
}
