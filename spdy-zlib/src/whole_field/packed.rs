//! A deflate stream that is idle: the newest part of its history, and nothing that can be rebuilt.

use std::mem::size_of;

use super::index::{Index, Record};
use super::{FIRST_HISTORY, WholeField, dictionary_index, modulo};
use crate::WireVersion;

/// The history that an idle stream keeps, in bytes beside the dictionary.
const KEPT_HISTORY: usize = 2 << 10;

/// The records that an idle stream keeps.
const KEPT_RECORDS: usize = 64;

/// An idle [`WholeField`].
///
/// The encoder may refer to any part of its window, and so it may forget any part. As in the
/// index, only age decides.
pub(crate) struct Packed {
    version: WireVersion,
    started: bool,
    /// The place of the first byte.
    base: u32,
    bytes: Box<[u8]>,
    records: Box<[Record]>,
}

impl Packed {
    pub(crate) fn new(stream: &WholeField) -> Packed {
        let mut passed = stream.history.len().saturating_sub(KEPT_HISTORY);
        if stream.base == 0 {
            passed = passed.max(stream.version.dictionary().len());
        }
        let bytes = stream.history.get(passed..).unwrap_or_default();
        let base = stream.base.wrapping_add(modulo(passed));
        let kept = |record: &Record| record.at.wrapping_sub(base) < modulo(bytes.len());
        let records = stream.index.newest(KEPT_RECORDS);
        Packed {
            version: stream.version,
            started: stream.started,
            base,
            bytes: bytes.into(),
            records: records.filter(kept).collect(),
        }
    }

    /// A stream without blocks.
    pub(crate) fn unused(version: WireVersion) -> Packed {
        Packed {
            version,
            started: false,
            base: modulo(version.dictionary().len()),
            bytes: Box::default(),
            records: Box::default(),
        }
    }

    /// Continues the stream, in the memory of another one if there is one.
    pub(crate) fn unpack(&self, memory: Option<Box<WholeField>>) -> Box<WholeField> {
        let mut stream = memory.unwrap_or_else(|| {
            Box::new(WholeField {
                version: self.version,
                started: false,
                history: Vec::with_capacity(FIRST_HISTORY),
                base: 0,
                index: Index::empty(),
            })
        });
        stream.version = self.version;
        stream.started = self.started;
        stream.history.clear();
        let dictionary = self.version.dictionary();
        // The dictionary is at hand, if the bytes follow it without a gap.
        if self.base == modulo(dictionary.len()) {
            stream.base = 0;
            stream.history.extend_from_slice(dictionary);
            stream.index.clone_from(dictionary_index(self.version));
        } else {
            stream.base = self.base;
            stream.index = Index::empty();
        }
        stream.history.extend_from_slice(&self.bytes);
        let records = self.records.iter();
        records.for_each(|record| stream.index.push(*record));
        stream
    }

    /// The heap that it holds, in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + self.records.len() * size_of::<Record>()
    }
}
