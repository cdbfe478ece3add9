//! The figures that a memory budget needs beside `held_bytes`, and the last step of
//! every memory limit: the end of the connection.

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

    /// Ends the connection because it holds too much memory: nearly all that
    /// [`max_connection_bytes`](crate::Limits::max_connection_bytes) permits, or the most
    /// of all connections while the process runs short. Sends GOAWAY with
    /// ENHANCE_YOUR_CALM where the protocol has that code. `text` is its debug data, and
    /// names the limit.
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
