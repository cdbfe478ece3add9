//! How urgent streams are (RFC 9218; the drafts' §2.3.3).

use std::time::Instant;

use super::Engine;
use crate::proto::{Broken, Priority, Rule, StreamId, StreamKey, streams::PriorityOwner};

impl Engine {
    /// The client sets a priority, perhaps before the stream is open.
    pub(super) fn handle_priority(
        &mut self,
        now: Instant,
        id: StreamId,
        priority: Priority,
    ) -> Result<(), Broken> {
        self.charges.glitch(now)?;
        let theirs = self.ids.is_of_peer(id);
        match self.streams.find(id) {
            Some(key) => {
                let open = self.streams.get(key);
                if open.is_some_and(|open| open.priority_owner == PriorityOwner::Peer) {
                    self.reschedule(key, priority);
                }
                Ok(())
            }
            None if !self.ids.standing(id).is_unopened() => Ok(()),
            None if theirs => {
                let max = self.config.limits.max_early_priorities;
                self.scheduler.early.remember(id, priority, max);
                Ok(())
            }
            // A push that was not promised.
            None => Err(Rule::InvalidPriorityUpdate.on(id)),
        }
    }

    pub(super) fn reschedule(&mut self, key: StreamKey, priority: Priority) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        let before = std::mem::replace(&mut stream.priority, priority);
        if stream.send.scheduled && before != priority {
            self.scheduler.remove(key, before);
            self.scheduler.push(key, priority);
        }
    }
}
