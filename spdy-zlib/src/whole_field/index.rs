//! The places of fields, names and dictionary entries in the window.

use crate::WireVersion;

use super::entries::{self, Entry};

/// The largest number of records: those of the last 256 fields and counts (about 25 requests).
/// Records of the dictionary take part until newer ones replace them.
pub(super) const RECORDS: usize = 256;

/// The position of a record in the ring of [`RECORDS`].
pub(super) type Slot = u8;

/// Finds earlier fields and names by hash.
///
/// The records are a ring: only age evicts a record, never its content or that of another.
/// Otherwise a peer could fill each bucket with fields, see which bucket hides a secret field, and
/// learn bits of its hash.
#[derive(Clone)]
pub(super) struct Index {
    records: [Record; RECORDS],
    /// The newest record of each bucket, by the hash of the name.
    names: [Slot; RECORDS],
    /// The newest record of each bucket, by the hash of the whole unit.
    units: [Slot; RECORDS],
    /// The position of the next record, which is that of the oldest one.
    next: Slot,
}

/// One unit of a header block, or one entry of the dictionary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// The start of the unit: bytes from the start of the dictionary, modulo 2³².
    pub(super) at: u32,
    pub(super) kind: Kind,
    /// The length of an entry's text in bytes; 0 for other records.
    pub(super) text: u8,
    pub(super) hashes: Hashes,
    /// The previous record in the bucket of the name.
    before_in_names: Slot,
    /// The previous record in the bucket of the unit.
    before_in_units: Slot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// No record was stored here.
    Nothing,
    /// The number of fields, at the start of a block.
    Count,
    /// A length, a name, a length, a value.
    Field,
    /// The same, with a secret value: only the name can be matched.
    Secret,
    /// An entry of the dictionary, with its length before it.
    FramedEntry,
    /// An entry of the dictionary that is only text.
    BareEntry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashes {
    pub(super) name: u32,
    /// The hash of name and value.
    pub(super) unit: u32,
}

impl Index {
    /// Returns an empty index.
    pub(super) const fn empty() -> Index {
        let hashes = Hashes { name: 0, unit: 0 };
        let nothing = Record::new(0, Kind::Nothing, hashes, 0);
        Index {
            records: [nothing; RECORDS],
            names: [0; RECORDS],
            units: [0; RECORDS],
            next: 0,
        }
    }

    /// Returns an index of the dictionary's entries. The dictionary starts at place 0.
    pub(super) fn of_dictionary(version: WireVersion) -> Index {
        let mut index = Index::empty();
        for Entry { at, text, framed } in entries::all(version) {
            let (Ok(at), Ok(length)) = (u32::try_from(at), u8::try_from(text.len())) else {
                continue;
            };
            let kind = match framed {
                true => Kind::FramedEntry,
                false => Kind::BareEntry,
            };
            let hashes = Hashes::of_text(hash(text));
            index.push(Record::new(at, kind, hashes, length));
        }
        index
    }

    /// Adds a record at the position of the oldest one.
    #[inline]
    pub(super) fn push(&mut self, mut record: Record) {
        let slot = self.next;
        if let Some(head) = self.names.get_mut(bucket(record.hashes.name)) {
            record.before_in_names = *head;
            *head = slot;
        }
        if let Some(head) = self.units.get_mut(bucket(record.hashes.unit)) {
            record.before_in_units = *head;
            *head = slot;
        }
        if let Some(place) = self.records.get_mut(usize::from(slot)) {
            *place = record;
        }
        self.next = slot.wrapping_add(1);
    }

    pub(super) fn record(&self, slot: Slot) -> Option<&Record> {
        self.records.get(usize::from(slot))
    }

    /// The newest records, oldest first. Their entries of the dictionary have no use without it.
    pub(super) fn newest(&self, count: usize) -> impl Iterator<Item = Record> {
        let (newer, older) = self.records.split_at(usize::from(self.next));
        let all = older.iter().chain(newer);
        all.skip(RECORDS.saturating_sub(count)).copied()
    }

    /// The newest record with this hash of the name for which `wanted` returns true.
    #[inline]
    pub(super) fn find_name(&self, hash: u32, wanted: impl Fn(&Record) -> bool) -> Option<Record> {
        let head = self.names.get(bucket(hash)).copied()?;
        let before = |record: &Record| record.before_in_names;
        let wanted = |record: &Record| record.hashes.name == hash && wanted(record);
        self.walk(head, before, wanted).map(|(_, record)| record)
    }

    /// The newest record with this hash of the unit for which `wanted` returns true, and its
    /// position.
    #[inline]
    pub(super) fn find_unit(
        &self,
        hash: u32,
        wanted: impl Fn(&Record) -> bool,
    ) -> Option<(Slot, Record)> {
        let head = self.units.get(bucket(hash)).copied()?;
        let before = |record: &Record| record.before_in_units;
        let wanted = |record: &Record| record.hashes.unit == hash && wanted(record);
        self.walk(head, before, wanted)
    }

    /// Walks through a bucket, from new to old. The bucket ends at a link to a newer record. That
    /// record replaced the older one of the bucket, so all older ones are gone too.
    #[inline]
    fn walk(
        &self,
        mut slot: Slot,
        before: impl Fn(&Record) -> Slot,
        wanted: impl Fn(&Record) -> bool,
    ) -> Option<(Slot, Record)> {
        let newest = self.next.wrapping_sub(1);
        loop {
            let record = self.record(slot)?;
            if wanted(record) {
                return Some((slot, *record));
            }
            let older = before(record);
            if newest.wrapping_sub(older) <= newest.wrapping_sub(slot) {
                return None;
            }
            slot = older;
        }
    }
}

impl Record {
    pub(super) const fn new(at: u32, kind: Kind, hashes: Hashes, text: u8) -> Record {
        Record {
            at,
            kind,
            text,
            hashes,
            before_in_names: 0,
            before_in_units: 0,
        }
    }
}

impl Hashes {
    /// A hash for units that are found by their text alone.
    pub(super) fn of_text(hash: u32) -> Hashes {
        Hashes {
            name: hash,
            unit: hash,
        }
    }

    pub(super) fn of_field(name: u32, value: u32) -> Hashes {
        Hashes {
            name,
            unit: name.rotate_left(16) ^ value,
        }
    }
}

/// Any hash is good enough: candidates are compared byte by byte, and a walk ends after [`RECORDS`]
/// steps whatever fields the peer chooses.
#[inline]
pub(super) fn hash(bytes: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let mut hash = (bytes.len() as u64).wrapping_mul(FACTOR);
    match bytes.last_chunk() {
        Some(last) => {
            for word in bytes.chunks_exact(8) {
                let word = word.first_chunk().copied().unwrap_or_default();
                hash = mix(hash, u64::from_le_bytes(word));
            }
            hash = mix(hash, u64::from_le_bytes(*last));
        }
        None => {
            let word = bytes
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte));
            hash = mix(hash, word);
        }
    }
    hash = hash.wrapping_mul(FACTOR);
    (hash >> 32) as u32
}

fn bucket(hash: u32) -> usize {
    (hash & 0xff) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: u32, hash: u32) -> Record {
        Record::new(at, Kind::Field, Hashes::of_text(hash), 0)
    }

    /// The search does not depend on other records, not even on those in the same bucket or with
    /// the same hash.
    #[test]
    fn only_age_drives_a_record_out() {
        let others: [fn(u32) -> u32; 4] = [
            |_| 0x1234_5678,
            |number| 0x78 | number << 8,
            |number| number,
            |number| number.wrapping_mul(0x9e37_79b9),
        ];
        // Miri is a thousand times slower.
        let befores: &[u32] = if cfg!(miri) { &[77] } else { &[0, 1, 77, 1000] };
        for hash_of in others {
            for &before in befores {
                let mut index = Index::empty();
                for number in 0..before {
                    index.push(record(number, hash_of(number)));
                }
                let target = record(5_000_000, 0x1234_5678);
                index.push(target);
                for number in 0..=255 {
                    if !cfg!(miri) || number % 51 == 0 {
                        let is_target = |record: &Record| record.at == target.at;
                        let by_name = index.find_name(target.hashes.name, is_target);
                        let by_unit = index.find_unit(target.hashes.unit, is_target);
                        assert!(by_name.is_some() && by_unit.is_some(), "{number} others");
                    }
                    index.push(record(number, hash_of(number)));
                }
                assert!(
                    index
                        .find_name(0x1234_5678, |record| record.at == 5_000_000)
                        .is_none()
                );
                assert!(
                    index
                        .find_unit(0x1234_5678, |record| record.at == 5_000_000)
                        .is_none()
                );
            }
        }
    }

    #[test]
    fn hashes_depend_on_every_byte() {
        // Miri is a thousand times slower.
        for length in (0..70).step_by(if cfg!(miri) { 23 } else { 1 }) {
            let text = vec![b'a'; length];
            for at in 0..length {
                let mut other = text.clone();
                other[at] = b'b';
                assert_ne!(hash(&text), hash(&other), "{length}, {at}");
            }
            assert_ne!(hash(&text), hash(&[&text[..], b"a"].concat()));
        }
    }
}
