//! Timers that requests use one after another.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    time::{Instant, Sleep, sleep_until},
};

/// The most timers that wait for a request.
const MAX_SPARE: usize = 256;

/// Timers of requests that have their response. Each request has one, which nearly always ends
/// unused: to make and to drop it takes a lock of the runtime each, to set it to a later time takes
/// none. A timer ends with its runtime, so each serves requests of one runtime alone.
#[derive(Debug, Default)]
pub(super) struct Timers(Mutex<Vec<(Id, Pin<Box<Sleep>>)>>);

impl Timers {
    pub(super) fn start(&self, after: Duration) -> Timer<'_> {
        let until = Instant::now() + after;
        let runtime = Handle::current().id();
        let sleep = match self.take(runtime) {
            Some(mut sleep) => {
                sleep.as_mut().reset(until);
                sleep
            }
            None => Box::pin(sleep_until(until)),
        };
        Timer {
            timers: self,
            runtime,
            sleep: Some(sleep),
        }
    }

    fn take(&self, runtime: Id) -> Option<Pin<Box<Sleep>>> {
        let mut spare = self.lock();
        let index = spare.iter().rposition(|(of, _)| *of == runtime)?;
        Some(spare.swap_remove(index).1)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Id, Pin<Box<Sleep>>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A timer of one request.
pub(super) struct Timer<'a> {
    timers: &'a Timers,
    runtime: Id,
    /// `None` only while it is dropped.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer<'_> {
    /// Starts it again.
    pub(super) fn restart(&mut self, after: Duration) {
        if let Some(sleep) = &mut self.sleep {
            sleep.as_mut().reset(Instant::now() + after);
        }
    }
}

impl Future for Timer<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let mut spare = self.timers.lock();
        if spare.len() < MAX_SPARE {
            let sleep = self.sleep.take().filter(|sleep| !sleep.is_elapsed());
            spare.extend(sleep.map(|sleep| (self.runtime, sleep)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    /// Returns whether the timer ends by itself, and not before its time.
    async fn ends(timer: &mut Timer<'_>) -> bool {
        let deadline = timer.sleep.as_ref().unwrap().deadline();
        timer.await;
        Instant::now() >= deadline
    }

    #[tokio::test]
    async fn a_timer_serves_the_next_request_at_its_own_time() {
        let timers = Timers::default();
        let mut first = timers.start(SHORT);
        let now = std::future::ready(());
        tokio::select! {
            biased;
            () = &mut first => panic!("it ends at once"),
            () = now => {}
        }
        drop(first);
        assert_eq!(timers.lock().len(), 1);
        let mut second = timers.start(4 * SHORT);
        assert_eq!(timers.lock().len(), 0, "it is that of the first");
        assert!(ends(&mut second).await);
        second.restart(SHORT);
        assert!(ends(&mut second).await);
        drop(second);
        assert_eq!(timers.lock().len(), 0, "it is not kept once it has elapsed");
        // A shorter time than that of the last request.
        drop(timers.start(LONG));
        let mut third = timers.start(SHORT);
        assert!(ends(&mut third).await);
    }

    /// The timer of a runtime that has ended would panic in another one.
    #[test]
    fn runtimes_share_no_timer() {
        let timers = Timers::default();
        for round in 1..3 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut timer = timers.start(SHORT);
                assert!(ends(&mut timer).await);
                drop(timers.start(LONG));
            });
            assert_eq!(timers.lock().len(), round);
        }
    }

    #[tokio::test]
    async fn not_more_than_some_are_kept() {
        let timers = Timers::default();
        let all: Vec<_> = (0..MAX_SPARE + 9).map(|_| timers.start(LONG)).collect();
        drop(all);
        assert_eq!(timers.lock().len(), MAX_SPARE);
    }
}
