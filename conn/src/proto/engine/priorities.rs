//! Priorities that the peer sets (RFC 9218; the drafts' §2.3.3).

use std::time::Instant;

use super::Engine;
use crate::proto::{Broken, Priority, Rule, StreamId, streams::PriorityOwner};

impl Engine {
    /// The client sets a priority, perhaps before the stream is open.
    pub(super) fn handle_priority(
        &mut self,
        now: Instant,
        id: StreamId,
        priority: Priority,
    ) -> Result<(), Broken> {
        self.charges.glitch(&self.config.limits, now)?;
        let theirs = self.ids.is_of_peer(id);
        match self.streams.find(id) {
            Some(key) => {
                let open = self.streams.get(key);
                if open.is_some_and(|open| open.priority_owner == PriorityOwner::Peer) {
                    self.streams.prioritize(key, priority);
                }
                Ok(())
            }
            None if !self.ids.standing(id).is_unopened() => Ok(()),
            None if theirs => {
                let max = self.config.limits.max_early_priorities;
                self.streams.remember_priority(id, priority, max);
                Ok(())
            }
            // A push that was not promised.
            None => Err(Rule::InvalidPriorityUpdate.on(id)),
        }
    }
}
