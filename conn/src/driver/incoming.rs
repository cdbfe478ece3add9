//! The body of a message that is received: a cell between the connection's
//! task, which fills it, and a reader.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::shared::{Cell, Queued, ReadyQueue, Signal};
use crate::{Error, proto::StreamKey};

/// A body that ends with no more than this unread is not accounted for any
/// longer: its reader need not tell anybody when it has taken it.
const SMALL_REST: usize = 16 << 10;

/// Header lists after the head that may wait for the reader.
const MAX_FIELD_LISTS: usize = 4;

/// The body of a request or of a response that comes from the peer.
///
/// It is read with [`http_body::Body`]: first the data, then trailers if there
/// are any. What the reader takes is given back to the peer as flow-control
/// credit, so a slow reader slows the peer down and costs at most a window of
/// memory. Dropping it before its end discards what is still to come; the
/// credit goes back all the same.
///
/// ```
/// use http_body::Body;
/// use lacewing_conn::driver::Incoming;
///
/// let body = Incoming::empty();
/// assert!(body.is_end_stream());
/// assert_eq!(body.size_hint().exact(), Some(0));
/// ```
#[derive(Default)]
pub struct Incoming {
    /// `None` for a body that is known to be empty: no allocation, no lock.
    body: Option<Arc<Body>>,
    /// What is still to come of a known length.
    remaining: Option<u64>,
}

impl Incoming {
    /// A body without data.
    pub fn empty() -> Self {
        Self::default()
    }

    pub(super) fn new(body: Arc<Body>, length: Option<u64>) -> Self {
        Self {
            body: Some(body),
            remaining: length,
        }
    }

    /// Takes the next piece of data; `None` at the end of it. Trailers stay.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(body) = &self.body else {
            return Poll::Ready(None);
        };
        let mut state = body.state.lock();
        if let Some(data) = state.queue.pop_front() {
            state.buffered = state.buffered.saturating_sub(data.len());
            let report = state.consume(data.len(), &body.ready);
            drop(state);
            if report {
                Body::signal(body);
            }
            if let Some(remaining) = &mut self.remaining {
                *remaining = remaining.saturating_sub(data.len() as u64);
            }
            return Poll::Ready(Some(Ok(data)));
        }
        match &state.end {
            End::Open => {
                register(&mut state.reader, cx.waker());
                if state.interest == Interest::Awaited {
                    state.interest = Interest::Shown;
                    drop(state);
                    Body::signal(body);
                }
                Poll::Pending
            }
            End::Fin => Poll::Ready(None),
            End::Failed(_) => match std::mem::replace(&mut state.end, End::Fin) {
                End::Failed(error) => Poll::Ready(Some(Err(error))),
                End::Open | End::Fin => Poll::Ready(None),
            },
        }
    }

    /// Everything of it came, read or not.
    pub(super) fn is_whole(&self) -> bool {
        let body = self.body.as_ref();
        body.is_none_or(|body| matches!(body.state.lock().end, End::Fin))
    }

    /// Takes the next header list that came after the head, for streams on
    /// which lists may come at any time; `None` when no more will come.
    pub(super) fn poll_fields(&mut self, cx: &mut Context<'_>) -> Poll<Option<HeaderMap>> {
        let Some(body) = &self.body else {
            return Poll::Ready(None);
        };
        let mut state = body.state.lock();
        if let Some(fields) = state.fields.pop_front() {
            return Poll::Ready(Some(fields));
        }
        if !matches!(state.end, End::Open) {
            return Poll::Ready(None);
        }
        register(&mut state.fields_reader, cx.waker());
        Poll::Pending
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match this.poll_data(cx) {
            Poll::Ready(Some(data)) => Poll::Ready(Some(data.map(Frame::data))),
            Poll::Ready(None) => {
                let trailers = this
                    .body
                    .as_ref()
                    .and_then(|body| body.state.lock().trailers());
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        let Some(body) = &self.body else { return true };
        let state = body.state.lock();
        state.queue.is_empty() && state.fields.is_empty() && matches!(state.end, End::Fin)
    }

    fn size_hint(&self) -> SizeHint {
        let Some(body) = &self.body else {
            return SizeHint::with_exact(0);
        };
        let state = body.state.lock();
        let buffered = state.buffered as u64;
        match (&state.end, self.remaining) {
            (End::Fin, _) => SizeHint::with_exact(buffered),
            (_, Some(remaining)) => SizeHint::with_exact(remaining),
            (_, None) => {
                let mut hint = SizeHint::new();
                hint.set_lower(buffered);
                hint
            }
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let Some(body) = &self.body else { return };
        let mut state = body.state.lock();
        state.dropped = true;
        state.reader = None;
        let queue = std::mem::take(&mut state.queue);
        let unread = std::mem::take(&mut state.buffered);
        let report = state.consume(unread, &body.ready) || matches!(state.end, End::Open);
        let report = report && !state.detached;
        drop(state);
        drop(queue);
        if report {
            Body::signal(body);
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("empty", &self.body.is_none())
            .field("remaining", &self.remaining)
            .finish()
    }
}

/// The cell between the connection's task and the reader of a body.
#[derive(Debug)]
pub(super) struct Body {
    stream: StreamKey,
    queued: Queued,
    ready: Arc<ReadyQueue>,
    state: Cell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bounded by the receive window, or by the bytes that the engine lets
    /// wait.
    queue: VecDeque<Bytes>,
    buffered: usize,
    fields: VecDeque<HeaderMap>,
    end: End,
    reader: Option<Waker>,
    fields_reader: Option<Waker>,
    /// Consumed bytes that the engine was not told of.
    unreported: usize,
    /// Whether the application wants to know that somebody waits for data.
    interest: Interest,
    /// The reader is gone.
    dropped: bool,
    /// The application was told so.
    told: bool,
    /// The stream is gone: nobody asks for credit any more.
    detached: bool,
}

/// The peer may wait with its body until somebody asks for it (RFC 9110
/// §10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Interest {
    /// Of no interest, or told already.
    #[default]
    Ignored,
    /// To be told of.
    Awaited,
    /// The reader waits, and nothing has come.
    Shown,
}

#[derive(Debug, Default)]
enum End {
    #[default]
    Open,
    Fin,
    Failed(Error),
}

/// What the connection's task has to do after it spoke with a body.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Due {
    /// Bytes to release.
    pub(super) credit: usize,
    /// The reader went away before the end, and this is the first time that
    /// it shows.
    pub(super) abandoned: bool,
    /// The reader waits for the first data.
    pub(super) wanted: bool,
    /// More header lists than a reader may let wait.
    pub(super) overflow: bool,
}

impl Body {
    pub(super) fn new(stream: StreamKey, ready: Arc<ReadyQueue>) -> Arc<Self> {
        Arc::new(Self {
            stream,
            queued: Queued::default(),
            ready,
            state: Cell::default(),
        })
    }

    pub(super) fn stream(&self) -> StreamKey {
        self.stream
    }

    /// The application wants to know when the reader first waits for data.
    pub(super) fn watch(&self) {
        let mut state = self.state.lock();
        if state.queue.is_empty() && matches!(state.end, End::Open) {
            state.interest = Interest::Awaited;
        }
    }

    /// Its end has not come.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state.lock().end, End::Open)
    }

    /// More of the body came.
    pub(super) fn push(&self, data: Bytes, fin: bool) -> Due {
        let mut state = self.state.lock();
        state.interest = Interest::Ignored;
        let mut due = Due::default();
        if state.dropped {
            due.credit = data.len();
        } else if !data.is_empty() {
            state.buffered = state.buffered.saturating_add(data.len());
            state.queue.push_back(data);
        }
        if fin {
            due.credit = due.credit.saturating_add(state.end(&self.ready));
        }
        self.finish(state, due)
    }

    /// A header list came.
    pub(super) fn push_fields(&self, fields: HeaderMap, fin: bool) -> Due {
        let mut state = self.state.lock();
        state.interest = Interest::Ignored;
        let mut due = Due::default();
        if !state.dropped {
            due.overflow = state.fields.len() >= MAX_FIELD_LISTS;
            if !due.overflow {
                state.fields.push_back(fields);
            }
        }
        if fin {
            due.credit = state.end(&self.ready);
        }
        self.finish(state, due)
    }

    /// The reader gave credit back, waits for data, or went away.
    pub(super) fn take_signal(&self) -> Due {
        self.queued.clear();
        let mut state = self.state.lock();
        let abandoned =
            state.dropped && !state.detached && !state.told && matches!(state.end, End::Open);
        state.told |= abandoned;
        let wanted = state.interest == Interest::Shown && !state.dropped && !state.detached;
        if state.interest == Interest::Shown {
            state.interest = Interest::Ignored;
        }
        Due {
            credit: state.report(&self.ready),
            abandoned,
            wanted,
            overflow: false,
        }
    }

    /// Takes the credit that gathered.
    pub(super) fn credit(&self) -> usize {
        self.state.lock().report(&self.ready)
    }

    /// The transport brings no more: a body that is complete need not be
    /// accounted for any longer. Returns the credit to give back.
    pub(super) fn settle(&self) -> usize {
        let mut state = self.state.lock();
        if state.detached || !matches!(state.end, End::Fin) {
            return 0;
        }
        state.detached = true;
        state.buffered.saturating_add(state.report(&self.ready))
    }

    /// The stream is gone for the engine, which took the rest of the credit.
    /// Data that came before is still read; a reader that waits for more learns
    /// why there will be none.
    pub(super) fn detach(&self, error: &Error) {
        let mut state = self.state.lock();
        if matches!(state.end, End::Open) {
            state.end = End::Failed(error.clone());
        }
        state.detached = true;
        let _: Due = self.finish(state, Due::default());
    }

    fn finish(&self, mut state: std::sync::MutexGuard<'_, State>, mut due: Due) -> Due {
        due.credit = due.credit.saturating_add(state.report(&self.ready));
        let reader = state.reader.take();
        let fields_reader = state.fields_reader.take();
        drop(state);
        for waker in [reader, fields_reader].into_iter().flatten() {
            waker.wake();
        }
        due
    }

    fn signal(this: &Arc<Self>) {
        if this.queued.set() {
            this.ready.push(Signal::Body(Arc::clone(this)));
        }
    }
}

impl State {
    /// The reader took bytes; `true` if it is time to tell the engine.
    fn consume(&mut self, len: usize, ready: &ReadyQueue) -> bool {
        if self.detached {
            return false;
        }
        self.unreported = self.unreported.saturating_add(len);
        let due = ready.consumed(len, self.unreported);
        // The engine keeps the stream until all of its body is consumed.
        let last = self.queue.is_empty() && !matches!(self.end, End::Open);
        due || (last && self.unreported > 0)
    }

    /// No more will come. Returns the credit to give back.
    fn end(&mut self, ready: &ReadyQueue) -> usize {
        self.end = End::Fin;
        if self.buffered > SMALL_REST {
            return 0;
        }
        self.detached = true;
        self.buffered.saturating_add(self.report(ready))
    }

    fn report(&mut self, ready: &ReadyQueue) -> usize {
        let credit = std::mem::take(&mut self.unreported);
        if credit > 0 {
            ready.reported(credit);
        }
        credit
    }

    /// All header lists that came, as one: SPDY knows no trailers, only header
    /// lists at any time.
    fn trailers(&mut self) -> Option<HeaderMap> {
        let mut trailers = self.fields.pop_front()?;
        while let Some(more) = self.fields.pop_front() {
            for (name, value) in &more {
                trailers.append(name, value.clone());
            }
        }
        Some(trailers)
    }
}

fn register(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(known) => known.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
