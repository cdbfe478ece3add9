//! Deflate that gives no secrets away: matches cover whole header fields and nothing less.
//!
//! zlib matches the longest text that it finds. A block becomes shorter with each byte of a secret
//! that an attacker guesses rightly (CRIME). Here a match covers whole *units*. As in HPACK, a
//! guess with one wrong byte gains as little as one with no right byte:
//!
//! * the number of fields at the start of a block;
//! * a field: both lengths, name and value;
//! * a name with its length, and the zero bytes that the length after it starts with (they say
//!   only that both values are short);
//! * a whole entry of the dictionary, as a name or as a value.
//!
//! Units that follow one another at both places are one match. A secret value is written byte by
//! byte, and no later match reaches into it.

mod bits;
mod entries;
mod index;
mod matching;

use std::sync::LazyLock;

use bytes::{BufMut, BytesMut};

use crate::Version;
use crate::deflate::{self, STORED_BLOCK_HEAD};

use index::Index;
use matching::Block;

/// The bytes that matches reach back: the window of 8 KiB that the header declares. Real requests
/// take 2% more bytes than with 32 KiB, which would quadruple the state.
const WINDOW: usize = 8 << 10;

/// The zlib header (RFC 1950 section 2.2): deflate, window of 8 KiB, fastest level, a dictionary's id
/// follows.
const HEADER: [u8; 2] = [0x58, 0x28];

/// The history may be longer than the window by this much, so that it is seldom moved.
const SLACK: usize = 4 << 10;

/// Room for history at first, bytes. It doubles as it is needed.
const FIRST_HISTORY: usize = 2 << 10;

/// Room for history that is kept from one block to the next, bytes.
const KEPT_HISTORY: usize = 16 << 10;

/// The first bytes of every connection.
static DICTIONARY_V2: LazyLock<Index> = LazyLock::new(|| Index::of_dictionary(Version::V2));
static DICTIONARY_V3: LazyLock<Index> = LazyLock::new(|| Index::of_dictionary(Version::V3));

/// One direction's deflate stream.
pub(crate) struct WholeField {
    version: Version,
    /// The zlib header has been written.
    started: bool,
    /// The dictionary and all blocks before compression: their last bytes, at least a window.
    history: Vec<u8>,
    /// Place of the history's first byte, modulo 2³². Place 0 is the dictionary's first byte.
    base: u32,
    index: Index,
}

impl WholeField {
    pub(crate) fn new(version: Version) -> Self {
        let index = match version {
            Version::V2 => &DICTIONARY_V2,
            Version::V3 => &DICTIONARY_V3,
        };
        let mut history = Vec::with_capacity(FIRST_HISTORY);
        history.extend_from_slice(version.dictionary());
        WholeField {
            version,
            started: false,
            history,
            base: 0,
            index: Index::clone(index),
        }
    }

    /// Compresses the block that is in `dst` from `raw_at` on, in place, and flushes. `secrets` are
    /// the numbers of the fields that the caller calls sensitive, in order.
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

    /// Stores a block that is larger than the window. Little of it could be matched, and the code
    /// for literals could make it too long for a frame.
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

    fn put_header(&mut self, dst: &mut BytesMut) {
        if !self.started {
            dst.put_slice(&HEADER);
            dst.put_u32(self.version.dictionary_id());
            self.started = true;
        }
    }

    /// Drops history that no match reaches any more.
    fn forget(&mut self) {
        if self.history.len() > WINDOW + SLACK {
            let passed = self.history.len() - WINDOW;
            self.history.drain(..passed);
            self.base = self.base.wrapping_add(modulo(passed));
            self.history.shrink_to(KEPT_HISTORY);
        }
    }
}

/// The bytes that matches can reach; the current block is at their end.
#[derive(Clone, Copy)]
struct History<'a> {
    bytes: &'a [u8],
    /// Place of the first byte.
    base: u32,
}

impl<'a> History<'a> {
    /// `length` bytes from `start` on.
    fn get(self, start: usize, length: usize) -> &'a [u8] {
        let rest = self.bytes.get(start..).unwrap_or_default();
        rest.get(..length).unwrap_or_default()
    }

    /// The place of an offset.
    fn place(self, start: usize) -> u32 {
        self.base.wrapping_add(modulo(start))
    }

    /// From an offset back to a place.
    fn distance(self, start: usize, place: u32) -> u32 {
        self.place(start).wrapping_sub(place)
    }

    /// The `length` bytes at a distance before `start`, when matches reach there.
    fn before(self, start: usize, distance: u32, length: usize) -> Option<&'a [u8]> {
        let distance = usize::try_from(distance).ok()?;
        if !(1..=WINDOW).contains(&distance) {
            return None;
        }
        let from = start.checked_sub(distance)?;
        self.bytes.get(from..from + length)
    }
}

/// Places are modulo 2³²: all records together span less, or their index is emptied.
#[allow(clippy::cast_possible_truncation)]
fn modulo(length: usize) -> u32 {
    length as u32
}
