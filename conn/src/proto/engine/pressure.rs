//! The connection's part in the memory of its process: the figures that a budget
//! needs, and the last step of such a budget.

use std::time::Instant;

use super::Engine;
use crate::proto::{Broken, Reason, Rule, Violation, rules::Reaction};

impl Engine {
    /// Returns the bytes of received content that the user holds, or has consumed
    /// and not [released](super::StreamMut::release) yet.
    #[inline]
    pub fn buffered_bytes(&self) -> usize {
        self.flow.buffered()
    }

    /// Returns the bytes that were handed over to be sent and wait for windows or
    /// their turn, trailers included. Data that others share counts little.
    #[inline]
    pub fn unsent_bytes(&self) -> usize {
        self.streams.unsent()
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
