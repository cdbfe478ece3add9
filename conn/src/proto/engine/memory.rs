//! The memory of a connection: the bytes that it takes, and the stream to end when
//! memory is short.

use std::{cmp::Reverse, time::Instant};

use super::Engine;
use crate::proto::{Event, Rule, Violation, memory, rules::Reaction, streams::Slots, wire::Fields};

/// Empty tables and boxes that an engine needs while it has streams: [`Engine::take_spares`].
#[derive(Debug, Default)]
pub struct Spares {
    slots: Slots,
    fields: Option<Box<Fields>>,
}

/// The memory of the short lists of a connection, each of which [`Limits`] bounds to a
/// few dozen entries: ids that were reset or passed over, early priorities, settings,
/// the peer's GOAWAY.
///
/// [`Limits`]: crate::Limits
const SHORT_LISTS: usize = 4 << 10;

impl Engine {
    /// Returns the bytes of memory that the connection takes now: its own state, its
    /// streams, header lists as they are built, data that the user holds, data and
    /// trailers that wait to be sent, the output with its room, and the compression
    /// contexts. Includes the overhead of each.
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
            size_of::<Self>(),
            SHORT_LISTS,
            self.wire.memory(),
            self.streams.memory(),
            self.flow.buffered(),
            self.timers.memory(),
            self.admission.memory(),
            memory::of_table::<Event>(self.events.capacity()),
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    /// Takes what an idle connection does not need, to [lend](Self::lend_spares) it to the next
    /// that does; `None` while a stream is open, or if there is nothing to take. An engine
    /// that lacks it allocates its own.
    ///
    /// ```
    /// use std::time::Instant;
    /// use lacewing_conn::{Side, Version, proto::{Config, Engine, Spares}};
    ///
    /// /// Before the sleep of a task.
    /// fn sleep(engine: &mut Engine, pool: &mut Vec<Spares>) {
    ///     pool.extend(engine.take_spares());
    /// }
    ///
    /// /// Before its work.
    /// fn wake(engine: &mut Engine, pool: &mut Vec<Spares>) {
    ///     engine.lend_spares(|| pool.pop());
    /// }
    /// # let mut engine = Engine::new(Config::new(Version::Http2, Side::Server), Instant::now(), 1);
    /// # let mut pool = Vec::new();
    /// # wake(&mut engine, &mut pool);
    /// # sleep(&mut engine, &mut pool);
    /// # assert!(pool.is_empty());
    /// ```
    pub fn take_spares(&mut self) -> Option<Spares> {
        let slots = self.streams.take_slots()?;
        let fields = self.wire.take_spare();
        Some(Spares { slots, fields })
    }

    /// Lends a connection that has none the tables and boxes of another.
    pub fn lend_spares(&mut self, pool: impl FnOnce() -> Option<Spares>) {
        if self.streams.has_slots() {
            return;
        }
        let Some(spares) = pool() else { return };
        self.streams.put_slots(spares.slots);
        if let Some(fields) = spares.fields {
            self.wire.recycle(fields);
        }
    }

    /// Ends the costliest stream that stands still, since memory is short: those
    /// first that have stood still for longer than a sweep. Its peer gets RST_STREAM,
    /// and an [`Event::Reset`] follows, whose error names `limit`. The peer is not
    /// charged for it.
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
        self.reset_by(now, key.id(), &violation);
        Some(before.saturating_sub(self.held_bytes()))
    }
}
