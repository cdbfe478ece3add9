//! The queue through which handles on other tasks reach the connection's task,
//! and cells with a lock of their own. The only place of the driver with locks
//! and atomics.
//!
//! One rule prevents lost wake-ups. A handle first adds its signal to the queue,
//! then checks whether the task is awake. The task first declares itself asleep,
//! then checks the queue. One of the two sees the other.

use std::task::Waker;

#[cfg(not(lacewing_loom))]
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering, fence},
};

// Every interleaving of the tests below, by `cargo xtask loom`.
#[cfg(lacewing_loom)]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering, fence},
};
#[cfg(lacewing_loom)]
use std::sync::PoisonError;

use crate::proto::Limits;

/// A value behind a lock that is held for a few instructions only, and never
/// while a waker runs.
#[derive(Debug, Default)]
pub(super) struct Cell<T>(Mutex<T>);

impl<T> Cell<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// No code that can panic runs under these locks, so that a poisoned one
    /// holds a consistent value.
    pub(super) fn lock(&self) -> Guard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) type Guard<'a, T> = MutexGuard<'a, T>;

/// The signals of one connection. Each signaller is in it at most once, so
/// that it is bounded by the number of streams.
#[derive(Debug)]
pub(super) struct ReadyQueue<S> {
    /// The task runs, or is about to: it will look into the queue.
    awake: AtomicBool,
    /// There may be something in the queue.
    pending: AtomicBool,
    /// The task must take the credit of all bodies.
    sweep: AtomicBool,
    /// Bytes that readers consumed and did not yet report to the engine.
    unreported: AtomicUsize,
    /// Bytes that wait for readers of streams which are gone.
    detached: AtomicUsize,
    /// Bytes that were written into streams, and that the connection has not taken.
    written: AtomicUsize,
    /// The most of them, but for a little of each stream.
    max_written: usize,
    /// The most bytes that one reader keeps unreported, and all together.
    report_stream: usize,
    report_connection: usize,
    inner: Cell<Inner<S>>,
}

#[derive(Debug)]
struct Inner<S> {
    signals: Vec<S>,
    waker: Option<Waker>,
    closed: bool,
}

impl<S> ReadyQueue<S> {
    pub(super) fn new(limits: &Limits) -> Self {
        let window = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        let connection = window(limits.connection_window).min(limits.max_buffered_bytes) / 4;
        Self {
            awake: AtomicBool::new(false),
            pending: AtomicBool::new(false),
            sweep: AtomicBool::new(false),
            unreported: AtomicUsize::new(0),
            detached: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
            max_written: limits.max_unsent_bytes / 2,
            report_stream: (window(limits.stream_window) / 4).min(connection),
            report_connection: connection,
            inner: Cell::new(Inner {
                signals: Vec::new(),
                waker: None,
                closed: false,
            }),
        }
    }

    /// Wakes the task, which looks at everything that it shares.
    pub(super) fn notify(&self) {
        self.pending.store(true, Ordering::Release);
        // One of the two sides sees the other: see the module's rule.
        fence(Ordering::SeqCst);
        if !self.awake.load(Ordering::Acquire) {
            self.wake();
        }
    }

    /// Returns `true` once the task is over.
    pub(super) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// Declares the connection's task awake.
    pub(super) fn wake_up(&self) {
        self.awake.store(true, Ordering::Release);
    }

    /// Declares the connection's task asleep; `false` if it must not sleep.
    #[must_use]
    pub(super) fn fall_asleep(&self) -> bool {
        self.awake.store(false, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.pending.load(Ordering::Acquire) {
            self.awake.store(true, Ordering::Release);
            return false;
        }
        true
    }

    /// Registers the waker of the connection's task, when it is a new one.
    pub(super) fn register(&self, waker: &Waker) {
        self.inner.lock().waker = Some(waker.clone());
    }

    /// Moves the signals into an empty list. Costs no lock when there are
    /// none.
    pub(super) fn drain(&self, signals: &mut Vec<S>) {
        if self.pending.load(Ordering::Acquire) && self.pending.swap(false, Ordering::AcqRel) {
            std::mem::swap(&mut self.inner.lock().signals, signals);
        }
    }

    /// Returns `true` once if all readers together keep too much credit.
    pub(super) fn take_sweep(&self) -> bool {
        self.sweep.load(Ordering::Relaxed) && self.sweep.swap(false, Ordering::SeqCst)
    }

    /// Closes the queue: the task reads it no more.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.waker = None;
        let signals = std::mem::take(&mut inner.signals);
        drop(inner);
        drop(signals);
    }

    pub(super) fn push(&self, signal: S) {
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            return;
        }
        inner.signals.push(signal);
        drop(inner);
        self.notify();
    }

    /// Counts bytes that a reader consumed; it keeps `kept` unreported. `true` if it
    /// must report them now.
    pub(super) fn consumed(&self, len: usize, kept: usize) -> bool {
        let all = self
            .unreported
            .fetch_add(len, Ordering::Relaxed)
            .saturating_add(len);
        if all >= self.report_connection && all.saturating_sub(len) < self.report_connection {
            self.sweep.store(true, Ordering::SeqCst);
            return true;
        }
        kept >= self.report_stream
    }

    /// Returns the bytes that readers consumed, and the engine still counts as buffered.
    pub(super) fn unreported(&self) -> usize {
        self.unreported.load(Ordering::Relaxed)
    }

    /// Counts bytes that a reader reported.
    pub(super) fn reported(&self, len: usize) {
        self.unreported.fetch_sub(len, Ordering::Relaxed);
    }

    /// Counts bytes that wait for a reader whose stream is gone.
    pub(super) fn detach(&self, len: usize) {
        self.detached.fetch_add(len, Ordering::Relaxed);
    }

    /// Counts those of them that the reader took or dropped.
    pub(super) fn free_detached(&self, len: usize) {
        self.detached.fetch_sub(len, Ordering::Relaxed);
    }

    /// Returns the bytes that wait for readers of streams which are gone.
    pub(super) fn detached(&self) -> usize {
        self.detached.load(Ordering::Relaxed)
    }

    /// Returns the bytes that writers may add to what all of them have.
    pub(super) fn write_room(&self) -> usize {
        self.max_written.saturating_sub(self.waiting_to_be_taken())
    }

    /// Counts bytes that were written into a stream.
    pub(super) fn written(&self, len: usize) {
        self.written.fetch_add(len, Ordering::Relaxed);
    }

    /// Counts those of them that the connection took.
    pub(super) fn taken(&self, len: usize) {
        self.written.fetch_sub(len, Ordering::Relaxed);
    }

    /// Returns the bytes that were written into streams, and that the connection has not taken.
    pub(super) fn waiting_to_be_taken(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        let waker = self.inner.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A flag that keeps its owner from being in the queue twice.
#[derive(Debug, Default)]
pub(super) struct Queued(AtomicBool);

impl Queued {
    /// `true` if the owner was not in the queue and has to put itself there.
    #[must_use]
    pub(super) fn set(&self) -> bool {
        !self.0.swap(true, Ordering::SeqCst)
    }

    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[cfg(all(test, not(lacewing_loom)))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        sync::{Arc, atomic::AtomicU64},
        task::Wake,
        thread::{self, Thread},
    };

    use super::*;
    use crate::Side;

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// One thread sleeps as the connection's task does; others count up and
    /// notify. A lost wake-up leaves it parked for ever.
    #[test]
    fn no_notification_is_lost() {
        const EACH: u64 = 20_000;
        let queue: Arc<ReadyQueue<()>> = Arc::new(ReadyQueue::new(&Limits::new(Side::Server)));
        let counter = Arc::new(AtomicU64::new(0));
        queue.register(&Waker::from(Arc::new(Unpark(thread::current()))));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (queue, counter) = (Arc::clone(&queue), Arc::clone(&counter));
                thread::spawn(move || {
                    for _ in 0..EACH {
                        counter.fetch_add(1, Ordering::SeqCst);
                        queue.notify();
                    }
                })
            })
            .collect();
        let mut signals = Vec::new();
        loop {
            queue.wake_up();
            queue.drain(&mut signals);
            if counter.load(Ordering::SeqCst) == 3 * EACH {
                break;
            }
            if queue.fall_asleep() {
                thread::park();
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn credit_is_reported_when_enough_gathered() {
        let limits = Limits::new(Side::Server).with(|limits| {
            limits.stream_window = 1000;
            limits.connection_window = 2000;
        });
        let queue = ReadyQueue::<()>::new(&limits);
        // By one stream: a quarter of its window.
        assert!(!queue.consumed(249, 249));
        assert!(queue.consumed(1, 250));
        queue.reported(250);
        // By many, each with less: a quarter of the connection's.
        assert!(!queue.consumed(240, 240));
        assert!(!queue.consumed(240, 240));
        assert!(!queue.take_sweep());
        assert!(queue.consumed(240, 240));
        assert!(queue.take_sweep());
        assert!(!queue.take_sweep());
    }
}

#[cfg(all(test, lacewing_loom))]
mod interleavings {
    use std::{sync::Arc, task::Wake};

    use loom::{
        sync::{Notify, atomic::AtomicU64},
        thread,
    };

    use super::*;
    use crate::Side;

    struct Unpark(Notify);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.notify();
        }
    }

    /// The connection's task: works until `done`, and sleeps in between.
    fn run<S>(queue: &ReadyQueue<S>, unpark: &Arc<Unpark>, mut done: impl FnMut(Vec<S>) -> bool) {
        queue.register(&Waker::from(Arc::clone(unpark)));
        loop {
            queue.wake_up();
            let mut signals = Vec::new();
            queue.drain(&mut signals);
            if done(signals) {
                return;
            }
            if queue.fall_asleep() {
                unpark.0.wait();
            }
        }
    }

    #[test]
    fn a_notification_wakes_the_task_in_every_interleaving() {
        loom::model(|| {
            let queue: Arc<ReadyQueue<()>> = Arc::new(ReadyQueue::new(&Limits::new(Side::Server)));
            let counter = Arc::new(AtomicU64::new(0));
            let handle = {
                let (queue, counter) = (Arc::clone(&queue), Arc::clone(&counter));
                thread::spawn(move || {
                    counter.store(1, Ordering::SeqCst);
                    queue.notify();
                })
            };
            let unpark = Arc::new(Unpark(Notify::new()));
            run(&queue, &unpark, |_| counter.load(Ordering::SeqCst) == 1);
            handle.join().ok();
        });
    }

    #[test]
    fn a_signal_is_seen_once_in_every_interleaving() {
        loom::model(|| {
            let queue: Arc<ReadyQueue<u8>> = Arc::new(ReadyQueue::new(&Limits::new(Side::Server)));
            let queued = Arc::new(Queued::default());
            let handle = {
                let (queue, queued) = (Arc::clone(&queue), Arc::clone(&queued));
                thread::spawn(move || {
                    for signal in 1..=2 {
                        // In the queue at most once, at any step of the task.
                        if queued.set() {
                            queue.push(signal);
                        }
                    }
                })
            };
            let unpark = Arc::new(Unpark(Notify::new()));
            let mut seen = Vec::new();
            run(&queue, &unpark, |signals| {
                assert!(signals.len() <= 1, "one signaller, one place");
                for signal in signals {
                    queued.clear();
                    seen.push(signal);
                }
                !seen.is_empty()
            });
            handle.join().ok();
            let mut rest = Vec::new();
            queue.drain(&mut rest);
            seen.append(&mut rest);
            assert!(seen.first() == Some(&1) && seen.len() <= 2, "{seen:?}");
        });
    }

    #[test]
    fn a_closed_queue_keeps_nothing_in_every_interleaving() {
        loom::model(|| {
            let queue: Arc<ReadyQueue<Arc<()>>> =
                Arc::new(ReadyQueue::new(&Limits::new(Side::Server)));
            let token = Arc::new(());
            let handle = {
                let (queue, token) = (Arc::clone(&queue), Arc::clone(&token));
                thread::spawn(move || queue.push(token))
            };
            queue.close();
            handle.join().ok();
            assert!(queue.is_closed());
            assert_eq!(Arc::strong_count(&token), 1);
        });
    }
}
