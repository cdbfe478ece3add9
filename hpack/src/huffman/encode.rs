use super::table::ENCODE;

/// The length of the coded form of `text`, in bytes.
pub fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|&byte| (code(byte) & 0xff) as usize).sum();
    bits.div_ceil(8)
}

/// Writes the coded form of `text` to the front of `out` and returns its length,
/// or `None` if it has more than `limit` bytes. `out` needs eight bytes beyond
/// `limit`; without them the answer may be `None` too.
pub(crate) fn encode_into(text: &[u8], out: &mut [u8], limit: usize) -> Option<usize> {
    let mut writer = Writer {
        bits: 0,
        count: 0,
        len: 0,
        out,
    };
    let mut groups = text.chunks_exact(GROUP);
    for group in &mut groups {
        writer.put_group(group.try_into().ok()?)?;
        if writer.len > limit {
            return None;
        }
    }
    for &byte in groups.remainder() {
        writer.put(byte)?;
    }
    let len = writer.finish()?;
    (len <= limit).then_some(len)
}

/// Symbols that are put together before they are written. Six codes of eight bits,
/// the longest of the common ones, and the seven bits that may wait fit in [`ROOM`].
const GROUP: usize = 6;

/// Bits that the word holds for certain: below is where codes carry their lengths.
const ROOM: u64 = 56;

struct Writer<'a> {
    /// What isn't written yet, left-aligned; zeros behind.
    bits: u64,
    /// How many bits that are: fewer than eight between calls.
    count: u64,
    /// Bytes written.
    len: usize,
    out: &'a mut [u8],
}

impl Writer<'_> {
    #[inline(always)]
    fn put_group(&mut self, group: &[u8; GROUP]) -> Option<()> {
        let mut bits = self.bits;
        // A code's length stands in its lowest byte, so the sum of whole codes has
        // the sum of lengths there; a shift looks only at the lowest six bits.
        let mut count = self.count;
        for &byte in group {
            let code = code(byte);
            bits |= code.wrapping_shr(low_u32(count));
            count = count.wrapping_add(code);
        }
        // Six codes have at most 180 bits: no carry out of the byte.
        count &= 0xff;
        if count > ROOM {
            for &byte in group {
                self.put(byte)?;
            }
            return Some(());
        }
        self.bits = bits;
        self.count = count;
        self.flush()
    }

    #[inline]
    fn put(&mut self, byte: u8) -> Option<()> {
        // At most seven bits wait, and a code has at most thirty.
        let code = code(byte);
        self.bits |= (code & !0xff) >> self.count;
        self.count += code & 0xff;
        self.flush()
    }

    /// Writes all whole bytes.
    #[inline(always)]
    fn flush(&mut self) -> Option<()> {
        let end = self.len.checked_add(8)?;
        let word = self.out.get_mut(self.len..end)?;
        word.copy_from_slice(&self.bits.to_be_bytes());
        self.len += (self.count >> 3) as usize;
        self.bits <<= self.count & 0x38;
        self.count &= 7;
        // The lengths that codes left below their own bits go away here.
        self.bits &= !(u64::MAX >> self.count);
        Some(())
    }

    fn finish(mut self) -> Option<usize> {
        if self.count == 0 {
            return Some(self.len);
        }
        // The padding is the beginning of the end-of-string symbol: ones.
        self.bits |= u64::MAX >> self.count;
        let last = self.out.get_mut(self.len)?;
        [*last, ..] = self.bits.to_be_bytes();
        self.len += 1;
        Some(self.len)
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
