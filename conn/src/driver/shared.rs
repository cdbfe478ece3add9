//! What handles on other tasks share with the connection's task: cells with a
//! lock of their own, and the queue of those that have something to say. The
//! only place of the driver with locks and atomics.
//!
//! The rule that keeps wake-ups from being lost: whoever signals first puts
//! its signal into the queue, then looks whether the task is awake; the task
//! first declares itself asleep, then looks into the queue. One of the two
//! sees the other.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

use super::incoming::Body;
use crate::proto::{Limits, StreamKey};

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
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the task of a connection from anywhere, so that it calls
/// [`Application::poll_intents`](super::Application::poll_intents). Cheap to
/// clone; of no effect once the connection is over.
///
/// ```
/// use lacewing_conn::driver::Notifier;
///
/// fn tell(notifier: &Notifier) {
///     notifier.notify();
/// }
/// # let _ = tell;
/// ```
#[derive(Clone)]
pub struct Notifier(Arc<ReadyQueue>);

impl Notifier {
    pub(super) fn new(limits: &Limits) -> Self {
        let window = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        let connection = window(limits.connection_window).min(limits.max_buffered_bytes) / 4;
        Self(Arc::new(ReadyQueue {
            awake: AtomicBool::new(true),
            pending: AtomicBool::new(false),
            sweep: AtomicBool::new(false),
            unreported: AtomicUsize::new(0),
            report_stream: (window(limits.stream_window) / 4).min(connection),
            report_connection: connection,
            inner: Cell::new(Inner {
                signals: Vec::new(),
                waker: None,
                closed: false,
            }),
        }))
    }

    /// Wakes the connection's task.
    pub fn notify(&self) {
        self.0.pending.store(true, Ordering::SeqCst);
        if !self.0.awake.load(Ordering::SeqCst) {
            self.0.wake();
        }
    }

    /// The connection is over.
    pub fn is_closed(&self) -> bool {
        self.0.inner.lock().closed
    }

    pub(super) fn queue(&self) -> &Arc<ReadyQueue> {
        &self.0
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

/// What waits for the connection's task.
#[derive(Debug)]
pub(super) enum Signal {
    /// A waker of this stream was woken.
    Stream(Arc<StreamSignal>),
    /// The reader of this body gave credit back or went away.
    Body(Arc<Body>),
}

/// The signals of one connection. Each signaller is in it at most once, so
/// that it is bounded by the number of streams.
#[derive(Debug)]
pub(super) struct ReadyQueue {
    /// The task runs, or is about to: it will look into the queue.
    awake: AtomicBool,
    /// There may be something in the queue.
    pending: AtomicBool,
    /// All bodies have to be asked for credit.
    sweep: AtomicBool,
    /// Bytes that readers consumed and the engine was not told of.
    unreported: AtomicUsize,
    /// The most of them that one reader keeps to itself, and all together.
    report_stream: usize,
    report_connection: usize,
    inner: Cell<Inner>,
}

#[derive(Debug)]
struct Inner {
    signals: Vec<Signal>,
    waker: Option<Waker>,
    closed: bool,
}

impl ReadyQueue {
    /// The connection's task starts to work.
    pub(super) fn wake_up(&self) {
        self.awake.store(true, Ordering::SeqCst);
    }

    /// The connection's task wants to sleep; `false` if it must not.
    #[must_use]
    pub(super) fn fall_asleep(&self) -> bool {
        self.awake.store(false, Ordering::SeqCst);
        if self.pending.load(Ordering::SeqCst) {
            self.awake.store(true, Ordering::SeqCst);
            return false;
        }
        true
    }

    /// The waker of the connection's task, when it is not the one before.
    pub(super) fn register(&self, waker: &Waker) {
        self.inner.lock().waker = Some(waker.clone());
    }

    /// Moves the signals into an empty list. Costs no lock when there are
    /// none.
    pub(super) fn drain(&self, signals: &mut Vec<Signal>) {
        if self.pending.load(Ordering::SeqCst) && self.pending.swap(false, Ordering::SeqCst) {
            std::mem::swap(&mut self.inner.lock().signals, signals);
        }
    }

    /// Whether readers kept so much credit together that all have to be asked.
    pub(super) fn take_sweep(&self) -> bool {
        self.sweep.load(Ordering::Relaxed) && self.sweep.swap(false, Ordering::SeqCst)
    }

    /// Nobody will look into the queue any more.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.waker = None;
        let signals = std::mem::take(&mut inner.signals);
        drop(inner);
        drop(signals);
    }

    pub(super) fn push(&self, signal: Signal) {
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            return;
        }
        inner.signals.push(signal);
        drop(inner);
        self.pending.store(true, Ordering::SeqCst);
        if !self.awake.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// A reader consumed bytes, and has not told of `kept` in all. `true` if
    /// it is time to.
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

    /// The engine was told of this much.
    pub(super) fn reported(&self, len: usize) {
        self.unreported.fetch_sub(len, Ordering::Relaxed);
    }

    fn wake(&self) {
        let waker = self.inner.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The waker of a stream: puts the stream into the ready queue.
pub(super) struct StreamSignal {
    stream: StreamKey,
    queued: Queued,
    queue: Arc<ReadyQueue>,
}

impl StreamSignal {
    pub(super) fn waker(stream: StreamKey, queue: Arc<ReadyQueue>) -> Waker {
        Waker::from(Arc::new(Self {
            stream,
            queued: Queued::default(),
            queue,
        }))
    }

    /// Taken from the queue; may be put there again from now on.
    pub(super) fn take(&self) -> StreamKey {
        self.queued.clear();
        self.stream
    }
}

impl Wake for StreamSignal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.set() {
            self.queue.push(Signal::Stream(Arc::clone(self)));
        }
    }
}

impl fmt::Debug for StreamSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSignal")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        sync::atomic::AtomicU64,
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
        let notifier = Notifier::new(&Limits::new(Side::Server));
        let counter = Arc::new(AtomicU64::new(0));
        let queue = Arc::clone(notifier.queue());
        queue.register(&Waker::from(Arc::new(Unpark(thread::current()))));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (notifier, counter) = (notifier.clone(), Arc::clone(&counter));
                thread::spawn(move || {
                    for _ in 0..EACH {
                        counter.fetch_add(1, Ordering::SeqCst);
                        notifier.notify();
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
        let queue = Arc::clone(Notifier::new(&limits).queue());
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
