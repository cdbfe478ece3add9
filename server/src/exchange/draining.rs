//! The signal of a shutdown, on each connection.

use std::{
    pin::Pin,
    task::{self, Waker},
};

use crate::ShutdownSignal;

/// Waits for a shutdown to start, at the cost of a load in every turn.
pub(super) struct Draining {
    signal: ShutdownSignal,
    wait: Pin<Box<dyn Future<Output = ()> + Send>>,
    waker: Option<Waker>,
}

impl Draining {
    pub(super) fn new(signal: ShutdownSignal) -> Self {
        let mut waiting = signal.clone();
        Self {
            signal,
            wait: Box::pin(async move { waiting.wait().await }),
            waker: None,
        }
    }

    /// Returns whether the shutdown has started. Polls the future only if it does not have the
    /// task's waker yet.
    pub(super) fn poll(&mut self, cx: &mut task::Context<'_>) -> bool {
        let known = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if known {
            return self.signal.has_started();
        }
        self.waker = Some(cx.waker().clone());
        self.wait.as_mut().poll(cx).is_ready()
    }
}
