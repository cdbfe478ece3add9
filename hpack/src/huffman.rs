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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    let len = encoded_len(text);
    // The encoder writes whole words.
    coded.resize(start + len + 8, 0);
    let written = coded
        .get_mut(start..)
        .and_then(|out| encode_into(text, out, len));
    debug_assert_eq!(written, Some(len));
    coded.truncate(start + len);
}

/// Appends what `coded` stands for to `text`: at most 8/5 of its length.
///
/// # Errors
///
/// If `coded` breaks one of the rules of section 5.2. `text` is then as before.
pub fn decode(coded: &[u8], text: &mut Vec<u8>) -> Result<(), HuffmanError> {
    let start = text.len();
    text.resize(start + decoded_bound(coded.len()), 0);
    let result = decode_into(coded, text.get_mut(start..).unwrap_or_default());
    text.truncate(start + result.unwrap_or(0));
    result.map(|_| ())
}
