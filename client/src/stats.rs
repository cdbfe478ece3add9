//! Reports of a connection's statistics.

use std::{
    fmt,
    sync::Arc,
    task::Context,
    time::{Duration, Instant},
};

use lacewing_conn::proto::ConnectionStats;

use crate::alarm::Alarm;

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

/// The watch over one connection.
pub(crate) struct Watch {
    on_stats: OnStats,
    next: Option<Instant>,
    alarm: Alarm,
    /// As of the last turn: at the end the engine is gone.
    last: Option<ConnectionStats>,
}

impl Watch {
    pub(crate) fn new(on_stats: OnStats) -> Self {
        Self {
            on_stats,
            next: None,
            alarm: Alarm::default(),
            last: None,
        }
    }

    /// At each turn of the connection's task.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Instant, stats: ConnectionStats) {
        let every = self.on_stats.every.max(Duration::from_millis(1));
        let mut next = self.next.or_else(|| now.checked_add(every));
        if let Some(due) = next.filter(|due| *due <= now) {
            (self.on_stats.call)(&stats);
            // From here on, not from when it was due: none are made up for.
            next = now.checked_add(every).filter(|next| *next > due);
        }
        self.next = next;
        self.last = Some(stats);
        if let Some(next) = next {
            // The next turn sees that the time has come.
            if self.alarm.poll(cx, next).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
    }

    /// The connection is over.
    pub(crate) fn end(&mut self) {
        if let Some(stats) = self.last.take() {
            (self.on_stats.call)(&stats);
        }
    }
}
