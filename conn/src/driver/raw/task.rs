//! The connection's side of a [`Mux`](super::Mux).

use std::{collections::VecDeque, sync::Arc, task, time::Duration};

use http::HeaderMap;
use tokio::sync::oneshot;

use super::{
    config::Style,
    hub::{Accepted, Hub, Open, Request, closed},
    outgoing::{Kind, OpenedBy, Outgoing, Piece},
    stream::RawStream,
};
use crate::{
    Error, Initiator, Reason,
    driver::{
        application::Application, context::Context, incoming::Incoming, stream_table::StreamTable,
        wakers, write_room::WriteRoom,
    },
    proto::{Direction, Event, Head, OpenError, ShutdownOrder, StreamKey},
};

/// The application of a [`Mux`](super::Mux): moves bytes between the streams'
/// cells and the engine.
#[derive(Debug)]
pub(super) struct Streams {
    hub: Arc<Hub>,
    style: Style,
    table: StreamTable<Arc<Outgoing>>,
    /// As many as there are callers of [`Mux::open`](super::Mux::open), or were.
    opens: VecDeque<Open>,
    /// Streams with pieces that are not known to be with the transport.
    unwritten: Vec<Unwritten>,
    /// Callers who wait for the answer to a PING.
    pings: Vec<oneshot::Sender<Duration>>,
    /// The last handle was dropped, and its requests are handled.
    handles_gone: bool,
    /// New streams of the peer are refused: a shutdown began whose GOAWAY is not sent
    /// yet.
    refusing: bool,
}

/// A stream with pieces that are not known to be with the transport.
#[derive(Debug)]
struct Unwritten {
    stream: StreamKey,
    outgoing: Arc<Outgoing>,
    /// The number of pieces that are in frames, and the end of these frames in
    /// the output.
    framed: Option<(u64, u64)>,
}

impl Unwritten {
    /// Returns `true` once the transport has all pieces that were taken.
    fn is_written(&mut self, conn: &mut Context<'_>) -> bool {
        let (written, end) = (conn.written(), conn.output_end());
        if let Some((taken, at)) = self.framed {
            if written < at {
                return false;
            }
            if self.outgoing.taken() == taken {
                return true;
            }
            self.framed = None;
        }
        if !conn.stream(self.stream).has_unsent() {
            self.framed = Some((self.outgoing.taken(), end));
        }
        self.framed.is_some() && written == end
    }
}

impl Streams {
    pub(super) fn new(hub: Arc<Hub>, style: Style) -> Self {
        Self {
            hub,
            style,
            table: StreamTable::new(),
            opens: VecDeque::new(),
            handles_gone: false,
            unwritten: Vec::new(),
            refusing: false,
            pings: Vec::new(),
        }
    }

    fn find(&self, stream: StreamKey) -> Option<&Arc<Outgoing>> {
        self.table.get(stream)
    }

    fn handle_request(&mut self, conn: &mut Context<'_>, request: Request) {
        match request {
            Request::Open(open) => self.opens.push_back(open),
            Request::Ping(caller) => {
                // A PING under way serves this caller too.
                self.pings.retain(|waiting| !waiting.is_closed());
                self.pings.push(caller);
                conn.ping();
            }
            Request::Stats(caller) => {
                let _ = caller.send(conn.stats());
            }
            Request::Shutdown => {
                self.refusing = self.style.shutdown_order == ShutdownOrder::DataFirst;
                conn.shutdown();
            }
            Request::HandlesGone => self.handles_gone = true,
        }
    }

    fn accept(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        headers: HeaderMap,
        kind: Kind,
        fin: bool,
    ) {
        let incoming = if fin {
            Incoming::empty()
        } else {
            conn.incoming(stream, None)
        };
        let waker = conn.waker(stream);
        let room = WriteRoom::of(&conn.notifier(), self.style.write_buffer);
        let outgoing = Arc::new(Outgoing::new(waker, room, self.style, kind, fin));
        let bound = usize::try_from(conn.limits().max_concurrent_streams);
        let mut hub = self.hub.state.lock();
        if hub.handles_gone || self.refusing || hub.accepted.len() >= bound.unwrap_or(usize::MAX) {
            drop(hub);
            conn.reset(stream, Reason::RefusedStream);
            return;
        }
        let stream_handle = RawStream::new(stream, incoming, Arc::clone(&outgoing));
        hub.accepted.push_back(Accepted {
            headers,
            stream: stream_handle,
        });
        let acceptors = std::mem::take(&mut hub.acceptors);
        drop(hub);
        wakers::wake(acceptors);
        self.table.insert(stream, outgoing);
    }

    fn open(&mut self, conn: &mut Context<'_>, open: Open) {
        if open.answer.is_closed() {
            // The caller has stopped waiting.
            return;
        }
        let options = open.options;
        let head = Head::fields(open.headers);
        let outcome = match conn.open(head, options) {
            Ok(stream) => {
                let kind = Kind {
                    opened_by: OpenedBy::Us,
                    direction: options.direction,
                    parent: options.parent,
                };
                let incoming = if kind.is_ours_alone() {
                    Incoming::empty()
                } else {
                    conn.incoming(stream, None)
                };
                let waker = conn.waker(stream);
                let room = WriteRoom::of(&conn.notifier(), self.style.write_buffer);
                let outgoing = Outgoing::new(waker, room, self.style, kind, options.fin);
                let outgoing = Arc::new(outgoing);
                self.table.insert(stream, Arc::clone(&outgoing));
                Ok(RawStream::new(stream, incoming, outgoing))
            }
            Err(error) => {
                let text = error.to_string();
                match error {
                    OpenError::Usage(_) => Err(Error::not_opened(text)),
                    _ => {
                        let reason = Reason::RefusedStream;
                        let go_away = conn.peer_go_away().cloned();
                        let error = go_away.map_or_else(
                            || Error::connection(Initiator::User, reason, text),
                            Error::not_processed,
                        );
                        Err(error.with_retryable(true))
                    }
                }
            }
        };
        let _ = open.answer.send(outcome);
    }

    /// Ends a stream that the engine has ended.
    fn end(&mut self, stream: StreamKey, error: &Error) {
        if let Some(outgoing) = self.table.remove(stream) {
            outgoing.fail(error);
        }
        // A stream that ended before it was accepted must not be kept: a peer
        // could open and reset without end. One that is complete is kept, as when
        // the connection ended behind it.
        let mut hub = self.hub.state.lock();
        let place = hub
            .accepted
            .iter()
            .position(|accepted| accepted.stream.key() == stream && !accepted.stream.is_whole());
        let forgotten = place.and_then(|place| hub.accepted.remove(place));
        drop(hub);
        drop(forgotten);
    }
}

impl Application for Streams {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        match event {
            Event::Opened {
                stream,
                head,
                fin,
                unidirectional,
                parent,
            } => {
                let kind = Kind {
                    opened_by: OpenedBy::Peer,
                    direction: if unidirectional {
                        Direction::Unidirectional
                    } else {
                        Direction::Bidirectional
                    },
                    parent,
                };
                self.accept(conn, stream, head.fields, kind, fin);
            }
            Event::Reply { stream, head, .. } => {
                let outgoing = self.find(stream);
                let offer = outgoing.is_some_and(|outgoing| outgoing.reply_came(head.fields));
                if offer {
                    conn.stream(stream).offer();
                }
            }
            Event::Pong { round_trip } => {
                for ping in self.pings.drain(..) {
                    let _ = ping.send(round_trip);
                }
            }
            Event::Data { stream, data, .. } => conn.stream(stream).release(data.len()),
            Event::Reset { stream, error } => self.end(stream, &error),
            Event::Stopped { stream, reason } => {
                if let Some(outgoing) = self.find(stream) {
                    outgoing.fail(&Error::reset(Initiator::Peer, reason));
                }
            }
            Event::Promised { stream, .. } => conn.reset(stream, Reason::RefusedStream),
            _ => {}
        }
    }

    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, max: usize) {
        let Some(outgoing) = self.find(stream) else {
            return;
        };
        let (piece, first) = outgoing.take(max);
        if first {
            self.unwritten.push(Unwritten {
                stream,
                outgoing: Arc::clone(outgoing),
                framed: None,
            });
        }
        let sent = match piece {
            Piece::Nothing => return,
            Piece::Data { data, fin } => {
                // The engine asks again as long as there was data.
                conn.stream(stream).send_data(data, fin)
            }
            Piece::Fields { fields, fin: true } => conn.stream(stream).send_trailers(fields),
            Piece::Fields { fields, fin: false } => {
                let sent = conn.stream(stream).send_headers(fields);
                conn.stream(stream).offer();
                sent
            }
        };
        if sent.is_err() {
            // The protocol cannot carry it: a reset is better than a gap.
            conn.reset(stream, Reason::InternalError);
            self.end(
                stream,
                &Error::reset(Initiator::User, Reason::InternalError),
            );
        }
    }

    fn handle_ready(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let Some(outgoing) = self.find(stream) else {
            return;
        };
        let work = outgoing.work();
        if let Some(fields) = work.reply {
            if conn
                .stream(stream)
                .reply(Head::fields(fields), false)
                .is_err()
            {
                conn.reset(stream, Reason::InternalError);
                self.end(
                    stream,
                    &Error::reset(Initiator::User, Reason::InternalError),
                );
                return;
            }
        }
        // After an earlier reply, which may give the reason.
        if let Some(reason) = work.reset {
            conn.reset(stream, reason);
            self.end(stream, &Error::reset(Initiator::User, reason));
            return;
        }
        if work.offer {
            conn.stream(stream).offer();
        }
        if work.departed {
            conn.stream(stream).depart();
        }
    }

    fn handle_abandoned(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        // CANCEL stops the peer once our half has ended.
        conn.stream(stream).abandon();
    }

    fn handle_written(&mut self, conn: &mut Context<'_>) {
        self.unwritten.retain_mut(|unwritten| {
            let written = unwritten.is_written(conn);
            if written {
                unwritten.outgoing.written();
            }
            !written
        });
    }

    fn poll_sources(&mut self, conn: &mut Context<'_>, _: &mut task::Context<'_>) {
        for request in self.hub.mailbox.take() {
            self.handle_request(conn, request);
        }
        // While the peer takes no more streams, they wait here; on a connection
        // that ends, `open` gives the error.
        while conn.can_open() || conn.is_shutting_down() || conn.is_closed() {
            let Some(open) = self.opens.pop_front() else {
                break;
            };
            self.open(conn, open);
        }
        if conn.is_idle() {
            drop(self.table.drain());
            if self.handles_gone && self.opens.is_empty() && !conn.is_shutting_down() {
                conn.shutdown();
            }
        }
    }

    fn handle_closed(&mut self, _: &mut Context<'_>, result: &Result<(), Error>) {
        let mut hub = self.hub.state.lock();
        hub.closed = Some(result.clone());
        let acceptors = std::mem::take(&mut hub.acceptors);
        drop(hub);
        wakers::wake(acceptors);
        // Callers whose senders are dropped find the result in the hub.
        drop(self.hub.mailbox.close());
        self.opens.clear();
        self.pings.clear();
        // Streams that were open have learned of it. The others may have their
        // last bytes in the output, which is still written.
        let error = closed(result).with_retryable(false);
        for (_, outgoing) in self.table.drain() {
            if outgoing.is_written() {
                outgoing.fail(&error);
            }
        }
    }

    fn handle_end(&mut self) {
        let mut hub = self.hub.state.lock();
        let result = hub.closed.clone().unwrap_or(Ok(()));
        hub.ended = true;
        let closers = std::mem::take(&mut hub.closers);
        drop(hub);
        let error = closed(&result).with_retryable(false);
        for unwritten in self.unwritten.drain(..) {
            unwritten.outgoing.fail(&error);
        }
        wakers::wake(closers);
    }
}
