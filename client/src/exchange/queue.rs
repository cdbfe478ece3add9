//! What handles and the connection's task share: the requests on their way to
//! the task, and how the connection does.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use http::Request;
use lacewing_conn::{Initiator, Reason, driver::Notifier};

use super::reply::{Failure, Reply, Wait};
use crate::{Error, body::RequestBody};

/// A request for the connection's task.
pub(super) struct Intent {
    pub(super) request: Request<RequestBody>,
    pub(super) reply: Arc<Reply>,
}

impl Intent {
    /// The request was never sent: whoever made it has it back, whole.
    pub(super) fn give_back(self, error: Error) {
        self.reply.settle(Err(Failure::unsent(error, self.request)));
    }
}

/// Requests on their way to the connection's task. One push is one short lock.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    /// There is something in `inner` for the task.
    news: AtomicBool,
    /// Requests that wait for a stream, in `inner` or with the task, and
    /// places that were promised by `poll_ready`.
    places: AtomicUsize,
    max_queued: usize,
    state: AtomicU8,
    idle: AtomicBool,
    /// No handle is left, or shutdown was asked for.
    unwanted: AtomicBool,
    /// Somebody waits for a place.
    crowded: AtomicBool,
}

/// How a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Takes requests.
    Open,
    /// Finishes those it has.
    Draining,
    /// Is over.
    Closed,
}

#[derive(Default)]
struct Inner {
    intents: VecDeque<Intent>,
    cancelled: Vec<Arc<Reply>>,
    crowd: Vec<Waker>,
    /// Wakes the task.
    notifier: Option<Notifier>,
    /// Nobody will look here any more.
    closed: Option<lacewing_conn::Error>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("intents", &self.intents.len())
            .finish_non_exhaustive()
    }
}

/// For handles.
impl Queue {
    pub(crate) fn new(max_queued: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            news: AtomicBool::new(false),
            places: AtomicUsize::new(0),
            max_queued,
            state: AtomicU8::new(State::Open as u8),
            idle: AtomicBool::new(true),
            unwanted: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
        })
    }

    /// A place in the queue, to be filled by [`submit`](Self::submit) or given
    /// up by [`release_place`](Self::release_place).
    pub(crate) fn take_place(&self) -> Result<(), Error> {
        let before = self.places.fetch_add(1, Ordering::SeqCst);
        if before >= self.max_queued {
            self.places.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::QueueFull {
                limit: self.max_queued,
            });
        }
        Ok(())
    }

    pub(crate) fn release_place(&self) {
        self.forget(1);
    }

    /// Waits for a place.
    pub(crate) fn poll_place(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.take_place().is_ok() {
            return Poll::Ready(());
        }
        {
            let mut inner = self.lock();
            if !inner.crowd.iter().any(|waker| waker.will_wake(cx.waker())) {
                inner.crowd.push(cx.waker().clone());
            }
            self.crowded.store(true, Ordering::SeqCst);
        }
        // A place may have become free before the task could see us wait.
        if self.take_place().is_ok() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Hands a request to the connection's task; its place was taken before.
    pub(crate) fn submit(self: &Arc<Self>, request: Request<RequestBody>) -> Wait {
        let reply = Reply::new();
        let wait = Wait::new(Arc::clone(&reply), Arc::clone(self));
        let intent = Intent { request, reply };
        let mut inner = self.lock();
        let closed = inner.closed.clone();
        if let Some(error) = closed.or_else(|| self.shutting_down()) {
            drop(inner);
            self.forget(1);
            intent.give_back(Error::Connection(error));
            return wait;
        }
        inner.intents.push_back(intent);
        self.tell(inner);
        wait
    }

    /// Nobody waits for this response any more.
    pub(super) fn cancel(&self, reply: Arc<Reply>) {
        let mut inner = self.lock();
        if inner.closed.is_none() {
            inner.cancelled.push(reply);
            self.tell(inner);
        }
    }

    /// The task is woken when there is news, from now on.
    pub(crate) fn connect(&self, notifier: Notifier) {
        self.lock().notifier = Some(notifier);
    }

    /// The connection is to be closed when it has nothing to do.
    pub(crate) fn shut_down(&self) {
        if self.state() == State::Open {
            self.set_state(State::Draining);
        }
        self.unwanted.store(true, Ordering::SeqCst);
        self.tell(self.lock());
    }

    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::SeqCst) {
            state if state == State::Open as u8 => State::Open,
            state if state == State::Draining as u8 => State::Draining,
            _ => State::Closed,
        }
    }

    /// No request is open or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst) && !self.news.load(Ordering::SeqCst)
    }

    /// Why nothing more is taken, if that is so.
    fn shutting_down(&self) -> Option<lacewing_conn::Error> {
        let detail = "the connection is shutting down";
        let error = || {
            lacewing_conn::Error::connection(Initiator::User, Reason::RefusedStream, detail)
                .with_retryable(true)
        };
        (self.state() != State::Open).then(error)
    }

    fn tell(&self, inner: MutexGuard<'_, Inner>) {
        let first = !self.news.swap(true, Ordering::SeqCst);
        let notifier = if first { inner.notifier.clone() } else { None };
        drop(inner);
        if let Some(notifier) = notifier {
            notifier.notify();
        }
    }
}

/// For the connection's task.
impl Queue {
    pub(super) fn has_news(&self) -> bool {
        self.news.load(Ordering::SeqCst)
    }

    /// Takes the requests that came, behind those in `waiting`.
    pub(super) fn drain(&self, waiting: &mut VecDeque<Intent>) {
        let mut inner = self.lock();
        if waiting.is_empty() {
            std::mem::swap(&mut inner.intents, waiting);
        } else {
            waiting.append(&mut inner.intents);
        }
        self.news
            .store(!inner.cancelled.is_empty(), Ordering::SeqCst);
    }

    pub(super) fn take_cancelled(&self) -> Vec<Arc<Reply>> {
        let mut inner = self.lock();
        let cancelled = std::mem::take(&mut inner.cancelled);
        self.news.store(!inner.intents.is_empty(), Ordering::SeqCst);
        cancelled
    }

    /// Requests wait no more: their places are free.
    pub(super) fn forget(&self, requests: usize) {
        if requests == 0 {
            return;
        }
        self.places.fetch_sub(requests, Ordering::SeqCst);
        if self.crowded.load(Ordering::SeqCst) {
            let mut inner = self.lock();
            self.crowded.store(false, Ordering::SeqCst);
            let crowd = std::mem::take(&mut inner.crowd);
            drop(inner);
            for waker in crowd {
                waker.wake();
            }
        }
    }

    pub(super) fn set_state(&self, state: State) {
        if self.state() != State::Closed {
            self.state.store(state as u8, Ordering::SeqCst);
        }
    }

    pub(super) fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::SeqCst);
    }

    pub(super) fn is_unwanted(&self) -> bool {
        self.unwanted.load(Ordering::SeqCst)
    }

    /// Nothing is taken from here any more: what comes goes back.
    pub(super) fn close(&self, error: lacewing_conn::Error) {
        let mut inner = self.lock();
        let intents = std::mem::take(&mut inner.intents);
        let cancelled = std::mem::take(&mut inner.cancelled);
        let crowd = std::mem::take(&mut inner.crowd);
        inner.notifier = None;
        inner.closed = Some(error.clone());
        drop(inner);
        drop(cancelled);
        self.set_idle(true);
        self.news.store(false, Ordering::SeqCst);
        for waker in crowd {
            waker.wake();
        }
        self.forget(intents.len());
        for intent in intents {
            intent.give_back(Error::Connection(error.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under this lock can leave the queue half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
