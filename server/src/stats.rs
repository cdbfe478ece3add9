//! The timer of reports about a connection.

use std::time::{Duration, Instant};

/// The times at which the observer receives a connection's statistics.
pub(crate) struct StatsTimer {
    every: Duration,
    next: Option<Instant>,
}

impl StatsTimer {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, next: None }
    }

    /// Returns whether the interval has passed, and begins the next one.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.next.is_some_and(|next| now >= next);
        if due || self.next.is_none() {
            self.next = now.checked_add(self.every);
        }
        due
    }

    /// The end of the interval.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }
}
