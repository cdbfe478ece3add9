//! Reports of the steps that memory limits take on this connection.

use lacewing_conn::driver::facade::{Context, MemoryReport};

use super::Exchanges;
use crate::{HttpService, ServerEvent};

/// Bytes that an exchange costs beside its handler and its body: the task, the cell
/// of its response, and the request's extensions.
pub(super) const EXCHANGE: usize = 2 << 10;

impl<S: HttpService> Exchanges<S> {
    pub(super) fn report_memory_step(&self, conn: &mut Context<'_>, report: &MemoryReport) {
        self.telemetry.memory_step(report);
        self.options.observer.tell(&ServerEvent::MemoryPressure {
            connection: &self.info,
            step: report.step,
            limit: report.limit,
            held: report.held,
            capacity: report.capacity,
            streams: conn.open_streams(),
        });
    }
}
