//! One stream: its two halves, and its relation to the stream that it was pushed
//! for.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{
    progress::StreamProgress,
    state::{Half, State},
};
use crate::proto::{
    Head, Priority, Rule, StreamId,
    content::{Asked, Content},
    flow::{RecvWindow, SendWindow},
    memory,
};

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) opener: Opener,
    /// Only `transitions.rs` writes it.
    pub(super) state: State,
    pub(crate) priority: Priority,
    pub(crate) priority_owner: PriorityOwner,
    pub(crate) send: SendHalf,
    pub(crate) recv: RecvHalf,
    /// The peer's content, as far as it is missing.
    pub(crate) content: Content,
    /// The class of its request.
    pub(crate) asked: Asked,
    /// Bytes of memory of the header lists that were received on it.
    pub(super) headers: usize,
    /// Bytes of memory of what the user handed over and waits to be sent.
    pub(super) unsent: usize,
    /// The peer opened it then.
    pub(crate) opened: Option<Instant>,
    /// Its progress in both directions.
    pub(crate) progress: StreamProgress,
    pub(crate) handler: Handler,
    pub(super) count: Count,
    /// The relation of a pushed stream to its parent.
    pub(crate) push: Option<Box<Push>>,
}

/// The side that opened a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    Us,
    Peer,
}

/// The user's work on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    /// None, or it has ended.
    Done,
    /// It has not ended: the stream counts although both halves may be closed.
    Running,
}

/// A stream's place in the count of those that we opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// Open on the wire: it counts.
    Open,
    /// Both halves are closed, though the user is not done with it.
    Closed,
}

/// A stream's place in the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    None,
    Queued,
}

/// The side that decides on a stream's priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PriorityOwner {
    Peer,
    /// A server's own choice goes before the client's (RFC 9218 §8).
    Us,
}

/// The half that we send on.
#[derive(Debug)]
pub(crate) struct SendHalf {
    pub(crate) window: SendWindow,
    /// The content that our message may have.
    pub(crate) content: Content,
    /// Data that the user handed over and that is not in a frame yet.
    pub(crate) pending: Bytes,
    /// The end of the half, after `pending`.
    pub(crate) ending: Ending,
    pub(crate) source: Source,
    pub(super) turn: Turn,
    /// Pushes of this stream that are not on the wire yet: its body waits for
    /// them.
    pub(crate) pushes_ahead: u32,
}

/// The user's source of data, asked when it is the stream's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// There is none, or it had no data when it was asked.
    None,
    /// It may have data.
    Offered,
    /// It was asked and has not answered.
    Asked,
}

impl Source {
    /// A source that was asked answered, with data or with its last.
    pub(crate) fn answered(&mut self, last: bool) {
        if *self == Self::Asked {
            *self = if last { Self::None } else { Self::Offered };
        }
    }
}

/// The end of our half.
#[derive(Debug, Default)]
pub(crate) enum Ending {
    /// More data may come.
    #[default]
    Open,
    /// The last data frame ends the half.
    Fin,
    /// Trailers end the half.
    Trailers(Box<HeaderMap>),
}

impl Ending {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }
}

/// The half that the peer sends on.
#[derive(Debug)]
pub(crate) struct RecvHalf {
    pub(crate) window: RecvWindow,
    /// Bytes that the user holds and has not released. They are released to
    /// the connection when the stream goes.
    pub(crate) unreleased: usize,
    /// Bytes of memory of the lists after the head that the user holds and has not
    /// released.
    pub(crate) lists: usize,
    pub(crate) reader: Reader,
}

impl RecvHalf {
    /// The user holds nothing that was received and is still charged.
    pub(crate) fn is_released(&self) -> bool {
        self.unreleased == 0 && self.lists == 0
    }
}

/// The user's interest in what the peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Reading,
    /// The user reads no more: data is discarded.
    Discarding,
    /// Data is discarded, and the response is complete: the peer may stop by
    /// itself before it is asked to.
    Lingering,
}

impl Reader {
    /// The user reads no more.
    pub(crate) fn discard(&mut self) {
        if *self == Self::Reading {
            *self = Self::Discarding;
        }
    }
}

/// A pushed stream's relation to the stream that it belongs to.
#[derive(Debug)]
pub(crate) struct Push {
    parent: StreamId,
    /// It is not on the wire yet.
    held: Option<HeldPush>,
    /// The names of the fields so far, of a SPDY push that we receive, before its body.
    pub(crate) names: Option<HeaderMap<()>>,
}

/// A push that is not on the wire yet, since its response should go in the
/// same frame.
#[derive(Debug)]
pub(crate) struct HeldPush {
    pub(crate) request: Head,
    /// The response, if only the pushes before it are waited for, and whether
    /// it has no body.
    pub(crate) reply: Option<(Head, bool)>,
    /// The time at which it is sent without a response.
    pub(crate) until: Option<Instant>,
}

impl Push {
    /// A push of ours that is on the wire.
    pub(crate) fn of(parent: StreamId) -> Box<Self> {
        Self::promised(parent, None)
    }

    /// A push of ours that waits for its response.
    pub(crate) fn held(parent: StreamId, held: HeldPush) -> Box<Self> {
        Box::new(Self {
            parent,
            held: Some(held),
            names: None,
        })
    }

    /// A push of the peer.
    pub(crate) fn promised(parent: StreamId, names: Option<HeaderMap<()>>) -> Box<Self> {
        Box::new(Self {
            parent,
            held: None,
            names,
        })
    }
}

impl Stream {
    pub(crate) fn new(id: StreamId, state: State, send: SendWindow, recv: RecvWindow) -> Self {
        Self {
            id,
            opener: Opener::Us,
            state,
            priority: Priority::default(),
            priority_owner: PriorityOwner::Peer,
            send: SendHalf {
                window: send,
                content: Content::default(),
                pending: Bytes::new(),
                ending: Ending::Open,
                source: Source::None,
                turn: Turn::None,
                pushes_ahead: 0,
            },
            recv: RecvHalf {
                window: recv,
                unreleased: 0,
                lists: 0,
                reader: Reader::Reading,
            },
            content: Content::default(),
            headers: 0,
            unsent: 0,
            opened: None,
            progress: StreamProgress::default(),
            asked: Asked::Other,
            handler: Handler::Done,
            count: Count::Open,
            push: None,
        }
    }

    /// The memory that the stream takes, and that its end frees.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            .saturating_add(self.headers)
            .saturating_add(self.unsent)
            .saturating_add(self.recv.unreleased)
    }

    /// Our side opened it.
    pub(crate) fn is_ours(&self) -> bool {
        self.opener == Opener::Us
    }

    /// A CONNECT that is agreed to is a tunnel from now on.
    pub(crate) fn note_reply(&mut self, status: Option<StatusCode>) {
        let agreed = status.is_some_and(|status| status.is_success());
        if agreed && self.asked == Asked::Connect {
            self.asked = Asked::Tunnel;
        }
    }

    /// After a CONNECT request and its 2xx there is only DATA (RFC 9113 §8.5).
    pub(crate) fn is_tunnel(&self) -> bool {
        self.asked == Asked::Tunnel
    }

    /// For a push: the stream that it belongs to.
    pub(crate) fn parent(&self) -> Option<StreamId> {
        self.push.as_ref().map(|push| push.parent)
    }

    /// It is a push that is not on the wire yet.
    pub(crate) fn is_held(&self) -> bool {
        self.held().is_some()
    }

    pub(crate) fn held(&self) -> Option<&HeldPush> {
        self.push.as_ref()?.held.as_ref()
    }

    pub(crate) fn held_mut(&mut self) -> Option<&mut HeldPush> {
        self.push.as_mut()?.held.as_mut()
    }

    /// The push goes on the wire.
    pub(crate) fn take_held(&mut self) -> Option<HeldPush> {
        self.push.as_mut()?.held.take()
    }

    /// More header fields of a push whose body has not begun, `max` at most: none
    /// may occur twice (the drafts' §3.3.2).
    pub(crate) fn add_names(&mut self, fields: &HeaderMap, max: usize) -> Result<(), Rule> {
        let names = self.push.as_mut().and_then(|push| push.names.as_mut());
        let Some(names) = names else {
            return Ok(());
        };
        if fields.keys().any(|name| names.contains_key(name)) {
            return Err(Rule::RepeatedField);
        }
        names.extend(fields.keys().map(|name| (name.clone(), ())));
        if names.len() > max {
            return Err(Rule::HeaderListTooLarge);
        }
        Ok(())
    }

    /// The memory of the names of a push whose body has not begun.
    pub(crate) fn names_memory(&self) -> usize {
        let names = self.push.as_ref().and_then(|push| push.names.as_ref());
        names.map_or(0, |names| memory::of_fields(names, 0))
    }

    /// The body begins: no more fields of the head follow.
    pub(crate) fn begin_body(&mut self) {
        if let Some(push) = &mut self.push {
            push.names = None;
        }
    }

    /// Its body stands behind a push that is not on the wire yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.send.pushes_ahead > 0 || self.is_held()
    }

    /// Memory of what the user handed over is charged.
    pub(crate) fn is_charged_for_unsent(&self) -> bool {
        self.unsent > 0
    }

    /// It waits for its turn.
    pub(crate) fn is_queued(&self) -> bool {
        self.send.turn == Turn::Queued
    }

    /// There is something that a frame could be cut from, windows aside.
    pub(crate) fn wants_to_send(&self) -> bool {
        let send = &self.send;
        self.state.send() == Half::Open
            && !self.is_waiting()
            && (send.source == Source::Offered
                || !send.pending.is_empty()
                || !send.ending.is_open())
    }
}
