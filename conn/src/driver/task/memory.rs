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
        let stream = STREAM.saturating_add(self.application.stream_memory());
        let held = size_of::<Self>()
            .saturating_add(CONNECTION)
            .saturating_add(self.engine.held_bytes())
            .saturating_sub(self.transport.lent(self.engine.output()))
            .saturating_add(self.engine.open_streams().saturating_mul(stream))
            .saturating_add(self.transport.held());
        self.pressure.account().report(held);
    }

    /// Reports a step of the budget to the application.
    #[inline]
    pub(super) fn report_step(&mut self, now: Instant) {
        if let Some(step) = self.pressure.take_report() {
            let mut conn = Context::new(&mut self.engine, now, &mut self.streams);
            self.application.handle_memory_step(&mut conn, step);
        }
    }
}
