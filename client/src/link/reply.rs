//! The cell that returns one response from the task to the future.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use lacewing_conn::{driver::Incoming, proto::StreamKey};

use crate::{ClientError, body::RequestBody};

/// The outcome of a request.
pub(crate) type Outcome = Result<Response<Incoming>, Box<Failure>>;

/// The error of a request, and the part of the request that a retry can use.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ClientError,
    pub(crate) rest: Rest,
    pub(crate) progress: Progress,
}

/// The server's progress on the connection of a failed request: it answered other requests, or
/// none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    None,
    Made,
}

/// The part of a failed request that remains.
#[derive(Debug)]
pub(crate) enum Rest {
    /// Nothing: the body is consumed.
    Nothing,
    /// The body, from its beginning.
    Body(RequestBody),
    /// The whole request: it was not sent.
    Whole(Box<Request<RequestBody>>),
}

impl Failure {
    pub(crate) fn new(error: ClientError) -> Box<Self> {
        Self::with_rest(error, Rest::Nothing)
    }

    pub(crate) fn unsent(error: ClientError, request: Request<RequestBody>) -> Box<Self> {
        Self::with_rest(error, Rest::Whole(Box::new(request)))
    }

    pub(crate) fn with_rest(error: ClientError, rest: Rest) -> Box<Self> {
        Box::new(Self {
            error,
            rest,
            progress: Progress::None,
        })
    }

    /// Adds the progress of other requests.
    pub(crate) fn after(mut self: Box<Self>, progress: Progress) -> Box<Self> {
        self.progress = progress;
        self
    }
}

/// One response, shared by the connection's task and the response's future.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The stream, once the request has one.
    stream: OnceLock<StreamKey>,
    abandoned: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Waiting(Option<Waker>),
    Settled(Outcome),
    /// The outcome is taken, or the future is dropped.
    Over,
}

/// The delivery of an outcome: to a receiver, or to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    Yes,
    No,
}

impl Reply {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            stream: OnceLock::new(),
            abandoned: AtomicBool::new(false),
            state: Mutex::new(State::Waiting(None)),
        })
    }

    pub(crate) fn opened(&self, stream: StreamKey) {
        let _ = self.stream.set(stream);
    }

    pub(crate) fn stream(&self) -> Option<StreamKey> {
        self.stream.get().copied()
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Sets the outcome.
    pub(crate) fn deliver(&self, outcome: Outcome) -> Delivered {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Waiting(waker) => {
                *state = State::Settled(outcome);
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
                Delivered::Yes
            }
            other => {
                *state = other;
                drop(state);
                drop(outcome);
                Delivered::No
            }
        }
    }

    /// Delivers the outcome, if the future still exists.
    pub(crate) fn settle(&self, outcome: Outcome) {
        let _: Delivered = self.deliver(outcome);
    }

    /// Polls for the outcome.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.lock();
        match &mut *state {
            State::Waiting(Some(waker)) => {
                waker.clone_from(cx.waker());
                return Poll::Pending;
            }
            State::Waiting(none) => {
                *none = Some(cx.waker().clone());
                return Poll::Pending;
            }
            State::Settled(_) | State::Over => {}
        }
        match std::mem::replace(&mut *state, State::Over) {
            State::Settled(outcome) => Poll::Ready(outcome),
            // The future was polled after it was ready.
            State::Waiting(_) | State::Over => Poll::Pending,
        }
    }

    /// Gives up the outcome. Returns whether the request is still open, so that the task must
    /// cancel it. Drops a present outcome; the dropped body of a response then resets its stream.
    pub(crate) fn abandon(&self) -> bool {
        self.abandoned.store(true, Ordering::Relaxed);
        let before = std::mem::replace(&mut *self.lock(), State::Over);
        matches!(before, State::Waiting(_))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
