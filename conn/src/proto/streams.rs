//! The streams of a connection: who they are and where they stand.

pub(crate) mod state;

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    time::Instant,
};

use bytes::Bytes;
use http::HeaderMap;

use self::state::{Half, State};
use super::{
    Head, Priority, Side,
    flow::{RecvWindow, SendWindow},
};

/// The number of a stream on the wire: 1 to 2³¹−1, odd for the client's, even
/// for the server's.
///
/// ```
/// use lacewing_conn::proto::StreamId;
///
/// assert_eq!(StreamId::new(5).value(), 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// The largest id there is.
    pub(crate) const MAX: Self = Self(0x7fff_ffff);

    /// The stream of this number; the reserved bit is dropped.
    pub const fn new(value: u32) -> Self {
        Self(value & 0x7fff_ffff)
    }

    /// The number.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The side whose streams have this parity. Zero belongs to nobody.
    pub(crate) fn opener(self) -> Option<Side> {
        match (self.0, self.0 % 2) {
            (0, _) => None,
            (_, 1) => Some(Side::Client),
            _ => Some(Side::Server),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A stream of one engine. Stale once the stream is gone, which is harmless:
/// whatever is asked of a stale key answers that the stream is closed.
///
/// ```
/// use lacewing_conn::proto::StreamKey;
///
/// fn remember(table: &mut Vec<Option<StreamKey>>, stream: StreamKey) {
///     // Slots are small and reused: a side table is a vector.
///     table.resize(table.len().max(stream.slot() + 1), None);
///     table[stream.slot()] = Some(stream);
/// }
/// # let _ = remember;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamKey {
    slot: u32,
    id: StreamId,
}

impl StreamKey {
    /// A small number that no other open stream of the connection has.
    pub const fn slot(self) -> usize {
        self.slot as usize
    }

    /// The stream's number on the wire.
    pub const fn id(self) -> StreamId {
        self.id
    }
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) opener: Opener,
    pub(crate) state: State,
    pub(crate) priority: Priority,
    pub(crate) priority_owner: PriorityOwner,
    pub(crate) send: SendHalf,
    pub(crate) recv: RecvHalf,
    /// The bytes of a declared content-length that have not arrived.
    pub(crate) expected: Option<u64>,
    /// The request was HEAD: its response has no body, whatever its
    /// content-length.
    pub(crate) bodyless: bool,
    /// The request was CONNECT.
    pub(crate) connect: bool,
    /// The reply's status is a 2xx: with `connect`, the stream is a tunnel.
    pub(crate) accepted: bool,
    /// The user still works on it: it counts although both halves are closed.
    pub(crate) retained: bool,
    /// It counts among the streams that we opened.
    counted: bool,
    /// Of a pushed stream.
    pub(crate) push: Option<Box<Push>>,
}

/// The side that opened a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    Us,
    Peer,
}

/// The side whose word on a stream's priority counts.
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
    /// Data that the user handed over and that is not in a frame yet.
    pub(crate) pending: Bytes,
    /// The end of the half, after `pending`.
    pub(crate) ending: Ending,
    pub(crate) source: Source,
    /// The stream is in the scheduler.
    pub(crate) scheduled: bool,
    /// Pushes of this stream that are not on the wire yet: its body waits for
    /// them.
    pub(crate) behind: u32,
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
    /// If it was asked: it answered, with data and more to come, or with its
    /// last.
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
    pub(crate) reader: Reader,
}

/// The user's interest in what the peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Reading,
    /// The user reads no more: data is discarded.
    Discarding,
    /// Data is discarded, and the response is complete: the peer may stop by
    /// itself before it is told to.
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
    /// Of a SPDY push that we take, before its body: the names of the fields
    /// that came.
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
    /// When it goes out without a response.
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
                pending: Bytes::new(),
                ending: Ending::Open,
                source: Source::None,
                scheduled: false,
                behind: 0,
            },
            recv: RecvHalf {
                window: recv,
                unreleased: 0,
                reader: Reader::Reading,
            },
            expected: None,
            bodyless: false,
            connect: false,
            accepted: false,
            retained: false,
            counted: true,
            push: None,
        }
    }

    /// Our side opened it.
    pub(crate) fn is_ours(&self) -> bool {
        self.opener == Opener::Us
    }

    /// The peer promised it and has not replied on it yet.
    pub(crate) fn is_reserved(&self) -> bool {
        !self.is_ours() && self.state == State::promised()
    }

    /// After a CONNECT request and its 2xx there is only DATA (RFC 9113 §8.5).
    pub(crate) fn is_tunnel(&self) -> bool {
        self.connect && self.accepted
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

    /// The body begins: no more fields of the head follow.
    pub(crate) fn begin_body(&mut self) {
        if let Some(push) = &mut self.push {
            push.names = None;
        }
    }

    /// Its body stands behind a push that is not on the wire yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.send.behind > 0 || self.is_held()
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

/// All streams of a connection, found by key without hashing and by number
/// with one.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slots: Vec<Option<Stream>>,
    free: Vec<u32>,
    by_id: HashMap<StreamId, u32, BuildHasherDefault<IdHasher>>,
    counts: Counts,
}

/// The numbers that the limits of concurrent streams are about.
#[derive(Debug, Default)]
struct Counts {
    /// Streams of ours that are not closed on the wire.
    opened: u32,
    /// Streams of the peer that are in the table.
    accepted: u32,
    /// Streams of the peer that are gone while the user still works on them.
    orphans: u32,
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Streams of ours that are not closed on the wire: they count against the
    /// peer's limit.
    pub(crate) fn opened(&self) -> u32 {
        self.counts.opened
    }

    /// Streams of the peer that are in the table.
    pub(crate) fn accepted(&self) -> u32 {
        self.counts.accepted
    }

    /// Streams of the peer that are gone while the user still works on them.
    pub(crate) fn orphans(&self) -> u32 {
        self.counts.orphans
    }

    /// Streams that count against `max_concurrent_streams`: all that the peer
    /// keeps us busy with (Rapid Reset, CVE-2023-44487).
    pub(crate) fn of_peer(&self) -> u32 {
        self.counts.accepted.saturating_add(self.counts.orphans)
    }

    /// Both halves of the stream are closed, though it stays in the table.
    pub(crate) fn count_closed(&mut self, key: StreamKey) {
        let Some(stream) = self.get_mut(key) else {
            return;
        };
        if stream.is_ours() && std::mem::take(&mut stream.counted) {
            self.counts.opened = self.counts.opened.saturating_sub(1);
        }
    }

    /// The user is done with a stream that was gone before.
    pub(crate) fn finish_orphan(&mut self) {
        self.counts.orphans = self.counts.orphans.saturating_sub(1);
    }

    pub(crate) fn insert(&mut self, stream: Stream) -> StreamKey {
        let id = stream.id;
        let count = match stream.opener {
            Opener::Us => &mut self.counts.opened,
            Opener::Peer => &mut self.counts.accepted,
        };
        *count = count.saturating_add(1);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(stream);
        }
        self.by_id.insert(id, slot);
        StreamKey { slot, id }
    }

    pub(crate) fn get(&self, key: StreamKey) -> Option<&Stream> {
        self.slots
            .get(key.slot())?
            .as_ref()
            .filter(|stream| stream.id == key.id)
    }

    pub(crate) fn get_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        self.slots
            .get_mut(key.slot())?
            .as_mut()
            .filter(|stream| stream.id == key.id)
    }

    pub(crate) fn find(&self, id: StreamId) -> Option<StreamKey> {
        let slot = *self.by_id.get(&id)?;
        Some(StreamKey { slot, id })
    }

    pub(crate) fn remove(&mut self, key: StreamKey) -> Option<Stream> {
        self.get(key)?;
        let stream = self.slots.get_mut(key.slot())?.take()?;
        let counts = &mut self.counts;
        if !stream.is_ours() {
            counts.accepted = counts.accepted.saturating_sub(1);
            counts.orphans = counts.orphans.saturating_add(u32::from(stream.retained));
        } else {
            counts.opened = counts.opened.saturating_sub(u32::from(stream.counted));
        }
        self.by_id.remove(&key.id);
        if self.by_id.is_empty() {
            // An idle connection holds little.
            self.slots.truncate(4);
            self.free.clear();
            self.free
                .extend(0..u32::try_from(self.slots.len()).unwrap_or(0));
            self.free.shrink_to(4);
            self.slots.shrink_to(4);
        } else {
            self.free.push(key.slot);
        }
        Some(stream)
    }

    pub(crate) fn keys(&self) -> Vec<StreamKey> {
        let mut keys: Vec<_> = self
            .by_id
            .iter()
            .map(|(&id, &slot)| StreamKey { slot, id })
            .collect();
        keys.sort_unstable_by_key(|key| key.id);
        keys
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (StreamKey, &mut Stream)> {
        (0u32..)
            .zip(self.slots.iter_mut())
            .filter_map(|(slot, stream)| {
                let stream = stream.as_mut()?;
                Some((
                    StreamKey {
                        slot,
                        id: stream.id,
                    },
                    stream,
                ))
            })
    }
}

/// Stream ids rise by two and are bounded in number, so one multiplication
/// spreads them well enough; a peer that chooses ids to collide gains a walk
/// over at most `max_concurrent_streams` entries.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        let mixed = (self.0 ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: u32) -> Stream {
        let id = StreamId::new(id);
        Stream::new(
            id,
            State::opened(false),
            SendWindow::new(None),
            RecvWindow::new(None),
        )
    }

    #[test]
    fn a_key_is_stale_once_its_slot_is_reused() {
        let mut streams = Streams::default();
        let first = streams.insert(stream(1));
        let other = streams.insert(stream(3));
        assert!(streams.remove(first).is_some());
        let second = streams.insert(stream(5));
        assert_eq!(first.slot(), second.slot());
        assert!(streams.get(first).is_none());
        assert!(streams.remove(first).is_none());
        assert_eq!(streams.find(StreamId::new(5)), Some(second));
        assert_eq!(streams.keys(), [other, second]);
        assert_eq!(streams.len(), 2);
    }

    #[test]
    fn streams_are_counted_by_their_opener_until_the_user_is_done() {
        let mut streams = Streams::default();
        let ours = streams.insert(stream(1));
        let theirs = streams.insert(Stream {
            opener: Opener::Peer,
            retained: true,
            ..stream(2)
        });
        assert_eq!((streams.opened(), streams.accepted()), (1, 1));
        streams.count_closed(ours);
        streams.count_closed(ours);
        assert_eq!(streams.opened(), 0);
        assert!(streams.remove(ours).is_some());
        assert_eq!(streams.opened(), 0);
        assert!(streams.remove(theirs).is_some());
        assert_eq!((streams.accepted(), streams.orphans()), (0, 1));
        assert_eq!(streams.of_peer(), 1);
        streams.finish_orphan();
        assert_eq!(streams.of_peer(), 0);
    }

    #[test]
    fn emptied_slots_are_given_back() {
        let mut streams = Streams::default();
        let keys: Vec<_> = (0..1000)
            .map(|n| streams.insert(stream(2 * n + 1)))
            .collect();
        for key in keys {
            assert!(streams.remove(key).is_some());
        }
        assert!(streams.is_empty());
        assert!(streams.slots.capacity() <= 8);
        let slots: Vec<_> = (0..6)
            .map(|n| streams.insert(stream(2 * n + 1)).slot())
            .collect();
        let mut unique = slots.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), slots.len());
    }
}
