//! Values by stream, found without hashing.

use super::spares;
use crate::proto::StreamKey;

/// Slots that an empty table keeps.
const IDLE_SLOTS: usize = 8;

/// The most slots that an empty table leaves with its thread, for a table of another
/// connection.
const SPARE_SLOTS: usize = 1024;

/// A table of values by stream, for applications. A look-up costs an index: the
/// slots of an engine's streams are small numbers, and reused. A value belongs to
/// one stream, not to its slot: the key of another stream finds nothing.
///
/// ```
/// use lacewing_conn::{driver::facade::StreamTable, proto::StreamKey};
///
/// /// Counts the bytes of each stream.
/// #[derive(Default)]
/// struct Received(StreamTable<usize>);
///
/// impl Received {
///     fn opened(&mut self, stream: StreamKey) {
///         self.0.insert(stream, 0);
///     }
///
///     fn data(&mut self, stream: StreamKey, len: usize) {
///         if let Some(bytes) = self.0.get_mut(stream) {
///             *bytes += len;
///         }
///     }
///
///     fn ended(&mut self, stream: StreamKey) -> usize {
///         self.0.remove(stream).unwrap_or_default()
///     }
/// }
/// ```
#[derive(Debug)]
pub struct StreamTable<T> {
    /// As long as the highest slot in use: bounded by the engine's limits of
    /// concurrent streams.
    slots: Vec<Option<(StreamKey, T)>>,
    len: usize,
}

impl<T> Default for StreamTable<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            len: 0,
        }
    }
}

impl<T: 'static> StreamTable<T> {
    /// Creates an empty table. Allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns `true` if the table has no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the value of this stream.
    pub fn get(&self, stream: StreamKey) -> Option<&T> {
        let (key, value) = self.slots.get(stream.slot())?.as_ref()?;
        (*key == stream).then_some(value)
    }

    /// Returns the value of this stream, mutably.
    pub fn get_mut(&mut self, stream: StreamKey) -> Option<&mut T> {
        let (key, value) = self.slots.get_mut(stream.slot())?.as_mut()?;
        (*key == stream).then_some(value)
    }

    /// Returns the value of another stream that has this one's slot.
    pub(super) fn other(&self, stream: StreamKey) -> Option<&T> {
        let (key, value) = self.slots.get(stream.slot())?.as_ref()?;
        (*key != stream).then_some(value)
    }

    /// Inserts a value. Returns the value that was in the slot: this stream's, or
    /// that of an earlier stream that was never removed.
    pub fn insert(&mut self, stream: StreamKey, value: T) -> Option<T> {
        let slot = stream.slot();
        if slot >= self.slots.len() {
            // The first slot of a table that was large, or the first that makes it large.
            let capacity = self.slots.capacity();
            if capacity == 0 || (slot >= IDLE_SLOTS && capacity <= IDLE_SLOTS) {
                self.use_spare();
            }
            self.slots.resize_with(slot.saturating_add(1), || None);
        }
        let place = self.slots.get_mut(slot)?;
        if place.is_some() {
            return place.replace((stream, value)).map(|(_, value)| value);
        }
        *place = Some((stream, value));
        self.len = self.len.saturating_add(1);
        None
    }

    /// Removes the value of this stream. A large table that becomes empty frees its
    /// memory.
    pub fn remove(&mut self, stream: StreamKey) -> Option<T> {
        let slot = self.slots.get_mut(stream.slot())?;
        let (_, value) = slot.take_if(|(key, _)| *key == stream)?;
        self.len = self.len.saturating_sub(1);
        if self.len == 0 {
            self.release_memory();
        }
        Some(value)
    }

    /// Drops the value of this stream, in its place: values may be large.
    pub fn discard(&mut self, stream: StreamKey) {
        let Some(slot) = self.slots.get_mut(stream.slot()) else {
            return;
        };
        if slot.as_ref().is_none_or(|(key, _)| *key != stream) {
            return;
        }
        *slot = None;
        self.len = self.len.saturating_sub(1);
        if self.len == 0 {
            self.release_memory();
        }
    }

    /// Returns all values, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (StreamKey, &T)> {
        let slots = self.slots.iter().flatten();
        slots.map(|(stream, value)| (*stream, value))
    }

    /// Removes all values and returns them.
    pub fn drain(&mut self) -> impl Iterator<Item = (StreamKey, T)> {
        self.len = 0;
        std::mem::take(&mut self.slots).into_iter().flatten()
    }

    /// Moves into the memory of a larger table that became empty.
    fn use_spare(&mut self) {
        if let Some(mut larger) = spares::take::<Vec<_>>() {
            larger.append(&mut self.slots);
            self.slots = larger;
        }
    }

    /// Frees a large table, so that an idle connection holds little memory.
    fn release_memory(&mut self) {
        if self.slots.capacity() > IDLE_SLOTS {
            let mut slots = std::mem::take(&mut self.slots);
            if slots.capacity() <= SPARE_SLOTS {
                slots.clear();
                spares::give_back(slots);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Instant;

    use http::HeaderMap;

    use super::*;
    use crate::{
        Side,
        proto::{Config, Engine, Head, OpenOptions, Reason, Semantics},
    };

    /// Keys of two streams in one slot, and of a third in another.
    fn keys() -> [StreamKey; 3] {
        let now = Instant::now();
        let mut config = Config::new("spdy/3.1".parse().unwrap(), Side::Client);
        config.semantics = Semantics::Raw;
        let mut engine = Engine::new(config, now, 0);
        let open = |engine: &mut Engine| {
            let head = Head::fields(HeaderMap::new());
            engine.open(now, head, OpenOptions::default()).unwrap()
        };
        let first = open(&mut engine);
        let other = open(&mut engine);
        engine.stream(now, first).reset(Reason::Cancel);
        let second = open(&mut engine);
        assert_eq!(first.slot(), second.slot());
        [first, second, other]
    }

    #[test]
    fn a_value_belongs_to_its_stream_and_not_to_its_slot() {
        let [first, second, other] = keys();
        let mut table = StreamTable::new();
        assert_eq!(table.insert(first, 1), None);
        assert_eq!(table.get(second), None);
        assert_eq!(table.remove(second), None);
        assert_eq!(table.insert(second, 2), Some(1), "what was never removed");
        assert_eq!(table.get(first), None);
        assert_eq!(table.insert(other, 3), None);
        assert_eq!(table.len(), 2);
        *table.get_mut(other).unwrap() += 1;
        let all: Vec<_> = table.iter().map(|(_, value)| *value).collect();
        assert_eq!(all, [2, 4]);
        assert_eq!(table.remove(second), Some(2));
        assert_eq!(table.remove(second), None);
        assert_eq!(
            table.drain().map(|(_, value)| value).collect::<Vec<_>>(),
            [4]
        );
        assert!(table.is_empty());
    }

    #[test]
    fn a_discarded_value_is_dropped_in_its_place() {
        let [first, second, other] = keys();
        let mut table = StreamTable::new();
        let value = std::sync::Arc::new(());
        for stream in [first, other] {
            table.insert(stream, std::sync::Arc::clone(&value));
        }
        table.discard(second);
        assert_eq!(table.len(), 2, "it has no value");
        table.discard(first);
        assert_eq!((table.len(), table.get(first)), (1, None));
        assert_eq!(std::sync::Arc::strong_count(&value), 2);
        table.discard(first);
        table.discard(other);
        assert!(table.is_empty());
        assert_eq!(std::sync::Arc::strong_count(&value), 1);
    }
}
