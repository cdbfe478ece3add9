mod config;
mod policy;

use bytes::{BufMut, BytesMut};

use crate::dynamic_table::clamp;
use crate::index::{Hashes, Index, Name, entry_size};
use crate::{DEFAULT_TABLE_SIZE, Sensitivity, StaticIndex, integer, string};
pub use config::{EncoderConfig, Indexing, StringCoding};
use policy::{Policy, policy};

/// Encodes the header blocks of one direction of a connection.
///
/// Send all blocks to the peer, in the order in which they were encoded.
///
/// A new encoder, and one whose table is empty, holds no heap memory.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_hpack::{Encoder, Sensitivity};
///
/// let mut encoder = Encoder::new();
/// let mut block = BytesMut::new();
/// for _ in 0..2 {
///     let mut fields = encoder.block(&mut block);
///     fields.field(b"custom-key", b"custom-header", Sensitivity::Normal);
/// }
/// // The first block spells the field out; the second has an index.
/// assert_eq!(block.last(), Some(&0xbe));
/// ```
#[derive(Debug)]
pub struct Encoder {
    index: Index,
    config: EncoderConfig,
    /// The maximum that the last block signalled to the peer's decoder.
    signaled: u32,
    /// The smallest maximum since the last block.
    smallest: u32,
}

impl Encoder {
    /// An encoder that uses at most [`DEFAULT_TABLE_SIZE`] bytes of table.
    pub const fn new() -> Self {
        Self::with_config(EncoderConfig::DEFAULT)
    }

    /// An encoder with other options.
    pub const fn with_config(config: EncoderConfig) -> Self {
        // Until the peer permits more, the maximum is the protocol's default.
        let size = if config.max_table_size < DEFAULT_TABLE_SIZE {
            config.max_table_size
        } else {
            DEFAULT_TABLE_SIZE
        };
        Self {
            index: Index::new(size),
            config,
            signaled: clamp(DEFAULT_TABLE_SIZE),
            smallest: clamp(size),
        }
    }

    /// Obeys the peer's SETTINGS_HEADER_TABLE_SIZE, up to our own maximum. The next block signals
    /// the new size to the peer (section 4.2). After several changes, it signals the smallest size
    /// and then the last one.
    pub fn set_max_table_size(&mut self, peers_setting: usize) {
        let size = peers_setting.min(self.config.max_table_size);
        self.index.set_max_size(size);
        self.smallest = self.smallest.min(clamp(self.index.max_size()));
    }

    /// The current maximum size of the table, in bytes.
    pub fn max_table_size(&self) -> usize {
        self.index.max_size()
    }

    /// The current size of the table (section 4.1), in bytes.
    pub fn table_size(&self) -> usize {
        self.index.size()
    }

    /// Begins a header block at the end of `dst`.
    #[inline]
    pub fn block<'a>(&'a mut self, dst: &'a mut BytesMut) -> BlockEncoder<'a> {
        let size = clamp(self.index.max_size());
        if self.smallest != size || self.signaled != size {
            self.signal_size(dst);
        }
        BlockEncoder {
            encoder: self,
            dst,
            last: 0,
        }
    }

    /// Signals the sizes of the table since the last block: the smallest, then the current one
    /// (section 4.2).
    #[cold]
    fn signal_size(&mut self, dst: &mut BytesMut) {
        let size = clamp(self.index.max_size());
        if self.smallest < size && self.smallest < self.signaled {
            put_integer(dst, self.smallest as usize, 5, 0x20);
            self.signaled = self.smallest;
        }
        if size != self.signaled {
            put_integer(dst, size as usize, 5, 0x20);
            self.signaled = size;
        }
        self.smallest = size;
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The entry of a repeated field in an encoder's table, for [`BlockEncoder::repeated`].
#[derive(Debug, Clone, Copy, Default)]
pub struct LastEntry(u32);

/// A header block that is being encoded.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_hpack::{Encoder, Sensitivity};
///
/// let (mut encoder, mut dst) = (Encoder::new(), BytesMut::new());
/// let mut block = encoder.block(&mut dst);
/// block.field(b":status", b"200", Sensitivity::Normal);
/// block.field(b"server", b"lacewing", Sensitivity::Normal);
/// assert_eq!(dst[0], 0x88);
/// ```
#[derive(Debug)]
pub struct BlockEncoder<'a> {
    encoder: &'a mut Encoder,
    dst: &'a mut BytesMut,
    /// The number of the last entry of the dynamic table in this block, or 0.
    last: u32,
}

impl BlockEncoder<'_> {
    /// Adds a field. HTTP/2 requires names in lower case and pseudo-headers first; the caller must
    /// ensure both.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8], sensitivity: Sensitivity) {
        // Blocks are often alike: the entry that followed in the block before costs a comparison,
        // and a look-up costs two hashes.
        let index = &self.encoder.index;
        if sensitivity == Sensitivity::Normal {
            if let Some((number, index)) = index.find_successor(self.last, name, value) {
                self.last = number;
                put_integer(self.dst, index, 7, 0x80);
                return;
            }
        }
        self.add(Name::new(name), value, sensitivity);
    }

    /// Adds an entry of the static table, name and value.
    ///
    /// ```
    /// # use bytes::BytesMut;
    /// # use lacewing_hpack::{Encoder, StaticIndex};
    /// # let (mut encoder, mut dst) = (Encoder::new(), BytesMut::new());
    /// # let mut block = encoder.block(&mut dst);
    /// if let Some(status_200) = StaticIndex::new(8) {
    ///     block.static_field(status_200);
    /// }
    /// # assert_eq!(dst[..], [0x88]);
    /// ```
    #[inline]
    pub fn static_field(&mut self, index: StaticIndex) {
        self.dst.put_u8(0x80 | index.number());
    }

    /// Adds a field with a name of the static table, as [`field`](Self::field) does. There is
    /// no look-up of the name.
    #[inline]
    pub fn static_name(&mut self, name: StaticIndex, value: &[u8], sensitivity: Sensitivity) {
        self.add(Name::from_static(name), value, sensitivity);
    }

    /// Adds a field whose value is mostly that of the block before, such as `date`. The encoder
    /// then compares it with the entry that `last` remembers, instead of hashing it. Keep one
    /// `last` for each such field of an encoder.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use lacewing_hpack::{Encoder, LastEntry, StaticIndex};
    ///
    /// let (mut encoder, mut dst) = (Encoder::new(), BytesMut::new());
    /// let mut last = LastEntry::default();
    /// for _ in 0..2 {
    ///     let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
    ///     encoder.block(&mut dst).repeated(StaticIndex::DATE, date, &mut last);
    /// }
    /// assert_eq!(dst.last(), Some(&0xbe));
    /// ```
    #[inline]
    pub fn repeated(&mut self, name: StaticIndex, value: &[u8], last: &mut LastEntry) {
        let name = Name::from_static(name);
        if let Some(index) = self.encoder.index.find_numbered(last.0, name, value) {
            put_integer(self.dst, index, 7, 0x80);
            return;
        }
        self.add(name, value, Sensitivity::Normal);
        // If the field did not enter the table now, the next comparison fails, and costs no more.
        last.0 = self.encoder.index.newest();
    }

    /// Inlined where the name is a constant: the compiler then decides on its policy.
    #[inline(always)]
    fn add(&mut self, name: Name<'_>, value: &[u8], sensitivity: Sensitivity) {
        let indexing = self.encoder.config.indexing;
        let policy = match sensitivity {
            Sensitivity::Sensitive => Policy::Never,
            Sensitivity::Normal => policy(indexing, name, value),
        };
        if policy == Policy::Never {
            self.literal(Literal::NeverIndexed, name, value);
            return;
        }
        if let Some(place) = name.place().and_then(|place| place.with_value(value)) {
            self.dst.put_u8(0x80 | place.number());
            return;
        }
        match policy {
            Policy::Index => self.indexed(name, value),
            _ => self.literal(Literal::WithoutIndexing, name, value),
        }
    }

    /// A field that is in the dynamic table, or enters it.
    fn indexed(&mut self, name: Name<'_>, value: &[u8]) {
        let hashes = Hashes::new(name, value);
        let index = &mut self.encoder.index;
        if let Some(found) = index.find(name, value, hashes) {
            put_integer(self.dst, found, 7, 0x80);
            self.note_last(self.encoder.index.number_of(found));
            return;
        }
        // An entry that takes most of the table evicts more than it is likely to save.
        if self.encoder.config.indexing == Indexing::Sensible
            && entry_size(name.text(), value) > index.max_size() / 4 * 3
        {
            self.literal(Literal::WithoutIndexing, name, value);
            return;
        }
        self.literal(Literal::Incremental, name, value);
        self.encoder.index.insert(name, value, hashes);
        self.note_last(self.encoder.index.newest());
    }

    fn note_last(&mut self, number: u32) {
        self.encoder.index.note_successor(self.last, number);
        self.last = number;
    }

    fn literal(&mut self, literal: Literal, name: Name<'_>, value: &[u8]) {
        let name_index = match name.place() {
            Some(place) => usize::from(place.number()),
            None => self.encoder.index.find_name(name).unwrap_or(0),
        };
        let coding = self.encoder.config.strings;
        if name_index != 0 && value.len() < string::MIN_CODED && coding != StringCoding::Huffman {
            self.short_literal(literal, name_index, value);
            return;
        }
        let mut bound = integer::MAX_LEN + string::encoded_bound(value, coding);
        if name_index == 0 {
            bound += string::encoded_bound(name.text(), coding);
        }
        let start = self.dst.len();
        self.dst.resize(start + bound, 0);
        let Some(out) = self.dst.get_mut(start..) else {
            return;
        };
        let (prefix, high) = literal.prefix();
        let mut len = integer::write(name_index, prefix, high, out);
        if name_index == 0 {
            len += string::encode(name.text(), coding, out.get_mut(len..).unwrap_or_default());
        }
        len += string::encode(value, coding, out.get_mut(len..).unwrap_or_default());
        self.dst.truncate(start + len);
    }

    /// A literal whose value is too short for a Huffman code, such as most lengths and flags.
    #[inline]
    fn short_literal(&mut self, literal: Literal, name_index: usize, value: &[u8]) {
        let (prefix, high) = literal.prefix();
        put_integer(self.dst, name_index, prefix, high);
        put_integer(self.dst, value.len(), 7, 0);
        self.dst.put_slice(value);
    }
}

/// The literal representations (section 6.2).
#[derive(Clone, Copy)]
enum Literal {
    Incremental,
    WithoutIndexing,
    NeverIndexed,
}

impl Literal {
    /// The bits of the first octet for the name's index, and the bits above them.
    #[inline]
    fn prefix(self) -> (u32, u8) {
        match self {
            Self::Incremental => (6, 0x40),
            Self::WithoutIndexing => (4, 0x00),
            Self::NeverIndexed => (4, 0x10),
        }
    }
}

fn put_integer(dst: &mut BytesMut, value: usize, prefix: u32, high: u8) {
    integer::encode(value, prefix, high, |octet| dst.put_u8(octet));
}
