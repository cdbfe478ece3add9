use core::fmt;

use crate::huffman::HuffmanError;
use crate::{ExceededLimit, ListLimits, Summary};

/// A header block that breaks RFC 7541, or a list that exceeds a limit.
///
/// After every error but [`ListTooLarge`](Self::ListTooLarge), the decoder's table no longer agrees
/// with the peer's. The connection must end (`COMPRESSION_ERROR`, RFC 9113, section 4.3).
///
/// ```
/// use lacewing_hpack::{DecodeError, Decoder, HeaderField, ListLimits};
///
/// let mut decoder = Decoder::<HeaderField>::new(4096);
/// let error = decoder.decode_to_vec(&[0x80], ListLimits::default()).unwrap_err();
/// assert_eq!(error, DecodeError::IndexZero);
/// assert!(error.is_final());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The block ends inside a representation (section 6).
    Truncated,
    /// An integer has more than five continuation octets or exceeds 2³² − 1
    /// (section 5.1).
    IntegerOverflow,
    /// An indexed field with index 0 (section 6.1).
    IndexZero,
    /// An index beyond the dynamic table (section 2.3.3).
    IndexOutOfRange {
        /// The index in the block.
        index: usize,
        /// The largest valid index at that time.
        last: usize,
    },
    /// A Huffman-coded string ends in more than seven bits of padding (section 5.2).
    HuffmanPaddingTooLong,
    /// A Huffman-coded string ends in padding that isn't all ones, or inside a
    /// code (section 5.2).
    HuffmanPaddingNotEos,
    /// A Huffman-coded string contains the end-of-string symbol (section 5.2).
    HuffmanEos,
    /// A dynamic table size update exceeds SETTINGS_HEADER_TABLE_SIZE (section 6.3).
    SizeUpdateTooLarge {
        /// The size in the block, in bytes.
        size: usize,
        /// The largest permitted size, in bytes.
        limit: usize,
    },
    /// A dynamic table size update after a header field (section 4.2).
    SizeUpdateNotFirst,
    /// We reduced the maximum size of the table. The next block does not begin with an update to
    /// that size or a smaller one (section 4.2).
    SizeUpdateMissing {
        /// The largest size that the update may set, in bytes.
        limit: usize,
    },
    /// The list exceeds one of the caller's limits. The table agrees with the peer's, and the
    /// connection continues. Answer a request with 431 (RFC 6585, section 5); treat a response as
    /// failed.
    ListTooLarge {
        /// The first limit that the list exceeded. The sink received the fields before it.
        exceeded: ExceededLimit,
        /// The limits.
        limits: ListLimits,
        /// The number and size of all fields of the block.
        summary: Summary,
    },
}

impl DecodeError {
    /// Returns whether the connection must end, because the next block cannot be decoded. True for
    /// every error but [`ListTooLarge`](Self::ListTooLarge).
    ///
    /// ```
    /// use lacewing_hpack::{Decoder, ListLimits};
    ///
    /// let mut decoder: Decoder = Decoder::new(4096);
    /// let limits = ListLimits::default().with(|limits| limits.max_fields = 1);
    /// let error = decoder.decode_to_vec(b"\x82\x84", limits).unwrap_err();
    /// assert!(!error.is_final());
    /// assert_eq!(decoder.decode_to_vec(b"\x82", limits)?.len(), 1);
    /// # Ok::<(), lacewing_hpack::DecodeError>(())
    /// ```
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::ListTooLarge { .. })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("header block ends inside a representation"),
            Self::IntegerOverflow => f.write_str(
                "integer in a header block has more than five continuation octets \
                 or exceeds 4294967295",
            ),
            Self::IndexZero => f.write_str("header block refers to index 0"),
            Self::IndexOutOfRange { index, last } => write!(
                f,
                "header block refers to index {index}, but the table ends at {last}"
            ),
            Self::HuffmanPaddingTooLong => HuffmanError::PaddingTooLong.fmt(f),
            Self::HuffmanPaddingNotEos => HuffmanError::PaddingNotEos.fmt(f),
            Self::HuffmanEos => HuffmanError::Eos.fmt(f),
            Self::SizeUpdateTooLarge { size, limit } => write!(
                f,
                "header block sets the dynamic table to {size} bytes, \
                 but SETTINGS_HEADER_TABLE_SIZE allows {limit}"
            ),
            Self::SizeUpdateNotFirst => {
                f.write_str("dynamic table size update after a header field")
            }
            Self::SizeUpdateMissing { limit } => write!(
                f,
                "SETTINGS_HEADER_TABLE_SIZE was reduced, but the next header block doesn't begin \
                 with a dynamic table size update to {limit} bytes or less"
            ),
            Self::ListTooLarge {
                exceeded: ExceededLimit::Size,
                limits,
                summary,
            } => write!(
                f,
                "header list of {} bytes (32 counted for each field) exceeds the limit of {} \
                 (max_size): raise it, or refuse the message",
                summary.size, limits.max_size
            ),
            Self::ListTooLarge {
                exceeded: ExceededLimit::Fields,
                limits,
                summary,
            } => write!(
                f,
                "header list of {} fields exceeds the limit of {} (max_fields): raise it, or refuse \
                 the message",
                summary.fields, limits.max_fields
            ),
        }
    }
}

impl core::error::Error for DecodeError {}

impl From<HuffmanError> for DecodeError {
    fn from(error: HuffmanError) -> Self {
        match error {
            HuffmanError::PaddingTooLong => Self::HuffmanPaddingTooLong,
            HuffmanError::PaddingNotEos => Self::HuffmanPaddingNotEos,
            HuffmanError::Eos => Self::HuffmanEos,
        }
    }
}
