//! Bounds the warnings about one matter.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The least time between two warnings about one matter.
const INTERVAL: Duration = Duration::from_secs(1);

/// The time of the last warning about one matter.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Mutex<Option<Instant>>);

impl Complaints {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Returns whether a warning is due. It counts as given.
    pub(crate) fn are_due(&self) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recently = |then: Instant| now.saturating_duration_since(then) < INTERVAL;
        let due = !last.is_some_and(recently);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_warning() {
        let complaints = Complaints::default();
        // Fewer than all, whatever the machine's pace.
        let started = Instant::now();
        let due = (0..1000).filter(|_| complaints.are_due()).count() as u64;
        assert!(
            (1..=1 + started.elapsed().as_secs()).contains(&due),
            "{due}"
        );
    }
}
