//! A deflate encoder that resists CRIME: its matches cover only whole header fields or names.
//!
//! zlib matches the longest text that it finds. A block becomes shorter with each byte of a secret
//! that an attacker guesses correctly (CRIME). Here a match covers whole *units*. A guess with one
//! wrong byte therefore gains as little as one with no right byte, as in HPACK. The units are:
//!
//! * the number of fields at the start of a block;
//! * a field: both lengths, name and value;
//! * a name with its length, and the zero bytes that begin the next length (they reveal only that
//!   both values are short);
//! * a whole entry of the dictionary, as a name or as a value.
//!
//! Units that are adjacent at both places form one match. A secret value is written byte by byte,
//! and no later match reaches into it.

mod bits;
mod entries;
mod index;
mod matching;
mod packed;

use std::mem::size_of;
use std::sync::LazyLock;

use bytes::{BufMut, BytesMut};

use crate::WireVersion;
use crate::deflate::{self, STORED_BLOCK_HEAD};

use index::Index;
use matching::Block;
pub(crate) use packed::Packed;

/// The distance that matches can reach, in bytes: the window of 8 KiB that the zlib header
/// declares. Real requests take 2% more bytes than with 32 KiB, which would quadruple the state.
const WINDOW: usize = 8 << 10;

/// The zlib header (RFC 1950 section 2.2): deflate, window of 8 KiB, fastest level, then the
/// dictionary's id.
const HEADER: [u8; 2] = [0x58, 0x28];

/// The history may exceed the window by this number of bytes, so that it is rarely moved.
const HISTORY_MARGIN: usize = 4 << 10;

/// The initial room for history, in bytes. It doubles on demand.
const FIRST_HISTORY: usize = 2 << 10;

/// The room for history that is kept between blocks, in bytes.
const KEPT_HISTORY: usize = 16 << 10;

/// The first bytes of every connection.
static DICTIONARY_V2: LazyLock<Index> = LazyLock::new(|| Index::of_dictionary(WireVersion::V2));
static DICTIONARY_V3: LazyLock<Index> = LazyLock::new(|| Index::of_dictionary(WireVersion::V3));

/// The deflate stream of one direction.
pub(crate) struct WholeField {
    version: WireVersion,
    /// The zlib header has been written.
    started: bool,
    /// The dictionary and all blocks before compression: at least the last window of them.
    history: Vec<u8>,
    /// The place of the history's first byte, modulo 2³². Place 0 is the dictionary's first byte.
    base: u32,
    index: Index,
}

impl WholeField {
    /// Compresses the block in `dst` from `raw_at` on, in place, and flushes. `secrets` are the
    /// indices of the fields that the caller marks as sensitive, in order.
    pub(crate) fn deflate(&mut self, dst: &mut BytesMut, raw_at: usize, secrets: &[usize]) {
        let raw = dst.get(raw_at..).unwrap_or_default();
        if raw.len() > WINDOW {
            self.store(dst, raw_at);
            return;
        }
        let start = self.history.len();
        self.history.extend_from_slice(raw);
        dst.truncate(raw_at);
        self.put_header(dst);

        let history = History {
            bytes: &self.history,
            base: self.base,
        };
        Block::new(self.version, history, &mut self.index, dst).write(start, secrets);
        self.forget();
    }

    /// Stores a block that is larger than the window. Matches could cover little of it, and the
    /// code for literals could make it too long for a frame.
    fn store(&mut self, dst: &mut BytesMut, raw_at: usize) {
        let raw = dst.get(raw_at..).unwrap_or_default().to_vec();
        dst.truncate(raw_at);
        self.put_header(dst);
        let at = dst.len();
        dst.put_bytes(0, STORED_BLOCK_HEAD);
        dst.put_slice(&raw);
        deflate::store(dst, at);

        let passed = self.history.len() + raw.len();
        self.base = self.base.wrapping_add(modulo(passed));
        self.history.clear();
        self.index = Index::empty();
    }

    /// The heap that it holds, in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.history.capacity()
    }

    fn put_header(&mut self, dst: &mut BytesMut) {
        if !self.started {
            dst.put_slice(&HEADER);
            dst.put_u32(self.version.dictionary_id());
            self.started = true;
        }
    }

    /// Drops history that no match can reach any more.
    fn forget(&mut self) {
        if self.history.len() > WINDOW + HISTORY_MARGIN {
            let passed = self.history.len() - WINDOW;
            self.history.drain(..passed);
            self.base = self.base.wrapping_add(modulo(passed));
            self.history.shrink_to(KEPT_HISTORY);
        }
    }
}

fn dictionary_index(version: WireVersion) -> &'static Index {
    match version {
        WireVersion::V2 => &DICTIONARY_V2,
        WireVersion::V3 => &DICTIONARY_V3,
    }
}

/// The bytes that matches can reach. The current block is at their end.
#[derive(Clone, Copy)]
struct History<'a> {
    bytes: &'a [u8],
    /// The place of the first byte.
    base: u32,
}

impl<'a> History<'a> {
    /// The `length` bytes from `start` on.
    fn get(self, start: usize, length: usize) -> &'a [u8] {
        let rest = self.bytes.get(start..).unwrap_or_default();
        rest.get(..length).unwrap_or_default()
    }

    /// The place of an offset.
    fn place(self, start: usize) -> u32 {
        self.base.wrapping_add(modulo(start))
    }

    /// The offset of a place.
    fn distance(self, start: usize, place: u32) -> u32 {
        self.place(start).wrapping_sub(place)
    }

    /// The `length` bytes at a distance before `start`, if matches can reach them.
    fn before(self, start: usize, distance: u32, length: usize) -> Option<&'a [u8]> {
        let distance = usize::try_from(distance).ok()?;
        if !(1..=WINDOW).contains(&distance) {
            return None;
        }
        let from = start.checked_sub(distance)?;
        self.bytes.get(from..from + length)
    }
}

/// Places are modulo 2³²: all records together span less, or their index is cleared.
#[allow(clippy::cast_possible_truncation)]
fn modulo(length: usize) -> u32 {
    length as u32
}
