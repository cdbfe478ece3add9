//! Picks the next stream: strict urgency in eight levels (RFC 9218 §4.1), the
//! lowest number first, and round-robin within a level. A sixteenth of the
//! bytes is reserved for less urgent levels, so that they do not starve.
//!
//! An incremental stream gives up its turn after one frame. A stream that is
//! not incremental keeps its turn for longer, since a part of it is of little use. The
//! turn has an end: a response without end must not starve its neighbours.

use std::collections::VecDeque;

use super::{Priority, StreamId, StreamKey, memory, rare_queue::RareQueue};

const LEVELS: u8 = 8;

/// The bytes of a stream that is not incremental that are sent in one turn.
const TURN: u32 = 256 << 10;

/// The bytes of the most urgent level that are sent while others wait, before one
/// frame of those: a sixteenth is theirs.
const PATIENCE: u32 = 240 << 10;

/// The streams that have something to send and a window to send it in.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    /// Empty until a stream is queued, and while the connection is idle: most small responses are
    /// sent without a turn.
    levels: Option<Box<Levels>>,
    /// Bit n is set if level n has a stream.
    occupied: u8,
    /// Bytes that the stream at the head of its level has sent in this turn.
    served: u32,
    /// Bytes that the most urgent level has sent while others waited.
    ahead: u32,
    /// A less urgent level that goes first for one frame.
    favoured: Option<u8>,
    /// The level that was favoured last.
    last_favoured: u8,
    pub(crate) early: EarlyPriorities,
}

type Levels = [VecDeque<StreamKey>; LEVELS as usize];

/// Priorities that arrived before their streams were open (RFC 9218 §7.1).
#[derive(Debug, Default)]
pub(crate) struct EarlyPriorities(RareQueue<(StreamId, Priority)>);

impl EarlyPriorities {
    /// Keeps the priority of a stream, and of `max` streams at most: the latest.
    pub(crate) fn remember(&mut self, stream: StreamId, priority: Priority, max: usize) {
        self.0.retain(|(known, _)| *known != stream);
        self.0.push_bounded((stream, priority), max);
    }

    /// The priority of a stream that is opened now. Streams below it will never
    /// be: their priorities are forgotten.
    #[inline]
    pub(crate) fn take(&mut self, stream: StreamId) -> Option<Priority> {
        if self.0.is_empty() {
            return None;
        }
        let known = self.0.iter().find(|(known, _)| *known == stream);
        let priority = known.map(|(_, priority)| *priority);
        self.0.retain(|(known, _)| *known > stream);
        priority
    }
}

impl Scheduler {
    /// The stream that may send now.
    pub(crate) fn front(&self) -> Option<StreamKey> {
        self.levels
            .as_ref()?
            .get(usize::from(self.level()?))?
            .front()
            .copied()
    }

    /// Queues a stream behind the others of its urgency.
    pub(crate) fn push(&mut self, stream: StreamKey, priority: Priority) {
        let levels = self.levels.get_or_insert_default();
        let level = priority.urgency();
        if let Some(queue) = levels.get_mut(usize::from(level)) {
            queue.push_back(stream);
            self.occupied |= 1 << level;
        }
    }

    /// Takes a stream out, which most often is the one in front.
    pub(crate) fn take_out(&mut self, stream: StreamKey, priority: Priority) {
        if self.front() == Some(stream) {
            self.pop();
        } else {
            self.remove(stream, priority);
        }
    }

    /// Takes the stream in front out of the queue.
    fn pop(&mut self) -> Option<StreamKey> {
        let level = self.level()?;
        let queue = self.levels.as_mut()?.get_mut(usize::from(level))?;
        let stream = queue.pop_front();
        self.served = 0;
        self.favoured = None;
        if queue.is_empty() {
            self.occupied &= !(1 << level);
        }
        stream
    }

    /// Takes a stream out, wherever it stands.
    fn remove(&mut self, stream: StreamKey, priority: Priority) {
        let level = priority.urgency();
        let levels = self.levels.as_mut();
        if let Some(queue) = levels.and_then(|levels| levels.get_mut(usize::from(level))) {
            if queue.front() == Some(&stream) {
                self.served = 0;
            }
            queue.retain(|queued| *queued != stream);
            if queue.is_empty() {
                self.occupied &= !(1 << level);
            }
        }
    }

    /// The stream in front sent `len` bytes and has more to send.
    pub(crate) fn served(&mut self, len: usize, incremental: bool) {
        let Some(level) = self.level() else { return };
        if self.favoured.take() == Some(level) {
            return self.rotate(level);
        }
        let len = u32::try_from(len.max(1)).unwrap_or(u32::MAX);
        self.served = self.served.saturating_add(len);
        if incremental || self.served >= TURN {
            self.served = 0;
            self.rotate(level);
        }
        self.ahead = self.ahead.saturating_add(len);
        let waiting = self.occupied & !(1 << level);
        if waiting == 0 {
            self.ahead = 0;
        } else if self.ahead >= PATIENCE {
            self.ahead = 0;
            self.favour(waiting);
        }
    }

    /// The levels that wait take turns.
    fn favour(&mut self, waiting: u8) {
        let after = (self.last_favoured.saturating_add(1)..LEVELS).chain(0..LEVELS);
        self.favoured = after.into_iter().find(|level| waiting & (1 << level) != 0);
        self.last_favoured = self.favoured.unwrap_or(0);
    }

    fn rotate(&mut self, level: u8) {
        let levels = self.levels.as_mut();
        if let Some(queue) = levels.and_then(|levels| levels.get_mut(usize::from(level))) {
            queue.rotate_left(1.min(queue.len()));
        }
    }

    /// The memory of the queues. All streams that are open may stand in one of
    /// them.
    pub(crate) fn memory(&self) -> usize {
        self.levels.as_ref().map_or(0, |levels| {
            let capacity = levels.iter().map(VecDeque::capacity).sum();
            memory::of_table::<StreamKey>(capacity).saturating_add(size_of::<Levels>())
        })
    }

    /// Gives memory back that a burst of streams took.
    pub(crate) fn shrink(&mut self) {
        if self.occupied == 0 {
            self.levels = None;
        }
    }

    /// The level that may send now: the most urgent that has a stream, if none is
    /// favoured.
    fn level(&self) -> Option<u8> {
        let favoured = self.favoured;
        if let Some(level) = favoured.filter(|level| self.occupied & (1 << level) != 0) {
            return Some(level);
        }
        let level = u8::try_from(self.occupied.trailing_zeros()).ok();
        level.filter(|level| *level < LEVELS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{
        flow::{RecvWindow, SendWindow},
        streams::{Stream, Streams, state::State},
    };

    fn keys(count: u32) -> Vec<StreamKey> {
        let mut streams = Streams::default();
        (0..count)
            .map(|n| {
                let id = StreamId::new(2 * n + 1);
                let send = SendWindow::new(None);
                let recv = RecvWindow::new(None);
                streams.insert(Stream::new(id, State::opened(false), send, recv))
            })
            .collect()
    }

    #[test]
    fn early_priorities_are_bounded_and_last_until_their_stream_opens() {
        let (id, urgent) = (StreamId::new, |urgency| Priority::new(urgency, false));
        let mut early = EarlyPriorities::default();
        for (stream, urgency) in [(1, 0), (3, 1), (3, 2), (5, 4)] {
            early.remember(id(stream), urgent(urgency), 2);
        }
        assert_eq!(early.take(id(1)), None, "the older one is forgotten");
        assert_eq!(early.take(id(3)), Some(urgent(2)));
        assert_eq!(early.take(id(7)), None);
        assert_eq!(early.take(id(5)), None, "its stream will never be");
        early.remember(id(9), urgent(0), 0);
        assert_eq!(early.take(id(9)), None);
    }

    #[test]
    fn the_most_urgent_goes_first() {
        let keys = keys(3);
        let mut scheduler = Scheduler::default();
        for (key, urgency) in keys.iter().zip([5, 0, 3]) {
            scheduler.push(*key, Priority::new(urgency, false));
        }
        let order: Vec<_> = std::iter::from_fn(|| scheduler.pop()).collect();
        assert_eq!(order, [keys[1], keys[2], keys[0]]);
        assert_eq!(scheduler.front(), None);
    }

    #[test]
    fn incremental_streams_take_turns_frame_by_frame() {
        let keys = keys(3);
        let mut scheduler = Scheduler::default();
        for key in &keys {
            scheduler.push(*key, Priority::new(3, true));
        }
        let mut order = Vec::new();
        for _ in 0..6 {
            order.push(scheduler.front().unwrap());
            scheduler.served(16_384, true);
        }
        assert_eq!(
            order,
            [keys[0], keys[1], keys[2], keys[0], keys[1], keys[2]]
        );
    }

    #[test]
    fn a_stream_without_end_does_not_starve_its_neighbours() {
        let keys = keys(2);
        let mut scheduler = Scheduler::default();
        scheduler.push(keys[0], Priority::default());
        scheduler.push(keys[1], Priority::default());
        let mut sent = 0;
        while scheduler.front() == Some(keys[0]) {
            scheduler.served(16_384, false);
            sent += 16_384;
            assert!(sent <= TURN);
        }
        assert_eq!(scheduler.front(), Some(keys[1]));
    }

    #[test]
    fn less_urgent_streams_get_a_sixteenth() {
        let keys = keys(4);
        let mut scheduler = Scheduler::default();
        for (key, urgency) in keys.iter().zip([1, 3, 3, 6]) {
            scheduler.push(*key, Priority::new(urgency, false));
        }
        let mut counts = [0; 4];
        for _ in 0..1600 {
            let front = scheduler.front().unwrap();
            counts[keys.iter().position(|key| *key == front).unwrap()] += 1;
            scheduler.served(16 << 10, false);
        }
        assert_eq!(counts, [1500, 25, 25, 50]);
        // One that ends in its only frame does not bring on the next.
        while scheduler.front() == Some(keys[0]) {
            scheduler.served(16 << 10, false);
        }
        assert!(scheduler.pop().is_some());
        assert_eq!(scheduler.front(), Some(keys[0]));
    }
}
