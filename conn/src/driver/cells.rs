//! What handles on other tasks share with the connection's task: the waker of a
//! stream, and the body of a message that is received. Each puts itself into
//! the ready queue when it has something to say.

use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use http::HeaderMap;

use super::{
    pieces::Pieces,
    ready_queue::{Cell, Guard, Queued, ReadyQueue},
    wakers,
};
use crate::{Error, proto::StreamKey};

/// A body that ends with no more than this unread is not accounted for any
/// longer: its reader need not tell anybody when it has taken it.
const SMALL_REST: usize = 16 << 10;

/// Header lists after the head that may wait for the reader.
const MAX_FIELD_LISTS: usize = 4;

/// An entry of the ready queue.
#[derive(Debug)]
pub(super) enum Signal {
    /// A waker of this stream was woken.
    Stream(Arc<StreamSignal>),
    /// The reader of this body released credit, waits for data, or went away.
    Body(Arc<Body>),
}

/// The waker of a stream: puts the stream into the ready queue.
pub(super) struct StreamSignal {
    stream: StreamKey,
    queued: Queued,
    queue: Arc<ReadyQueue<Signal>>,
}

impl StreamSignal {
    pub(super) fn waker(stream: StreamKey, queue: Arc<ReadyQueue<Signal>>) -> Waker {
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

/// The cell between the connection's task and the reader of a body.
#[derive(Debug)]
pub(super) struct Body {
    stream: StreamKey,
    queued: Queued,
    ready: Arc<ReadyQueue<Signal>>,
    state: Cell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bounded by the receive window, or by the bytes that the engine lets
    /// wait.
    data: Pieces,
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
    pub(super) fn new(stream: StreamKey, ready: Arc<ReadyQueue<Signal>>) -> Arc<Self> {
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
        if state.data.is_empty() && matches!(state.end, End::Open) {
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
            state.data.push(data);
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
        state.data.len().saturating_add(state.report(&self.ready))
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

    /// The reader takes the next piece of data; `None` at its end.
    pub(super) fn poll_data(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        let mut state = self.state.lock();
        if let Some(data) = state.data.pop() {
            let report = state.consume(data.len(), &self.ready);
            drop(state);
            if report {
                self.signal();
            }
            return Poll::Ready(Some(Ok(data)));
        }
        match &state.end {
            End::Open => {
                wakers::register(&mut state.reader, cx.waker());
                if state.interest == Interest::Awaited {
                    state.interest = Interest::Shown;
                    drop(state);
                    self.signal();
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

    /// The reader takes the next header list; `None` when no more will come.
    pub(super) fn poll_fields(&self, cx: &mut Context<'_>) -> Poll<Option<HeaderMap>> {
        let mut state = self.state.lock();
        if let Some(fields) = state.fields.pop_front() {
            return Poll::Ready(Some(fields));
        }
        if !matches!(state.end, End::Open) {
            return Poll::Ready(None);
        }
        wakers::register(&mut state.fields_reader, cx.waker());
        Poll::Pending
    }

    /// All header lists that came, as one: SPDY has no trailers, only header
    /// lists at any time.
    pub(super) fn take_trailers(&self) -> Option<HeaderMap> {
        self.state.lock().trailers()
    }

    /// The reader has taken all there will be.
    pub(super) fn is_read(&self) -> bool {
        let state = self.state.lock();
        state.data.is_empty() && state.fields.is_empty() && matches!(state.end, End::Fin)
    }

    /// The peer has sent all of it.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state.lock().end, End::Fin)
    }

    /// Bytes that wait for the reader, and whether no more will come.
    pub(super) fn waiting(&self) -> (usize, bool) {
        let state = self.state.lock();
        (state.data.len(), matches!(state.end, End::Fin))
    }

    /// The reader goes away, perhaps before the end.
    pub(super) fn drop_reader(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.dropped = true;
        state.reader = None;
        let unread = std::mem::take(&mut state.data);
        let report = state.consume(unread.len(), &self.ready) || matches!(state.end, End::Open);
        let report = report && !state.detached;
        drop(state);
        drop(unread);
        if report {
            self.signal();
        }
    }

    fn finish(&self, mut state: Guard<'_, State>, mut due: Due) -> Due {
        due.credit = due.credit.saturating_add(state.report(&self.ready));
        let reader = state.reader.take();
        let fields_reader = state.fields_reader.take();
        drop(state);
        wakers::wake([reader, fields_reader].into_iter().flatten());
        due
    }

    fn signal(self: &Arc<Self>) {
        if self.queued.set() {
            self.ready.push(Signal::Body(Arc::clone(self)));
        }
    }
}

impl State {
    /// The reader took bytes; `true` if it is time to tell the engine.
    fn consume(&mut self, len: usize, ready: &ReadyQueue<Signal>) -> bool {
        if self.detached {
            return false;
        }
        self.unreported = self.unreported.saturating_add(len);
        let due = ready.consumed(len, self.unreported);
        // The engine keeps the stream until all of its body is consumed.
        let last = self.data.is_empty() && !matches!(self.end, End::Open);
        due || (last && self.unreported > 0)
    }

    /// No more will come. Returns the credit to give back.
    fn end(&mut self, ready: &ReadyQueue<Signal>) -> usize {
        self.end = End::Fin;
        if self.data.len() > SMALL_REST {
            return 0;
        }
        self.detached = true;
        self.data.len().saturating_add(self.report(ready))
    }

    fn report(&mut self, ready: &ReadyQueue<Signal>) -> usize {
        let credit = std::mem::take(&mut self.unreported);
        if credit > 0 {
            ready.reported(credit);
        }
        credit
    }

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
