//! The table of a connection's streams.

mod held_pushes;
pub(crate) mod progress;
pub(crate) mod state;
mod stream;
mod transitions;
mod turns;

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use super::{StreamId, StreamKey, memory, rare_queue::RareQueue, scheduler::Scheduler};

pub(crate) use self::stream::{
    Count, Ending, Handler, HeldPush, Opener, PriorityOwner, Push, Reader, Source, Stream,
};

/// All streams of a connection, found by key without hashing and by number
/// with one; their turns, counts and memory.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slots: Vec<Slot>,
    /// The first free slot; its [`Slot`] names the next one.
    free: u32,
    /// The stream that was opened last, while it is open. Most often it ends before the next
    /// one opens, and the table by id is not needed.
    newest: Option<StreamKey>,
    /// All others. Made for the first of them.
    by_id: Option<Box<SlotsById>>,
    counts: Counts,
    scheduler: Scheduler,
    /// Pushes of ours that are not on the wire yet, in the order of their ids: no
    /// more than the peer permits at once.
    pushes: RareQueue<StreamKey>,
    /// Bytes of memory of the header lists of all streams.
    headers: usize,
    /// Bytes of memory of what all streams have yet to send.
    unsent: usize,
}

/// A place for a stream.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
enum Slot {
    Open(Stream),
    /// Without a stream. The next free slot, or [`NO_SLOT`].
    Free(u32),
}

/// No slot has this number.
const NO_SLOT: u32 = u32::MAX;

impl Slot {
    #[inline]
    fn stream(&self) -> Option<&Stream> {
        match self {
            Self::Open(stream) => Some(stream),
            Self::Free(_) => None,
        }
    }

    #[inline]
    fn stream_mut(&mut self) -> Option<&mut Stream> {
        match self {
            Self::Open(stream) => Some(stream),
            Self::Free(_) => None,
        }
    }
}

/// Slots without streams, all of them free.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: u32,
    by_id: Option<Box<SlotsById>>,
}

type SlotsById = HashMap<StreamId, u32, BuildHasherDefault<IdHasher>>;

/// The slots that a connection without streams keeps until it sleeps, and then leaves to others: a
/// few tens of kilobytes.
const SPARE_SLOTS: usize = 128;

/// An entry of the table by id, as large as one with its share of the room that a hash
/// table leaves free.
type IdEntry = (StreamId, u32, u16);

/// The numbers to which the limits of concurrent streams apply.
#[derive(Debug, Default)]
struct Counts {
    /// Streams of ours that are not closed on the wire.
    opened: u32,
    /// Streams of the peer that are in the table.
    accepted: u32,
    /// Streams of the peer that are gone while the user still works on them.
    detached: u32,
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        let newest = usize::from(self.newest.is_some());
        let others = self.by_id.as_ref().map_or(0, |by_id| by_id.len());
        others.saturating_add(newest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.newest.is_none() && self.by_id.as_ref().is_none_or(|by_id| by_id.is_empty())
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
    pub(crate) fn detached(&self) -> u32 {
        self.counts.detached
    }

    /// Streams that count against `max_concurrent_streams`: all that the peer
    /// keeps us busy with (Rapid Reset, CVE-2023-44487).
    pub(crate) fn of_peer(&self) -> u32 {
        self.counts.accepted.saturating_add(self.counts.detached)
    }

    /// Both halves of the stream are closed, though it stays in the table.
    pub(crate) fn count_closed(&mut self, key: StreamKey) {
        let Some(stream) = self.get_mut(key) else {
            return;
        };
        let counted = std::mem::replace(&mut stream.count, Count::Closed) == Count::Open;
        if counted && stream.is_ours() {
            self.counts.opened = self.counts.opened.saturating_sub(1);
        }
    }

    /// The user is done with a stream that was gone before.
    pub(crate) fn finish_detached(&mut self) {
        self.counts.detached = self.counts.detached.saturating_sub(1);
    }

    pub(crate) fn insert(&mut self, stream: Stream) -> StreamKey {
        let id = stream.id;
        let count = match stream.opener {
            Opener::Us => &mut self.counts.opened,
            Opener::Peer => &mut self.counts.accepted,
        };
        *count = count.saturating_add(1);
        let slot = match self.slots.get_mut(self.free as usize) {
            Some(place @ &mut Slot::Free(next)) => {
                *place = Slot::Open(stream);
                std::mem::replace(&mut self.free, next)
            }
            _ => self.push_slot(stream),
        };
        let key = StreamKey::new(slot, id);
        if let Some(before) = self.newest.replace(key) {
            let slot = u32::try_from(before.slot()).unwrap_or(u32::MAX);
            let by_id = self.by_id.get_or_insert_default();
            by_id.insert(before.id(), slot);
        }
        key
    }

    /// Adds a slot, since none is free.
    #[cold]
    fn push_slot(&mut self, stream: Stream) -> u32 {
        // A vector would start with room for four; most connections never have more than
        // one stream at a time.
        if self.slots.len() < 4 {
            self.slots.reserve_exact(1);
        }
        self.free = NO_SLOT;
        self.slots.push(Slot::Open(stream));
        u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or(NO_SLOT)
    }

    pub(crate) fn get(&self, key: StreamKey) -> Option<&Stream> {
        self.slots
            .get(key.slot())?
            .stream()
            .filter(|stream| stream.id == key.id())
    }

    pub(crate) fn get_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        self.slots
            .get_mut(key.slot())?
            .stream_mut()
            .filter(|stream| stream.id == key.id())
    }

    pub(crate) fn find(&self, id: StreamId) -> Option<StreamKey> {
        if let Some(newest) = self.newest.filter(|newest| newest.id() == id) {
            return Some(newest);
        }
        let slot = *self.by_id.as_ref()?.get(&id)?;
        Some(StreamKey::new(slot, id))
    }

    /// Bytes of memory that the received header lists of all streams take.
    pub(crate) fn held_headers(&self) -> usize {
        self.headers
    }

    /// A header list of so many bytes of memory was received on a stream. It
    /// counts until the stream is gone.
    pub(crate) fn hold_headers(&mut self, key: StreamKey, memory: usize) {
        if let Some(stream) = self.get_mut(key) {
            stream.headers = stream.headers.saturating_add(memory);
            self.headers = self.headers.saturating_add(memory);
        }
    }

    /// Charges a list after the head as [`hold_headers`](Self::hold_headers) does. It
    /// counts until the user releases it, and its stream stays until then.
    pub(crate) fn hold_list(&mut self, key: StreamKey, memory: usize) {
        self.hold_headers(key, memory);
        if let Some(stream) = self.get_mut(key) {
            stream.recv.lists = stream.recv.lists.saturating_add(memory);
        }
    }

    /// The user holds no list after the head any more.
    pub(crate) fn release_lists(&mut self, key: StreamKey) {
        if let Some(stream) = self.get_mut(key) {
            let memory = std::mem::take(&mut stream.recv.lists);
            stream.headers = stream.headers.saturating_sub(memory);
            self.headers = self.headers.saturating_sub(memory);
        }
    }

    /// The user handed over data or trailers of so many bytes, which wait.
    pub(crate) fn hold_unsent(&mut self, key: StreamKey, memory: usize) {
        if let Some(stream) = self.get_mut(key) {
            stream.unsent = stream.unsent.saturating_add(memory);
            self.unsent = self.unsent.saturating_add(memory);
        }
    }

    /// Bytes of memory of what all streams have yet to send.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent
    }

    /// So many bytes of what waited are sent, or dropped.
    pub(crate) fn release_unsent(&mut self, key: StreamKey, memory: usize) {
        if let Some(stream) = self.get_mut(key) {
            let memory = memory.min(stream.unsent);
            stream.unsent = stream.unsent.saturating_sub(memory);
            self.unsent = self.unsent.saturating_sub(memory);
        }
    }

    /// The memory of all streams, with what was received on them and what they
    /// have yet to send. Data that the user holds is not among it.
    pub(crate) fn memory(&self) -> usize {
        let parts = [
            memory::of_table::<Slot>(self.slots.capacity()),
            self.by_id.as_ref().map_or(0, |by_id| {
                memory::of_table::<IdEntry>(by_id.capacity()).saturating_add(size_of::<SlotsById>())
            }),
            self.pushes.memory(),
            self.scheduler.memory(),
            self.headers,
            self.unsent,
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    /// Drops a stream, with its places and what it held; `false` if it is gone.
    pub(crate) fn remove(&mut self, key: StreamKey) -> bool {
        let slot = self.slots.get_mut(key.slot());
        let Some(slot) = slot else { return false };
        let Some(stream) = slot.stream().filter(|stream| stream.id == key.id()) else {
            return false;
        };
        if stream.is_queued() {
            self.scheduler.take_out(key, stream.priority);
        }
        let counts = &mut self.counts;
        if stream.is_ours() {
            let counted = u32::from(stream.count == Count::Open);
            counts.opened = counts.opened.saturating_sub(counted);
        } else {
            let detached = u32::from(stream.handler == Handler::Running);
            counts.accepted = counts.accepted.saturating_sub(1);
            counts.detached = counts.detached.saturating_add(detached);
        }
        self.headers = self.headers.saturating_sub(stream.headers);
        self.unsent = self.unsent.saturating_sub(stream.unsent);
        let parent = stream.parent().filter(|_| stream.is_held());
        *slot = Slot::Free(self.free);
        self.free = u32::try_from(key.slot()).unwrap_or(NO_SLOT);
        if self.newest == Some(key) {
            self.newest = None;
        } else if let Some(by_id) = &mut self.by_id {
            by_id.remove(&key.id());
        }
        if let Some(parent) = parent {
            self.forget_held_push(key, parent);
        }
        if self.slots.len() > SPARE_SLOTS && self.is_empty() {
            self.shrink();
        }
        true
    }

    /// Takes the slots, which a connection without streams does not need.
    #[inline]
    pub(crate) fn take_slots(&mut self) -> Slots {
        debug_assert!(self.is_empty());
        // Low slots first: tables of other parts are as long as the highest slot in use.
        if self.free != 0 {
            self.free_all();
        }
        self.scheduler.shrink();
        Slots {
            slots: std::mem::take(&mut self.slots),
            free: std::mem::take(&mut self.free),
            by_id: std::mem::take(&mut self.by_id),
        }
    }

    pub(crate) fn has_slots(&self) -> bool {
        self.slots.capacity() > 0
    }

    /// Puts slots in place of none.
    #[inline]
    pub(crate) fn put_slots(&mut self, slots: Slots) {
        (self.slots, self.free, self.by_id) = (slots.slots, slots.free, slots.by_id);
    }

    /// Frees most of the memory of very many streams.
    fn shrink(&mut self) {
        self.slots.truncate(SPARE_SLOTS);
        self.free_all();
        self.slots.shrink_to(SPARE_SLOTS);
        if let Some(by_id) = &mut self.by_id {
            by_id.shrink_to(SPARE_SLOTS);
        }
    }

    /// All slots are free, and used from the first on.
    fn free_all(&mut self) {
        self.free = 0;
        for (slot, next) in self.slots.iter_mut().zip(1..) {
            *slot = Slot::Free(next);
        }
    }

    pub(crate) fn keys(&self) -> Vec<StreamKey> {
        let mut keys: Vec<_> = self
            .by_id
            .iter()
            .flat_map(|by_id| by_id.iter())
            .map(|(&id, &slot)| StreamKey::new(slot, id))
            .chain(self.newest)
            .collect();
        keys.sort_unstable_by_key(|key| key.id());
        keys
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (StreamKey, &mut Stream)> {
        (0u32..)
            .zip(self.slots.iter_mut())
            .filter_map(|(slot, stream)| {
                let stream = stream.stream_mut()?;
                Some((StreamKey::new(slot, stream.id), stream))
            })
    }
}

/// Stream ids rise by two and are bounded in number, so one multiplication spreads them well
/// enough. A peer that chooses ids that collide gains a walk over at most `max_concurrent_streams`
/// entries.
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
pub(super) mod tests {
    use super::{state::State, *};
    use crate::proto::flow::{RecvWindow, SendWindow};

    pub(crate) fn stream(id: u32) -> Stream {
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
        assert!(streams.remove(first));
        let second = streams.insert(stream(5));
        assert_eq!(first.slot(), second.slot());
        assert!(streams.get(first).is_none());
        assert!(!streams.remove(first));
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
            handler: Handler::Running,
            ..stream(2)
        });
        assert_eq!((streams.opened(), streams.accepted()), (1, 1));
        streams.count_closed(ours);
        streams.count_closed(ours);
        assert_eq!(streams.opened(), 0);
        assert!(streams.remove(ours));
        assert_eq!(streams.opened(), 0);
        assert!(streams.remove(theirs));
        assert_eq!((streams.accepted(), streams.detached()), (0, 1));
        assert_eq!(streams.of_peer(), 1);
        streams.finish_detached();
        assert_eq!(streams.of_peer(), 0);
    }

    #[test]
    fn a_stream_costs_less_than_its_documented_bound() {
        assert!(size_of::<Slot>() + size_of::<Push>() < 900);
        let mut streams = Streams::default();
        for n in 0..100 {
            streams.insert(stream(2 * n + 1));
        }
        assert!(streams.memory() < 100 << 10, "{}", streams.memory());
    }

    #[test]
    fn emptied_slots_are_given_back() {
        let mut streams = Streams::default();
        let keys: Vec<_> = (0..1000)
            .map(|n| streams.insert(stream(2 * n + 1)))
            .collect();
        for key in keys {
            assert!(streams.remove(key));
        }
        assert!(streams.is_empty());
        assert!(streams.slots.capacity() <= SPARE_SLOTS);
        // A connection that sleeps keeps none. The next one begins with the lowest.
        let spare = streams.take_slots();
        assert!(streams.slots.capacity() == 0 && streams.by_id.is_none());
        streams.put_slots(spare);
        let slots: Vec<_> = (0..6)
            .map(|n| streams.insert(stream(2 * n + 1)).slot())
            .collect();
        let mut unique = slots.clone();
        unique.sort_unstable();
        assert_eq!(unique, [0, 1, 2, 3, 4, 5]);
        assert_eq!(slots, unique);
    }
}
