//! The Huffman code of string literals (section 5.2, appendix B).
//!
//! ```
//! use lacewing_hpack::huffman;
//!
//! let mut coded = Vec::new();
//! huffman::encode(b"www.example.com", &mut coded);
//! assert_eq!(coded, b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff");
//!
//! let mut text = Vec::new();
//! huffman::decode(&coded, &mut text)?;
//! assert_eq!(text, b"www.example.com");
//! # Ok::<(), huffman::HuffmanError>(())
//! ```

mod decode;
mod encode;
mod table;

use alloc::vec::Vec;
use core::fmt;

pub(crate) use decode::{decode_into, decoded_bound};
pub(crate) use encode::encode_into;
pub use encode::encoded_len;

/// A string that isn't Huffman-coded (section 5.2).
///
/// ```
/// use lacewing_hpack::huffman::{HuffmanError, decode};
///
/// let mut text = Vec::new();
/// assert_eq!(decode(b"\x1f", &mut text), Ok(())); // "a" and three ones
/// assert_eq!(decode(b"\x18", &mut text), Err(HuffmanError::PaddingNotEos));
/// assert_eq!(decode(b"\x1f\xff", &mut text), Err(HuffmanError::PaddingTooLong));
/// assert_eq!(decode(b"\xff\xff\xff\xff", &mut text), Err(HuffmanError::Eos));
/// assert_eq!(text, b"a");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HuffmanError {
    /// More than seven bits of padding.
    PaddingTooLong,
    /// Padding that isn't all ones, or an end inside a code.
    PaddingNotEos,
    /// The end-of-string symbol, which must not be sent.
    Eos,
}

impl fmt::Display for HuffmanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PaddingTooLong => "Huffman-coded string has more than seven bits of padding",
            Self::PaddingNotEos => {
                "Huffman-coded string ends inside a code or in padding that isn't all ones"
            }
            Self::Eos => "Huffman-coded string contains the end-of-string symbol",
        })
    }
}

impl core::error::Error for HuffmanError {}

/// Appends the coded form of `text` to `coded`.
pub fn encode(text: &[u8], coded: &mut Vec<u8>) {
    let start = coded.len();
    // Coding shortens most text. Compute the exact length only if it does not.
    let written = encode_within(text, coded, text.len());
    let len = written
        .or_else(|| encode_within(text, coded, encoded_len(text)))
        .unwrap_or(0);
    coded.truncate(start + len);
}

/// Returns `None` if the coded form takes more than `limit` bytes; some bytes may then be written.
fn encode_within(text: &[u8], coded: &mut Vec<u8>, limit: usize) -> Option<usize> {
    let start = coded.len();
    coded.resize(start + limit + 8, 0);
    let written = encode_into(text, coded.get_mut(start..)?, limit);
    if written.is_none() {
        coded.truncate(start);
    }
    written
}

/// Decodes `coded` and appends the result to `text`: at most 8/5 of the coded length.
///
/// # Errors
///
/// If `coded` breaks one of the rules of section 5.2. `text` is then unchanged.
pub fn decode(coded: &[u8], text: &mut Vec<u8>) -> Result<(), HuffmanError> {
    let start = text.len();
    text.resize(start + decoded_bound(coded.len()), 0);
    let result = decode_into(coded, text.get_mut(start..).unwrap_or_default());
    text.truncate(start + result.unwrap_or(0));
    result.map(|_| ())
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec;

    use super::*;

    fn coded(text: &[u8]) -> Vec<u8> {
        let mut coded = Vec::new();
        encode(text, &mut coded);
        assert_eq!(coded.len(), encoded_len(text));
        coded
    }

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, HuffmanError> {
        let mut text = vec![b'*'];
        let result = decode(coded, &mut text);
        assert_eq!(text.remove(0), b'*');
        assert!(result.is_ok() || text.is_empty());
        result.map(|()| text)
    }

    #[test]
    fn every_pair_of_symbols_at_every_offset() {
        let step = if cfg!(miri) { 61 } else { 1 };
        for first in (0..=255).step_by(step) {
            for second in (0..=255).step_by(step) {
                let mut text = vec![first, second];
                assert_eq!(decoded(&coded(&text)).as_ref(), Ok(&text));
                // `X` has eight bits and `a` five: this covers all positions in the word.
                text.splice(0..0, *b"Xaaaaaaa");
                text.extend_from_slice(b"aaaaaaaa");
                let skip = usize::from(second) % 9;
                assert_eq!(decoded(&coded(&text[skip..])).as_deref(), Ok(&text[skip..]));
            }
        }
    }

    #[test]
    fn padding() {
        // `0` has the code 00000: two of them leave six bits unused.
        assert_eq!(decoded(&[0x00, 0x3f]), Ok(b"00".to_vec()));
        for last in 0x00..0x3f {
            let result = decoded(&[0x00, last]);
            assert!(
                matches!(&result, Err(HuffmanError::PaddingNotEos))
                    || result.as_ref().is_ok_and(|text| text.len() == 3),
                "{last:#x}: {result:?}"
            );
        }
        for prefix in [&b""[..], b"0", b"01234567", b"0123456789abcdef"] {
            let mut wire = coded(prefix);
            wire.push(0xff);
            assert_eq!(decoded(&wire), Err(HuffmanError::PaddingTooLong));
            wire.push(0xff);
            assert_eq!(decoded(&wire), Err(HuffmanError::PaddingTooLong));
            wire.extend_from_slice(&[0xff; 2]);
            assert_eq!(decoded(&wire), Err(HuffmanError::Eos));
        }
    }

    #[test]
    fn truncated_inside_a_code() {
        for symbol in (0..=255).step_by(if cfg!(miri) { 17 } else { 1 }) {
            let wire = coded(&[symbol]);
            for len in 1..wire.len() {
                let result = decoded(&wire[..len]);
                assert!(result.is_err(), "{symbol} cut to {len}: {result:?}");
            }
        }
    }

    #[test]
    fn agrees_with_the_definition_on_all_short_inputs() {
        let codes = (0..=255u8).map(|symbol| {
            let entry = table::ENCODE[usize::from(symbol)];
            let bits = entry & 0xff;
            ((bits, entry >> (64 - bits)), symbol)
        });
        let codes = codes.collect();
        // Miri is a thousand times slower, so use fewer cases there.
        let step = if cfg!(miri) { 5_003 } else { 1 };
        for word in (0..=0xffff_u16).step_by(step) {
            let wire = word.to_be_bytes();
            assert_eq!(decoded(&wire), bit_by_bit(&codes, &wire), "{wire:x?}");
        }
    }

    /// A literal implementation of section 5.2.
    fn bit_by_bit(codes: &BTreeMap<(u64, u64), u8>, coded: &[u8]) -> Result<Vec<u8>, HuffmanError> {
        let (mut text, mut code, mut bits) = (Vec::new(), 0u64, 0);
        for place in 0..coded.len() * 8 {
            let bit = coded[place / 8] >> (7 - place % 8) & 1;
            code = code << 1 | u64::from(bit);
            bits += 1;
            if let Some(&symbol) = codes.get(&(bits, code)) {
                text.push(symbol);
                (code, bits) = (0, 0);
            } else if bits == 30 {
                return Err(HuffmanError::Eos);
            }
        }
        match (bits, code + 1 == 1 << bits) {
            (_, false) => Err(HuffmanError::PaddingNotEos),
            (0..8, true) => Ok(text),
            _ => Err(HuffmanError::PaddingTooLong),
        }
    }
}
