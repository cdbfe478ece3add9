//! The reports of a connection's memory: its bytes to the budget of the process, and the
//! steps that were taken to the application.

use std::time::Instant;

use super::Driver;
use crate::driver::{application::Application, context::Context};

/// Bytes of heap that a connection costs beside its parts: boxes, empty tables, the
/// header codecs' state.
const CONNECTION: usize = 4 << 10;

/// Bytes of heap that the driver keeps for a stream: cells, wakers, slots.
const STREAM: usize = 512;

impl<IO, A: Application> Driver<IO, A> {
    /// Reports the bytes that the connection holds to the budget of the process, if
    /// they have changed by some KiB. Called at the end of a poll, so that buffers
    /// which belong to the thread do not count.
    #[inline]
    pub(super) fn report_memory(&mut self) {
        self.count_detached();
        let stream = STREAM.saturating_add(self.application.stream_memory());
        let held = size_of::<Self>()
            .saturating_add(CONNECTION)
            .saturating_add(self.engine.held_bytes())
            .saturating_sub(self.transport.lent(self.engine.output()))
            .saturating_add(self.engine.open_streams().saturating_mul(stream))
            .saturating_add(self.transport.held());
        self.pressure.account().report(held);
    }

    /// Counts content of streams that are gone, which their readers still hold.
    #[inline]
    pub(super) fn count_detached(&mut self) {
        let detached = self.streams.detached();
        self.engine.set_detached_bytes(detached);
    }

    /// Reports the steps that were taken to save memory to the application.
    #[inline]
    pub(super) fn report_steps(&mut self, now: Instant) {
        self.pressure.note_steps(&mut self.engine, now);
        for report in self.pressure.take_reports() {
            let mut conn = Context::new(&mut self.engine, now, &mut self.streams);
            self.application.handle_memory_step(&mut conn, &report);
        }
    }
}
