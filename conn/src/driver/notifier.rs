//! The public handle that wakes a connection's task.

use std::{fmt, sync::Arc};

use super::{cells::Signal, ready_queue::ReadyQueue};
use crate::proto::Limits;

/// Wakes the task of a connection from other tasks, so that it calls
/// [`Application::poll_sources`](super::facade::Application::poll_sources). Cheap to
/// clone; without effect once the connection is over.
///
/// [`Driver::notifier`](super::facade::Driver::notifier) and
/// [`Context::notifier`](super::facade::Context::notifier) return one.
#[derive(Clone)]
pub struct Notifier(Arc<ReadyQueue<Signal>>);

impl Notifier {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(ReadyQueue::new(limits)))
    }

    /// Wakes the connection's task.
    pub fn notify(&self) {
        self.0.notify();
    }

    /// Returns `true` once the connection is over.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    pub(super) fn queue(&self) -> &Arc<ReadyQueue<Signal>> {
        &self.0
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}
