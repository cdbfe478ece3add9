//! The clock of a connection's task, and its only timer.

use std::{
    future::Future,
    pin::Pin,
    task::{self, Poll},
    time::Instant,
};

use tokio::time::Sleep;

/// One timer, which is touched only when there is an earlier instant to wait
/// for: a timeout that moves away costs nothing.
#[derive(Debug, Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Our waker waits for the end of the sleep.
    armed: bool,
}

impl Timer {
    /// Waits for an instant; ready once it has passed.
    pub(super) fn poll(
        &mut self,
        cx: &mut task::Context<'_>,
        now: Instant,
        until: Option<Instant>,
    ) -> Poll<()> {
        let Some(until) = until else {
            // A connection that had a deadline often has the next one soon, so the sleep stays
            // until it is over. It wakes the task then, which is idle and needs none.
            if self.armed().is_none_or(|armed| armed <= now) {
                (self.sleep, self.armed) = (None, false);
            }
            return Poll::Pending;
        };
        if self
            .armed()
            .is_some_and(|armed| armed <= until && armed > now)
        {
            return Poll::Pending;
        }
        let deadline = tokio::time::Instant::from_std(until);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.as_mut().reset(deadline);
                sleep
            }
            None => self
                .sleep
                .insert(Box::pin(tokio::time::sleep_until(deadline))),
        };
        let fired = sleep.as_mut().poll(cx);
        self.armed = fired.is_pending();
        fired
    }

    /// Returns the end of the sleep, if our waker waits for it.
    #[inline]
    fn armed(&self) -> Option<Instant> {
        let sleep = self.sleep.as_ref().filter(|_| self.armed)?;
        Some(sleep.deadline().into_std())
    }

    /// The connection moved to another task.
    pub(super) fn forget_waker(&mut self) {
        self.armed = false;
    }
}

/// Returns the time by tokio's clock, which tests may pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
