//! The body of a request, as hyper polls it.

use std::{
    future::Future as _,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, header};
use http_body::{Frame, SizeHint};
use lacewing_conn::driver::facade::wakers;
use tokio::time::{Sleep, sleep};

use crate::{
    BodyError, BoxError,
    body::{Outgoing, Piece, RequestBody},
};

/// The fields that hyper does not send as trailers.
const NEVER_TRAILERS: [HeaderName; 12] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::HOST,
    header::MAX_FORWARDS,
    header::SET_COOKIE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::TE,
];

/// A request's body. Its state is shared with the request's future.
pub(super) struct Upload {
    body: RequestBody,
    state: Arc<UploadState>,
    /// The names that the `trailer` field has.
    trailers: Vec<HeaderName>,
    /// Ends the wait for 100 (Continue).
    patience: Option<Pin<Box<Sleep>>>,
}

/// The state of an upload.
#[derive(Debug, Default)]
pub(super) struct UploadState(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    gate: Gate,
    done: bool,
    /// hyper took a piece: a retry needs the body from its beginning.
    begun: bool,
    failure: Option<BoxError>,
    /// The response arrived: the body will not be sent again.
    answered: bool,
    /// The body, if hyper dropped it before.
    rest: Option<RequestBody>,
    waker: Option<Waker>,
}

/// The wait for 100 (Continue) (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Open,
    Waiting,
    /// The final response came first, and does not want the body.
    Shut,
}

impl UploadState {
    /// A body that waits.
    pub(super) fn wait(&self) {
        self.lock().gate = Gate::Waiting;
    }

    /// The server sent 100 (Continue).
    pub(super) fn proceed(&self) {
        self.settle(Gate::Open);
    }

    /// The final response arrived, for a body that may wait.
    pub(super) fn answered(&self, status: http::StatusCode) {
        let gate = match status.is_success() {
            true => Gate::Open,
            false => Gate::Shut,
        };
        let mut state = self.lock();
        state.answered = true;
        let spent = state.rest.take();
        drop(state);
        drop(spent);
        self.settle(gate);
    }

    fn settle(&self, gate: Gate) {
        let mut state = self.lock();
        if state.gate == Gate::Waiting {
            state.gate = gate;
            let waker = state.waker.take();
            drop(state);
            wakers::wake(waker);
        }
    }

    /// Returns whether all of the body was sent.
    pub(super) fn is_done(&self) -> bool {
        self.lock().done
    }

    /// The body's own error, if it failed.
    pub(super) fn failure(&self) -> Option<BoxError> {
        self.lock().failure.take()
    }

    /// A body in pieces, from its beginning, if hyper dropped it and it can be sent again.
    pub(super) fn rest(&self) -> Option<RequestBody> {
        let mut state = self.lock();
        match state.rest.take()? {
            RequestBody::Source(source) if state.begun => source.rewind().map(RequestBody::Source),
            RequestBody::Source(source) => Some(RequestBody::Source(source)),
            RequestBody::Empty | RequestBody::Bytes(_) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    pub(super) fn new(body: RequestBody, trailers: Vec<HeaderName>) -> Self {
        let state = UploadState::default();
        state.lock().done = body.is_empty();
        Self {
            body,
            state: Arc::new(state),
            trailers,
            patience: None,
        }
    }

    /// Makes it wait for 100 (Continue), for this time.
    pub(super) fn wait(&mut self, patience: Duration) {
        self.state.wait();
        self.patience = Some(Box::pin(sleep(patience)));
    }

    pub(super) fn state(&self) -> Arc<UploadState> {
        Arc::clone(&self.state)
    }

    /// Waits for the gate to open.
    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.patience.is_none() {
            return Poll::Ready(());
        }
        let mut state = self.state.lock();
        wakers::register(&mut state.waker, cx.waker());
        if state.gate == Gate::Shut {
            // The connection ends with the response.
            return Poll::Pending;
        }
        if state.gate == Gate::Waiting {
            if let Some(patience) = &mut self.patience {
                ready!(patience.as_mut().poll(cx));
            }
            state.gate = Gate::Open;
        }
        drop(state);
        self.patience = None;
        Poll::Ready(())
    }

    fn fail(&self, error: impl Into<BoxError>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.state.lock().failure = Some(error.into());
        Poll::Ready(Some(Err("the request's body failed".into())))
    }

    fn piece(&self, piece: Piece) -> Result<Option<Frame<Bytes>>, BodyError> {
        match piece {
            Piece::Data { data, fin } => {
                self.state.lock().done |= fin;
                Ok((!data.is_empty() || fin).then(|| Frame::data(data)))
            }
            Piece::Trailers(trailers) => {
                let unsent = |name: &&HeaderName| {
                    !self.trailers.contains(name) || NEVER_TRAILERS.contains(name)
                };
                if let Some(name) = trailers.keys().find(unsent) {
                    return Err(BodyError::UnnamedTrailer { name: name.clone() });
                }
                self.state.lock().done = true;
                Ok(Some(Frame::trailers(trailers)))
            }
            Piece::Unknown => Ok(None),
        }
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        ready!(this.poll_gate(cx));
        let source: &mut Outgoing = match &mut this.body {
            RequestBody::Empty => return Poll::Ready(None),
            RequestBody::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                this.body = RequestBody::Empty;
                this.state.lock().done = true;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            RequestBody::Source(_) if this.state.is_done() => return Poll::Ready(None),
            RequestBody::Source(source) => source,
        };
        let piece = ready!(source.poll_piece(cx));
        this.state.lock().begun = true;
        let piece = match piece {
            Ok(piece) => piece,
            Err(failure) => return this.fail(failure.error),
        };
        match this.piece(piece) {
            Ok(Some(frame)) => Poll::Ready(Some(Ok(frame))),
            Ok(None) => {
                // An empty piece: at most one a turn.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(error) => this.fail(error),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            RequestBody::Empty => true,
            RequestBody::Bytes(_) => false,
            RequestBody::Source(_) => self.state.is_done(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.length() {
            Some(length) if self.trailers.is_empty() => SizeHint::with_exact(length),
            _ => SizeHint::new(),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let body = std::mem::take(&mut self.body);
        let mut state = self.state.lock();
        if !state.answered {
            state.rest = Some(body);
        }
    }
}
