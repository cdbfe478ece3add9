//! The dynamic table (sections 2.3.2 and 4), for both directions.

use alloc::collections::VecDeque;

/// The entries, newest first, with the sizes for eviction. Holds no memory before the first
/// insertion.
#[derive(Debug)]
pub(crate) struct DynamicTable<T> {
    entries: VecDeque<Entry<T>>,
    /// The sum of the entries' sizes, at most `max_size`.
    size: u32,
    max_size: u32,
}

#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) value: T,
    size: u32,
}

impl<T> Entry<T> {
    /// Its size in the table (section 4.1).
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size as usize
    }
}

impl<T> DynamicTable<T> {
    pub(crate) const fn new(max_size: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            max_size: clamp(max_size),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn size(&self) -> usize {
        self.size as usize
    }

    #[inline]
    pub(crate) fn max_size(&self) -> usize {
        self.max_size as usize
    }

    /// The entry that was inserted `age` entries before the newest.
    #[inline]
    pub(crate) fn entry(&self, age: usize) -> Option<&Entry<T>> {
        self.entries.get(age)
    }

    #[inline]
    pub(crate) fn entry_mut(&mut self, age: usize) -> Option<&mut T> {
        self.entries.get_mut(age).map(|entry| &mut entry.value)
    }

    /// The values of the entries, newest first.
    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.entries.iter().map(|entry| &entry.value)
    }

    /// The entry that is evicted next.
    #[inline]
    pub(crate) fn oldest(&self) -> Option<&T> {
        self.entries.back().map(|entry| &entry.value)
    }

    /// Changes the maximum size and evicts the entries that no longer fit (section 4.3).
    pub(crate) fn set_max_size(&mut self, max_size: usize) {
        self.max_size = clamp(max_size);
        self.evict_to(self.max_size());
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
    }

    /// Evicts all entries, as for a new entry that is larger than the table (section 4.4).
    pub(crate) fn clear(&mut self) {
        self.evict_to(0);
    }

    /// Evicts entries until one of `size` bytes fits (section 4.4).
    #[inline]
    pub(crate) fn make_room(&mut self, size: usize) {
        self.evict_to(self.max_size().saturating_sub(size));
    }

    /// Makes room for an entry that fits into the table, and adds it.
    #[inline]
    pub(crate) fn insert(&mut self, value: T, size: usize) {
        debug_assert!(size <= self.max_size());
        self.make_room(size);
        let size = clamp(size);
        self.size = self.size.saturating_add(size);
        // A connection that is idle keeps a table of the few fields that all its requests had.
        if self.entries.len() == self.entries.capacity() && self.entries.len() < 8 {
            self.entries.reserve_exact(1);
        }
        self.entries.push_front(Entry { value, size });
    }

    #[inline]
    fn evict_to(&mut self, size: usize) {
        while self.size() > size {
            match self.entries.pop_back() {
                Some(entry) => self.size = self.size.saturating_sub(entry.size),
                None => self.size = 0,
            }
        }
    }
}

/// Sizes take 32 bits. No setting on the wire can request a larger table.
#[expect(clippy::cast_possible_truncation, reason = "compared before")]
pub(crate) const fn clamp(size: usize) -> u32 {
    if size > u32::MAX as usize {
        u32::MAX
    } else {
        size as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evicts_the_oldest() {
        let mut table = DynamicTable::new(100);
        for value in 0..4 {
            table.insert(value, 40);
        }
        assert_eq!((table.len(), table.size()), (2, 80));
        assert_eq!(table.entry(0).unwrap().value, 3);
        assert_eq!(table.entry(1).unwrap().value, 2);
        table.set_max_size(79);
        assert_eq!((table.len(), table.entry(0).unwrap().value), (1, 3));
        table.clear();
        assert_eq!((table.len(), table.size()), (0, 0));
    }
}
