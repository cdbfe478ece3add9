use super::HuffmanError;
use super::table::{DECODE, LONG_CODES, LONG_SYMBOLS, WIDTH};

/// The room that [`decode_into`] needs for `len` coded bytes: 8/5 of it, as the shortest code has
/// five bits, and one word more for the last write.
#[inline]
pub(crate) fn decoded_bound(len: usize) -> usize {
    len + len / 5 * 3 + 3 + 8
}

/// Decodes `coded` to the front of `out`, which must have [`decoded_bound`] bytes, and returns the
/// length.
pub(crate) fn decode_into(coded: &[u8], out: &mut [u8]) -> Result<usize, HuffmanError> {
    let mut reader = Reader::new(coded);
    let mut len = 0;
    while reader.refill() {
        let symbols = reader.symbols();
        len += symbols.write(out, len);
        if symbols.bits == 0 {
            len += reader.long_code()?.write(out, len);
        }
    }
    loop {
        reader.refill_last();
        let symbols = reader.symbols();
        if reader.count < 0 {
            return Err(HuffmanError::PaddingNotEos);
        }
        len += symbols.write(out, len);
        if reader.is_padding() {
            return Ok(len);
        }
        if symbols.bits == 0 {
            len += reader.long_code()?.write(out, len);
        }
    }
}

/// The number of look-ups after one refill. Each uses at most [`WIDTH`] bits and yields at most two
/// symbols. All of them fit into a word.
const STEPS: u32 = 4;
const _: () = assert!(STEPS * WIDTH <= 56 && STEPS * 16 <= 64);

/// Up to eight symbols, the first in the lowest byte.
struct Symbols {
    word: u64,
    bits: u32,
}

impl Symbols {
    /// Writes the whole word, and returns the number of its valid bytes.
    #[inline(always)]
    fn write(&self, out: &mut [u8], at: usize) -> usize {
        // The room is always there: the caller passed `decoded_bound` bytes.
        if let Some(to) = out.get_mut(at..).and_then(|out| out.first_chunk_mut()) {
            *to = self.word.to_le_bytes();
        }
        (self.bits >> 3) as usize
    }
}

struct Reader<'a> {
    /// The complement of the next bits, left-aligned. Zeros follow the last bit of input; they
    /// stand for the ones of the end-of-string symbol.
    bits: u64,
    /// The number of valid bits: at most 63. Negative when a symbol ends beyond the input.
    count: i32,
    rest: &'a [u8],
    /// The last bytes of input, right-aligned; there may be fewer than eight.
    tail: u64,
}

impl<'a> Reader<'a> {
    #[inline]
    fn new(coded: &'a [u8]) -> Self {
        let tail = match coded.last_chunk::<8>() {
            Some(word) => u64::from_be_bytes(*word),
            None => coded
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        Self {
            bits: 0,
            count: 0,
            rest: coded,
            tail,
        }
    }

    /// Refills to at least 56 bits. Returns `false`, and does nothing, if fewer than eight bytes
    /// are left.
    #[inline(always)]
    fn refill(&mut self) -> bool {
        let Some((word, _)) = self.rest.split_first_chunk() else {
            return false;
        };
        self.take(!u64::from_be_bytes(*word), (63 - self.count) >> 3);
        true
    }

    /// Refills from fewer than eight bytes: to 56 bits, or to all that are left.
    #[inline(always)]
    fn refill_last(&mut self) {
        let left = i32::try_from(self.rest.len()).map_or(7, |left| left.min(7));
        let shift = (64 - 8 * left).unsigned_abs();
        let word = (!self.tail).checked_shl(shift).unwrap_or(0);
        self.take(word, left.min((63 - self.count) >> 3));
    }

    /// Appends a word to the bits and counts some of its bytes. A later refill reads the other
    /// bytes again, and sets the same bits.
    #[inline(always)]
    fn take(&mut self, word: u64, bytes: i32) {
        self.bits |= word.wrapping_shr(self.count.unsigned_abs());
        self.count += 8 * bytes;
        let bytes = bytes.unsigned_abs() as usize;
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// Makes a few look-ups without a check for enough bits. Before a longer code, and at the end
    /// of the input, a look-up consumes nothing and yields nothing.
    #[inline(always)]
    fn symbols(&mut self) -> Symbols {
        let mut symbols = Symbols { word: 0, bits: 0 };
        for _ in 0..STEPS {
            let index = (self.bits >> (64 - WIDTH)) as usize;
            let entry = DECODE.get(index).copied().unwrap_or(0);
            // A shift uses only the lowest six bits of its operand: the number of used bits.
            self.bits = self.bits.wrapping_shl(entry);
            self.count -= (entry & 0xff) as i32;
            symbols.word |= u64::from(entry >> 8 & 0xffff).wrapping_shl(symbols.bits);
            symbols.bits += entry >> 24;
        }
        symbols
    }

    /// Decodes a code longer than the table's width.
    #[cold]
    fn long_code(&mut self) -> Result<Symbols, HuffmanError> {
        let pattern = !self.bits >> 32;
        let code = LONG_CODES.iter().find(|&&(end, _, _)| pattern < end);
        let &(_, bits, bias) = code.ok_or(HuffmanError::Eos)?;
        let left = self.count - bits as i32;
        if left < 0 {
            return Err(if self.only_ones() {
                HuffmanError::PaddingTooLong
            } else {
                HuffmanError::PaddingNotEos
            });
        }
        let right_aligned = u32::try_from(pattern >> (32 - bits)).unwrap_or(0);
        let place = right_aligned.wrapping_add(bias) as usize;
        let symbol = LONG_SYMBOLS.get(place).ok_or(HuffmanError::Eos)?;
        let symbol = u8::try_from(*symbol).map_err(|_| HuffmanError::Eos)?;
        self.bits <<= bits;
        self.count = left;
        Ok(Symbols {
            word: u64::from(symbol),
            bits: 8,
        })
    }

    /// Returns whether the remaining bits are the padding of section 5.2: fewer than eight bits,
    /// all ones.
    #[inline(always)]
    fn is_padding(&self) -> bool {
        self.count < 8 && self.only_ones()
    }

    #[inline(always)]
    fn only_ones(&self) -> bool {
        self.rest.is_empty() && self.bits == 0
    }
}
