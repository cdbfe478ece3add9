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
    let mut len = 0;
    let mut input = Input::new();
    let mut rest = coded;
    while let Some((word, _)) = rest.split_first_chunk() {
        rest = rest
            .get(input.refill(u64::from_be_bytes(*word))..)
            .unwrap_or_default();
        let symbols = input.symbols();
        len += symbols.write(out, len);
        if symbols.is_empty() {
            let long = long_code(input)?;
            input = long.rest;
            len += long.symbol.write(out, len);
        }
    }
    decode_last(input, rest, tail(coded), out, len)
}

/// Decodes the last bytes: fewer than eight are in `rest`, and the last of `tail`.
fn decode_last(
    mut input: Input,
    mut rest: &[u8],
    tail: u64,
    out: &mut [u8],
    mut len: usize,
) -> Result<usize, HuffmanError> {
    loop {
        rest = rest
            .get(input.refill_last(tail, rest.len())..)
            .unwrap_or_default();
        let symbols = input.symbols();
        if input.is_beyond_end() {
            return Err(HuffmanError::PaddingNotEos);
        }
        len += symbols.write(out, len);
        // The padding of section 5.2: fewer than eight bits, all ones.
        if rest.is_empty() && input.bits == 0 && input.count < 8 {
            return Ok(len);
        }
        if symbols.is_empty() {
            let long = long_code(input).map_err(|error| match error {
                HuffmanError::PaddingNotEos if rest.is_empty() && input.bits == 0 => {
                    HuffmanError::PaddingTooLong
                }
                error => error,
            })?;
            input = long.rest;
            len += long.symbol.write(out, len);
        }
    }
}

/// The last eight bytes, or fewer, right-aligned.
#[inline]
fn tail(coded: &[u8]) -> u64 {
    match coded.last_chunk::<8>() {
        Some(word) => u64::from_be_bytes(*word),
        None => coded
            .iter()
            .fold(0, |word, &byte| word << 8 | u64::from(byte)),
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
    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.bits == 0
    }

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

/// The next bits. Passed by value, so that they stay in registers.
#[derive(Clone, Copy)]
struct Input {
    /// The complement of the next bits, left-aligned. Zeros follow the last bit of input; they
    /// stand for the ones of the end-of-string symbol.
    bits: u64,
    /// The number of valid bits: at most 63. Wraps below zero when a symbol ends beyond the input.
    count: u32,
}

impl Input {
    #[inline(always)]
    fn new() -> Self {
        Self { bits: 0, count: 0 }
    }

    /// Refills to at least 56 bits from the next eight bytes, and returns how many are used. A
    /// later refill reads the other bytes again, and sets the same bits.
    #[inline(always)]
    fn refill(&mut self, word: u64) -> usize {
        self.bits |= (!word).wrapping_shr(self.count);
        let bytes = (63 - self.count) >> 3;
        // The lowest three bits stay: count + 8 * bytes.
        self.count |= 56;
        bytes as usize
    }

    /// Refills from fewer than eight bytes: to 56 bits, or to all that are left.
    #[inline(always)]
    fn refill_last(&mut self, tail: u64, left: usize) -> usize {
        let left = u32::try_from(left).map_or(7, |left| left.min(7));
        let word = (!tail).checked_shl(64 - 8 * left).unwrap_or(0);
        self.bits |= word.wrapping_shr(self.count);
        let bytes = left.min((63 - self.count) >> 3);
        self.count += 8 * bytes;
        bytes as usize
    }

    /// Makes a few look-ups without a check for enough bits. Before a longer code, and at the end
    /// of the input, a look-up consumes nothing and yields nothing.
    ///
    /// The lowest byte of an entry has the number of its bits. The next has eight times the number
    /// of its symbols, and the symbols are above. So one sum counts both; shifts use only the
    /// lowest six bits of their operands.
    #[inline(always)]
    fn symbols(&mut self) -> Symbols {
        let mut sum = 0u32;
        let mut word = 0;
        for _ in 0..STEPS {
            let index = (self.bits >> (64 - WIDTH)) as usize;
            let entry = DECODE.get(index).copied().unwrap_or(0);
            self.bits = self.bits.wrapping_shl(entry);
            word |= u64::from(entry >> 16).wrapping_shl(sum >> 8);
            sum = sum.wrapping_add(entry & 0xffff);
        }
        self.count = self.count.wrapping_sub(sum & 0xff);
        Symbols {
            word,
            bits: sum >> 8,
        }
    }

    #[inline(always)]
    fn is_beyond_end(&self) -> bool {
        self.count > 63
    }
}

/// A symbol of a long code, and the bits behind it.
struct Long {
    symbol: Symbols,
    rest: Input,
}

/// Decodes a code longer than the table's width.
#[cold]
fn long_code(input: Input) -> Result<Long, HuffmanError> {
    let pattern = !input.bits >> 32;
    let code = LONG_CODES.iter().find(|&&(end, _, _)| pattern < end);
    let &(_, bits, bias) = code.ok_or(HuffmanError::Eos)?;
    let left = input.count.checked_sub(bits);
    let count = left.ok_or(HuffmanError::PaddingNotEos)?;
    let right_aligned = u32::try_from(pattern >> (32 - bits)).unwrap_or(0);
    let place = right_aligned.wrapping_add(bias) as usize;
    let symbol = LONG_SYMBOLS.get(place).ok_or(HuffmanError::Eos)?;
    let symbol = u8::try_from(*symbol).map_err(|_| HuffmanError::Eos)?;
    Ok(Long {
        symbol: Symbols {
            word: u64::from(symbol),
            bits: 8,
        },
        rest: Input {
            bits: input.bits << bits,
            count,
        },
    })
}
