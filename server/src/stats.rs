//! The timer of reports about a connection.

use std::{
    pin::Pin,
    task,
    time::{Duration, Instant},
};

/// Says when the observer gets a connection's statistics.
pub(crate) struct StatsTimer {
    every: Duration,
    next: Option<Instant>,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl StatsTimer {
    pub(crate) fn new(every: Duration) -> Self {
        Self {
            every,
            next: None,
            sleep: None,
        }
    }

    /// The interval has passed; otherwise the task is woken when it has.
    pub(crate) fn is_due(&mut self, now: Instant, cx: &mut task::Context<'_>) -> bool {
        let due = self.next.is_some_and(|next| now >= next);
        if due || self.next.is_none() {
            self.next = now.checked_add(self.every);
        }
        let Some(next) = self.next else {
            return due;
        };
        let deadline = tokio::time::Instant::from_std(next);
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        // Ready means that the next turn will find the interval passed.
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        due
    }
}
