//! Reports of a connection's statistics.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use lacewing_conn::proto::ConnectionStats;

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

/// The timer of one connection's reports.
pub(crate) struct Watch {
    on_stats: OnStats,
    next: Option<Instant>,
}

impl Watch {
    pub(crate) fn new(on_stats: OnStats) -> Self {
        Self {
            on_stats,
            next: None,
        }
    }

    /// Reports the statistics if it is time, in each turn of the connection's
    /// task. Returns the time of the next report.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        stats: impl FnOnce() -> ConnectionStats,
    ) -> Option<Instant> {
        let every = self.on_stats.every.max(Duration::from_millis(1));
        let mut next = self.next.or_else(|| now.checked_add(every));
        if let Some(due) = next.filter(|due| *due <= now) {
            (self.on_stats.call)(&stats());
            // Counts from now, not from the due time: missed reports are not repeated.
            next = now.checked_add(every).filter(|next| *next > due);
        }
        self.next = next;
        next
    }

    /// Reports the figures at the end.
    pub(crate) fn end(&mut self, stats: &ConnectionStats) {
        (self.on_stats.call)(stats);
    }
}
