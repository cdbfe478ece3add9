//! Deadlines, judged after the work of a turn.

use std::time::Instant;

use super::{Driver, TURNS};
use crate::driver::application::Application;

/// The turns in which deadlines were not judged, since bytes arrived in each.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Turns since the last look at them.
    unseen: usize,
    /// Turns for which one waited that had passed.
    postponed: usize,
}

/// The state of the deadlines after a turn.
pub(super) enum Deadline {
    /// Not known: another turn follows.
    Unseen,
    /// Those that had passed were handled.
    Handled,
    /// The next one, which has not passed.
    At(Option<Instant>),
}

impl<IO, A: Application> Driver<IO, A> {
    /// Handles the deadlines that have passed.
    ///
    /// The turn has read and written before: when the task runs late, what the peer
    /// did in time waits in the transport, and the lateness is ours. So while bytes
    /// arrive, deadlines are looked at once in [`TURNS`] turns, and one that has
    /// passed waits as long again: a peer that always sends does not escape them.
    pub(super) fn handle_due(&mut self, heard: bool, now: Instant) -> Deadline {
        let deadlines = &mut self.deadlines;
        if heard && deadlines.postponed == 0 && deadlines.unseen < TURNS {
            deadlines.unseen = deadlines.unseen.saturating_add(1);
            return Deadline::Unseen;
        }
        deadlines.unseen = 0;
        let next = self.engine.poll_timeout();
        if next.is_none_or(|due| due > now) {
            deadlines.postponed = 0;
            return match heard {
                true => Deadline::Unseen,
                false => Deadline::At(next),
            };
        }
        if heard && deadlines.postponed < TURNS {
            deadlines.postponed = deadlines.postponed.saturating_add(1);
            return Deadline::Unseen;
        }
        deadlines.postponed = 0;
        self.engine.handle_timeout(now);
        self.handle_events(now);
        Deadline::Handled
    }
}
