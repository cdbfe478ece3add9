//! Splits the units of a block into matches and literals.

use bytes::BytesMut;

use crate::WireVersion;
use crate::block::Reader;

use super::bits::{Bits, MIN_MATCH};
use super::index::{self, Hashes, Index, Kind, Record, Slot};
use super::{History, WINDOW, modulo};

/// Cookies shorter than this are secrets, as in lacewing-hpack.
const SHORT_COOKIE: usize = 20;

/// A block in progress.
pub(super) struct Block<'a> {
    version: WireVersion,
    history: History<'a>,
    index: &'a mut Index,
    bits: Bits<'a>,
    run: Option<Run>,
}

/// A match that is not written yet, since the next unit may extend it.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The offset in the history of the bytes that it covers.
    start: usize,
    length: usize,
    distance: u32,
    /// The record after that of the last unit that was matched.
    next: Slot,
}

/// One field of the block.
#[derive(Clone, Copy)]
struct Field<'a> {
    /// The offset in the history.
    start: usize,
    name: &'a [u8],
    value: &'a [u8],
    /// Length, name, length, value.
    raw: &'a [u8],
    /// The offset in `raw` of the value's length.
    length_at: usize,
    /// The offset in `raw` of the value.
    value_at: usize,
}

impl<'a> Block<'a> {
    pub(super) fn new(
        version: WireVersion,
        history: History<'a>,
        index: &'a mut Index,
        dst: &'a mut BytesMut,
    ) -> Self {
        Block {
            version,
            history,
            index,
            bits: Bits::start(dst),
            run: None,
        }
    }

    /// Compresses the end of the history, from this offset on.
    pub(super) fn write(mut self, start: usize, secrets: &[usize]) {
        let history = self.history.bytes;
        let width = self.version.width();
        let mut reader = Reader::new(self.version, history.get(start..).unwrap_or_default());
        let count = reader.count().unwrap_or_default();
        self.count(start, self.history.get(start, width));

        let mut secrets = secrets.iter().copied().peekable();
        for number in 0..count {
            let start = history.len() - reader.remaining();
            let (Some(name), Some(value)) = (reader.string(), reader.string()) else {
                break;
            };
            let field = Field {
                start,
                name,
                value,
                raw: self
                    .history
                    .get(start, 2 * width + name.len() + value.len()),
                length_at: width + name.len(),
                value_at: 2 * width + name.len(),
            };
            if secrets.next_if_eq(&number).is_some() {
                self.secret_field(field);
            } else {
                self.field(field);
            }
        }
        self.end_run();
        self.bits.finish();
    }

    fn count(&mut self, start: usize, raw: &[u8]) {
        let hashes = Hashes::of_text(index::hash(raw));
        let earlier = self.index.find_unit(hashes.unit, |record| {
            record.kind == Kind::Count && self.equals(start, record.at, raw)
        });
        match earlier {
            Some((slot, record)) => self.begin_run(start, record.at, raw.len(), slot),
            None => self.bits.literals(raw),
        }
        self.remember(start, Kind::Count, hashes);
    }

    fn field(&mut self, field: Field<'_>) {
        let Field { start, raw, .. } = field;
        // While a run continues, nothing needs a hash. A secret is no `Kind::Field`.
        if let Some(next) = self.behind_run(start) {
            if next.kind == Kind::Field && self.equals(start, next.at, raw) {
                self.extend_run(raw.len());
                self.remember(start, Kind::Field, next.hashes);
                return;
            }
        }
        if is_secret(field.name, field.value) {
            self.secret_field(field);
            return;
        }
        let (name_hash, value_hash) = (index::hash(field.name), index::hash(field.value));
        let hashes = Hashes::of_field(name_hash, value_hash);
        let earlier = self.index.find_unit(hashes.unit, |record| {
            record.kind == Kind::Field && self.equals(start, record.at, raw)
        });
        if let Some((slot, record)) = earlier {
            self.end_run();
            self.begin_run(start, record.at, raw.len(), slot);
        } else {
            self.new_field(field, name_hash, value_hash);
        }
        self.remember(start, Kind::Field, hashes);
    }

    /// Writes a field that the window does not have as a whole. Its value may be an entry of the
    /// dictionary.
    fn new_field(&mut self, field: Field<'_>, name_hash: u32, value_hash: u32) {
        let entry = self.find_entry(value_hash, field.start + field.length_at, field.value);
        // The offset from which the entry has the field, if any.
        let (end, zeros) = match entry.map(|entry| entry.kind) {
            Some(Kind::FramedEntry) => (field.length_at, 0),
            Some(_) => (field.value_at, field.zeros()),
            None => (field.raw.len(), field.zeros()),
        };
        let written = self.name(field, name_hash, zeros);
        self.bits
            .literals(field.raw.get(written..end).unwrap_or_default());
        if let Some(entry) = entry {
            let start = field.start + end;
            let distance = self.history.distance(start, entry.at);
            self.copy(start, field.raw.len() - end, distance);
        }
    }

    /// Writes a field whose value is not matched, and is not available for later matches.
    fn secret_field(&mut self, field: Field<'_>) {
        let name_hash = index::hash(field.name);
        let written = self.name(field, name_hash, field.zeros());
        self.bits
            .literals(field.raw.get(written..).unwrap_or_default());
        self.remember(field.start, Kind::Secret, Hashes::of_text(name_hash));
    }

    /// Writes a field's name with its length, as a match if the window has it. The match also
    /// covers up to `zeros` zero bytes after the name, as far as they are zero in the window too.
    /// Returns the number of these zero bytes.
    fn name(&mut self, field: Field<'_>, hash: u32, zeros: usize) -> usize {
        let framed = field.raw.get(..field.length_at).unwrap_or_default();
        let behind = field.start + field.length_at;

        // A run continues to the end of the name, although the value differs.
        if let Some(next) = self.behind_run(field.start) {
            let has_name = matches!(next.kind, Kind::Field | Kind::Secret);
            if has_name && self.equals(field.start, next.at, framed) {
                let distance = self.history.distance(field.start, next.at);
                let covered = framed.len() + self.common_zeros(behind, distance, zeros);
                self.extend_run(covered);
                self.end_run();
                return covered;
            }
        }
        self.end_run();

        let earlier = self.index.find_name(hash, |record| {
            matches!(record.kind, Kind::Field | Kind::Secret)
                && self.equals(field.start, record.at, framed)
        });
        match earlier.or_else(|| self.find_entry(hash, field.start, field.name)) {
            None => 0,
            Some(Record {
                at,
                kind: Kind::BareEntry,
                ..
            }) => {
                let text_at = field.start + self.version.width();
                self.bits
                    .literals(self.history.get(field.start, self.version.width()));
                let distance = self.history.distance(text_at, at);
                self.copy(text_at, field.name.len(), distance);
                framed.len()
            }
            Some(Record { at, .. }) => {
                let distance = self.history.distance(field.start, at);
                let covered = framed.len() + self.common_zeros(behind, distance, zeros);
                self.copy(field.start, covered, distance);
                covered
            }
        }
    }

    /// The entry of the dictionary with the text whose length is at `start`.
    fn find_entry(&self, hash: u32, start: usize, text: &[u8]) -> Option<Record> {
        let reached = modulo(self.version.dictionary().len() + WINDOW);
        if self.history.place(start) >= reached {
            return None;
        }
        let width = self.version.width();
        let framed = self.history.get(start, width + text.len());
        self.index.find_name(hash, |record| {
            usize::from(record.text) == text.len()
                && match record.kind {
                    Kind::FramedEntry => self.equals(start, record.at, framed),
                    Kind::BareEntry => self.equals(start + width, record.at, text),
                    _ => false,
                }
        })
    }

    /// Counts the zeros from `start` on, at most `zeros`, that are also zero at this distance
    /// before it.
    fn common_zeros(&self, start: usize, distance: u32, zeros: usize) -> usize {
        let earlier = self.history.before(start, distance, zeros);
        earlier.map_or(0, |bytes| {
            bytes.iter().take_while(|&&byte| byte == 0).count()
        })
    }

    /// Returns whether a match may copy these bytes, which are at the offset `start`, from the
    /// place `at`.
    fn equals(&self, start: usize, at: u32, bytes: &[u8]) -> bool {
        let distance = self.history.distance(start, at);
        self.history.before(start, distance, bytes.len()) == Some(bytes)
    }

    fn begin_run(&mut self, start: usize, at: u32, length: usize, slot: Slot) {
        self.run = Some(Run {
            start,
            length,
            distance: self.history.distance(start, at),
            next: slot.wrapping_add(1),
        });
    }

    fn extend_run(&mut self, length: usize) {
        if let Some(run) = &mut self.run {
            run.length += length;
            run.next = run.next.wrapping_add(1);
        }
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            self.copy(run.start, run.length, run.distance);
        }
    }

    /// The record after the run's source, if its text is still in the window. The text at `start`,
    /// where the run ends, could extend the run.
    fn behind_run(&self, start: usize) -> Option<Record> {
        let run = self.run?;
        let record = self.index.record(run.next)?;
        (self.history.distance(start, record.at) == run.distance).then_some(*record)
    }

    /// Writes bytes of the history as a match, or as literals if that is shorter.
    fn copy(&mut self, start: usize, length: usize, distance: u32) {
        match u32::try_from(length) {
            Ok(length) if length >= MIN_MATCH => self.bits.copy(length, distance),
            _ => self.bits.literals(self.history.get(start, length)),
        }
    }

    fn remember(&mut self, start: usize, kind: Kind, hashes: Hashes) {
        let at = self.history.place(start);
        self.index.push(Record::new(at, kind, hashes, 0));
    }
}

impl Field<'_> {
    /// The zero bytes at the start of the value's length, without its last byte.
    fn zeros(&self) -> usize {
        let length = self
            .raw
            .get(self.length_at..self.value_at.saturating_sub(1));
        let length = length.unwrap_or_default().iter();
        length.take_while(|&&byte| byte == 0).count()
    }
}

/// Returns whether a field is secret without a mark. Such fields are credentials, and cookies short
/// enough to guess as a whole. lacewing-hpack keeps them out of its table too.
fn is_secret(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"authorization" | b"proxy-authorization" => true,
        b"cookie" | b"set-cookie" => value.len() < SHORT_COOKIE,
        _ => false,
    }
}
