//! The errors: broken zlib data (the connection is lost), and header lists that break a rule (one
//! stream is lost).

use std::error::Error;
use std::fmt;

use crate::Summary;

/// Broken compressed data, or a header list that breaks a rule or exceeds a limit.
///
/// All header blocks of a direction form one zlib stream. After every error but
/// [`List`](Self::List), all later blocks are lost too: close the connection.
///
/// ```
/// use lacewing_spdy_zlib::{DecodeError, Decoder, ListLimits, WireVersion};
///
/// let mut decoder = Decoder::new(WireVersion::V3);
/// let error = decoder
///     .decode(&[0xff; 8], ListLimits::default(), |_, _| {})
///     .unwrap_err();
/// assert_eq!(error, DecodeError::Corrupt);
/// assert!(error.is_final());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The stream uses another dictionary, most likely that of another version.
    WrongDictionary {
        /// DICTID of the dictionary of the decoder's version.
        expected: u32,
        /// DICTID in the stream's header.
        found: u32,
    },
    /// The bytes are no zlib data.
    Corrupt,
    /// The peer ended its zlib stream. SPDY streams never end: they have no trailer of RFC 1950.
    StreamEnded,
    /// The block ends in the middle of the zlib data of its header list.
    Truncated,
    /// The block inflates to more bytes than permitted. The decoder stopped there, and the rest of
    /// the stream is unknown.
    TooLarge {
        /// [`ListLimits::max_size`](crate::ListLimits::max_size), in bytes.
        limit: usize,
    },
    /// An earlier block of this decoder failed with one of the errors above.
    Poisoned,
    /// The list breaks a rule or exceeds a limit. The zlib stream is intact: only the stream of the
    /// list is lost.
    List(ListError),
}

impl DecodeError {
    /// Returns whether the connection is lost, because the next block cannot be decoded. True for
    /// every error but [`List`](Self::List).
    pub fn is_final(&self) -> bool {
        !matches!(self, DecodeError::List(_))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::WrongDictionary { expected, found } => write!(
                f,
                "header block was compressed with dictionary {found:08x}, not {expected:08x}: \
                 the peer speaks another version of SPDY"
            ),
            DecodeError::Corrupt => f.write_str("header block is no valid zlib data"),
            DecodeError::StreamEnded => {
                f.write_str("the peer ended the zlib stream of its header blocks")
            }
            DecodeError::Truncated => f.write_str("header block ends inside its zlib data"),
            DecodeError::TooLarge { limit } => write!(
                f,
                "header block inflates to more than {limit} bytes (max_size): raise the limit to \
                 allow it"
            ),
            DecodeError::Poisoned => {
                f.write_str("an earlier header block failed: the compression state is lost")
            }
            DecodeError::List(error) => error.fmt(f),
        }
    }
}

impl Error for DecodeError {}

/// An error of a header list that was decompressed. The zlib stream is intact.
///
/// ```
/// use lacewing_spdy_zlib::{Compression, DecodeError, Decoder, Encoder, ListLimits, WireVersion};
///
/// let mut block = bytes::BytesMut::new();
/// let mut encoder = Encoder::new(WireVersion::V3, Compression::Stored);
/// let mut list = encoder.block(&mut block);
/// list.field(b"a", [b"1"]).field(b"b", [b"2"]);
/// list.finish()?;
///
/// let limits = ListLimits::default().with(|limits| limits.max_fields = 1);
/// let error = Decoder::new(WireVersion::V3).decode_to_vec(&block, limits).unwrap_err();
/// let DecodeError::List(error) = error else { unreachable!() };
/// assert_eq!((error.summary.fields, error.malformed), (1, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListError {
    /// The fields that were passed on before the error.
    pub summary: Summary,
    /// The first rule that the list breaks: reset the stream with PROTOCOL_ERROR.
    pub malformed: Option<HeaderError>,
    /// The first limit that the list exceeds: answer 431 or reset the stream. The fields after it
    /// were not passed on.
    pub exceeded: Option<Exceeded>,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.malformed, self.exceeded) {
            (Some(error), _) => error.fmt(f),
            (None, Some(error)) => error.fmt(f),
            (None, None) => f.write_str("header list breaks a rule or exceeds a limit"),
        }
    }
}

impl Error for ListError {}

/// A header list that breaks a rule of the drafts. The zlib stream is intact: reset only the stream
/// of the list, with PROTOCOL_ERROR.
///
/// ```
/// use lacewing_spdy_zlib::{
///     Compression, DecodeError, Decoder, Encoder, HeaderError, ListLimits, WireVersion,
/// };
///
/// let mut block = bytes::BytesMut::new();
/// let mut encoder = Encoder::new(WireVersion::V3, Compression::Stored);
/// let mut list = encoder.block(&mut block);
/// list.field(b"Upper", [b"1"]);
/// list.finish()?;
///
/// let result = Decoder::new(WireVersion::V3).decode_to_vec(&block, ListLimits::default());
/// let Err(DecodeError::List(error)) = result else { unreachable!() };
/// assert_eq!(error.malformed, Some(HeaderError::UppercaseName));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderError {
    /// A name has no bytes (SPDY/3 section 2.6.10).
    EmptyName,
    /// A name holds an upper-case letter (SPDY/3 section 2.6.10).
    UppercaseName,
    /// A name occurs twice (SPDY/3 section 2.6.10).
    DuplicateName,
    /// A value has no bytes. Only SPDY/2 forbids this.
    EmptyValue,
    /// A value starts or ends with NUL, or holds two in a row (SPDY/3 section 2.6.10).
    EmptySegment,
    /// A count or a length extends beyond the end of the block.
    BlockTooShort,
    /// Bytes follow the last field.
    TrailingBytes,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderError::EmptyName => "header name is empty",
            HeaderError::UppercaseName => "header name has an upper-case letter",
            HeaderError::DuplicateName => {
                "header name occurs twice (values of one name are joined by NUL)"
            }
            HeaderError::EmptyValue => "header value is empty, which SPDY/2 forbids",
            HeaderError::EmptySegment => {
                "header value starts or ends with NUL, or has two NULs in a row"
            }
            HeaderError::BlockTooShort => "header block claims more fields or bytes than it has",
            HeaderError::TrailingBytes => "header block has bytes after its last field",
        })
    }
}

impl Error for HeaderError {}

/// A limit that a header list exceeds. The zlib stream is intact. The fields after the limit were
/// not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exceeded {
    /// Names, values and 32 bytes for each field exceed
    /// [`ListLimits::max_size`](crate::ListLimits::max_size).
    Size {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The number of fields exceeds [`ListLimits::max_fields`](crate::ListLimits::max_fields).
    Fields {
        /// The limit, in fields.
        limit: usize,
    },
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exceeded::Size { limit } => {
                write!(
                    f,
                    "header list is larger than {limit} bytes (max_size): raise the limit, or \
                     refuse the message"
                )
            }
            Exceeded::Fields { limit } => {
                write!(
                    f,
                    "header list has more than {limit} fields (max_fields): raise the limit, or \
                     refuse the message"
                )
            }
        }
    }
}

impl Error for Exceeded {}

/// A header list that the block's format cannot carry. Nothing was written, and the compression
/// state is unchanged: later blocks are not affected.
///
/// ```
/// use lacewing_spdy_zlib::{Compression, EncodeError, Encoder, WireVersion};
///
/// let mut dst = bytes::BytesMut::new();
/// let mut encoder = Encoder::new(WireVersion::V2, Compression::Stored);
/// let mut block = encoder.block(&mut dst);
/// block.field(b"x-long", [vec![b'v'; 65_536]]);
/// assert_eq!(block.finish(), Err(EncodeError::ValueTooLong { limit: 65_535 }));
/// assert!(dst.is_empty());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A name is longer than its length field can express.
    NameTooLong {
        /// The largest length of the version, in bytes.
        limit: usize,
    },
    /// The joined values of a name are longer than their length field can express.
    ValueTooLong {
        /// The largest length of the version, in bytes.
        limit: usize,
    },
    /// More fields than the count field can express.
    TooManyFields {
        /// The largest count of the version.
        limit: usize,
    },
    /// The block might not fit into a frame, which has a length of 24 bits.
    BlockTooLarge {
        /// The largest block before compression, in bytes.
        limit: usize,
    },
    /// The zlib backend failed. The encoder cannot continue.
    Backend,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::NameTooLong { limit } => {
                write!(
                    f,
                    "header name is longer than {limit} bytes, the most that its length field \
                     expresses: shorten it"
                )
            }
            EncodeError::ValueTooLong { limit } => {
                write!(
                    f,
                    "joined header values are longer than {limit} bytes, the most that their \
                     length field expresses: shorten them"
                )
            }
            EncodeError::TooManyFields { limit } => {
                write!(
                    f,
                    "header list has more than {limit} fields, the most that its count expresses: \
                     send fewer"
                )
            }
            EncodeError::BlockTooLarge { limit } => write!(
                f,
                "header block is larger than {limit} bytes: it may not fit into one frame; \
                 send fewer or shorter fields"
            ),
            EncodeError::Backend => {
                f.write_str("zlib backend failed to compress: close the connection")
            }
        }
    }
}

impl Error for EncodeError {}
