//! Reports of the steps that the memory budget takes on this connection.

use lacewing_conn::driver::{MemoryStep, facade::Context};

use super::Exchanges;
use crate::{HttpService, ServerEvent};

/// Bytes that an exchange costs beside its handler and its body: the task, the cell
/// of its response, and the request's extensions.
pub(super) const EXCHANGE: usize = 2 << 10;

impl<S: HttpService> Exchanges<S> {
    pub(super) fn report_memory_step(&self, conn: &mut Context<'_>, step: MemoryStep) {
        let budget = &self.options.connection.memory_budget;
        self.telemetry.memory_step(step);
        self.options.observer.tell(&ServerEvent::MemoryPressure {
            connection: &self.info,
            step,
            held: budget.held(),
            capacity: budget.capacity(),
            streams: conn.open_streams(),
        });
    }
}
