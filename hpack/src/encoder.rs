mod policy;

use bytes::{BufMut, BytesMut};

use crate::index::{Hashes, Index, entry_size};
use crate::{DEFAULT_TABLE_SIZE, Sensitivity, StaticIndex, integer, string};
use policy::{Policy, policy};

/// Encodes the header blocks of one direction of a connection.
///
/// Blocks must reach the peer in the order in which they were encoded, all of them.
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
/// // Once spelled out, then an index.
/// assert_eq!(block.last(), Some(&0xbe));
/// ```
#[derive(Debug)]
pub struct Encoder {
    index: Index,
    /// The most that we spend on a table, whatever the peer allows.
    own_max_table_size: usize,
    /// The maximum that the peer's decoder knows of, from the last block.
    announced: usize,
    /// The smallest maximum since the last block.
    smallest: usize,
}

impl Encoder {
    /// An encoder that uses at most [`DEFAULT_TABLE_SIZE`] bytes of table.
    pub const fn new() -> Self {
        Self::with_max_table_size(DEFAULT_TABLE_SIZE)
    }

    /// An encoder that uses at most `own_max_table_size` bytes of table, however much
    /// the peer allows. Until the peer has allowed more, it is the protocol's 4096.
    pub const fn with_max_table_size(own_max_table_size: usize) -> Self {
        let size = if own_max_table_size < DEFAULT_TABLE_SIZE {
            own_max_table_size
        } else {
            DEFAULT_TABLE_SIZE
        };
        Self {
            index: Index::new(size),
            own_max_table_size,
            announced: DEFAULT_TABLE_SIZE,
            smallest: size,
        }
    }

    /// Obeys the peer's SETTINGS_HEADER_TABLE_SIZE, up to our own maximum. The next
    /// block tells the peer (section 4.2): if it was several times, the smallest size
    /// and then the last.
    pub fn set_max_table_size(&mut self, peers_setting: usize) {
        let size = peers_setting.min(self.own_max_table_size);
        self.index.set_max_size(size);
        self.smallest = self.smallest.min(self.index.max_size());
    }

    /// The size that the table may have at present, in bytes.
    pub fn max_table_size(&self) -> usize {
        self.index.max_size()
    }

    /// The size of the table at present (section 4.1), in bytes.
    pub fn table_size(&self) -> usize {
        self.index.size()
    }

    /// Begins a header block at the end of `dst`.
    pub fn block<'a>(&'a mut self, dst: &'a mut BytesMut) -> BlockEncoder<'a> {
        let size = self.index.max_size();
        if self.smallest < size && self.smallest < self.announced {
            put_integer(dst, self.smallest, 5, 0x20);
            self.announced = self.smallest;
        }
        if size != self.announced {
            put_integer(dst, size, 5, 0x20);
            self.announced = size;
        }
        self.smallest = size;
        BlockEncoder { encoder: self, dst }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

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
}

impl BlockEncoder<'_> {
    /// Adds a field. HTTP/2 wants names in lower case and pseudo-headers first, which
    /// is the caller's to see to.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8], sensitivity: Sensitivity) {
        let static_name = StaticIndex::with_name(name);
        if sensitivity == Sensitivity::Sensitive {
            self.literal(0x10, 4, static_name, name, value);
            return;
        }
        if let Some(place) = static_name.and_then(|place| place.with_value(value)) {
            self.dst.put_u8(0x80 | place.number());
            return;
        }
        match policy(static_name, name, value) {
            Policy::Never => self.literal(0x10, 4, static_name, name, value),
            Policy::Skip => self.literal(0x00, 4, static_name, name, value),
            Policy::Index => self.indexed(static_name, name, value),
        }
    }

    fn indexed(&mut self, static_name: Option<StaticIndex>, name: &[u8], value: &[u8]) {
        let hashes = Hashes::new(name, static_name, value);
        let index = &mut self.encoder.index;
        if let Some(index) = index.find(name, value, hashes) {
            put_integer(self.dst, index, 7, 0x80);
            return;
        }
        let name_index = match static_name {
            Some(place) => usize::from(place.number()),
            None => index.find_name(name, hashes).unwrap_or(0),
        };
        // An entry that takes most of the table costs more than it is likely to save.
        if entry_size(name, value) > index.max_size() / 4 * 3 {
            put_literal(self.dst, 0x00, 4, name_index, name, value);
            return;
        }
        index.insert(name, value, hashes);
        put_literal(self.dst, 0x40, 6, name_index, name, value);
    }

    /// A literal that stays out of the table.
    fn literal(
        &mut self,
        high: u8,
        prefix: u32,
        static_name: Option<StaticIndex>,
        name: &[u8],
        value: &[u8],
    ) {
        let name_index = match static_name {
            Some(place) => usize::from(place.number()),
            None => {
                let hashes = Hashes::new(name, None, b"");
                self.encoder.index.find_name(name, hashes).unwrap_or(0)
            }
        };
        put_literal(self.dst, high, prefix, name_index, name, value);
    }
}

#[inline]
fn put_integer(dst: &mut BytesMut, value: usize, prefix: u32, high: u8) {
    integer::encode(value, prefix, high, |octet| dst.put_u8(octet));
}

/// A literal of section 6.2, with its name spelled out if `name_index` is 0.
fn put_literal(
    dst: &mut BytesMut,
    high: u8,
    prefix: u32,
    name_index: usize,
    name: &[u8],
    value: &[u8],
) {
    put_integer(dst, name_index, prefix, high);
    if name_index == 0 {
        put_string(dst, name);
    }
    put_string(dst, value);
}

fn put_string(dst: &mut BytesMut, string: &[u8]) {
    let start = dst.len();
    dst.resize(start + string::encoded_bound(string), 0);
    let len = dst
        .get_mut(start..)
        .map_or(0, |out| string::encode(string, out));
    dst.truncate(start + len);
}
