//! The clock of a connection's task, and its only timer.

mod clock;

use std::{
    future::Future,
    pin::Pin,
    task::{self, Poll},
    time::Instant,
};

use tokio::time::Sleep;

use self::clock::Wait;

/// One timer, which is touched only when there is an earlier instant to wait
/// for: a timeout that moves away costs nothing.
#[derive(Debug)]
pub(super) enum Timer {
    /// Our waker waits for the end of the sleep, unless that is over.
    Own(Option<Pin<Box<Sleep>>>),
    /// The end is far away: up to the last second, the clock of all connections suffices.
    Shared(Wait),
}

impl Default for Timer {
    fn default() -> Self {
        Self::Own(None)
    }
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
                *self = Self::default();
            }
            return Poll::Pending;
        };
        if self
            .armed()
            .is_some_and(|armed| armed <= until && armed > now)
        {
            return Poll::Pending;
        }
        if let Some(wait) = Wait::new(cx.waker(), now, until) {
            *self = Self::Shared(wait);
            return Poll::Pending;
        }
        let deadline = tokio::time::Instant::from_std(until);
        let sleep = match std::mem::take(self) {
            Self::Own(Some(mut sleep)) => {
                sleep.as_mut().reset(deadline);
                sleep
            }
            Self::Own(None) | Self::Shared(_) => Box::pin(tokio::time::sleep_until(deadline)),
        };
        *self = Self::Own(Some(sleep));
        match self {
            Self::Own(Some(sleep)) => sleep.as_mut().poll(cx),
            _ => Poll::Pending,
        }
    }

    /// Returns the instant for which our waker waits.
    #[inline]
    fn armed(&self) -> Option<Instant> {
        match self {
            Self::Own(sleep) => {
                let sleep = sleep.as_ref().filter(|sleep| !sleep.is_elapsed());
                sleep.map(|sleep| sleep.deadline().into_std())
            }
            Self::Shared(wait) => Some(wait.end()),
        }
    }

    /// The connection moved to another task.
    pub(super) fn forget_waker(&mut self) {
        *self = Self::default();
    }
}

/// Returns the time by tokio's clock, which tests may pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(all(test, not(lacewing_loom)))]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use tokio::runtime::Handle;

    use super::*;

    /// Waits as a connection does: it may be woken early.
    async fn wait(timer: &mut Timer, until: Instant) -> usize {
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            timer.poll(cx, now(), Some(until))
        })
        .await;
        polls
    }

    fn tasks() -> usize {
        Handle::current().metrics().num_alive_tasks()
    }

    #[tokio::test(start_paused = true)]
    async fn long_and_short_waits_end_on_time() {
        let mut timer = Timer::default();
        for millis in [0, 1, 999, 1_999, 2_000, 2_001, 300_500, 86_400_999] {
            let until = now() + Duration::from_millis(millis);
            assert!(wait(&mut timer, until).await <= 3, "{millis}");
            assert!(now() >= until && now() < until + Duration::from_millis(2));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_of_a_runtime_ends_with_its_last_wait() {
        let before = tasks();
        let waiting: Vec<_> = (0..100)
            .map(|n| {
                tokio::spawn(async move {
                    let until = now() + Duration::from_secs(10 + n);
                    wait(&mut Timer::default(), until).await
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(tasks(), before + 101);
        for (n, task) in waiting.into_iter().enumerate() {
            match n % 2 {
                0 => task.abort(),
                _ => assert!(task.await.unwrap() <= 3),
            }
        }
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(tasks(), before);
    }

    /// A task that runs late must not take a place of a tick that has passed: nobody would wake it.
    #[tokio::test(start_paused = true)]
    async fn no_wait_begins_for_a_tick_that_has_passed() {
        let (start, mut other) = (now(), Timer::default());
        poll_fn(|cx| {
            let until = start + Duration::from_secs(100);
            assert!(other.poll(cx, start, Some(until)).is_pending());
            Poll::Ready(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(10_500)).await;
        let mut late = Timer::default();
        let fired = poll_fn(|cx| {
            let until = start + Duration::from_secs(10);
            Poll::Ready(late.poll(cx, start, Some(until)))
        });
        assert!(fired.await.is_ready());
    }

    #[test]
    fn each_runtime_has_a_clock() {
        let runtimes = [(); 2].map(|()| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_time().start_paused(true).build().unwrap()
        });
        let [first, second] = runtimes;
        let mut timer = Timer::default();
        first.block_on(poll_fn(|cx| {
            let until = now() + Duration::from_secs(100);
            assert!(timer.poll(cx, now(), Some(until)).is_pending());
            Poll::Ready(())
        }));
        // The clock of the first runtime stands still meanwhile.
        second.block_on(async {
            let until = now() + Duration::from_secs(100);
            assert!(wait(&mut Timer::default(), until).await <= 3);
        });
        drop(first);
        // The connection goes on elsewhere.
        timer.forget_waker();
        second.block_on(async {
            let until = now() + Duration::from_secs(100);
            assert!(wait(&mut timer, until).await <= 3);
        });
    }
}
