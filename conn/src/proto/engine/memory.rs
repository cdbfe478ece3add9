//! The memory of a connection: the bytes that it takes, and the two steps when memory is
//! short, which end a stream or the connection.

use std::{cmp::Reverse, time::Instant};

use super::Engine;
use crate::{
    Error,
    proto::{Broken, Event, Reason, Rule, Violation, rules::Reaction, streams::Stream},
};

/// The memory of the short lists of a connection. They are ids that were reset or passed over,
/// early priorities, settings, and the peer's GOAWAY. [`Limits`] bounds each to a few dozen
/// entries.
///
/// [`Limits`]: crate::Limits
const SHORT_LISTS: usize = 4 << 10;

impl Engine {
    /// Returns the bytes of memory that the connection takes now. They are its own state, its
    /// streams, header lists as they are built, and data that the user holds. Data and trailers
    /// that wait to be sent count too, as do the output with its room and the compression contexts.
    /// Includes the overhead of each, and the [bytes of streams that are
    /// gone](Self::set_detached_bytes).
    ///
    /// Costs a few additions. Does not include the input, which the caller owns, nor
    /// values that events handed over and that no longer count against a limit.
    ///
    /// ```
    /// use std::time::Instant;
    /// use lacewing_conn::{Side, Version, proto::{Config, Engine}};
    ///
    /// /// Ends streams that stand still until the connection takes less than this.
    /// fn shrink(engine: &mut Engine, now: Instant, bytes: usize) {
    ///     while engine.held_bytes() > bytes && engine.shed(now, "max_memory").is_some() {}
    /// }
    /// # let now = Instant::now();
    /// # let mut engine = Engine::new(Config::new(Version::Http2, Side::Server), now, 1);
    /// # shrink(&mut engine, now, 0);
    /// ```
    pub fn held_bytes(&self) -> usize {
        let parts = [
            size_of::<Self>().saturating_add(SHORT_LISTS),
            self.wire.memory(),
            self.streams.memory(),
            self.flow.buffered(),
            self.capacity.detached(),
            self.timers.memory(),
            self.admission.memory(),
            self.events.memory(),
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

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

    /// Frees what header compression can make again, since memory is short: the state of SPDY's zlib
    /// streams, between two blocks, and copies of HTTP/2's last fields. Streams may be open. The next
    /// header lists cost more time for it, and ours some bytes more. Returns the bytes that this
    /// freed.
    pub fn shrink(&mut self) -> usize {
        let before = self.wire.memory();
        self.wire.shrink();
        before.saturating_sub(self.wire.memory())
    }

    /// Ends the costliest stream that stands still, since memory is short: those
    /// first that have stood still for longer than a sweep. Its peer gets RST_STREAM,
    /// unless both halves are closed. An [`Event::Reset`] follows, whose error names `limit`:
    /// the user must drop what it holds of the stream. The peer is not charged for it.
    ///
    /// Returns the bytes that this freed; `None` if no stream stands still. Looks at
    /// every stream.
    pub fn shed(&mut self, now: Instant, limit: &str) -> Option<usize> {
        if self.shutdown.is_closed() {
            return None;
        }
        // A transport that takes nothing stops all of them.
        let full = self.wire.output.len() >= self.config.limits.cut_ahead;
        let room = if full { 0 } else { self.flow.send_available() };
        let unread = self.is_held_back();
        let still = self.streams.iter_mut().filter(|(_, stream)| {
            let unread = unread && stream.recv.unreleased > 0;
            (unread || stream.stands_still(room)) && !stream.is_held()
        });
        let costliest = still.max_by_key(|(key, stream)| {
            // Of equals the first that was opened.
            (stream.sweeps() > 1, stream.memory(), Reverse(key.id()))
        });
        let (key, cost) = costliest.map(|(key, stream)| (key, stream.memory()))?;
        let rule = Rule::OverBudget;
        let reason = match self.rules.reaction(rule) {
            Reaction::Stream(reason) | Reaction::Connection(reason) => reason,
            Reaction::Ignore => return None,
        };
        let text = format!("{limit} was reached; the stream stood still and held {cost} bytes");
        let violation = Violation::stream(key.id(), rule, reason).detailed(text);
        let before = self.held_bytes();
        if self.streams.get(key).is_some_and(Stream::is_closed) {
            // The peer is done with it, and only our user is not.
            self.remove(now, key);
            let error = Error::violation(&violation);
            self.push_event(Event::Reset { stream: key, error });
        } else {
            self.reset_by(now, key.id(), &violation);
        }
        Some(before.saturating_sub(self.held_bytes()))
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
