//! The signal of a shutdown, on each connection.

use std::task::{self, Waker};

use crate::ShutdownSignal;

/// Waits for a shutdown to start, at the cost of a load in every turn.
pub(super) struct Draining {
    signal: ShutdownSignal,
    waker: Option<Waker>,
}

impl Draining {
    pub(super) fn new(signal: ShutdownSignal) -> Self {
        Self {
            signal,
            waker: None,
        }
    }

    /// Returns whether the shutdown has started. Registers the task's waker only if it is not
    /// registered yet.
    pub(super) fn poll(&mut self, cx: &mut task::Context<'_>) -> bool {
        let known = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if known {
            return self.signal.has_started();
        }
        self.waker = Some(cx.waker().clone());
        self.signal.poll_started(cx).is_ready()
    }
}
