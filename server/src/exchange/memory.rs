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
        // While the process has room, it is the connection that is full.
        let (limit, held, capacity) = match budget.step() {
            MemoryStep::None | MemoryStep::Strict => {
                let capacity = conn.limits().max_connection_bytes;
                ("max_connection_bytes", conn.held_bytes(), capacity)
            }
            _ => ("memory_budget", budget.held(), budget.capacity()),
        };
        self.telemetry.memory_step(step);
        self.options.observer.tell(&ServerEvent::MemoryPressure {
            connection: &self.info,
            step,
            limit,
            held,
            capacity,
            streams: conn.open_streams(),
        });
    }
}
