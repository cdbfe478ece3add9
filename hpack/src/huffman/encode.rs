use super::table::ENCODE;

/// The length of the coded form of `text`, in bytes.
pub fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|&byte| (code(byte) & 0xff) as usize).sum();
    bits.div_ceil(8)
}

/// Writes the coded form of `text` to the front of `out` and returns its length, or `None` if it
/// has more than `limit` bytes. `out` must have eight bytes more than `limit`.
pub(crate) fn encode_into(text: &[u8], out: &mut [u8], limit: usize) -> Option<usize> {
    let mut writer = Writer {
        bits: 0,
        count: 0,
        len: 0,
        // Each write fails if it exceeds the limit.
        out: out.get_mut(..limit.checked_add(8)?)?,
    };
    let mut groups = text.chunks_exact(GROUP);
    for group in &mut groups {
        writer.put(group)?;
    }
    writer.put(groups.remainder())?;
    writer.finish(limit)
}

/// The number of symbols in one write. Seven codes of eight bits, the longest of the common ones,
/// and at most seven pending bits fit into [`ROOM`].
const GROUP: usize = 7;

/// The capacity of the word in bits. Fewer than eight bits are pending when all whole bytes are
/// written.
const ROOM: u64 = 63;

struct Writer<'a> {
    /// Bits that are not yet written, left-aligned. Zeros follow them.
    bits: u64,
    /// The number of these bits. Fewer than eight between calls.
    count: u64,
    /// The number of written bytes.
    len: usize,
    out: &'a mut [u8],
}

impl Writer<'_> {
    /// Appends at most [`GROUP`] symbols.
    #[inline(always)]
    fn put(&mut self, group: &[u8]) -> Option<()> {
        let Some((&first, others)) = group.split_first() else {
            return Some(());
        };
        // The lowest byte of a code is its length, so the lowest byte of the sum is the sum of the
        // lengths. A shift uses only the lowest six bits of its operand. The lengths of all codes
        // but the first are shifted out.
        let code = self::code(first);
        let mut bits = self.bits | (code & !0xff) >> self.count;
        let mut count = self.count + code;
        for &byte in others {
            let code = self::code(byte);
            bits |= code.wrapping_shr(low_u32(count));
            count = count.wrapping_add(code);
        }
        // Seven codes have at most 210 bits, so the sum does not carry out of the byte.
        count &= 0xff;
        if count > ROOM {
            return self.put_singly(group);
        }
        self.write(bits, count)
    }

    #[cold]
    fn put_singly(&mut self, group: &[u8]) -> Option<()> {
        for &byte in group {
            let code = self::code(byte);
            let bits = self.bits | (code & !0xff) >> self.count;
            self.write(bits, self.count + (code & 0xff))?;
        }
        Some(())
    }

    /// Writes all whole bytes.
    #[inline(always)]
    fn write(&mut self, bits: u64, count: u64) -> Option<()> {
        let word = self.out.get_mut(self.len..)?.first_chunk_mut()?;
        *word = bits.to_be_bytes();
        self.len += (count >> 3) as usize;
        self.bits = bits << (count & 0x38);
        self.count = count & 7;
        Some(())
    }

    #[inline(always)]
    fn finish(self, limit: usize) -> Option<usize> {
        let mut len = self.len;
        if self.count > 0 {
            // The padding is the beginning of the end-of-string symbol: ones.
            let bits = self.bits | u64::MAX >> self.count;
            [*self.out.get_mut(len)?, ..] = bits.to_be_bytes();
            len += 1;
        }
        (len <= limit).then_some(len)
    }
}

#[inline(always)]
fn code(byte: u8) -> u64 {
    ENCODE.get(usize::from(byte)).copied().unwrap_or(0)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "shifts look at the lowest six bits"
)]
#[inline(always)]
fn low_u32(value: u64) -> u32 {
    value as u32
}
