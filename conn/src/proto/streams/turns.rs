//! The turns of streams: the scheduler holds those that have something to send and a
//! window for it, and no other.

use super::{Streams, stream::Turn};
use crate::proto::{Priority, StreamId, StreamKey};

impl Streams {
    /// The stream that may send now.
    #[inline]
    pub(crate) fn front(&self) -> Option<StreamKey> {
        self.scheduler.front()
    }

    /// The stream waits for its turn from now on.
    pub(crate) fn queue(&mut self, key: StreamKey) {
        let Some(stream) = self.get_mut(key) else {
            return;
        };
        let (turn, priority) = (stream.send.turn, stream.priority);
        stream.send.turn = Turn::Queued;
        if turn == Turn::None {
            self.scheduler.push(key, priority);
        }
    }

    /// The stream waits for no turn any more.
    pub(crate) fn dequeue(&mut self, key: StreamKey) {
        let Some(stream) = self.get_mut(key) else {
            return;
        };
        let (turn, priority) = (stream.send.turn, stream.priority);
        stream.send.turn = Turn::None;
        if turn == Turn::Queued {
            self.scheduler.take_out(key, priority);
        }
    }

    /// The stream in front sent `len` bytes and has more to send.
    pub(crate) fn served(&mut self, len: usize, priority: Priority) {
        self.scheduler.served(len, priority.incremental());
    }

    /// The stream has this priority from now on.
    pub(crate) fn prioritize(&mut self, key: StreamKey, priority: Priority) {
        let Some(stream) = self.get_mut(key) else {
            return;
        };
        let before = std::mem::replace(&mut stream.priority, priority);
        if stream.send.turn == Turn::Queued && before != priority {
            self.scheduler.take_out(key, before);
            self.scheduler.push(key, priority);
        }
    }

    /// Keeps the priority of a stream that is not open yet, and of `max` such
    /// streams at most.
    pub(crate) fn remember_priority(&mut self, id: StreamId, priority: Priority, max: usize) {
        self.scheduler.early.remember(id, priority, max);
    }

    /// The priority of a stream that is opened now, if it arrived before.
    #[inline]
    pub(crate) fn take_priority(&mut self, id: StreamId) -> Option<Priority> {
        self.scheduler.early.take(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::streams::tests::stream;

    #[test]
    fn a_stream_has_one_place_until_it_leaves_or_is_gone() {
        let mut streams = Streams::default();
        let [first, second, third] = [1, 3, 5].map(|id| streams.insert(stream(id)));
        for key in [first, second, third, first] {
            streams.queue(key);
        }
        assert_eq!(streams.front(), Some(first));
        streams.dequeue(first);
        streams.dequeue(first);
        assert_eq!(streams.front(), Some(second));
        assert!(streams.remove(second));
        assert_eq!(streams.front(), Some(third));
        assert!(streams.remove(third));
        assert_eq!(streams.front(), None);
    }

    #[test]
    fn a_new_priority_moves_a_stream_that_waits() {
        let mut streams = Streams::default();
        let [first, second] = [1, 3].map(|id| streams.insert(stream(id)));
        streams.queue(first);
        streams.queue(second);
        streams.prioritize(second, Priority::new(0, false));
        assert_eq!(streams.front(), Some(second));
        streams.prioritize(first, Priority::new(0, true));
        streams.dequeue(second);
        assert_eq!(streams.front(), Some(first));
    }
}
