//! The cells between handles on other tasks and the connection's task: the waker
//! of a stream, and the body of a received message. Each enters the ready queue
//! when the connection's task has to look at it.

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

/// The unread rest up to which a body that has ended releases its credit at once:
/// its reader then need not report what it takes.
pub(super) const SMALL_REST: usize = 16 << 10;

/// Header lists after the head that may wait for the reader.
const MAX_FIELD_LISTS: usize = 4;

/// An entry of the ready queue.
#[derive(Debug)]
pub(super) enum Signal {
    /// A waker of this stream was woken.
    Stream(Arc<StreamSignal>),
    /// The reader of this body released credit, waits for data, or was dropped.
    Body(Arc<Body>),
}

/// The waker of a stream: adds the stream to the ready queue.
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

    /// Marks the signal as taken from the queue: it may enter again from now on.
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
    /// Bounded by the receive window, or by `max_buffered_bytes`.
    data: Pieces,
    /// Made for the first of them, or for who waits for it.
    lists: Option<Box<Lists>>,
    end: End,
    reader: Option<Waker>,
    /// Consumed bytes that are not yet reported to the engine.
    unreported: usize,
    /// The application's interest in a reader that waits for the first data.
    interest: Interest,
    /// The reader was dropped.
    dropped: bool,
    /// The drop was reported to the application.
    reported: bool,
    /// The stream has ended: no credit is reported any more.
    detached: bool,
    /// Unread bytes that count as detached in the ready queue.
    counted: usize,
}

/// The header lists after the head.
#[derive(Debug, Default)]
struct Lists {
    /// Those that wait for the reader.
    waiting: VecDeque<HeaderMap>,
    charge: ListCharge,
    reader: Option<Waker>,
}

/// The application's interest in a waiting reader: a peer may hold its body back
/// until it receives `100 Continue` (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Interest {
    /// Of no interest, or reported already.
    #[default]
    Ignored,
    /// The application asked for a report.
    Awaited,
    /// The reader waits, and nothing has arrived.
    Shown,
}

/// The engine's charge for the header lists that wait for the reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ListCharge {
    /// They are short, and not charged.
    #[default]
    Free,
    /// The engine charges for them until they are read.
    Charged,
    /// They were read, and the engine still charges for them.
    Read,
}

#[derive(Debug, Default)]
enum End {
    #[default]
    Open,
    Fin,
    Failed(Box<Error>),
}

/// The work that a body leaves to the connection's task.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Due {
    /// Bytes to release.
    pub(super) credit: usize,
    /// The reader took the header lists that the engine charges for.
    pub(super) lists: ListCharge,
    /// The reader was dropped before the end. Set once.
    pub(super) abandoned: bool,
    /// The reader waits for the first data.
    pub(super) wanted: bool,
    /// More header lists wait than [`MAX_FIELD_LISTS`].
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

    pub(super) fn queue(&self) -> &Arc<ReadyQueue<Signal>> {
        &self.ready
    }

    /// Requests a signal when the reader first waits for data.
    pub(super) fn watch(&self) {
        let mut state = self.state.lock();
        if state.data.is_empty() && matches!(state.end, End::Open) {
            state.interest = Interest::Awaited;
        }
    }

    /// Returns `true` while the body has not ended.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state.lock().end, End::Open)
    }

    /// Adds data that arrived.
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

    /// Adds a header list that arrived.
    pub(super) fn push_fields(&self, fields: HeaderMap, lists: ListCharge, fin: bool) -> Due {
        let mut state = self.state.lock();
        state.interest = Interest::Ignored;
        let mut due = Due::default();
        if state.dropped {
            due.lists = ListCharge::Read;
        } else {
            let known = state.lists.get_or_insert_default();
            if lists == ListCharge::Charged {
                known.charge = lists;
            }
            due.overflow = known.waiting.len() >= MAX_FIELD_LISTS;
            if !due.overflow {
                known.waiting.push_back(fields);
            }
        }
        if fin {
            due.credit = state.end(&self.ready);
        }
        self.finish(state, due)
    }

    /// Handles a signal of the reader, taken from the queue.
    pub(super) fn take_signal(&self) -> Due {
        self.queued.clear();
        let mut state = self.state.lock();
        let abandoned =
            state.dropped && !state.detached && !state.reported && matches!(state.end, End::Open);
        state.reported |= abandoned;
        let wanted = state.interest == Interest::Shown && !state.dropped && !state.detached;
        if state.interest == Interest::Shown {
            state.interest = Interest::Ignored;
        }
        Due {
            credit: state.report(&self.ready),
            lists: state.take_lists(),
            abandoned,
            wanted,
            overflow: false,
        }
    }

    /// Takes the credit that has gathered.
    pub(super) fn credit(&self) -> usize {
        self.state.lock().report(&self.ready)
    }

    /// Detaches a complete body after the end of the transport. Returns the credit
    /// to release; `None` for one that is not complete.
    pub(super) fn detach_complete(&self) -> Option<usize> {
        let mut state = self.state.lock();
        if state.detached || !matches!(state.end, End::Fin) {
            return None;
        }
        state.detached = true;
        Some(state.data.len().saturating_add(state.report(&self.ready)))
    }

    /// Detaches the body from a stream that has ended; the engine took the rest of
    /// the credit. The reader still gets the data that has arrived, then the error.
    pub(super) fn detach(&self, error: &Error) {
        let mut state = self.state.lock();
        if matches!(state.end, End::Open) {
            state.end = End::Failed(Box::new(error.clone()));
        }
        if !std::mem::replace(&mut state.detached, true) {
            state.counted = state.data.len();
            if state.counted > 0 {
                self.ready.detach(state.counted);
            }
        }
        let _: Due = self.finish(state, Due::default());
    }

    /// Detaches the body as [`detach`](Self::detach) does, and drops the data that has
    /// arrived: the stream was ended to free its memory.
    pub(super) fn discard(&self, error: &Error) {
        let mut state = self.state.lock();
        let unread = std::mem::take(&mut state.data);
        if matches!(state.end, End::Open) || !unread.is_empty() {
            state.end = End::Failed(Box::new(error.clone()));
        }
        if state.detached {
            state.consume(unread.len(), &self.ready);
        }
        state.detached = true;
        let _: Due = self.finish(state, Due::default());
        drop(unread);
    }

    /// Takes the next piece of data for the reader; `None` at the end.
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
                End::Failed(error) => Poll::Ready(Some(Err(*error))),
                End::Open | End::Fin => Poll::Ready(None),
            },
        }
    }

    /// Takes the next header list for the reader; `None` when no more will arrive.
    pub(super) fn poll_fields(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Option<HeaderMap>> {
        let mut state = self.state.lock();
        if let Some(fields) = state.next_list() {
            let report = state.read_lists();
            drop(state);
            if report {
                self.signal();
            }
            return Poll::Ready(Some(fields));
        }
        if !matches!(state.end, End::Open) {
            return Poll::Ready(None);
        }
        let lists = state.lists.get_or_insert_default();
        wakers::register(&mut lists.reader, cx.waker());
        Poll::Pending
    }

    /// Takes all header lists as one: SPDY has no trailers, only HEADERS frames at
    /// any time.
    pub(super) fn take_trailers(self: &Arc<Self>) -> Option<HeaderMap> {
        let mut state = self.state.lock();
        let trailers = state.trailers();
        let report = state.read_lists();
        drop(state);
        if report {
            self.signal();
        }
        trailers
    }

    /// Returns `true` once the reader has taken everything.
    pub(super) fn is_read(&self) -> bool {
        let state = self.state.lock();
        state.data.is_empty() && !state.has_lists() && matches!(state.end, End::Fin)
    }

    /// Returns `true` once the peer has sent all of it.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state.lock().end, End::Fin)
    }

    /// Returns the bytes that wait for the reader, and `true` if they are the last.
    pub(super) fn waiting(&self) -> (usize, bool) {
        let state = self.state.lock();
        (state.data.len(), matches!(state.end, End::Fin))
    }

    /// Handles the drop of the reader, perhaps before the end.
    pub(super) fn drop_reader(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.dropped = true;
        state.reader = None;
        let unread = std::mem::take(&mut state.data);
        let lists = state.lists.as_mut();
        let fields = lists.map(|lists| std::mem::take(&mut lists.waiting));
        let read = state.read_lists();
        let report = state.consume(unread.len(), &self.ready) || matches!(state.end, End::Open);
        let report = (report || read) && !state.detached;
        drop(state);
        drop((unread, fields));
        if report {
            self.signal();
        }
    }

    fn finish(&self, mut state: Guard<'_, State>, mut due: Due) -> Due {
        due.credit = due.credit.saturating_add(state.report(&self.ready));
        let reader = state.reader.take();
        let lists = state.lists.as_mut();
        let fields_reader = lists.and_then(|lists| lists.reader.take());
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
    /// Counts bytes that the reader took; `true` if it is time to report them.
    fn consume(&mut self, len: usize, ready: &ReadyQueue<Signal>) -> bool {
        if self.detached {
            let freed = len.min(self.counted);
            if freed > 0 {
                self.counted = self.counted.saturating_sub(freed);
                ready.free_detached(freed);
            }
            return false;
        }
        self.unreported = self.unreported.saturating_add(len);
        let due = ready.consumed(len, self.unreported);
        // The engine keeps the stream until all of its body is consumed.
        let last = self.data.is_empty() && !matches!(self.end, End::Open);
        due || (last && self.unreported > 0)
    }

    /// Ends the body. Returns the credit to release.
    fn end(&mut self, ready: &ReadyQueue<Signal>) -> usize {
        self.end = End::Fin;
        let charged = self.charge() == ListCharge::Charged;
        if self.data.len() > SMALL_REST || charged {
            return 0;
        }
        self.detached = true;
        self.data.len().saturating_add(self.report(ready))
    }

    fn charge(&self) -> ListCharge {
        let lists = self.lists.as_ref();
        lists.map_or(ListCharge::Free, |lists| lists.charge)
    }

    fn has_lists(&self) -> bool {
        let lists = self.lists.as_ref();
        lists.is_some_and(|lists| !lists.waiting.is_empty())
    }

    fn next_list(&mut self) -> Option<HeaderMap> {
        self.lists.as_mut()?.waiting.pop_front()
    }

    /// Returns `true` if the reader took the last of the lists that are charged.
    fn read_lists(&mut self) -> bool {
        let Some(lists) = &mut self.lists else {
            return false;
        };
        let read = lists.charge == ListCharge::Charged && lists.waiting.is_empty();
        if read {
            lists.charge = ListCharge::Read;
        }
        read && !self.detached
    }

    fn take_lists(&mut self) -> ListCharge {
        match &mut self.lists {
            Some(lists) if lists.charge == ListCharge::Read => std::mem::take(&mut lists.charge),
            _ => ListCharge::Free,
        }
    }

    fn report(&mut self, ready: &ReadyQueue<Signal>) -> usize {
        let credit = std::mem::take(&mut self.unreported);
        if credit > 0 {
            ready.reported(credit);
        }
        credit
    }

    fn trailers(&mut self) -> Option<HeaderMap> {
        let mut trailers = self.next_list()?;
        while let Some(more) = self.next_list() {
            for (name, value) in &more {
                trailers.append(name, value.clone());
            }
        }
        Some(trailers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Side, proto::StreamId};

    /// A body whose header list has arrived.
    fn body(lists: ListCharge) -> (Arc<Body>, Due) {
        let ready = Arc::new(ReadyQueue::new(&Limits::new(Side::Client)));
        let body = Body::new(StreamKey::new(0, StreamId::new(1)), ready);
        let due = body.push_fields(HeaderMap::new(), lists, true);
        (body, due)
    }

    #[test]
    fn the_reader_of_a_charged_list_reports_it() {
        let (body, due) = body(ListCharge::Charged);
        assert_eq!(due.lists, ListCharge::Free);
        assert!(body.take_trailers().is_some());
        assert_eq!(body.take_signal().lists, ListCharge::Read);
        assert_eq!(body.take_signal().lists, ListCharge::Free, "once");
    }

    #[test]
    fn a_reader_that_leaves_releases_the_charge() {
        let (body, _) = body(ListCharge::Charged);
        body.drop_reader();
        assert_eq!(body.take_signal().lists, ListCharge::Read);
        let due = body.push_fields(HeaderMap::new(), ListCharge::Charged, true);
        assert_eq!(due.lists, ListCharge::Read, "at once, without a reader");
    }

    #[test]
    fn a_short_list_needs_no_report() {
        let (body, _) = body(ListCharge::Free);
        assert!(body.take_trailers().is_some());
        assert_eq!(body.take_signal().lists, ListCharge::Free);
        assert!(body.detach_complete().is_none(), "detached at its end");
    }
}
