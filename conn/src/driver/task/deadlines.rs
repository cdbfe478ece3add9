//! Deadlines, judged after the work of a turn.

use std::time::Instant;

use super::{Driver, TURNS};
use crate::driver::application::Application;

impl<IO, A: Application> Driver<IO, A> {
    /// Handles the deadlines that have passed; `false` if there were none.
    ///
    /// The turn has read and written before: when the task runs late, what the peer
    /// did in time waits in the transport, and the lateness is ours. So while bytes
    /// arrive, deadlines wait for the next turn, up to [`TURNS`] times: a peer that
    /// always sends does not escape them.
    pub(super) fn handle_due(&mut self, heard: bool, now: Instant) -> bool {
        if self.engine.poll_timeout().is_none_or(|due| due > now) {
            self.postponed = 0;
            return false;
        }
        if heard && self.postponed < TURNS {
            self.postponed = self.postponed.saturating_add(1);
            return false;
        }
        self.postponed = 0;
        self.engine.handle_timeout(now);
        self.handle_events(now);
        true
    }
}
