//! Header blocks with a malformed zlib stream, or one that inflates to megabytes.

use lacewing_frames::spdy::WireVersion;

use super::{
    block::{Block, dictionary, store, zlib_head},
    dialect::Dialect,
};

/// The bytes of a stored block of deflate before its content.
const STORED_HEAD: usize = 5;
/// The inflated bytes of all values of a compression bomb. On the wire the block
/// is shorter than the minimum that every peer must accept.
const SWOLLEN: usize = 3_000_000;
/// The bytes of a value: SPDY/2 has 16 bits for its length.
const VALUE: usize = 60_000;

/// Blocks that cannot be inflated, each with a description. They replace `block`
/// as the first of a connection.
pub(super) fn streams(layout: WireVersion, block: &Block) -> [(&'static str, Block); 4] {
    let plain = block.plain(layout);
    let begun = || zlib_head(Some(dictionary(layout)));
    let mut unknown = zlib_head(Some([0xde, 0xad, 0xbe, 0xef]));
    store(&mut unknown, &plain, usize::MAX);
    let mut no_type = begun();
    // Not the last block; block type 3, which is reserved.
    no_type.push(0b110);
    let mut far = begun();
    far.extend(match_from_afar());
    let mut lengths = begun();
    // Stored, with a length that does not match its complement.
    lengths.extend_from_slice(&[0, 4, 0, 4, 0]);
    lengths.extend_from_slice(b"\0\0\0\0");
    [
        ("a zlib stream with an unknown dictionary", unknown),
        ("a block of a type that deflate does not have", no_type),
        ("a match that reaches behind the dictionary", far),
        ("a stored block with two lengths", lengths),
    ]
    .map(|(what, wire)| (what, Block::on_wire(&wire)))
}

/// The block ends before its deflate data.
pub(super) fn cut_short(layout: WireVersion, block: &Block) -> Block {
    let mut wire = zlib_head(Some(dictionary(layout)));
    let head = wire.len();
    let plain = block.plain(layout);
    store(&mut wire, &plain, usize::MAX);
    let half = plain.len() / 2;
    wire.truncate(head.saturating_add(STORED_HEAD).saturating_add(half));
    Block::on_wire(&wire)
}

/// The zlib stream ends with the block, and bytes follow.
pub(super) fn ended(layout: WireVersion, block: &Block) -> Block {
    let plain = block.plain(layout);
    let mut wire = zlib_head(Some(dictionary(layout)));
    let head = wire.len();
    store(&mut wire, &plain, usize::MAX);
    // Marks the first block as the last, and removes the bytes after it.
    if let Some(first) = wire.get_mut(head) {
        *first |= 1;
    }
    wire.truncate(head.saturating_add(STORED_HEAD).saturating_add(plain.len()));
    wire.extend_from_slice(&adler32(&plain).to_be_bytes());
    wire.extend_from_slice(b"more");
    Block::on_wire(&wire)
}

/// Megabytes of one letter, which compress to a few bytes.
pub(super) fn swollen(dialect: &Dialect, block: Block) -> Block {
    let length = if dialect.is_2() { VALUE } else { SWOLLEN };
    (0..SWOLLEN / length).fold(block, |block, nth| {
        block.and(format!("x-{nth}"), vec![b'x'; length])
    })
}

/// A match of three bytes at a distance of 32 KiB, in a block with fixed codes.
fn match_from_afar() -> Vec<u8> {
    let mut bits = Bits::default();
    // Not the last block; fixed codes.
    bits.push(0, 1);
    bits.push(1, 2);
    // Length 3; distance from 24,577 with 13 more bits; the end of the block.
    bits.code(0b000_0001, 7);
    bits.code(29, 5);
    bits.push(0x1fff, 13);
    bits.code(0, 7);
    // An empty stored block.
    bits.push(0, 3);
    let mut bytes = bits.bytes;
    bytes.extend_from_slice(&[0, 0, 0xff, 0xff]);
    bytes
}

/// Bits in the order of deflate (RFC 1951 §3.1.1).
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u8,
}

impl Bits {
    /// A number, its lowest bit first.
    fn push(&mut self, number: u16, bits: u32) {
        for nth in 0..bits {
            self.bit(number >> nth & 1 == 1);
        }
    }

    /// A Huffman code, its highest bit first.
    fn code(&mut self, code: u16, bits: u32) {
        for nth in (0..bits).rev() {
            self.bit(code >> nth & 1 == 1);
        }
    }

    fn bit(&mut self, bit: bool) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << self.used;
        }
        self.used = (self.used + 1) % 8;
    }
}

/// RFC 1950 §8.
fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in bytes {
        low = low.saturating_add(u32::from(*byte)) % 65_521;
        high = high.saturating_add(low) % 65_521;
    }
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use lacewing_frames::spdy::{Compression, DecodeError, Decoder, DecoderLimits, Message};

    use lacewing_frames::Version;

    use crate::target::Target;

    use super::super::{
        block::{Zlib, layout},
        frame::headers,
        protocol::List,
    };
    use super::*;

    /// Decodes a block without limits; returns the result and the frame's length.
    fn decode(
        version: Version,
        block: &Block,
        zlib: &mut Zlib,
    ) -> (usize, Result<List, DecodeError>) {
        let limits = DecoderLimits::default().with(|limits| {
            limits.max_frame_size = u32::MAX;
            limits.list.max_size = usize::MAX;
            limits.list.max_fields = usize::MAX;
            limits.max_settings_entries = 0;
            limits.max_certificates = Some(0);
        });
        let mut decoder = Decoder::<List>::new(layout(version), limits);
        let frame = headers(1, block).encode(layout(version), zlib, &[]);
        let decoded = decoder.decode(&mut BytesMut::from(&frame[..]));
        let list = decoded.map(|message| match message {
            Some(Message::Headers { block, .. }) => block.list.unwrap(),
            other => panic!("{other:?}"),
        });
        (frame.len(), list)
    }

    fn books() -> impl Iterator<Item = Dialect> {
        let versions = [Version::Spdy2, Version::Spdy3, Version::Spdy31];
        versions.into_iter().map(|version| Dialect {
            version,
            target: Target::new("http", "localhost"),
        })
    }

    #[test]
    fn a_block_that_swells_is_right_and_fits_the_smallest_limit_of_frames() {
        for dialect in books() {
            let mut zlib = Zlib::compressor(layout(dialect.version), Compression::Zlib(9));
            let block = swollen(&dialect, dialect.get());
            let (length, list) = decode(dialect.version, &block, &mut zlib);
            assert!(length <= 8_192, "{length}");
            let values: usize = list.unwrap().iter().map(|(_, value)| value.len()).sum();
            assert!(values > SWOLLEN, "{values}");
        }
    }

    #[test]
    fn what_is_broken_does_not_inflate() {
        for dialect in books() {
            let layout = layout(dialect.version);
            let plain = dialect.get();
            for (what, block) in streams(layout, &plain) {
                let (_, list) = decode(dialect.version, &block, &mut Zlib::stored());
                assert!(list.is_err(), "{what}");
            }
            assert!(
                decode(dialect.version, &plain, &mut Zlib::stored())
                    .1
                    .is_ok()
            );
        }
    }

    #[test]
    fn bits_fill_bytes_from_below() {
        let mut bits = Bits::default();
        bits.push(0b01, 2);
        bits.code(0b01, 2);
        bits.push(0x1f, 5);
        assert_eq!(bits.bytes, [0b1111_1001, 1]);
    }

    #[test]
    fn adler32_of_a_known_text() {
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }
}
