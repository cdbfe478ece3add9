//! Admission of requests: the number of requests that may wait for a stream.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use lacewing_conn::driver::facade::wakers;

use crate::{ClientError, Concurrency, Streams};

/// The limit of streams to assume until the server's SETTINGS arrive. RFC 9113 §6.5.2 recommends
/// servers to permit at least as many.
const INITIALLY_ALLOWED: usize = 100;

/// Admits requests to a connection.
#[derive(Debug)]
pub(crate) struct Admission {
    max_queued: usize,
    concurrency: Concurrency,
    /// Requests without a stream, and the slots that `poll_ready` reserved.
    taken: AtomicUsize,
    /// The open streams and the limit, after the task's last turn.
    open: AtomicUsize,
    allowed: AtomicUsize,
    /// Set while `waiters` is not empty.
    has_waiters: AtomicBool,
    waiters: Mutex<Vec<Waker>>,
}

/// The methods for handles.
impl Admission {
    pub(super) fn new(max_queued: usize, concurrency: Concurrency) -> Self {
        Self {
            max_queued,
            concurrency,
            taken: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            allowed: AtomicUsize::new(INITIALLY_ALLOWED),
            has_waiters: AtomicBool::new(false),
            waiters: Mutex::default(),
        }
    }

    /// Takes a slot for one request.
    ///
    /// # Errors
    ///
    /// [`ClientError::QueueFull`] or [`ClientError::TooManyStreams`], when no
    /// slot is free.
    pub(crate) fn take_slot(&self) -> Result<(), ClientError> {
        let before = self.taken.fetch_add(1, Ordering::SeqCst);
        let refusal = if self.concurrency == Concurrency::Fail {
            self.too_many(before)
        } else {
            (before >= self.max_queued).then_some(ClientError::QueueFull {
                limit: self.max_queued,
            })
        };
        match refusal {
            None => Ok(()),
            Some(error) => {
                self.taken.fetch_sub(1, Ordering::SeqCst);
                Err(error)
            }
        }
    }

    /// Waits for a slot.
    pub(crate) fn poll_slot(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.take_slot().is_ok() {
            return Poll::Ready(());
        }
        {
            let mut waiters = self.waiters();
            wakers::register_shared(&mut waiters, cx.waker());
            self.has_waiters.store(true, Ordering::SeqCst);
        }
        // The task may have released a slot before it could see this waker.
        if self.take_slot().is_ok() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Releases slots whose requests have a stream, or need none any more.
    pub(crate) fn release_slots(&self, requests: usize) {
        if requests == 0 {
            return;
        }
        self.taken.fetch_sub(requests, Ordering::SeqCst);
        self.wake_all();
    }

    /// Returns the numbers of open streams, of waiting requests, and of permitted streams.
    pub(crate) fn streams(&self) -> Streams {
        Streams {
            open: self.open.load(Ordering::SeqCst),
            queued: self.taken.load(Ordering::SeqCst),
            max: self.allowed.load(Ordering::SeqCst),
        }
    }
}

/// The methods for the connection's task.
impl Admission {
    /// Returns the error of a request that finds `queued` others without a stream.
    pub(crate) fn too_many(&self, queued: usize) -> Option<ClientError> {
        let open = self.open.load(Ordering::SeqCst).saturating_add(queued);
        let max = self.allowed.load(Ordering::SeqCst);
        (open >= max).then_some(ClientError::TooManyStreams { open, max })
    }

    /// Returns whether requests fail instead of waiting for a stream.
    pub(crate) fn fails_rather_than_waits(&self) -> bool {
        self.concurrency == Concurrency::Fail
    }

    /// Publishes the number of open streams and the limit.
    pub(crate) fn set_streams(&self, open: usize, allowed: usize) {
        // Only the task writes these values, and most turns change neither.
        if self.open.load(Ordering::Relaxed) == open
            && self.allowed.load(Ordering::Relaxed) == allowed
        {
            return;
        }
        let fewer = self.open.swap(open, Ordering::SeqCst) > open;
        let more = self.allowed.swap(allowed, Ordering::SeqCst) < allowed;
        if (fewer || more) && self.concurrency == Concurrency::Fail {
            self.wake_all();
        }
    }

    /// Wakes all callers that wait for a slot.
    pub(super) fn wake_all(&self) {
        if self.has_waiters.load(Ordering::SeqCst) {
            let mut waiters = self.waiters();
            self.has_waiters.store(false, Ordering::SeqCst);
            let woken = std::mem::take(&mut *waiters);
            drop(waiters);
            wakers::wake(woken);
        }
    }

    fn waiters(&self) -> MutexGuard<'_, Vec<Waker>> {
        // A panic under this lock leaves a valid list of wakers.
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(admission: &Admission) -> Poll<()> {
        admission.poll_slot(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_queue_admits_as_many_as_it_holds() {
        let admission = Admission::new(2, Concurrency::Queue);
        assert!(admission.take_slot().is_ok() && poll(&admission).is_ready());
        let error = admission.take_slot().unwrap_err();
        assert!(matches!(error, ClientError::QueueFull { limit: 2 }));
        assert!(poll(&admission).is_pending());
        admission.release_slots(1);
        assert!(poll(&admission).is_ready());
        assert_eq!(admission.streams().queued, 2);
    }

    #[test]
    fn without_a_queue_the_servers_limit_counts() {
        let admission = Admission::new(9, Concurrency::Fail);
        admission.set_streams(1, 2);
        assert!(admission.take_slot().is_ok());
        let error = admission.take_slot().unwrap_err();
        let expected = ClientError::TooManyStreams { open: 2, max: 2 };
        assert_eq!(error.to_string(), expected.to_string());
        admission.set_streams(0, 2);
        assert!(admission.take_slot().is_ok());
    }
}
