//! The health of an upstream, by the requests that it gets.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::settings::Passive;

/// Checks in a row that change what is known about an upstream.
const CHECKS_TO_FALL: u32 = 2;
const CHECKS_TO_RISE: u32 = 1;

/// The health of one upstream.
#[derive(Debug)]
pub(crate) struct Health {
    passive: Passive,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Failures in a row.
    fails: u32,
    /// After `max_fails` of them.
    until: Option<Instant>,
    /// Checks in a row with the other outcome than `sick`.
    checks: u32,
    /// By active checks.
    sick: bool,
}

/// A change that the log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Down,
    Up,
}

impl Health {
    pub(crate) fn new(passive: Passive) -> Self {
        Self {
            passive,
            state: Mutex::default(),
        }
    }

    /// The time for which requests should go elsewhere; `None` if the upstream is well.
    pub(crate) fn rest(&self, now: Instant) -> Option<Duration> {
        let state = self.lock();
        if state.sick {
            return Some(Duration::MAX);
        }
        let rest = state.until?.saturating_duration_since(now);
        (!rest.is_zero()).then_some(rest)
    }

    /// A request was answered.
    pub(crate) fn answered(&self) -> Option<Change> {
        let mut state = self.lock();
        state.fails = 0;
        state.until.take().map(|_| Change::Up)
    }

    /// A request failed by the upstream's doing. After its pause one request tries again, and one
    /// failure is enough for the next pause.
    pub(crate) fn failed(&self, now: Instant) -> Option<Change> {
        let mut state = self.lock();
        state.fails = state.fails.saturating_add(1);
        if state.fails < self.passive.max_fails.max(1) {
            return None;
        }
        let before = state.until;
        state.until = now.checked_add(self.passive.pause);
        before.is_none().then_some(Change::Down)
    }

    /// An active check had this outcome.
    pub(crate) fn checked(&self, well: bool) -> Option<Change> {
        let mut state = self.lock();
        if well != state.sick {
            state.checks = 0;
            return None;
        }
        state.checks = state.checks.saturating_add(1);
        let (enough, change) = match well {
            true => (CHECKS_TO_RISE, Change::Up),
            false => (CHECKS_TO_FALL, Change::Down),
        };
        if state.checks < enough {
            return None;
        }
        state.checks = 0;
        state.sick = !well;
        Some(change)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSIVE: Passive = Passive {
        max_fails: 2,
        pause: Duration::from_secs(10),
    };

    #[test]
    fn failures_in_a_row_take_an_upstream_out_for_a_while() {
        let (health, now) = (Health::new(PASSIVE), Instant::now());
        assert_eq!(health.failed(now), None);
        assert_eq!(health.answered(), None, "the row begins anew");
        assert_eq!(health.failed(now), None);
        assert_eq!(health.rest(now), None);
        assert_eq!(health.failed(now), Some(Change::Down));
        assert_eq!(health.rest(now), Some(PASSIVE.pause));
        let later = now + PASSIVE.pause;
        assert_eq!(health.rest(later), None, "it is tried again");
        assert_eq!(
            health.failed(later),
            None,
            "and stays down, which is no news"
        );
        assert_eq!(health.rest(later), Some(PASSIVE.pause));
        assert_eq!(health.answered(), Some(Change::Up));
        assert_eq!(health.rest(later), None);
    }

    #[test]
    fn one_failed_check_is_not_enough() {
        let (health, now) = (Health::new(PASSIVE), Instant::now());
        assert_eq!(health.checked(false), None);
        assert_eq!(health.checked(true), None);
        assert_eq!(health.checked(false), None);
        assert_eq!(health.checked(false), Some(Change::Down));
        assert_eq!(health.rest(now), Some(Duration::MAX));
        assert_eq!(health.checked(true), Some(Change::Up));
        assert_eq!(health.rest(now), None);
    }
}
