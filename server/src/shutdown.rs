//! Graceful shutdown: its start, its signal, and the wait for its end.

use std::{
    convert::Infallible,
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use slab::Slab;
use tokio::sync::mpsc;

/// Starts the graceful shutdown of every connection that holds one of its [signals](Self::signal).
/// Dropping it starts the shutdown too, so that no connection waits for a lost signal.
///
/// ```
/// use lacewing_server::Shutdown;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let shutdown = Shutdown::new();
/// let mut signal = shutdown.signal();
/// shutdown.start();
/// signal.wait().await;
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Shutdown {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    started: AtomicBool,
    /// The wakers of the signals that wait.
    waiting: Mutex<Slab<Waker>>,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Slab<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shutdown {
    /// Returns a shutdown that has not started.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the signal for connections.
    pub fn signal(&self) -> ShutdownSignal {
        ShutdownSignal {
            shared: Arc::clone(&self.shared),
            place: None,
        }
    }

    /// Starts the shutdown. Further calls have no effect.
    pub fn start(&self) {
        let mut waiting = self.shared.waiting();
        self.shared.started.store(true, Ordering::SeqCst);
        // Each signal still removes its waker itself.
        let wakers: Vec<_> = waiting
            .iter_mut()
            .map(|(_, waker)| std::mem::replace(waker, Waker::noop().clone()))
            .collect();
        drop(waiting);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.start();
    }
}

/// Signals the start of a shutdown to a connection.
///
/// ```
/// use lacewing_server::{ServerOptions, Shutdown};
///
/// let shutdown = Shutdown::new();
/// let options = ServerOptions::default().shutdown(shutdown.signal());
/// # let _ = options;
/// ```
pub struct ShutdownSignal {
    shared: Arc<Shared>,
    /// The place of its waker among those that wait.
    place: Option<u32>,
}

impl ShutdownSignal {
    /// Completes once the shutdown started.
    pub async fn wait(&mut self) {
        poll_fn(|cx| self.poll_started(cx)).await;
    }

    /// Ready once the shutdown started; else wakes the task of the last call when it does.
    pub(crate) fn poll_started(&mut self, cx: &Context<'_>) -> Poll<()> {
        let mut waiting = self.shared.waiting();
        if self.has_started() {
            return Poll::Ready(());
        }
        let place = self.place.and_then(|place| usize::try_from(place).ok());
        let waker = cx.waker().clone();
        let replaced = match place.and_then(|place| waiting.get_mut(place)) {
            Some(old) => Some(std::mem::replace(old, waker)),
            None => {
                self.place = u32::try_from(waiting.insert(waker)).ok();
                None
            }
        };
        // As in the drop: not under the lock.
        drop(waiting);
        drop(replaced);
        Poll::Pending
    }

    /// The shutdown started.
    pub fn has_started(&self) -> bool {
        self.shared.started.load(Ordering::SeqCst)
    }
}

/// A clone waits by itself.
impl Clone for ShutdownSignal {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            place: None,
        }
    }
}

impl Drop for ShutdownSignal {
    fn drop(&mut self) {
        let Some(place) = self.place.and_then(|place| usize::try_from(place).ok()) else {
            return;
        };
        // After the lock: a waker may drop the last reference to a task, with other signals.
        let waker = self.shared.waiting().try_remove(place);
        drop(waker);
    }
}

impl fmt::Debug for ShutdownSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutdownSignal")
            .field("started", &self.has_started())
            .finish_non_exhaustive()
    }
}

/// Returns the output of `work` if it need not wait. The runtime looks at its sockets once:
/// until then it does not know of bytes that the kernel has.
pub(crate) async fn at_once<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        output = work => Some(output),
        () = tokio::task::yield_now() => None,
    }
}

/// Waits until every [`Alive`] is dropped.
pub(crate) struct Tracker {
    alive: Alive,
    all_gone: mpsc::Receiver<Infallible>,
}

/// Held by each task that the [`Tracker`] waits for.
#[derive(Clone)]
pub(crate) struct Alive {
    _sender: mpsc::Sender<Infallible>,
}

impl Tracker {
    pub(crate) fn new() -> Self {
        let (sender, all_gone) = mpsc::channel(1);
        Self {
            alive: Alive { _sender: sender },
            all_gone,
        }
    }

    pub(crate) fn alive(&self) -> Alive {
        self.alive.clone()
    }

    pub(crate) async fn wait(mut self) {
        drop(self.alive);
        let None = self.all_gone.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_shutdown_counts_as_started() {
        let shutdown = Shutdown::new();
        let mut signal = shutdown.signal();
        drop(shutdown);
        signal.wait().await;
    }

    #[tokio::test]
    async fn every_signal_that_waits_is_woken_and_none_is_kept() {
        let shutdown = Shutdown::new();
        let signals: Vec<_> = (0..3).map(|_| shutdown.signal()).collect();
        let waiting = signals.into_iter().map(|mut signal| {
            tokio::spawn(async move {
                signal.wait().await;
            })
        });
        let waiting: Vec<_> = waiting.collect();
        tokio::task::yield_now().await;
        assert_eq!(shutdown.shared.waiting().len(), 3);
        waiting[0].abort();
        tokio::task::yield_now().await;
        assert_eq!(shutdown.shared.waiting().len(), 2);
        shutdown.start();
        for task in waiting.into_iter().skip(1) {
            task.await.unwrap();
        }
        assert!(shutdown.shared.waiting().is_empty());
    }

    #[tokio::test]
    async fn the_tracker_waits_for_the_last() {
        let tracker = Tracker::new();
        let (first, second) = (tracker.alive(), tracker.alive());
        let waiting = tokio::spawn(tracker.wait());
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
    }
}
