//! What handles and the connection's task share: the requests on their way to
//! the task, and the connection's lifecycle.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::Request;
use lacewing_conn::{Initiator, Reason, driver::Notifier};

use super::{
    age::Age,
    command::Command,
    reply::{Failure, Progress, Reply, Wait},
};
use crate::{
    ClientError, Concurrency, Streams, alternative_services::Announced, body::RequestBody,
};

/// A request for the connection's task.
pub(super) struct Intent {
    pub(super) request: Request<RequestBody>,
    pub(super) reply: Arc<Reply>,
    pub(super) age: Age,
}

impl Intent {
    /// The request was never sent: whoever made it has it back, whole.
    pub(super) fn give_back(self, error: ClientError, progress: Progress) {
        let failure = Failure::unsent(error, self.request).after(progress);
        self.reply.settle(Err(failure));
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
    concurrency: Concurrency,
    /// Streams open and allowed, as of the task's last turn.
    open: AtomicUsize,
    allowed: AtomicUsize,
    /// The last measured one in microseconds, 0 before.
    round_trip: AtomicU64,
    state: AtomicU8,
    /// The server answered a request.
    useful: AtomicBool,
    idle: AtomicBool,
    /// No handle is left, or shutdown was asked for.
    unwanted: AtomicBool,
    /// Somebody waits for a place.
    crowded: AtomicBool,
}

/// Streams that are taken to be allowed before the server says (RFC 9113
/// §6.5.2 recommends no less).
const INITIALLY_ALLOWED: usize = 100;

/// Messages for the connection's task, besides requests.
pub(super) struct News {
    /// Nobody waits for these any more.
    pub(super) cancelled: Vec<Arc<Reply>>,
    pub(super) commands: Vec<Command>,
}

/// Lifecycle of a connection.
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
    commands: Vec<Command>,
    announced: Announced,
    crowd: Vec<Waker>,
    /// Wakes the task.
    notifier: Option<Notifier>,
    /// Why the task takes no more requests.
    refusing: Option<lacewing_conn::Error>,
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
    pub(crate) fn new(max_queued: usize, concurrency: Concurrency) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            news: AtomicBool::new(false),
            places: AtomicUsize::new(0),
            max_queued,
            concurrency,
            open: AtomicUsize::new(0),
            allowed: AtomicUsize::new(INITIALLY_ALLOWED),
            round_trip: AtomicU64::new(0),
            state: AtomicU8::new(State::Open as u8),
            useful: AtomicBool::new(false),
            idle: AtomicBool::new(true),
            unwanted: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
        })
    }

    /// A place in the queue, to be filled by [`submit`](Self::submit) or given
    /// up by [`release_place`](Self::release_place).
    pub(crate) fn take_place(&self) -> Result<(), ClientError> {
        let before = self.places.fetch_add(1, Ordering::SeqCst);
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
                self.places.fetch_sub(1, Ordering::SeqCst);
                Err(error)
            }
        }
    }

    /// The error of a request that finds `queued` others without a stream.
    pub(super) fn too_many(&self, queued: usize) -> Option<ClientError> {
        let open = self.open.load(Ordering::SeqCst).saturating_add(queued);
        let max = self.allowed.load(Ordering::SeqCst);
        (open >= max).then_some(ClientError::TooManyStreams { open, max })
    }

    /// Streams open, waiting and allowed.
    pub(crate) fn streams(&self) -> Streams {
        Streams {
            open: self.open.load(Ordering::SeqCst),
            queued: self.places.load(Ordering::SeqCst),
            max: self.allowed.load(Ordering::SeqCst),
        }
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
    pub(crate) fn submit(self: &Arc<Self>, request: Request<RequestBody>, age: Age) -> Wait {
        let reply = Reply::new();
        let wait = Wait::new(Arc::clone(&reply), Arc::clone(self));
        let intent = Intent {
            request,
            reply,
            age,
        };
        let mut inner = self.lock();
        let closed = inner.closed.clone();
        let refusing = || inner.refusing.clone();
        if let Some(error) = closed.or_else(refusing).or_else(|| self.shutting_down()) {
            drop(inner);
            self.forget(1);
            intent.give_back(ClientError::Connection(error), self.progress());
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

    /// The round trip that was measured last.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let micros = self.round_trip.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    /// What the server said about itself: to look at it, or to add to it.
    pub(crate) fn announced<T>(&self, look: impl FnOnce(&mut Announced) -> T) -> T {
        look(&mut self.lock().announced)
    }

    /// Hands over something that the task is to do. Given back if there is no
    /// task any more, with why.
    pub(crate) fn command(&self, command: Command) -> Result<(), lacewing_conn::Error> {
        let mut inner = self.lock();
        if let Some(error) = &inner.closed {
            return Err(error.clone());
        }
        command.join(&mut inner.commands);
        self.tell(inner);
        Ok(())
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

    /// Whether the connection was of use to anybody.
    pub(super) fn progress(&self) -> Progress {
        if self.useful.load(Ordering::SeqCst) {
            Progress::Made
        } else {
            Progress::None
        }
    }

    /// No request is open or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst) && !self.news.load(Ordering::SeqCst)
    }

    /// Why the connection is over, as far as is known.
    pub(crate) fn over(&self) -> lacewing_conn::Error {
        let inner = self.lock();
        let why = inner.closed.as_ref().or(inner.refusing.as_ref()).cloned();
        drop(inner);
        why.unwrap_or_else(|| {
            let detail = "the connection is closing";
            lacewing_conn::Error::connection(Initiator::Library, Reason::Cancel, detail)
        })
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

    /// Takes the requests that came, to those in `waiting` by their age, and
    /// everything else.
    pub(super) fn drain(&self, waiting: &mut VecDeque<Intent>) -> News {
        let mut inner = self.lock();
        if waiting.is_empty() {
            std::mem::swap(&mut inner.intents, waiting);
        } else {
            waiting.append(&mut inner.intents);
        }
        self.news.store(false, Ordering::SeqCst);
        let news = News {
            cancelled: std::mem::take(&mut inner.cancelled),
            commands: std::mem::take(&mut inner.commands),
        };
        drop(inner);
        // Almost always they come in this order; the others were sent before,
        // on a connection that ended.
        if !waiting.iter().is_sorted_by_key(|intent| intent.age) {
            waiting.make_contiguous().sort_by_key(|intent| intent.age);
        }
        news
    }

    /// Takes the requests that came, and nothing else.
    pub(super) fn drain_requests(&self, waiting: &mut VecDeque<Intent>) {
        waiting.append(&mut self.lock().intents);
    }

    /// No more is taken: what comes goes back with this.
    pub(super) fn refuse(&self, error: &lacewing_conn::Error) {
        self.set_state(State::Draining);
        self.lock().refusing.get_or_insert_with(|| error.clone());
    }

    /// How many streams there are now, and may be.
    pub(super) fn set_streams(&self, open: usize, allowed: usize) {
        // Only the task writes these: most turns change neither.
        if self.open.load(Ordering::Relaxed) == open
            && self.allowed.load(Ordering::Relaxed) == allowed
        {
            return;
        }
        let fewer = self.open.swap(open, Ordering::SeqCst) > open;
        let more = self.allowed.swap(allowed, Ordering::SeqCst) < allowed;
        if (fewer || more) && self.concurrency == Concurrency::Fail {
            self.wake_crowd();
        }
    }

    /// Requests wait no more: their places are free.
    pub(super) fn forget(&self, requests: usize) {
        if requests == 0 {
            return;
        }
        self.places.fetch_sub(requests, Ordering::SeqCst);
        self.wake_crowd();
    }

    fn wake_crowd(&self) {
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

    /// Requests fail rather than wait for a stream.
    pub(super) fn fails_rather_than_waits(&self) -> bool {
        self.concurrency == Concurrency::Fail
    }

    pub(super) fn set_state(&self, state: State) {
        if self.state() != State::Closed {
            self.state.store(state as u8, Ordering::SeqCst);
        }
    }

    /// The server answered a request, or is going to.
    pub(super) fn note_progress(&self) {
        // Only the task writes this, once.
        if !self.useful.load(Ordering::Relaxed) {
            self.useful.store(true, Ordering::SeqCst);
        }
    }

    pub(super) fn set_round_trip(&self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        self.round_trip.store(micros.max(1), Ordering::Relaxed);
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
        let commands = std::mem::take(&mut inner.commands);
        let crowd = std::mem::take(&mut inner.crowd);
        inner.notifier = None;
        inner.closed = Some(error.clone());
        drop(inner);
        drop((cancelled, commands));
        self.set_idle(true);
        self.news.store(false, Ordering::SeqCst);
        for waker in crowd {
            waker.wake();
        }
        self.forget(intents.len());
        for intent in intents {
            intent.give_back(ClientError::Connection(error.clone()), self.progress());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under this lock can leave the queue half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
