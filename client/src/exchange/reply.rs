//! The cell through which one response comes back.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use lacewing_conn::{driver::Incoming, proto::StreamKey};

use super::Queue;
use crate::{ClientError, body::RequestBody};

/// What a request comes to.
pub(crate) type Outcome = Result<Response<Incoming>, Box<Failure>>;

/// Why there is no response, and what is left of the request.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ClientError,
    pub(crate) rest: Rest,
    pub(crate) progress: Progress,
}

/// Whether others were answered where this request was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    None,
    Made,
}

/// What is left of a request that failed.
#[derive(Debug)]
pub(crate) enum Rest {
    /// Nothing: its body is gone.
    Nothing,
    /// Its body, from its beginning.
    Body(RequestBody),
    /// All of it: it never went out.
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

    /// The same, with what became of others.
    pub(super) fn after(mut self: Box<Self>, progress: Progress) -> Box<Self> {
        self.progress = progress;
        self
    }
}

/// One response, between the connection's task and the one who asked.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The stream, once there is one.
    stream: OnceLock<StreamKey>,
    abandoned: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Waiting(Option<Waker>),
    Settled(Outcome),
    /// The outcome was taken, or nobody wants it.
    Over,
}

/// Whether a response found its taker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    Unwanted,
}

impl Reply {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            stream: OnceLock::new(),
            abandoned: AtomicBool::new(false),
            state: Mutex::new(State::Waiting(None)),
        })
    }

    pub(super) fn opened(&self, stream: StreamKey) {
        let _ = self.stream.set(stream);
    }

    pub(super) fn stream(&self) -> Option<StreamKey> {
        self.stream.get().copied()
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Hands the outcome over.
    pub(super) fn deliver(&self, outcome: Outcome) -> Verdict {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Waiting(waker) => {
                *state = State::Settled(outcome);
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
                Verdict::Taken
            }
            other => {
                *state = other;
                drop(state);
                drop(outcome);
                Verdict::Unwanted
            }
        }
    }

    /// Hands the outcome over, to whoever is still there.
    pub(super) fn settle(&self, outcome: Outcome) {
        let _: Verdict = self.deliver(outcome);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The future of a response. Dropping it before it is ready cancels the
/// request.
#[derive(Debug)]
pub(crate) struct Wait {
    reply: Option<Arc<Reply>>,
    queue: Arc<Queue>,
}

impl Wait {
    pub(super) fn new(reply: Arc<Reply>, queue: Arc<Queue>) -> Self {
        Self {
            reply: Some(reply),
            queue,
        }
    }
}

impl Future for Wait {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(reply) = &self.reply else {
            return Poll::Pending;
        };
        let mut state = reply.lock();
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
        let settled = std::mem::replace(&mut *state, State::Over);
        drop(state);
        self.reply = None;
        match settled {
            State::Settled(outcome) => Poll::Ready(outcome),
            // Polled after it was ready.
            State::Waiting(_) | State::Over => Poll::Pending,
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let Some(reply) = self.reply.take() else {
            return;
        };
        reply.abandoned.store(true, Ordering::Relaxed);
        let before = std::mem::replace(&mut *reply.lock(), State::Over);
        if matches!(before, State::Waiting(_)) {
            self.queue.cancel(reply);
        }
        // A response that came but was never looked at is dropped here, and
        // its body with it, which resets the stream.
    }
}
