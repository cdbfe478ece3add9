//! Deadlines, which are handled after the work of a turn.

use std::time::Instant;

use super::{Driver, TURNS};
use crate::driver::application::Application;

/// The turns in which deadlines were not handled, since bytes arrived in each.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Turns since deadlines were checked.
    unchecked: u8,
    /// Turns since a deadline was found to have passed.
    postponed: u8,
}

/// The state of the deadlines after a turn.
pub(super) enum Deadline {
    /// Not checked, or postponed: another turn follows.
    Unchecked,
    /// Those that had passed were handled.
    Handled,
    /// The next one, which has not passed.
    At(Option<Instant>),
}

impl<IO, A: Application> Driver<IO, A> {
    /// Handles the deadlines that have passed.
    ///
    /// The turn has read and written before. If the task runs late, bytes that the peer
    /// sent in time still wait in the transport. While bytes arrive, deadlines are
    /// therefore checked once in [`TURNS`] turns, and one that has passed is handled
    /// after as many turns more. A peer that sends without pause does not escape them.
    pub(super) fn handle_due(&mut self, received: bool, now: Instant) -> Deadline {
        let deadlines = &mut self.deadlines;
        if received && deadlines.postponed == 0 && usize::from(deadlines.unchecked) < TURNS {
            deadlines.unchecked = deadlines.unchecked.saturating_add(1);
            return Deadline::Unchecked;
        }
        deadlines.unchecked = 0;
        let next = self.engine.poll_timeout();
        if next.is_none_or(|due| due > now) {
            deadlines.postponed = 0;
            return match received {
                true => Deadline::Unchecked,
                false => Deadline::At(next),
            };
        }
        if received && usize::from(deadlines.postponed) < TURNS {
            deadlines.postponed = deadlines.postponed.saturating_add(1);
            return Deadline::Unchecked;
        }
        deadlines.postponed = 0;
        self.engine.handle_timeout(now);
        self.handle_events(now);
        Deadline::Handled
    }
}
