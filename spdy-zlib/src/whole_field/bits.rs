//! The bits of a deflate block with the fixed code (RFC 1951 section 3.2.6).

use bytes::{BufMut, BytesMut};

/// The longest match of deflate (section 3.2.5), in bytes.
pub(super) const MAX_MATCH: u32 = 258;

/// The shortest match that is written. Deflate's own minimum of 3 rarely takes fewer bits than
/// three literals.
pub(super) const MIN_MATCH: u32 = 4;

/// The codes of the literals, first bit lowest: 8 bits below [`NINE_BITS`], 9 from there on.
///
/// The code deliberately treats all text alike. All bytes of a header field, except obs-text, have
/// codes of the same length: lengths reveal less than those of HPACK.
static LITERALS: [u16; 256] = literals();

const NINE_BITS: u8 = 144;

/// The code of the zero byte.
const FIRST_CODE: u8 = 0b0011_0000;

/// A byte times this constant is that byte repeated eight times.
const EACH_BYTE: u64 = 0x0101_0101_0101_0101;

/// Writes one deflate block.
pub(super) struct Bits<'a> {
    dst: &'a mut BytesMut,
    /// The pending bits, the first one lowest.
    waiting: u64,
    /// The number of pending bits: at most 31 between calls.
    count: u32,
}

impl<'a> Bits<'a> {
    /// Starts a block at the end of `dst`, with the fixed code. It is not the stream's last block.
    pub(super) fn start(dst: &'a mut BytesMut) -> Self {
        Bits {
            dst,
            waiting: 0b010,
            count: 3,
        }
    }

    pub(super) fn literals(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let ascii = word.first_chunk().copied().map(u64::from_le_bytes);
            match ascii.filter(|word| word & (0x80 * EACH_BYTE) == 0) {
                Some(word) => self.put_ascii(word),
                None => self.put_literals(word),
            }
        }
        self.put_literals(words.remainder());
    }

    /// Writes a match of any length from [`MIN_MATCH`] on, in as many pieces as necessary.
    ///
    /// Only the length decides how the match is divided.
    pub(super) fn copy(&mut self, mut length: u32, distance: u32) {
        while length > MAX_MATCH {
            // The rest must be a valid match.
            let piece = MAX_MATCH.min(length - MIN_MATCH);
            self.piece(piece, distance);
            length -= piece;
        }
        self.piece(length, distance);
    }

    /// Ends the block and flushes: writes an empty stored block, as Z_SYNC_FLUSH does.
    pub(super) fn finish(mut self) {
        // The end of the block is seven zero bits. Three more begin a stored block that is not the
        // last.
        self.put(0, 10);
        let bytes = usize::try_from(self.count.div_ceil(8)).unwrap_or_default();
        let waiting = self.waiting.to_le_bytes();
        self.dst.put_slice(waiting.get(..bytes).unwrap_or(&waiting));
        self.dst.put_slice(&[0x00, 0x00, 0xff, 0xff]);
    }

    /// `length` from 3 to [`MAX_MATCH`], `distance` from 1 to 32768.
    fn piece(&mut self, length: u32, distance: u32) {
        debug_assert!((3..=MAX_MATCH).contains(&length));
        debug_assert!((1..=32_768).contains(&distance));
        // Four codes share a number of extra bits; for distances, two codes do.
        let offset = length - 3;
        let extra = offset.max(4).ilog2() - 2;
        let (symbol, extra) = match length {
            MAX_MATCH => (28, 0),
            _ => (4 * extra + (offset >> extra), extra),
        };
        match symbol {
            // 256 to 279, of which 256 is the end of the block.
            0..23 => self.put(reversed(symbol + 1, 7), 7),
            _ => self.put(reversed(0b1100_0000 + symbol - 23, 8), 8),
        }
        self.put(offset & ((1 << extra) - 1), extra);

        let offset = distance - 1;
        let extra = offset.max(2).ilog2() - 1;
        self.put(reversed(2 * extra + (offset >> extra), 5), 5);
        self.put(offset & ((1 << extra) - 1), extra);
    }

    fn put_literals(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let code = LITERALS.get(usize::from(byte)).copied().unwrap_or_default();
            self.put(u32::from(code), 8 + u32::from(byte >= NINE_BITS));
        }
    }

    /// Appends eight ASCII literals at once, the first one in the lowest byte.
    #[inline]
    fn put_ascii(&mut self, word: u64) {
        let codes = word + u64::from(FIRST_CODE) * EACH_BYTE;
        let codes = codes.reverse_bits().swap_bytes();
        self.dst.put_u64_le(self.waiting | codes << self.count);
        self.waiting = codes.checked_shr(64 - self.count).unwrap_or(0);
    }

    /// Appends the lowest `count` bits of `bits`, at most 31. The other bits must be zero.
    #[inline]
    fn put(&mut self, bits: u32, count: u32) {
        self.waiting |= u64::from(bits) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.dst.put_u32_le((self.waiting & 0xffff_ffff) as u32);
            self.waiting >>= 32;
            self.count -= 32;
        }
    }
}

/// Huffman codes start with their first bit, everything else with the lowest bit (section 3.1.1).
const fn reversed(code: u32, bits: u32) -> u32 {
    code.reverse_bits() >> (32 - bits)
}

// An index out of bounds would be a compile error.
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]
const fn literals() -> [u16; 256] {
    let mut codes = [0; 256];
    let mut byte = 0;
    while byte < codes.len() {
        let value = byte as u32;
        codes[byte] = if value < NINE_BITS as u32 {
            reversed(FIRST_CODE as u32 + value, 8) as u16
        } else {
            reversed(0b1_1001_0000 + value - NINE_BITS as u32, 9) as u16
        };
        byte += 1;
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each length at each order of distance, inflated by another implementation.
    #[test]
    fn every_length_and_distance_is_what_it_says() {
        // Miri is a thousand times slower: fewer orders, and fewer lengths.
        let (before, farthest, step) = match cfg!(miri) {
            true => (1_100, 1_030, 211),
            false => (40_000, 32_768, 1),
        };
        let mut text: Vec<u8> = (0..=u8::MAX).cycle().step_by(7).take(before).collect();
        let mut dst = BytesMut::new();
        let mut bits = Bits::start(&mut dst);
        bits.literals(&text);
        let around = |order: u32| {
            let power = 1_u32 << order;
            [power - 1, power, power + 1, power + power / 2]
        };
        let distances = (1..=40).chain((6..=15).flat_map(around));
        let distances: Vec<u32> = distances.filter(|&distance| distance <= farthest).collect();
        let lengths = (MIN_MATCH..=1100).step_by(step);
        let every_length = lengths.zip(distances.iter().cycle());
        let every_distance = distances.iter().map(|distance| (MIN_MATCH, distance));
        for (length, &distance) in every_length.chain(every_distance) {
            bits.copy(length, distance);
            for _ in 0..length {
                text.push(text[text.len() - usize::try_from(distance).unwrap()]);
            }
        }
        bits.finish();
        // End the stream, for an inflater that needs its end.
        dst.put_slice(&[0x03, 0x00]);
        let inflated = miniz_oxide::inflate::decompress_to_vec(&dst).unwrap();
        assert!(inflated == text);
    }
}
