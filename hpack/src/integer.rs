//! Integers with a prefix (section 5.1).

use crate::DecodeError;

/// The largest number of continuation octets for 2³² − 1.
const MAX_CONTINUATION: usize = 5;

/// The most octets that [`encode`] writes.
pub(crate) const MAX_LEN: usize = 1 + MAX_CONTINUATION;

/// Reads the integer that begins in the lowest `prefix` bits of `first`. `input` holds the
/// following octets; they are removed from it.
#[inline(always)]
pub(crate) fn decode(first: u8, prefix: u32, input: &mut &[u8]) -> Result<usize, DecodeError> {
    let mask = (1 << prefix) - 1;
    let value = usize::from(first) & mask;
    if value < mask {
        Ok(value)
    } else {
        decode_continuation(mask, input)
    }
}

fn decode_continuation(mask: usize, input: &mut &[u8]) -> Result<usize, DecodeError> {
    // At most 2³⁵ + 255: no overflow before the check at the end.
    let mut value = mask as u64;
    for (place, &octet) in input.iter().enumerate() {
        if place == MAX_CONTINUATION {
            return Err(DecodeError::IntegerOverflow);
        }
        value += u64::from(octet & 0x7f) << (7 * place);
        if octet & 0x80 == 0 {
            *input = input.get(place + 1..).unwrap_or_default();
            return u32::try_from(value)
                .ok()
                .and_then(|value| usize::try_from(value).ok())
                .ok_or(DecodeError::IntegerOverflow);
        }
    }
    if input.len() >= MAX_CONTINUATION {
        return Err(DecodeError::IntegerOverflow);
    }
    Err(DecodeError::Truncated)
}

/// Passes the octets of `value` to `put`. `high` fills the first octet above its `prefix` bits.
#[inline(always)]
pub(crate) fn encode(value: usize, prefix: u32, high: u8, mut put: impl FnMut(u8)) {
    let mask = (1 << prefix) - 1;
    if value < mask {
        put(high | low_byte(value));
        return;
    }
    put(high | low_byte(mask));
    let mut rest = value - mask;
    while rest >= 0x80 {
        put(0x80 | low_byte(rest & 0x7f));
        rest >>= 7;
    }
    put(low_byte(rest));
}

/// Writes the octets to the front of `out`, and returns their number.
#[inline(always)]
pub(crate) fn write(value: usize, prefix: u32, high: u8, out: &mut [u8]) -> usize {
    let mut octets = out.iter_mut();
    let mut len = 0;
    encode(value, prefix, high, |octet| {
        if let Some(out) = octets.next() {
            *out = octet;
        }
        len += 1;
    });
    len
}

/// The number of octets that [`encode`] writes.
#[inline]
pub(crate) fn encoded_len(value: usize, prefix: u32) -> usize {
    let mut len = 0;
    encode(value, prefix, 0, |_| len += 1);
    len
}

#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
fn low_byte(value: usize) -> u8 {
    value as u8
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn round_trip(value: usize, prefix: u32, high: u8, wire: &[u8]) {
        let mut octets = Vec::new();
        encode(value, prefix, high, |octet| octets.push(octet));
        assert_eq!(octets, wire);
        assert_eq!(encoded_len(value, prefix), wire.len());
        let mut rest = &octets[1..];
        assert_eq!(decode(octets[0], prefix, &mut rest), Ok(value));
        assert!(rest.is_empty());
    }

    #[test]
    fn appendix_c_1() {
        round_trip(10, 5, 0, &[0x0a]);
        round_trip(1337, 5, 0, &[0x1f, 0x9a, 0x0a]);
        round_trip(42, 8, 0, &[0x2a]);
    }

    #[test]
    fn edges() {
        round_trip(30, 5, 0x20, &[0x3e]);
        round_trip(31, 5, 0x20, &[0x3f, 0x00]);
        round_trip(158, 5, 0x20, &[0x3f, 0x7f]);
        round_trip(159, 5, 0x20, &[0x3f, 0x80, 0x01]);
        let max = [0x3f, 0xe0, 0xff, 0xff, 0xff, 0x0f];
        round_trip(u32::MAX as usize, 5, 0x20, &max);
    }

    #[test]
    fn overflow_and_truncation() {
        let mut input: &[u8] = &[0xe1, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(
            decode(0x3f, 5, &mut input),
            Err(DecodeError::IntegerOverflow),
            "2³²"
        );
        let mut input: &[u8] = &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
        assert_eq!(
            decode(0x3f, 5, &mut input),
            Err(DecodeError::IntegerOverflow),
            "a sixth continuation octet"
        );
        for len in 0..5 {
            let mut input = &[0x80; 5][..len];
            assert_eq!(decode(0x3f, 5, &mut input), Err(DecodeError::Truncated));
        }
        let mut input: &[u8] = &[0x80; 5];
        assert_eq!(
            decode(0x3f, 5, &mut input),
            Err(DecodeError::IntegerOverflow),
            "no sixth octet can make it valid"
        );
    }
}
