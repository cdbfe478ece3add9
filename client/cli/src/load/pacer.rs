//! The clock of an open loop: a thread that makes requests due.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use super::{arrivals::Arrivals, plan::Phase, schedule::Schedule};
use tokio::sync::watch;

/// The longest sleep: so soon the thread notices the end of the run.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// What a pacer follows.
pub(super) struct Pacer {
    pub(super) schedule: Schedule,
    pub(super) start: Instant,
    /// No request is due at or after this time.
    pub(super) end: Option<Instant>,
    /// Requests of all segments.
    pub(super) requests: Option<u64>,
    pub(super) phase: watch::Receiver<Phase>,
}

impl Pacer {
    /// Makes requests due until the plan or the run ends.
    ///
    /// The operating system's sleep is more exact than the runtime's, which has milliseconds.
    pub(super) fn run(mut self, arrivals: &Arrivals) {
        loop {
            let (number, offset) = self.schedule.next();
            let due = self.start.checked_add(offset);
            if self.requests.is_some_and(|all| number >= all) {
                break;
            }
            let due = due.filter(|due| self.end.is_none_or(|end| *due < end));
            match (due, self.end) {
                (Some(due), _) if self.sleep_until(due) => arrivals.add(due),
                (None, Some(end)) => {
                    // The run has its whole duration, also after the last request.
                    self.sleep_until(end);
                    break;
                }
                _ => break,
            }
        }
        arrivals.finish();
    }

    /// Returns whether the run is still sending then.
    fn sleep_until(&self, time: Instant) -> bool {
        loop {
            if *self.phase.borrow() != Phase::Sending {
                return false;
            }
            let left = time.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            sleep(left.min(LONGEST_SLEEP));
        }
    }
}
