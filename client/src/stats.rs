//! Reports of a connection's statistics to the user.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use lacewing_conn::{driver::facade::StatsTimer, proto::ConnectionStats};

/// Called with a connection's statistics.
#[derive(Clone)]
pub(crate) struct OnStats {
    pub(crate) every: Duration,
    pub(crate) call: Arc<dyn Fn(&ConnectionStats) + Send + Sync>,
}

impl fmt::Debug for OnStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnStats")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

/// The reports about one connection.
pub(crate) struct Reports {
    call: Arc<dyn Fn(&ConnectionStats) + Send + Sync>,
    timer: StatsTimer,
}

impl Reports {
    pub(crate) fn new(on_stats: OnStats) -> Self {
        Self {
            call: on_stats.call,
            timer: StatsTimer::new(on_stats.every),
        }
    }

    /// Reports the statistics if it is time, in each turn of the connection's
    /// task. Returns the time of the next report.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        stats: impl FnOnce() -> ConnectionStats,
    ) -> Option<Instant> {
        if self.timer.is_due(now) {
            (self.call)(&stats());
        }
        self.timer.next()
    }

    /// Reports the figures at the end.
    pub(crate) fn end(&mut self, stats: &ConnectionStats) {
        (self.call)(stats);
    }
}
