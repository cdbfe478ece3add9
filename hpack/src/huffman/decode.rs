use super::HuffmanError;
use super::table::{DECODE, LONG_CODES, LONG_SYMBOLS, WIDTH};

/// Room that [`decode_into`] needs for `len` coded bytes: 8/5 of it, as the shortest
/// code has five bits, and the last word that it writes.
#[inline]
pub(crate) fn decoded_bound(len: usize) -> usize {
    len + len / 5 * 3 + 3 + 8
}

/// Writes what `coded` stands for to the front of `out`, which must have
/// [`decoded_bound`] bytes, and returns the length.
pub(crate) fn decode_into(coded: &[u8], out: &mut [u8]) -> Result<usize, HuffmanError> {
    let mut reader = Reader::new(coded);
    let mut len = 0;
    while reader.refill() {
        // At least 56 bits are there: a few look-ups need not ask.
        let mut symbols = Symbols::default();
        for _ in 0..STEPS {
            let entry = reader.peek();
            if used(entry) == 0 {
                break;
            }
            reader.consume(used(entry));
            symbols.push(entry);
        }
        len += symbols.write(out, len);
        if symbols.bits == 0 {
            len += reader.long_code()?.write(out, len);
        }
    }
    // The last bits, and ones behind them.
    while reader.refill_last() {
        let mut symbols = Symbols::default();
        for _ in 0..STEPS {
            let entry = reader.peek();
            if used(entry) == 0 {
                break;
            }
            if used(entry) > reader.count {
                return Err(HuffmanError::PaddingNotEos);
            }
            reader.consume(used(entry));
            symbols.push(entry);
        }
        len += symbols.write(out, len);
        if symbols.bits == 0 {
            if reader.is_padding() {
                break;
            }
            len += reader.long_code()?.write(out, len);
        }
    }
    Ok(len)
}

/// Look-ups after one refill: each uses up at most [`WIDTH`] bits and gives at most
/// two symbols, all of which fit in a word.
const STEPS: u32 = 4;
const _: () = assert!(STEPS * WIDTH <= 56 && STEPS * 16 <= 64);

/// How many bits an entry of the table uses up; 0 for a longer code.
#[inline(always)]
fn used(entry: u32) -> u32 {
    entry & 0xff
}

/// Up to eight symbols, the first in the lowest byte.
#[derive(Default)]
struct Symbols {
    word: u64,
    bits: u32,
}

impl Symbols {
    #[inline(always)]
    fn push(&mut self, entry: u32) {
        self.word |= u64::from(entry >> 8 & 0xffff) << self.bits;
        self.bits += entry >> 24;
    }

    /// Writes the whole word, and returns how many bytes of it count.
    #[inline(always)]
    fn write(&self, out: &mut [u8], at: usize) -> usize {
        // Always there: the caller gave `decoded_bound` bytes.
        if let Some(to) = out.get_mut(at..).and_then(|out| out.first_chunk_mut()) {
            *to = self.word.to_le_bytes();
        }
        (self.bits >> 3) as usize
    }
}

struct Reader<'a> {
    /// The next bits, left-aligned.
    bits: u64,
    /// How many: at most 63.
    count: u32,
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

    /// Afterwards at least 56 bits are there; `false` if fewer than eight bytes are
    /// left and nothing was done.
    #[inline(always)]
    fn refill(&mut self) -> bool {
        let Some((word, _)) = self.rest.split_first_chunk() else {
            return false;
        };
        self.take(u64::from_be_bytes(*word), (63 - self.count) >> 3);
        true
    }

    /// The same for fewer than eight bytes: afterwards 56 bits are there, or all that
    /// are left with ones behind them; `false` if none are.
    #[inline(always)]
    fn refill_last(&mut self) -> bool {
        let left = u32::try_from(self.rest.len()).map_or(7, |left| left.min(7));
        let ones = u64::MAX >> (8 * left);
        // Shifting by 64 leaves nothing, which is right for nothing left.
        let word = self.tail.checked_shl(64 - 8 * left).unwrap_or(0) | ones;
        self.take(word, left.min((63 - self.count) >> 3));
        self.count > 0
    }

    #[inline(always)]
    fn take(&mut self, word: u64, bytes: u32) {
        let behind = u64::MAX >> self.count;
        self.bits = (self.bits & !behind) | (word >> self.count);
        self.count += 8 * bytes;
        self.rest = self.rest.get(bytes as usize..).unwrap_or_default();
    }

    #[inline(always)]
    fn peek(&self) -> u32 {
        let index = (self.bits >> (64 - WIDTH)) as usize;
        DECODE.get(index).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn consume(&mut self, bits: u32) {
        self.bits = self.bits.wrapping_shl(bits);
        self.count = self.count.wrapping_sub(bits);
    }

    /// A code longer than the table's width.
    #[cold]
    fn long_code(&mut self) -> Result<Symbols, HuffmanError> {
        let pattern = self.bits >> 32;
        let code = LONG_CODES.iter().find(|&&(end, _, _)| pattern < end);
        let &(_, bits, bias) = code.ok_or(HuffmanError::Eos)?;
        if bits > self.count {
            return Err(self.end_inside_code());
        }
        let right_aligned = u32::try_from(pattern >> (32 - bits)).unwrap_or(0);
        let place = right_aligned.wrapping_add(bias) as usize;
        let symbol = LONG_SYMBOLS.get(place).ok_or(HuffmanError::Eos)?;
        let symbol = u8::try_from(*symbol).map_err(|_| HuffmanError::Eos)?;
        self.consume(bits);
        Ok(Symbols {
            word: u64::from(symbol),
            bits: 8,
        })
    }

    /// Whether what is left is the padding of section 5.2: fewer than eight bits, all
    /// ones.
    fn is_padding(&self) -> bool {
        self.count < 8 && self.only_ones()
    }

    fn only_ones(&self) -> bool {
        self.rest.is_empty() && self.bits == u64::MAX
    }

    fn end_inside_code(&self) -> HuffmanError {
        if self.only_ones() {
            HuffmanError::PaddingTooLong
        } else {
            HuffmanError::PaddingNotEos
        }
    }
}
