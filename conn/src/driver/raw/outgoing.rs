//! The sending half of a raw stream: a cell between its writer and the
//! connection's task.

use std::{
    collections::VecDeque,
    io,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::config::{Lists, Style};
use crate::{
    Error, Reason,
    driver::{ready_queue::Cell, wakers, write_room::WriteRoom},
    proto::{Direction, StreamId},
};

/// Header lists of one stream that may wait to be sent.
const MAX_FIELD_LISTS: usize = 4;

/// Shorter chunks are copied: each keeps the whole buffer alive that it is a part of.
const COPY_BELOW: usize = 8 << 10;

/// The data and requests of a stream's handles, until the connection's task takes
/// them.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Wakes the task for this stream.
    waker: Waker,
    lists: Lists,
    kind: Kind,
    /// Both halves were closed when the peer opened the stream. It lasts as long as
    /// its handle, so that unaccepted ones count against the limit.
    message: bool,
    state: Cell<State>,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Item>,
    /// That of the data in the queue.
    room: WriteRoom,
    fin: Fin,
    reply: Reply,
    /// Nothing is sent while the reply is awaited.
    await_reply: bool,
    reset: Option<Reason>,
    /// Pieces that the task took so far.
    taken: u64,
    /// The last of them is not known to be with the transport.
    unwritten: bool,
    /// The error after which nothing can be sent.
    error: Option<Error>,
    /// With the error: our half had not ended.
    lost: bool,
    /// The halves that are not dropped.
    handles: u8,
    /// Waits for room, or for everything to be with the transport.
    writer: Option<Waker>,
    /// Waits for the peer's reply.
    reply_reader: Option<Waker>,
}

#[derive(Debug)]
enum Item {
    /// Bytes that were copied here; more may be added.
    Data(BytesMut),
    Chunk(Bytes),
    Fields(HeaderMap),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fin {
    Open,
    Wanted,
    Sent,
}

#[derive(Debug)]
enum Reply {
    /// The peer opened the stream and waits for ours.
    Owed,
    /// Ours, on its way to the task.
    Given(HeaderMap),
    /// We opened the stream, and the peer's reply has not arrived.
    Awaited,
    /// The peer's, not yet read.
    Received(HeaderMap),
    Done,
}

/// The work that a stream leaves to the connection's task.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct StreamWork {
    pub(super) reset: Option<Reason>,
    pub(super) reply: Option<HeaderMap>,
    /// There is something to pull.
    pub(super) offer: bool,
    /// Both halves were dropped.
    pub(super) departed: bool,
}

/// The next item to send.
#[derive(Debug)]
pub(super) enum Piece {
    Data {
        data: Bytes,
        fin: bool,
    },
    /// A header list; the last of the stream, if `fin`.
    Fields {
        fields: HeaderMap,
        fin: bool,
    },
    Nothing,
}

/// The properties that a stream was opened with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) opened_by: OpenedBy,
    pub(super) direction: Direction,
    pub(super) parent: Option<StreamId>,
}

/// The side that opened the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenedBy {
    Us,
    Peer,
}

impl Kind {
    /// There is nothing to be read.
    pub(super) fn is_ours_alone(self) -> bool {
        self.opened_by == OpenedBy::Us && self.direction == Direction::Unidirectional
    }
}

impl Outgoing {
    /// `fin`: the opener sends nothing but its header list.
    pub(super) fn new(waker: Waker, room: WriteRoom, style: Style, kind: Kind, fin: bool) -> Self {
        let one_way = kind.direction == Direction::Unidirectional;
        let ours = kind.opened_by == OpenedBy::Us;
        let ended = if ours { fin } else { one_way };
        let state = State {
            queue: VecDeque::new(),
            room,
            fin: if ended { Fin::Sent } else { Fin::Open },
            reply: match kind.opened_by {
                _ if one_way => Reply::Done,
                OpenedBy::Us => Reply::Awaited,
                OpenedBy::Peer => Reply::Owed,
            },
            await_reply: style.await_reply,
            reset: None,
            taken: 0,
            unwritten: false,
            error: None,
            lost: false,
            handles: 2,
            writer: None,
            reply_reader: None,
        };
        Self {
            waker,
            lists: style.lists,
            kind,
            message: !ours && one_way && fin,
            state: Cell::new(state),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The peer opened it for its header list alone.
    pub(super) fn is_message(&self) -> bool {
        self.message
    }

    // The handle's side.

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state.lock();
        state.check_open()?;
        state.check_not_ending(self.lists)?;
        let room = state.room.left();
        if room == 0 && !data.is_empty() {
            wakers::register(&mut state.writer, cx.waker());
            return Poll::Pending;
        }
        let len = room.min(data.len());
        let data = data.get(..len).unwrap_or_default();
        let idle = state.queue.is_empty();
        state.room.add(len);
        match state.queue.back_mut() {
            Some(Item::Data(tail)) => tail.extend_from_slice(data),
            _ if len > 0 => state.queue.push_back(Item::Data(BytesMut::from(data))),
            _ => {}
        }
        drop(state);
        if idle {
            self.waker.wake_by_ref();
        }
        Poll::Ready(Ok(len))
    }

    /// Takes all of `chunk`, and leaves it empty. A long one is not copied, and may exceed the room
    /// that is left: it is memory that the caller has.
    pub(super) fn poll_write_chunk(
        &self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        while chunk.len() < COPY_BELOW {
            let written = ready!(self.poll_write(cx, chunk))?;
            chunk.advance(written);
            if chunk.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        let mut state = self.state.lock();
        state.check_open()?;
        state.check_not_ending(self.lists)?;
        if state.room.left() == 0 {
            wakers::register(&mut state.writer, cx.waker());
            return Poll::Pending;
        }
        let idle = state.queue.is_empty();
        state.room.add(chunk.len());
        state.queue.push_back(Item::Chunk(std::mem::take(chunk)));
        drop(state);
        if idle {
            self.waker.wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for room. Also ready once nothing can be written: a write has the reason.
    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.error.is_some() || state.fin != Fin::Open || state.room.left() > 0 {
            return Poll::Ready(());
        }
        wakers::register(&mut state.writer, cx.waker());
        Poll::Pending
    }

    /// Ready when all that was written, and the end if it was asked for, is
    /// with the transport.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        if let (true, Some(error)) = (state.lost, &state.error) {
            return Poll::Ready(Err(broken_pipe(error)));
        }
        if !state.unwritten && !state.has_untaken(self.lists) {
            return Poll::Ready(Ok(()));
        }
        wakers::register(&mut state.writer, cx.waker());
        Poll::Pending
    }

    /// Ends our half, and is ready when all of it is with the transport.
    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish()?;
        self.poll_flush(cx)
    }

    pub(super) fn finish(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.fin != Fin::Open {
            return Ok(());
        }
        state.fin = Fin::Wanted;
        let failed = state.error.clone();
        drop(state);
        match failed {
            Some(error) => Err(broken_pipe(&error)),
            None => {
                self.waker.wake_by_ref();
                Ok(())
            }
        }
    }

    /// The end of our half was asked for or sent.
    pub(super) fn is_finishing(&self) -> bool {
        self.state.lock().fin != Fin::Open
    }

    /// One of the halves was dropped.
    pub(super) fn leave(&self) {
        let mut state = self.state.lock();
        state.handles = state.handles.saturating_sub(1);
        let last = state.handles == 0;
        drop(state);
        if last {
            self.waker.wake_by_ref();
        }
    }

    pub(super) fn reset(&self, reason: Reason) {
        let mut state = self.state.lock();
        if state.error.is_none() && state.reset.is_none() {
            state.reset = Some(reason);
            drop(state);
            self.waker.wake_by_ref();
        }
    }

    /// Replies to a stream that the peer opened. `false` if it has a reply, or if the
    /// reply is the peer's.
    pub(super) fn reply(&self, fields: HeaderMap) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.reply, Reply::Owed) {
            return false;
        }
        state.reply = Reply::Given(fields);
        drop(state);
        self.waker.wake_by_ref();
        true
    }

    pub(super) fn poll_reply(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<HeaderMap>, Error>> {
        let mut state = self.state.lock();
        match &mut state.reply {
            Reply::Received(fields) => {
                let fields = std::mem::take(fields);
                state.reply = Reply::Done;
                Poll::Ready(Ok(Some(fields)))
            }
            Reply::Awaited => {
                if let Some(error) = &state.error {
                    return Poll::Ready(Err(error.clone()));
                }
                wakers::register(&mut state.reply_reader, cx.waker());
                Poll::Pending
            }
            Reply::Owed | Reply::Given(_) | Reply::Done => Poll::Ready(Ok(None)),
        }
    }

    pub(super) fn poll_send_fields(
        &self,
        cx: &mut Context<'_>,
        fields: &mut Option<HeaderMap>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        state.check_open()?;
        state.check_not_ending(self.lists)?;
        let waiting = state
            .queue
            .iter()
            .filter(|item| matches!(item, Item::Fields(_)))
            .count();
        if waiting >= MAX_FIELD_LISTS {
            wakers::register(&mut state.writer, cx.waker());
            return Poll::Pending;
        }
        if let Some(fields) = fields.take() {
            state.queue.push_back(Item::Fields(fields));
        }
        drop(state);
        self.waker.wake_by_ref();
        Poll::Ready(Ok(()))
    }

    // The task's side.

    pub(super) fn work(&self) -> StreamWork {
        let mut state = self.state.lock();
        let mut work = StreamWork {
            reset: state.reset.take(),
            departed: state.handles == 0,
            ..StreamWork::default()
        };
        if state.error.is_some() {
            return work;
        }
        if matches!(state.reply, Reply::Owed) && state.fin == Fin::Wanted {
            // Ends silently: without a head there is no end to send.
            state.reply = Reply::Given(HeaderMap::new());
        }
        if let Reply::Given(fields) = &mut state.reply {
            work.reply = Some(std::mem::take(fields));
            state.reply = Reply::Done;
        }
        work.offer = state.has_work();
        work
    }

    /// The next piece, of at most `max` bytes of data, and whether it is the
    /// first since everything was with the transport.
    pub(super) fn take(&self, max: usize) -> (Piece, bool) {
        let mut state = self.state.lock();
        let piece = state.take(max.max(1), self.lists);
        let mut first = false;
        if !matches!(piece, Piece::Nothing) {
            state.taken = state.taken.wrapping_add(1);
            first = !std::mem::replace(&mut state.unwritten, true);
        }
        let writer = state.writer.take();
        drop(state);
        wakers::wake(writer);
        (piece, first)
    }

    /// Pieces that were taken so far.
    pub(super) fn taken(&self) -> u64 {
        self.state.lock().taken
    }

    pub(super) fn is_written(&self) -> bool {
        !self.state.lock().unwritten
    }

    /// Every piece that was taken is with the transport.
    pub(super) fn written(&self) {
        let mut state = self.state.lock();
        state.unwritten = false;
        let writer = state.writer.take();
        drop(state);
        wakers::wake(writer);
    }

    /// `true` if there is something to pull now.
    pub(super) fn reply_came(&self, fields: HeaderMap) -> bool {
        let mut state = self.state.lock();
        if matches!(state.reply, Reply::Awaited) {
            state.reply = Reply::Received(fields);
        }
        let reader = state.reply_reader.take();
        let offer = state.await_reply && state.has_work();
        drop(state);
        wakers::wake(reader);
        offer
    }

    /// Ends the stream: nothing more can be sent.
    pub(super) fn fail(&self, error: &Error) {
        let mut state = self.state.lock();
        if state.error.is_none() {
            state.error = Some(error.clone());
            state.lost = state.unwritten || state.fin != Fin::Sent;
        }
        let queue = std::mem::take(&mut state.queue);
        state.room.clear();
        let waiting = [state.writer.take(), state.reply_reader.take()];
        drop(state);
        drop(queue);
        wakers::wake(waiting.into_iter().flatten());
    }
}

impl State {
    fn check_open(&self) -> io::Result<()> {
        if let Some(error) = &self.error {
            return Err(broken_pipe(error));
        }
        if self.fin != Fin::Open {
            let text = "the stream's sending half was shut down";
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, text));
        }
        Ok(())
    }

    /// If the protocol has header lists only at the end of a half, nothing
    /// follows one.
    fn check_not_ending(&self, lists: Lists) -> io::Result<()> {
        if self.waits_for_end(lists) {
            let text = "this protocol has header lists only at the end of a stream: \
                        nothing can follow the one that was sent";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(())
    }

    /// The last item is a header list that is to end our half.
    fn waits_for_end(&self, lists: Lists) -> bool {
        lists == Lists::AtEnd && matches!(self.queue.back(), Some(Item::Fields(_)))
    }

    /// The task has something to take yet. A header list that waits for the end
    /// alone does not count.
    fn has_untaken(&self, lists: Lists) -> bool {
        match self.fin {
            Fin::Open if self.waits_for_end(lists) => self.queue.len() > 1,
            Fin::Open | Fin::Sent => !self.queue.is_empty(),
            Fin::Wanted => true,
        }
    }

    /// A head has to go first, ours or the peer's.
    fn waits_for_reply(&self) -> bool {
        match self.reply {
            Reply::Owed => true,
            Reply::Awaited => self.await_reply,
            Reply::Given(_) | Reply::Received(_) | Reply::Done => false,
        }
    }

    /// There is something to be pulled.
    fn has_work(&self) -> bool {
        !self.waits_for_reply() && (!self.queue.is_empty() || self.fin == Fin::Wanted)
    }

    fn take(&mut self, max: usize, lists: Lists) -> Piece {
        if self.error.is_some() || self.waits_for_reply() {
            return Piece::Nothing;
        }
        if self.queue.len() == 1 && self.fin == Fin::Open && self.waits_for_end(lists) {
            return Piece::Nothing;
        }
        let piece = match self.queue.pop_front() {
            Some(Item::Data(mut buffer)) => {
                let rest = (buffer.len() > max).then(|| buffer.split_off(max));
                self.data(buffer.freeze(), rest.map(Item::Data))
            }
            Some(Item::Chunk(mut chunk)) => {
                let rest = (chunk.len() > max).then(|| chunk.split_off(max));
                self.data(chunk, rest.map(Item::Chunk))
            }
            Some(Item::Fields(fields)) => Piece::Fields {
                fields,
                fin: self.ends(),
            },
            None if self.fin == Fin::Wanted => Piece::Data {
                data: Bytes::new(),
                fin: true,
            },
            None => Piece::Nothing,
        };
        if self.ends() {
            self.fin = Fin::Sent;
        }
        piece
    }

    /// The piece with the first part of an item, whose rest stays.
    fn data(&mut self, data: Bytes, rest: Option<Item>) -> Piece {
        self.room.remove(data.len());
        if let Some(rest) = rest {
            self.queue.push_front(rest);
        }
        let fin = self.ends();
        Piece::Data { data, fin }
    }

    fn ends(&self) -> bool {
        self.fin == Fin::Wanted && self.queue.is_empty()
    }
}

fn broken_pipe(error: &Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error.clone())
}
