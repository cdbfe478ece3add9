//! Graceful shutdown: its start, its signal, and the wait for its end.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{mpsc, watch};

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
#[derive(Debug)]
pub struct Shutdown {
    started: Arc<AtomicBool>,
    /// Wakes those who wait.
    sender: watch::Sender<()>,
}

impl Shutdown {
    /// Returns a shutdown that has not started.
    pub fn new() -> Self {
        Self {
            started: Arc::default(),
            sender: watch::Sender::new(()),
        }
    }

    /// Returns the signal for connections.
    pub fn signal(&self) -> ShutdownSignal {
        ShutdownSignal {
            started: Arc::clone(&self.started),
            receiver: self.sender.subscribe(),
        }
    }

    /// Starts the shutdown. Further calls have no effect.
    pub fn start(&self) {
        self.started.store(true, Ordering::SeqCst);
        self.sender.send_replace(());
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.start();
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
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
#[derive(Clone, Debug)]
pub struct ShutdownSignal {
    started: Arc<AtomicBool>,
    receiver: watch::Receiver<()>,
}

impl ShutdownSignal {
    /// Completes once the shutdown started.
    pub async fn wait(&mut self) {
        // An error means that the `Shutdown` was dropped.
        while !self.has_started() && self.receiver.changed().await.is_ok() {}
    }

    /// The shutdown started.
    pub fn has_started(&self) -> bool {
        self.started.load(Ordering::SeqCst)
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
