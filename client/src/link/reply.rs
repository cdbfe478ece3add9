//! The cell that carries one request to the task, and its response to the future.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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

/// A request on its way to the connection's task, and its response on the way back: shared by the
/// task and the response's future.
#[derive(Debug)]
pub(crate) struct Reply {
    abandoned: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The stream, once the request has one.
    stream: Option<StreamKey>,
    waker: Option<Waker>,
    stage: Stage,
}

/// The request and its outcome share their memory.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "every request begins with the large one"
)]
enum Stage {
    Queued(Request<RequestBody>),
    /// The task has the request.
    Taken,
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
    /// A request that the task has not taken yet.
    pub(crate) fn queued(request: Request<RequestBody>) -> Arc<Self> {
        Self::new(None, Stage::Queued(request))
    }

    /// A request that already has a stream.
    pub(crate) fn of_stream(stream: StreamKey) -> Arc<Self> {
        Self::new(Some(stream), Stage::Taken)
    }

    fn new(stream: Option<StreamKey>, stage: Stage) -> Arc<Self> {
        Arc::new(Self {
            abandoned: AtomicBool::new(false),
            state: Mutex::new(State {
                stream,
                waker: None,
                stage,
            }),
        })
    }

    /// Takes the request; `None` if its future was dropped.
    pub(crate) fn take_request(&self) -> Option<Request<RequestBody>> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.stage, Stage::Taken) {
            Stage::Queued(request) => Some(request),
            other => {
                state.stage = other;
                None
            }
        }
    }

    pub(crate) fn opened(&self, stream: StreamKey) {
        self.lock().stream = Some(stream);
    }

    pub(crate) fn stream(&self) -> Option<StreamKey> {
        self.lock().stream
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Sets the outcome.
    pub(crate) fn deliver(&self, outcome: Outcome) -> Delivered {
        let mut state = self.lock();
        if !matches!(state.stage, Stage::Queued(_) | Stage::Taken) {
            drop(state);
            drop(outcome);
            return Delivered::No;
        }
        let before = std::mem::replace(&mut state.stage, Stage::Settled(outcome));
        let waker = state.waker.take();
        drop(state);
        drop(before);
        if let Some(waker) = waker {
            waker.wake();
        }
        Delivered::Yes
    }

    /// Delivers the outcome, if the future still exists.
    pub(crate) fn settle(&self, outcome: Outcome) {
        let _: Delivered = self.deliver(outcome);
    }

    /// Polls for the outcome.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.lock();
        match &state.stage {
            Stage::Queued(_) | Stage::Taken => {
                match &mut state.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            }
            Stage::Settled(_) => {}
            // The future was polled after it was ready.
            Stage::Over => return Poll::Pending,
        }
        match std::mem::replace(&mut state.stage, Stage::Over) {
            Stage::Settled(outcome) => Poll::Ready(outcome),
            _ => Poll::Pending,
        }
    }

    /// Gives up the outcome. Returns whether the request is still open, so that the task must
    /// cancel it. Drops a request that the task has not taken, or a present outcome; the dropped
    /// body of a response then resets its stream.
    pub(crate) fn abandon(&self) -> bool {
        self.abandoned.store(true, Ordering::Relaxed);
        let before = std::mem::replace(&mut self.lock().stage, Stage::Over);
        matches!(before, Stage::Queued(_) | Stage::Taken)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
