//! Tables and boxes that an idle connection gives away, and gets back when it wakes.

use super::Engine;
use crate::proto::{streams::Slots, timers::DeadlineTable, wire::Spare};

/// Empty tables and boxes that an engine needs while it has streams: [`Engine::take_spares`].
#[derive(Debug, Default)]
pub struct Spares {
    slots: Slots,
    deadlines: DeadlineTable,
    codec: Spare,
}

impl Engine {
    /// Takes what an idle connection does not need, to [lend](Self::lend_spares) it to the next
    /// that does; `None` while a stream is open, or if there is nothing to take. An engine
    /// that lacks it allocates its own. The state of SPDY's header compression is a part of it once
    /// no stream has been open for a tenth of a second: [`poll_timeout`](Self::poll_timeout)
    /// includes this time.
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
        if !self.streams.is_empty() || !(self.streams.has_slots() || self.timers.has_table()) {
            return None;
        }
        Some(Spares {
            slots: self.streams.take_slots(),
            deadlines: self.timers.take_table(),
            codec: self.wire.take_spare(),
        })
    }

    /// Lends a connection that has none the tables and boxes of another.
    pub fn lend_spares(&mut self, pool: impl FnOnce() -> Option<Spares>) {
        if self.streams.has_slots() {
            return;
        }
        let Some(spares) = pool() else { return };
        self.streams.put_slots(spares.slots);
        self.timers.put_table(spares.deadlines);
        self.wire.lend_spare(spares.codec);
    }
}
