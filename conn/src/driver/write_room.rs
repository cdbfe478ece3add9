//! The room for written bytes that the connection has not taken.

use std::sync::Arc;

use super::{cells::Signal, notifier::Notifier, ready_queue::ReadyQueue};

/// The bytes that each writer may have beyond what the writers of its connection share.
const LEAST: usize = 2 << 10;

/// The room of one writer. Its bytes count in what its connection holds.
///
/// All writers of a connection share the half of
/// [`max_unsent_bytes`](crate::Limits::max_unsent_bytes). Without this bound, a peer that opens many streams and takes nothing would fill the buffer of each.
///
/// A writer without room has bytes that wait, and room again when the connection takes them. So it
/// needs no waker for the room of the others.
#[derive(Debug)]
pub(super) struct WriteRoom {
    /// `None` before the connection is known.
    queue: Option<Arc<ReadyQueue<Signal>>>,
    /// The bytes that wait.
    kept: usize,
    /// Those that count in the connection. The rest of a long chunk is memory of the caller.
    counted: usize,
    /// The most of them.
    most: usize,
}

impl WriteRoom {
    /// The room of a writer whose connection is not known yet.
    pub(super) fn new(most: usize) -> Self {
        Self {
            queue: None,
            kept: 0,
            counted: 0,
            most,
        }
    }

    /// The room of a writer of this connection.
    pub(super) fn of(connection: &Notifier, most: usize) -> Self {
        let mut room = Self::new(most);
        room.join(connection.queue());
        room
    }

    /// Counts what waits in this connection from now on.
    pub(super) fn join(&mut self, queue: &Arc<ReadyQueue<Signal>>) {
        self.counted = self.kept;
        queue.written(self.counted);
        self.queue = Some(Arc::clone(queue));
    }

    /// Returns the bytes that may be added now. If there are none, some wait.
    pub(super) fn left(&self) -> usize {
        let own = self.most.saturating_sub(self.kept);
        let Some(queue) = &self.queue else {
            return own;
        };
        let least = LEAST.saturating_sub(self.kept);
        own.min(queue.write_room().max(least))
    }

    /// Bytes were written. They may be more than there was room for.
    pub(super) fn add(&mut self, len: usize) {
        let counted = len.min(self.left());
        self.kept = self.kept.saturating_add(len);
        self.counted = self.counted.saturating_add(counted);
        if let Some(queue) = &self.queue {
            queue.written(counted);
        }
    }

    /// The connection took bytes, or they were dropped.
    pub(super) fn remove(&mut self, len: usize) {
        self.kept = self.kept.saturating_sub(len);
        let taken = self.counted.saturating_sub(self.kept);
        self.counted = self.counted.saturating_sub(taken);
        if let Some(queue) = self.queue.as_ref().filter(|_| taken > 0) {
            queue.taken(taken);
        }
    }

    pub(super) fn clear(&mut self) {
        self.remove(self.kept);
    }
}

impl Drop for WriteRoom {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Side};

    #[test]
    fn writers_share_and_each_has_a_little() {
        let mut limits = Limits::new(Side::Server);
        limits.max_unsent_bytes = 200_000;
        let connection = Notifier::new(&limits);
        let mut rooms: Vec<_> = (0..10)
            .map(|_| WriteRoom::of(&connection, 64 << 10))
            .collect();
        for room in &mut rooms {
            while room.left() > 0 {
                room.add(room.left().min(1000));
            }
            assert!(room.kept >= LEAST);
        }
        let all: usize = rooms.iter().map(|room| room.kept).sum();
        assert_eq!(connection.queue().waiting_to_be_taken(), all);
        assert!((100_000..100_000 + 10 * LEAST).contains(&all), "{all}");
        // The first two have the most. What they leave is for all.
        rooms.drain(..2);
        assert!(rooms.iter().all(|room| room.left() > 50_000));
        let mut first = rooms.remove(0);
        first.clear();
        assert_eq!(first.left(), 64 << 10);
        drop((first, rooms));
        assert_eq!(connection.queue().waiting_to_be_taken(), 0);
    }

    #[test]
    fn bytes_from_before_the_connection_count_in_it() {
        let connection = Notifier::new(&Limits::new(Side::Client));
        let mut room = WriteRoom::new(10);
        room.add(room.left());
        assert_eq!(room.left(), 0);
        room.join(connection.queue());
        assert_eq!(connection.queue().waiting_to_be_taken(), 10);
        room.remove(4);
        assert_eq!(
            (room.left(), connection.queue().waiting_to_be_taken()),
            (4, 6)
        );
    }

    /// A user's own large piece must not count as what the peer made us hold.
    #[test]
    fn of_a_long_chunk_counts_what_there_was_room_for() {
        let connection = Notifier::new(&Limits::new(Side::Client));
        let mut room = WriteRoom::of(&connection, 1000);
        room.add(10_000_000);
        assert_eq!(
            (room.left(), connection.queue().waiting_to_be_taken()),
            (0, 1000)
        );
        room.remove(9_999_500);
        assert_eq!(
            (room.left(), connection.queue().waiting_to_be_taken()),
            (500, 500)
        );
        room.remove(500);
        assert_eq!(
            (room.left(), connection.queue().waiting_to_be_taken()),
            (1000, 0)
        );
    }
}
