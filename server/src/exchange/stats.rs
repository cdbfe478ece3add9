//! Reports of the connection's statistics to the observer.

use lacewing_conn::driver::facade::Context;

use super::Exchanges;
use crate::{HttpService, ServerEvent};

impl<S: HttpService> Exchanges<S> {
    /// Reports the connection's statistics to the observer when they are due.
    pub(super) fn report_stats(&mut self, conn: &mut Context<'_>) {
        let Some(timer) = &mut self.stats else {
            return;
        };
        let due = timer.is_due(conn.now());
        if let Some(next) = timer.next() {
            conn.wake_at(next);
        }
        if due {
            self.tell_stats(conn);
        }
    }

    /// Reports them at the end of the connection, if reports are on.
    pub(super) fn last_report(&mut self, conn: &Context<'_>) {
        if self.stats.take().is_some() {
            self.tell_stats(conn);
        }
    }

    fn tell_stats(&self, conn: &Context<'_>) {
        let stats = conn.stats();
        self.telemetry.stats(&stats);
        self.options.observer.tell(&ServerEvent::Stats {
            connection: &self.info,
            stats: &stats,
        });
    }
}
