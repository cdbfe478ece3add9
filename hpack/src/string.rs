//! String literals (section 5.2).

use alloc::vec::Vec;

use crate::{DecodeError, StringCoding, huffman, integer};

/// The bit that marks a Huffman-coded string.
const HUFFMAN: u8 = 0x80;

/// Removes a string from the front of `input`. A Huffman-coded string is decoded into `scratch`;
/// any other string is borrowed from `input`.
#[inline(always)]
pub(crate) fn decode<'a, 'i: 'a>(
    input: &mut &'i [u8],
    scratch: &'a mut Scratch,
) -> Result<&'a [u8], DecodeError> {
    let (&first, rest) = input.split_first().ok_or(DecodeError::Truncated)?;
    *input = rest;
    let len = integer::decode(first, 7, input)?;
    let (string, rest) = input.split_at_checked(len).ok_or(DecodeError::Truncated)?;
    *input = rest;
    if first & HUFFMAN == 0 {
        return Ok(string);
    }
    let bound = huffman::decoded_bound(string.len());
    let out = if bound <= Scratch::INLINE {
        &mut scratch.inline.get_or_insert([0; Scratch::INLINE])[..]
    } else {
        // At most 8/5 of the block, which is in memory already.
        scratch.heap.resize(bound, 0);
        &mut scratch.heap[..]
    };
    let len = huffman::decode_into(string, out)?;
    Ok(out.get(..len).unwrap_or_default())
}

/// The buffer for a decoded Huffman-coded string. It lives only while a block is decoded, so an
/// idle connection holds no buffer.
pub(crate) struct Scratch {
    /// Most blocks have no coded string, and need none.
    inline: Option<[u8; Self::INLINE]>,
    heap: Vec<u8>,
}

impl Scratch {
    const INLINE: usize = 256;

    #[inline]
    pub(crate) const fn new() -> Self {
        Self {
            inline: None,
            heap: Vec::new(),
        }
    }
}

/// The length from which a string may get shorter by its Huffman code: the shortest code has five
/// bits.
pub(crate) const MIN_CODED: usize = 3;

/// The most bytes that [`encode`] writes or overwrites.
#[inline]
pub(crate) fn encoded_bound(string: &[u8], coding: StringCoding) -> usize {
    let len = match coding {
        StringCoding::HuffmanWhenShorter | StringCoding::Plain => string.len(),
        StringCoding::Huffman => string.len().max(huffman::encoded_len(string)),
    };
    len + integer::MAX_LEN + 8
}

/// Writes `string` to the front of `out` and returns the number of bytes. `out` must have
/// [`encoded_bound`] bytes.
#[inline]
pub(crate) fn encode(string: &[u8], coding: StringCoding, out: &mut [u8]) -> usize {
    match coding {
        StringCoding::HuffmanWhenShorter => {
            let limit = string.len().checked_sub(1);
            limit
                .filter(|_| string.len() >= MIN_CODED)
                .and_then(|limit| encode_huffman(string, limit, out))
                .unwrap_or_else(|| encode_plain(string, out))
        }
        StringCoding::Huffman => {
            encode_huffman(string, huffman::encoded_len(string), out).unwrap_or(0)
        }
        StringCoding::Plain => encode_plain(string, out),
    }
}

/// Returns `None` if the string takes more than `limit` bytes, without its length.
#[inline]
fn encode_huffman(string: &[u8], limit: usize, out: &mut [u8]) -> Option<usize> {
    // The length precedes the string and is known only afterwards, so guess its number of octets.
    let guess = integer::encoded_len(string.len() - string.len() / 4, 7);
    let len = huffman::encode_into(string, out.get_mut(guess..)?, limit)?;
    let start = integer::encoded_len(len, 7);
    if start != guess {
        out.copy_within(guess..guess + len, start);
    }
    Some(integer::write(len, 7, HUFFMAN, out) + len)
}

#[inline]
fn encode_plain(string: &[u8], out: &mut [u8]) -> usize {
    let start = integer::write(string.len(), 7, 0, out);
    if let Some(out) = out.get_mut(start..start + string.len()) {
        out.copy_from_slice(string);
    }
    start + string.len()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const CODINGS: [StringCoding; 3] = [
        StringCoding::HuffmanWhenShorter,
        StringCoding::Huffman,
        StringCoding::Plain,
    ];

    fn encoded(string: &[u8], coding: StringCoding) -> Vec<u8> {
        let mut out = vec![0; encoded_bound(string, coding)];
        let len = encode(string, coding, &mut out);
        out.truncate(len);
        out
    }

    #[test]
    fn every_length_around_the_edges_of_the_prefix() {
        // Miri is a thousand times slower: only the edges of one byte and of two.
        let is_tested = |len: &usize| !cfg!(miri) || [0, 126, 127, 255].contains(len);
        for len in (0..1200).filter(is_tested) {
            // Codes of 5, 7, 8 and 26 bits.
            for byte in [b'a', b'A', b'X', 0xff] {
                let string = vec![byte; len];
                for coding in CODINGS {
                    let wire = encoded(&string, coding);
                    let mut input = &wire[..];
                    let mut scratch = Scratch::new();
                    assert_eq!(decode(&mut input, &mut scratch), Ok(&string[..]));
                    assert!(input.is_empty());
                    if coding != StringCoding::Huffman {
                        assert!(wire.len() <= len + integer::encoded_len(len, 7));
                    }
                }
            }
        }
    }

    #[test]
    fn huffman_only_when_shorter() {
        assert_eq!(encoded(b"0", StringCoding::HuffmanWhenShorter), [1, b'0']);
        assert_eq!(
            encoded(b"00", StringCoding::HuffmanWhenShorter),
            [2, b'0', b'0'],
            "ten bits are two bytes"
        );
        assert_eq!(encoded(b"000", StringCoding::HuffmanWhenShorter)[0], 0x82);
        assert_eq!(encoded(b"0", StringCoding::Huffman), [0x81, 0x07]);
        assert_eq!(encoded(b"", StringCoding::Huffman), [0x80]);
        assert_eq!(encoded(b"000", StringCoding::Plain)[0], 3);
    }

    #[test]
    fn truncated() {
        let wire = encoded(b"www.example.com", StringCoding::HuffmanWhenShorter);
        for len in 0..wire.len() {
            let mut scratch = Scratch::new();
            let result = decode(&mut &wire[..len], &mut scratch);
            assert_eq!(result, Err(DecodeError::Truncated), "{len}");
        }
    }
}
