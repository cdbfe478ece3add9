//! The cell that carries one request to the task, and its response to the future.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use lacewing_conn::{
    driver::{Incoming, facade::wakers},
    proto::StreamKey,
};

use crate::{ClientError, body::RequestBody, spare::Spare};

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
    /// The whole request.
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

    /// Adds the parts of the request that were kept.
    pub(crate) fn keep(&mut self, spare: Spare) {
        let rest = std::mem::replace(&mut self.rest, Rest::Nothing);
        let whole = spare.restore(rest).map(Box::new);
        self.rest = whole.map_or(Rest::Nothing, Rest::Whole);
    }

    /// Adds the progress of other requests.
    pub(crate) fn after(mut self: Box<Self>, progress: Progress) -> Box<Self> {
        self.progress = progress;
        self
    }
}

/// A request on its way to the connection's task, and its response on the way back: shared by the
/// task and the response's future.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    abandoned: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The stream, once the request has one.
    stream: Option<StreamKey>,
    waker: Option<Waker>,
    stage: Stage,
}

/// The request and its outcome share their memory.
#[derive(Debug, Default)]
enum Stage {
    Queued(Request<RequestBody>),
    /// The task has the request.
    #[default]
    Taken,
    /// The task has sent the request. Its parts remain here, so that a retry needs no copy.
    Sent(Spare),
    /// `None`: the outcome is taken, or the future is dropped.
    Settled(Option<Outcome>),
}

/// The delivery of an outcome: to a receiver, or to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    Yes,
    No,
}

impl State {
    /// Keeps the parts. Returns them if the future is dropped: their drop may call the user's code,
    /// so it is not for the lock.
    #[must_use]
    fn keep(&mut self, spare: Option<Spare>) -> Option<Spare> {
        match (&self.stage, spare) {
            (Stage::Taken, Some(spare)) => {
                self.stage = Stage::Sent(spare);
                None
            }
            (_, spare) => spare,
        }
    }
}

impl Reply {
    /// A request that the task has not taken yet.
    pub(crate) fn queued(request: Request<RequestBody>) -> Arc<Self> {
        let mut reply = Arc::<Self>::default();
        // The request is large. It is moved once, into its place.
        if let Some(Self { state, .. }) = Arc::get_mut(&mut reply) {
            let state = state.get_mut().unwrap_or_else(PoisonError::into_inner);
            state.stage = Stage::Queued(request);
        }
        reply
    }

    /// A request that already has a stream.
    pub(crate) fn of_stream(stream: StreamKey) -> Arc<Self> {
        let reply = Arc::<Self>::default();
        reply.opened(stream, None);
        reply
    }

    /// Lets `take` take the parts of the request where it is: it is large. `take` must leave nothing
    /// whose drop calls the user's code, since that would run under the lock. Returns `false` if
    /// the request's future was dropped.
    #[inline]
    pub(crate) fn take_parts(&self, take: impl FnOnce(&mut Request<RequestBody>)) -> bool {
        let mut state = self.lock();
        let Stage::Queued(request) = &mut state.stage else {
            return false;
        };
        take(request);
        state.stage = Stage::Taken;
        true
    }

    /// Takes the whole request; `None` if its future was dropped.
    pub(crate) fn take_request(&self) -> Option<Request<RequestBody>> {
        let mut taken = None;
        self.take_parts(|request| taken = Some(std::mem::take(request)));
        taken
    }

    /// The request has a stream, and these parts remain for another try.
    pub(crate) fn opened(&self, stream: StreamKey, spare: Option<Spare>) {
        let mut state = self.lock();
        state.stream = Some(stream);
        let unwanted = state.keep(spare);
        drop(state);
        drop(unwanted);
    }

    /// Keeps the parts of a request for another try.
    #[cfg(feature = "h2c")]
    pub(crate) fn keep(&self, spare: Spare) {
        let unwanted = self.lock().keep(Some(spare));
        drop(unwanted);
    }

    pub(crate) fn stream(&self) -> Option<StreamKey> {
        self.lock().stream
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Sets the outcome. A failure gets the parts that remain of the request.
    pub(crate) fn deliver(&self, outcome: Outcome) -> Delivered {
        let mut state = self.lock();
        let unsent = match &mut state.stage {
            Stage::Taken => None,
            Stage::Queued(request) => Some(Box::new(std::mem::take(request))),
            Stage::Sent(spare) => {
                let spare = std::mem::take(spare);
                return deliver_with(state, spare, outcome);
            }
            // Without the lock, since the guard is dropped first: drops the outcome.
            Stage::Settled(_) => return Delivered::No,
        };
        state.stage = Stage::Settled(Some(outcome));
        let waker = state.waker.take();
        drop(state);
        drop(unsent);
        wakers::wake(waker);
        Delivered::Yes
    }

    /// Delivers the outcome, if the future still exists.
    pub(crate) fn settle(&self, outcome: Outcome) {
        let _: Delivered = self.deliver(outcome);
    }

    /// Polls for the outcome.
    #[inline]
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.lock();
        let State { waker, stage, .. } = &mut *state;
        match stage {
            Stage::Queued(_) | Stage::Taken | Stage::Sent(_) => {
                wakers::register(waker, cx.waker());
                Poll::Pending
            }
            // Without an outcome, the future was polled after it was ready.
            Stage::Settled(outcome) => outcome.take().map_or(Poll::Pending, Poll::Ready),
        }
    }

    /// Gives up the outcome. Returns whether the request is still open, so that the task must
    /// cancel it. Drops a request that the task has not taken, or a present outcome; the dropped
    /// body of a response then resets its stream.
    pub(crate) fn abandon(&self) -> bool {
        self.abandoned.store(true, Ordering::Relaxed);
        let before = std::mem::replace(&mut self.lock().stage, Stage::Settled(None));
        matches!(before, Stage::Queued(_) | Stage::Taken | Stage::Sent(_))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets the outcome of a request whose parts were kept. Apart, so that other requests have no room
/// for them on their stack.
#[inline(never)]
fn deliver_with(mut state: MutexGuard<'_, State>, spare: Spare, mut outcome: Outcome) -> Delivered {
    let mut spare = Some(spare);
    if let Err(failure) = &mut outcome {
        if let Some(spare) = spare.take() {
            failure.keep(spare);
        }
    }
    state.stage = Stage::Settled(Some(outcome));
    let waker = state.waker.take();
    drop(state);
    // Without the lock: this may call the user's code.
    drop(spare);
    wakers::wake(waker);
    Delivered::Yes
}

#[cfg(test)]
mod tests {
    use lacewing_conn::{Error, Initiator, Reason};

    use super::*;

    fn spare(body: Option<RequestBody>) -> Spare {
        Spare {
            head: Request::get("http://a.example/x").body(()).unwrap(),
            body,
        }
    }

    /// The outcome of a request that was sent and then refused.
    fn refused(spare: Option<Spare>, rest: Rest) -> Rest {
        let reply = Reply::queued(Request::default());
        assert!(reply.take_request().is_some());
        let unwanted = reply.lock().keep(spare);
        assert!(unwanted.is_none());
        let error = Error::reset(Initiator::Peer, Reason::RefusedStream);
        reply.settle(Err(Failure::with_rest(error.into(), rest)));
        match reply.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(failure)) => failure.rest,
            _ => panic!("no failure"),
        }
    }

    #[test]
    fn a_failure_has_what_remains_of_the_request() {
        let rest = refused(Some(spare(Some(RequestBody::Empty))), Rest::Nothing);
        assert!(matches!(rest, Rest::Whole(request) if request.uri().path() == "/x"));
        let body = || RequestBody::Bytes("four".into());
        let rest = refused(Some(spare(None)), Rest::Body(body()));
        assert!(matches!(rest, Rest::Whole(request) if request.body().length() == Some(4)));
        let rest = refused(Some(spare(None)), Rest::Nothing);
        assert!(matches!(rest, Rest::Nothing), "its body is spent");
        let rest = refused(None, Rest::Nothing);
        assert!(matches!(rest, Rest::Nothing), "nothing was kept");
    }

    #[test]
    fn nothing_is_kept_for_a_future_that_was_dropped() {
        let reply = Reply::queued(Request::default());
        assert!(reply.take_request().is_some() && reply.abandon());
        let unwanted = reply.lock().keep(Some(spare(None)));
        assert!(unwanted.is_some());
        assert!(!reply.abandon(), "it is over");
    }
}
