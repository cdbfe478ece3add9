//! A queue that most connections never use.

use std::collections::VecDeque;

use super::memory;

/// A queue that takes one word while it is empty.
#[derive(Debug)]
#[expect(clippy::box_collection, reason = "a queue of its own takes four words")]
pub(crate) struct RareQueue<T>(Option<Box<VecDeque<T>>>);

impl<T> Default for RareQueue<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> RareQueue<T> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.len())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|queue| queue.iter())
    }

    #[inline]
    pub(crate) fn front(&self) -> Option<&T> {
        self.0.as_ref()?.front()
    }

    pub(crate) fn push_back(&mut self, value: T) {
        self.0.get_or_insert_default().push_back(value);
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        self.pop()
    }

    /// Not inlined: callers look into empty queues all the time.
    #[cold]
    fn pop(&mut self) -> Option<T> {
        let value = self.0.as_mut()?.pop_front();
        self.free_if_empty();
        value
    }

    /// Appends, and forgets the oldest values above `max`.
    #[cold]
    pub(crate) fn push_bounded(&mut self, value: T, max: usize) {
        while self.len() >= max.max(1) {
            self.pop_front();
        }
        if max > 0 {
            self.push_back(value);
        }
    }

    #[cold]
    pub(crate) fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        if let Some(queue) = &mut self.0 {
            queue.retain(keep);
            self.free_if_empty();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// The memory of the values, beside what they point to.
    #[inline]
    pub(crate) fn memory(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| {
            memory::of_table::<T>(queue.capacity()).saturating_add(size_of::<VecDeque<T>>())
        })
    }

    fn free_if_empty(&mut self) {
        if self.0.as_ref().is_some_and(|queue| queue.is_empty()) {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_queue_holds_no_memory() {
        let mut queue = RareQueue::default();
        assert_eq!((queue.pop_front(), queue.front()), (None, None));
        for value in 0..5 {
            queue.push_bounded(value, 3);
        }
        assert_eq!(queue.iter().copied().collect::<Vec<_>>(), [2, 3, 4]);
        assert!(queue.memory() >= 3 * size_of::<i32>());
        assert_eq!(queue.pop_front(), Some(2));
        queue.retain(|value| *value == 5);
        assert!(queue.is_empty());
        assert_eq!((queue.len(), queue.memory()), (0, 0));
        queue.push_bounded(1, 0);
        assert!(queue.is_empty());
        assert_eq!(size_of::<RareQueue<[u8; 64]>>(), size_of::<usize>());
    }
}
