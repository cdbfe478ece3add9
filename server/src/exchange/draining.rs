//! The signal of a shutdown, on each connection.

use std::task::{self, Waker};

use lacewing_conn::driver::facade::wakers;

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
        if !wakers::register_new(&mut self.waker, cx.waker()) {
            return self.signal.has_started();
        }
        self.signal.poll_started(cx).is_ready()
    }
}
