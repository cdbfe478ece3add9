//! The encoder's dynamic table with its reverse look-up: from a field or a name to its index.

use alloc::vec::Vec;

use crate::dynamic_table::DynamicTable;
use crate::{FIELD_OVERHEAD, StaticIndex};

/// The dynamic table of an encoder. Allocates with its first entry.
///
/// Entries have consecutive numbers. Two chained hash tables, one by field and one by name, point
/// to the newest entry of a bucket. Every entry points to the next older one of its bucket. Entries
/// are never unlinked: a number that is too old ends a chain.
#[derive(Debug)]
pub(crate) struct Index {
    table: DynamicTable<Slot>,
    /// The number of the newest entry. The first entry has 1. Wraps.
    newest: u32,
    /// The number of the entry with which the last block began.
    first_of_block: u32,
    /// The number of the newest entry in each bucket, or 0. The number of pairs is a power of two.
    buckets: Vec<Bucket>,
    texts: Texts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    field: u32,
    name: u32,
}

#[derive(Debug)]
struct Slot {
    /// The hash of name and value.
    hash: u32,
    name_hash: u32,
    /// The numbers of the next older entries in the same buckets.
    next_field: u32,
    next_name: u32,
    /// The number of the entry that followed in the last block.
    successor: u32,
    /// The place of the texts: the name, followed by the value.
    start: u32,
    name_len: u32,
    value_len: u32,
    /// The name's place in the static table. Entries with it need no comparison of names.
    place: Option<StaticIndex>,
}

/// A name, looked up in the static table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a> {
    text: &'a [u8],
    place: Option<StaticIndex>,
}

impl<'a> Name<'a> {
    #[inline]
    pub(crate) fn new(text: &'a [u8]) -> Self {
        let place = StaticIndex::with_name(text);
        Self { text, place }
    }

    /// The name at a place of the static table.
    #[inline]
    pub(crate) fn from_static(place: StaticIndex) -> Name<'static> {
        Name {
            text: place.name(),
            place: Some(place.first()),
        }
    }

    #[inline]
    pub(crate) fn text(self) -> &'a [u8] {
        self.text
    }

    /// The first place with this name in the static table.
    #[inline]
    pub(crate) fn place(self) -> Option<StaticIndex> {
        self.place
    }

    #[inline]
    fn hash(self) -> u64 {
        match self.place {
            Some(place) => u64::from(place.number()),
            None => hash(0, self.text),
        }
    }
}

/// A field's hashes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hashes {
    field: u32,
    name: u32,
}

impl Hashes {
    #[inline]
    pub(crate) fn new(name: Name<'_>, value: &[u8]) -> Self {
        let name = name.hash();
        Self {
            field: fold(hash(name, value)),
            name: fold(name),
        }
    }
}

/// The most entries of a chain that a look-up visits. Only chosen hashes make a longer chain; it
/// costs compression, not time.
const MAX_STEPS: usize = 16;

impl Index {
    pub(crate) const fn new(max_size: usize) -> Self {
        Self {
            table: DynamicTable::new(max_size),
            newest: 0,
            first_of_block: 0,
            buckets: Vec::new(),
            texts: Texts::new(),
        }
    }

    pub(crate) fn max_size(&self) -> usize {
        self.table.max_size()
    }

    pub(crate) fn size(&self) -> usize {
        self.table.size()
    }

    pub(crate) fn set_max_size(&mut self, max_size: usize) {
        self.table.set_max_size(max_size);
        if self.table.len() == 0 {
            self.forget();
        }
    }

    /// The index of the field with this name and value.
    #[inline]
    pub(crate) fn find(&self, name: Name<'_>, value: &[u8], hashes: Hashes) -> Option<usize> {
        let mut number = self.bucket(hashes.field)?.field;
        let mut last_age = None;
        for _ in 0..MAX_STEPS {
            let (age, slot) = self.slot(number, last_age)?;
            if slot.hash == hashes.field && self.is_field(slot, name, value) {
                return Some(index(age));
            }
            number = slot.next_field;
            last_age = Some(age);
        }
        None
    }

    /// The number and index of the entry that followed `last` in the block before, if it is this
    /// field. `last` is the number of an entry, or 0 at the start of a block.
    #[inline]
    pub(crate) fn find_successor(
        &self,
        last: u32,
        name: &[u8],
        value: &[u8],
    ) -> Option<(u32, usize)> {
        let number = match last {
            0 => self.first_of_block,
            last => self.slot(last, None)?.1.successor,
        };
        let (age, slot) = self.slot(number, None)?;
        if slot.name_len as usize != name.len() || slot.value_len as usize != value.len() {
            return None;
        }
        let (its_name, its_value) = self.texts.of(slot)?;
        (its_value == value && its_name == name).then(|| (number, index(age)))
    }

    /// Notes that the entry `number` follows `last` in the current block.
    pub(crate) fn note_successor(&mut self, last: u32, number: u32) {
        if last == 0 {
            self.first_of_block = number;
            return;
        }
        let age = self.newest.wrapping_sub(last) as usize;
        if let Some(entry) = self.table.entry_mut(age) {
            entry.successor = number;
        }
    }

    /// The number of the entry with this index.
    pub(crate) fn number_of(&self, index: usize) -> u32 {
        let first = usize::from(StaticIndex::LAST.number()) + 1;
        self.newest.wrapping_sub(to_u32(index.wrapping_sub(first)))
    }

    /// The index of the newest field with this name, which is not in the static table.
    #[inline]
    pub(crate) fn find_name(&self, name: Name<'_>) -> Option<usize> {
        let hash = fold(name.hash());
        let mut number = self.bucket(hash)?.name;
        let mut last_age = None;
        for _ in 0..MAX_STEPS {
            let (age, slot) = self.slot(number, last_age)?;
            if slot.name_hash == hash
                && self
                    .texts
                    .of(slot)
                    .is_some_and(|field| field.0 == name.text)
            {
                return Some(index(age));
            }
            number = slot.next_name;
            last_age = Some(age);
        }
        None
    }

    /// The number of the newest entry.
    pub(crate) fn newest(&self) -> u32 {
        self.newest
    }

    /// The index of the entry with this number, if it is this field.
    #[inline]
    pub(crate) fn find_numbered(&self, number: u32, name: Name<'_>, value: &[u8]) -> Option<usize> {
        let (age, slot) = self.slot(number, None)?;
        self.is_field(slot, name, value).then(|| index(age))
    }

    #[inline]
    fn is_field(&self, slot: &Slot, name: Name<'_>, value: &[u8]) -> bool {
        slot.place == name.place
            && self.texts.of(slot).is_some_and(|field| {
                field.1 == value && (name.place.is_some() || field.0 == name.text)
            })
    }

    /// Inserts a field as the peer will. The table may be empty afterwards (section 4.4).
    pub(crate) fn insert(&mut self, name: Name<'_>, value: &[u8], hashes: Hashes) {
        let Name { text, place } = name;
        let size = entry_size(text, value);
        if size > self.table.max_size() {
            self.table.clear();
            self.forget();
            return;
        }
        // Lengths that fit into a table fit into 32 bits.
        let (Ok(name_len), Ok(value_len)) = (text.len().try_into(), value.len().try_into()) else {
            return;
        };
        self.grow();
        self.newest = self.newest.wrapping_add(1);
        let number = self.newest;
        let mut next = Bucket::default();
        let mask = self.buckets.len().wrapping_sub(1);
        if let Some(bucket) = self.buckets.get_mut(hashes.field as usize & mask) {
            next.field = core::mem::replace(&mut bucket.field, number);
        }
        if let Some(bucket) = self.buckets.get_mut(hashes.name as usize & mask) {
            next.name = core::mem::replace(&mut bucket.name, number);
        }
        self.table.make_room(size);
        let oldest = self.table.oldest().map(|slot| slot.start);
        let start = self.texts.push(text, value, oldest);
        self.table.insert(
            Slot {
                hash: hashes.field,
                name_hash: hashes.name,
                next_field: next.field,
                next_name: next.name,
                successor: 0,
                start,
                name_len,
                value_len,
                place,
            },
            size,
        );
    }

    #[inline]
    fn bucket(&self, hash: u32) -> Option<Bucket> {
        let mask = self.buckets.len().wrapping_sub(1);
        self.buckets.get(hash as usize & mask).copied()
    }

    /// The entry with this number, if the table has it and it is older than the last one.
    #[inline]
    fn slot(&self, number: u32, last_age: Option<usize>) -> Option<(usize, &Slot)> {
        let age = self.newest.wrapping_sub(number) as usize;
        // Without this check, a number from before the last wrap could make a cycle.
        if last_age.is_some_and(|last| age <= last) {
            return None;
        }
        Some((age, &self.table.entry(age)?.value))
    }

    /// Keeps at least as many buckets as entries.
    fn grow(&mut self) {
        if self.table.len() < self.buckets.len() {
            return;
        }
        let buckets = (self.buckets.len() * 2).max(1);
        self.buckets.clear();
        self.buckets.resize(buckets, Bucket::default());
        let mask = buckets - 1;
        let len = self.table.len();
        for age in (0..len).rev() {
            let Some(slot) = self.table.entry_mut(age) else {
                break;
            };
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a table has fewer than 2³² entries"
            )]
            let number = self.newest.wrapping_sub(age as u32);
            if let Some(bucket) = self.buckets.get_mut(slot.hash as usize & mask) {
                slot.next_field = core::mem::replace(&mut bucket.field, number);
            }
            if let Some(bucket) = self.buckets.get_mut(slot.name_hash as usize & mask) {
                slot.next_name = core::mem::replace(&mut bucket.name, number);
            }
        }
    }

    /// Frees all memory. The table must be empty.
    fn forget(&mut self) {
        self.newest = 0;
        self.first_of_block = 0;
        self.buckets = Vec::new();
        self.texts = Texts::new();
    }
}

/// The size of a field in a table (section 4.1).
#[inline]
pub(crate) fn entry_size(name: &[u8], value: &[u8]) -> usize {
    name.len()
        .saturating_add(value.len())
        .saturating_add(FIELD_OVERHEAD)
}

#[inline]
fn index(age: usize) -> usize {
    usize::from(StaticIndex::LAST.number()) + 1 + age
}

/// The bytes of all entries, in the order of insertion. From time to time the buffer drops the
/// texts of evicted entries from its front. Each text stays contiguous.
#[derive(Debug)]
struct Texts {
    bytes: Vec<u8>,
    /// The number of bytes dropped so far. The place of a text counts from there. Wraps.
    cut: u32,
}

impl Texts {
    const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            cut: 0,
        }
    }

    /// Adds the texts of a field and returns their place. `oldest` is the place of the first text
    /// that is still needed.
    fn push(&mut self, name: &[u8], value: &[u8], oldest: Option<u32>) -> u32 {
        let len = self.bytes.len();
        if len + name.len() + value.len() > self.bytes.capacity() {
            let dead = match oldest {
                Some(oldest) => (oldest.wrapping_sub(self.cut) as usize).min(len),
                None => len,
            };
            // Moves at most three bytes for each added byte.
            if dead >= len / 4 {
                self.bytes.drain(..dead);
                self.cut = self.cut.wrapping_add(to_u32(dead));
            }
        }
        let start = self.cut.wrapping_add(to_u32(self.bytes.len()));
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        start
    }

    #[inline]
    fn of(&self, slot: &Slot) -> Option<(&[u8], &[u8])> {
        let start = slot.start.wrapping_sub(self.cut) as usize;
        let (name, rest) = self
            .bytes
            .get(start..)?
            .split_at_checked(slot.name_len as usize)?;
        Some((name, rest.get(..slot.value_len as usize)?))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "places wrap at 32 bits")]
fn to_u32(len: usize) -> u32 {
    len as u32
}

#[expect(clippy::cast_possible_truncation, reason = "half of it is enough")]
#[inline]
fn fold(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}

/// A fast hash. It does not resist chosen collisions; [`MAX_STEPS`] does.
#[inline]
fn hash(seed: u64, text: &[u8]) -> u64 {
    let mut state = seed ^ (text.len() as u64).rotate_left(32);
    let mut rest = text;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        if tail.is_empty() {
            break;
        }
        state = mix(state, u64::from_le_bytes(*word));
        rest = tail;
    }
    // The last one to eight bytes, in a word that may overlap the previous word.
    let last = if let Some(word) = text.last_chunk::<8>() {
        u64::from_le_bytes(*word)
    } else if let (Some(head), Some(tail)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        u64::from(u32::from_le_bytes(*head)) << 32 | u64::from(u32::from_le_bytes(*tail))
    } else {
        text.iter()
            .fold(0, |word, &byte| word << 8 | u64::from(byte))
    };
    mix(state, last)
}

#[inline]
fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn insert(index: &mut Index, name: &str, value: &str) -> u32 {
        let name = Name::new(name.as_bytes());
        index.insert(name, value.as_bytes(), Hashes::new(name, value.as_bytes()));
        index.newest()
    }

    #[test]
    fn an_entry_is_found_behind_the_one_that_it_followed() {
        let mut index = Index::new(4096);
        let first = insert(&mut index, "first", "1");
        let second = insert(&mut index, "second", "2");
        let find = |index: &Index, last, name: &str, value: &str| {
            index.find_successor(last, name.as_bytes(), value.as_bytes())
        };
        assert_eq!(find(&index, 0, "first", "1"), None);
        index.note_successor(0, first);
        index.note_successor(first, second);
        assert_eq!(find(&index, 0, "first", "1"), Some((first, 63)));
        assert_eq!(find(&index, first, "second", "2"), Some((second, 62)));
        assert_eq!(index.number_of(63), first);
        // Another field at this place.
        assert_eq!(find(&index, first, "second", "3"), None);
        assert_eq!(find(&index, first, "secone", "2"), None);
        assert_eq!(find(&index, second, "first", "1"), None);
        // The first entry is evicted, and with it the memory of its successor.
        index.set_max_size(entry_size(b"second", b"2"));
        assert_eq!(find(&index, 0, "first", "1"), None);
        assert_eq!(find(&index, first, "second", "2"), None);
        index.set_max_size(0);
        assert_eq!(find(&index, 0, "second", "2"), None);
    }
}
