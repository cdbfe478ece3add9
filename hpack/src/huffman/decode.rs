use super::HuffmanError;
use super::table::{DECODE, LONG_CODES, LONG_SYMBOLS, WIDTH};

/// Room that [`decode_into`] needs for `len` coded bytes: 8/5 of it, as the shortest
/// code has five bits, and the last word that it writes.
#[inline]
pub(crate) fn decoded_bound(len: usize) -> usize {
    (len * 8) / 5 + 8
}

/// Writes what `coded` stands for to the front of `out`, which must have
/// [`decoded_bound`] bytes, and returns the length.
#[inline]
pub(crate) fn decode_into(coded: &[u8], out: &mut [u8]) -> Result<usize, HuffmanError> {
    let mut reader = Reader {
        bits: 0,
        count: 0,
        rest: coded,
    };
    let mut len = 0;
    loop {
        reader.refill();
        if reader.count < STEPS * WIDTH {
            break;
        }
        // A few look-ups without asking whether enough bits are left.
        let mut word = 0u64;
        let mut filled = 0u32;
        for _ in 0..STEPS {
            let entry = reader.peek();
            let used = entry & 0xff;
            if used == 0 {
                break;
            }
            reader.consume(used);
            word |= u64::from(entry >> 8 & 0xffff) << filled;
            filled += entry >> 24;
        }
        write(out, len, word);
        len += (filled >> 3) as usize;
        if filled == 0 {
            let symbol = reader.long_code()?;
            write(out, len, u64::from(symbol));
            len += 1;
        }
    }
    // Fewer bits are left than those look-ups need; behind them come ones.
    while reader.count > 0 {
        reader.refill();
        let entry = reader.peek();
        let used = entry & 0xff;
        if used == 0 {
            if reader.is_padding() {
                break;
            }
            let symbol = reader.long_code()?;
            write(out, len, u64::from(symbol));
            len += 1;
            continue;
        }
        if used > reader.count {
            return Err(HuffmanError::PaddingNotEos);
        }
        reader.consume(used);
        write(out, len, u64::from(entry >> 8 & 0xffff));
        len += (entry >> 27) as usize;
    }
    Ok(len)
}

/// Look-ups after one refill: each uses up at most [`WIDTH`] bits and gives at most
/// two symbols, all of which fit in a word.
const STEPS: u32 = 4;
const _: () = assert!(STEPS * WIDTH <= 56 && STEPS * 16 <= 64);

struct Reader<'a> {
    /// The next bits, left-aligned; ones behind the end of input.
    bits: u64,
    /// How many of them are input.
    count: u32,
    rest: &'a [u8],
}

impl Reader<'_> {
    /// Afterwards at least 56 bits are there, or all that are left.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some((word, _)) = self.rest.split_first_chunk::<8>() {
            let word = u64::from_be_bytes(*word);
            self.bits = (self.bits & !(u64::MAX >> self.count)) | (word >> self.count);
            let taken = (63 - self.count) >> 3;
            self.count += taken * 8;
            self.rest = self.rest.get(taken as usize..).unwrap_or_default();
            return;
        }
        self.refill_slowly();
    }

    #[cold]
    fn refill_slowly(&mut self) {
        self.bits &= !(u64::MAX >> self.count);
        while self.count < 56 {
            let Some((&byte, rest)) = self.rest.split_first() else {
                break;
            };
            self.bits |= u64::from(byte) << (56 - self.count);
            self.count += 8;
            self.rest = rest;
        }
        self.bits |= u64::MAX >> self.count;
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
    fn long_code(&mut self) -> Result<u8, HuffmanError> {
        self.refill_slowly();
        let pattern = self.bits >> 32;
        let code = LONG_CODES.iter().find(|&&(end, _, _)| pattern < end);
        let &(_, bits, bias) = code.ok_or(HuffmanError::Eos)?;
        if bits > self.count {
            return Err(self.end_inside_code());
        }
        let right_aligned = u32::try_from(pattern >> (32 - bits)).unwrap_or(0);
        let place = right_aligned.wrapping_add(bias) as usize;
        let symbol = LONG_SYMBOLS.get(place).ok_or(HuffmanError::Eos)?;
        self.consume(bits);
        u8::try_from(*symbol).map_err(|_| HuffmanError::Eos)
    }

    /// Whether what is left is the padding of section 5.2: fewer than eight bits,
    /// all ones.
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

#[inline(always)]
fn write(out: &mut [u8], at: usize, word: u64) {
    // Always there: the caller gave `decoded_bound` bytes.
    if let Some(to) = out.get_mut(at..).and_then(|out| out.first_chunk_mut::<8>()) {
        *to = word.to_le_bytes();
    }
}
