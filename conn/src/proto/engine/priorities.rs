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
        self.glitch(now)?;
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
                self.remember_priority(id, priority);
                Ok(())
            }
            // A push that was not promised.
            None => Err(Rule::InvalidPriorityUpdate.on(id)),
        }
    }

    fn remember_priority(&mut self, id: StreamId, priority: Priority) {
        self.early_priorities.retain(|(known, _)| *known != id);
        if self.early_priorities.len() >= self.config.limits.max_early_priorities {
            self.early_priorities.pop_front();
        }
        if self.config.limits.max_early_priorities > 0 {
            self.early_priorities.push_back((id, priority));
        }
    }

    /// What was set for a stream that is opened now. Those below it will never
    /// be.
    pub(super) fn take_early_priority(&mut self, id: StreamId) -> Option<Priority> {
        if self.early_priorities.is_empty() {
            return None;
        }
        let known = self.early_priorities.iter().find(|(known, _)| *known == id);
        let priority = known.map(|(_, priority)| *priority);
        self.early_priorities.retain(|(known, _)| *known > id);
        priority
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
