//! Threads of the server's own: each has a runtime and its listeners, so that a connection
//! never moves.

use std::{convert::Infallible, io, pin::Pin, thread};

use tokio::{runtime::Builder, sync::oneshot};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A thread with a runtime that waits for its work. Dropping it ends the thread.
pub(crate) struct Thread {
    work: oneshot::Sender<Work>,
}

impl Thread {
    pub(crate) async fn start(number: usize) -> io::Result<Self> {
        let (work, waiting) = oneshot::channel();
        let (started, result) = oneshot::channel();
        thread::Builder::new()
            .name(format!("lacewing-{number}"))
            .spawn(move || run(started, waiting))?;
        let gone = |_| Err(io::Error::other("the thread has ended"));
        result.await.unwrap_or_else(gone)?;
        Ok(Self { work })
    }

    /// Runs `work` on the thread, and waits for its end. Dropping the future leaves the work
    /// to itself.
    pub(crate) async fn run(self, work: impl Future<Output = ()> + Send + 'static) {
        let (at_the_end, ended) = oneshot::channel::<Infallible>();
        let work = async move {
            work.await;
            drop(at_the_end);
        };
        if self.work.send(Box::pin(work)).is_ok() {
            let Err(_) = ended.await;
        }
    }
}

/// The thread's function.
fn run(started: oneshot::Sender<io::Result<()>>, waiting: oneshot::Receiver<Work>) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(()));
    runtime.block_on(async {
        // An error means that the server was dropped before it served.
        if let Ok(work) = waiting.await {
            work.await;
        }
    });
    // A handler's blocking job must not hold up the thread.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_on_the_thread_and_its_end_is_awaited() {
        let here = thread::current().id();
        let thread = Thread::start(0).await.unwrap();
        let (sender, there) = oneshot::channel();
        thread
            .run(async move {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                let name = thread::current().name().map(str::to_owned);
                sender.send((thread::current().id(), name)).unwrap();
            })
            .await;
        let (id, name) = there.await.unwrap();
        assert!(id != here && name.as_deref() == Some("lacewing-0"));
    }

    #[tokio::test]
    async fn work_that_panics_ends_the_wait() {
        let thread = Thread::start(0).await.unwrap();
        thread.run(async { panic!("as the test wants") }).await;
    }
}
