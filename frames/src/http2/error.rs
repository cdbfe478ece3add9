//! Errors of received bytes (`DecodeError`) and of a caller's frame (`EncodeError`).

use core::fmt;

use super::{ErrorCode, Kind, SettingId};

/// A rule of HTTP/2 that received bytes break. Each rule is a variant.
///
/// An endpoint needs three facts: [`scope`](DecodeError::scope) (GOAWAY or RST_STREAM),
/// [`error_code`](DecodeError::error_code) and, for logs, [`section`](DecodeError::section).
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::http2::{DecodeError, ErrorCode, Frame, Scope};
///
/// // WINDOW_UPDATE with increment 0 on stream 5
/// let mut wire = BytesMut::from(&[0, 0, 4, 8, 0, 0, 0, 0, 5, 0, 0, 0, 0][..]);
/// let error = Frame::decode(&mut wire, 16_384).unwrap_err();
/// assert_eq!(error, DecodeError::ZeroIncrement { stream_id: 5 });
/// assert_eq!(error.scope(), Scope::Stream(5));
/// assert_eq!(error.error_code(), ErrorCode::PROTOCOL_ERROR);
/// assert_eq!(error.section(), "RFC 9113 §6.9");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A head declares a payload longer than our SETTINGS_MAX_FRAME_SIZE (§4.2).
    FrameTooLong {
        /// The frame.
        kind: Kind,
        /// The declared length in bytes.
        length: u32,
        /// The limit in bytes.
        limit: u32,
    },
    /// The payload does not have the length, or the minimum length, of this kind of frame (§4.2 and
    /// the section of the frame).
    Length {
        /// The frame.
        kind: Kind,
        /// The length of its payload in bytes.
        length: u32,
    },
    /// A PRIORITY frame with a payload that is not 5 bytes long. This is the only length error that
    /// ends only a stream (§6.3).
    PriorityLength {
        /// The stream of the frame.
        stream_id: u32,
        /// The length of its payload in bytes.
        length: u32,
    },
    /// A frame that belongs to a stream was received on stream 0.
    StreamIdZero {
        /// The frame.
        kind: Kind,
    },
    /// A frame that belongs to the connection was received on a stream.
    StreamIdNotZero {
        /// The frame.
        kind: Kind,
        /// Its stream.
        stream_id: u32,
    },
    /// The padding is as long as the payload or longer (§6.1).
    Padding {
        /// The frame.
        kind: Kind,
        /// Its stream.
        stream_id: u32,
    },
    /// A stream that depends on itself (RFC 7540 §5.3.1).
    SelfDependency {
        /// The frame with the dependency: HEADERS or PRIORITY.
        kind: Kind,
        /// The stream.
        stream_id: u32,
    },
    /// A SETTINGS acknowledgement with a payload (§6.5).
    SettingsAckNotEmpty {
        /// The length of its payload in bytes.
        length: u32,
    },
    /// A setting with a value outside its range (§6.5.2, RFC 8441 §3, RFC 9218 §2.1).
    SettingValue {
        /// The setting.
        id: SettingId,
        /// Its value.
        value: u32,
    },
    /// A SETTINGS frame with more entries than the limit.
    TooManySettings {
        /// The entries in the frame.
        entries: usize,
        /// The limit.
        limit: usize,
    },
    /// PUSH_PROMISE promises a stream that no server can open: 0 or an odd number (§6.6, §5.1.1).
    PromisedStreamId {
        /// The promised stream.
        promised_id: u32,
    },
    /// WINDOW_UPDATE with an increment of 0 (§6.9).
    ZeroIncrement {
        /// The stream; 0 is the connection.
        stream_id: u32,
    },
    /// PRIORITY_UPDATE for stream 0 (RFC 9218 §7.1).
    PrioritizedStreamIdZero,
    /// CONTINUATION without an open header block before it (§6.10).
    UnexpectedContinuation {
        /// The stream of the frame.
        stream_id: u32,
    },
    /// Any other frame inside a header block (§4.3, §6.10).
    ExpectedContinuation {
        /// The stream of the open header block.
        stream_id: u32,
        /// The received frame.
        kind: Kind,
        /// Its stream.
        on: u32,
    },
    /// A header block in more CONTINUATION frames than the limit.
    TooManyContinuations {
        /// The stream of the header block.
        stream_id: u32,
        /// The limit.
        limit: u32,
    },
    /// A header block with more compressed bytes than the limit.
    HeaderBlockTooLong {
        /// The stream of the header block.
        stream_id: u32,
        /// The number of bytes that were received or declared.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A header block that does not decompress (§4.3, RFC 7541).
    Compression(lacewing_hpack::DecodeError),
}

/// The scope of an error: the connection or one stream (RFC 9113 §5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Send GOAWAY and close. From now on the decoder returns the same error.
    Connection,
    /// Send RST_STREAM on this stream. The frame is consumed, and decoding continues.
    Stream(u32),
}

impl DecodeError {
    /// Returns the scope of the error: the connection or a stream (RFC 9113 §5.4).
    pub fn scope(&self) -> Scope {
        match *self {
            DecodeError::PriorityLength { stream_id, .. }
            | DecodeError::SelfDependency { stream_id, .. } => Scope::Stream(stream_id),
            DecodeError::ZeroIncrement { stream_id } if stream_id != 0 => Scope::Stream(stream_id),
            _ => Scope::Connection,
        }
    }

    /// Returns the code for GOAWAY or RST_STREAM (RFC 9113 §7).
    pub fn error_code(&self) -> ErrorCode {
        match self {
            DecodeError::FrameTooLong { .. }
            | DecodeError::Length { .. }
            | DecodeError::PriorityLength { .. }
            | DecodeError::SettingsAckNotEmpty { .. } => ErrorCode::FRAME_SIZE_ERROR,
            DecodeError::SettingValue { id, .. } if *id == SettingId::INITIAL_WINDOW_SIZE => {
                ErrorCode::FLOW_CONTROL_ERROR
            }
            DecodeError::TooManySettings { .. }
            | DecodeError::TooManyContinuations { .. }
            | DecodeError::HeaderBlockTooLong { .. } => ErrorCode::ENHANCE_YOUR_CALM,
            DecodeError::Compression(_) => ErrorCode::COMPRESSION_ERROR,
            _ => ErrorCode::PROTOCOL_ERROR,
        }
    }

    /// The section that states the rule. For a limit of this crate, the section that permits it.
    pub fn section(&self) -> &'static str {
        match self {
            DecodeError::FrameTooLong { .. } => "RFC 9113 §4.2",
            DecodeError::Length { kind, .. }
            | DecodeError::StreamIdZero { kind }
            | DecodeError::StreamIdNotZero { kind, .. }
            | DecodeError::Padding { kind, .. } => kind.section(),
            DecodeError::PriorityLength { .. } => "RFC 9113 §6.3",
            DecodeError::SelfDependency { .. } => "RFC 7540 §5.3.1",
            DecodeError::SettingsAckNotEmpty { .. } => "RFC 9113 §6.5",
            DecodeError::SettingValue { id, .. } => id.section(),
            DecodeError::PromisedStreamId { .. } => "RFC 9113 §6.6",
            DecodeError::ZeroIncrement { .. } => "RFC 9113 §6.9",
            DecodeError::PrioritizedStreamIdZero => "RFC 9218 §7.1",
            DecodeError::UnexpectedContinuation { .. }
            | DecodeError::ExpectedContinuation { .. } => "RFC 9113 §6.10",
            DecodeError::TooManySettings { .. }
            | DecodeError::TooManyContinuations { .. }
            | DecodeError::HeaderBlockTooLong { .. } => "RFC 9113 §10.5",
            DecodeError::Compression(_) => "RFC 9113 §4.3",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::FrameTooLong {
                kind,
                length,
                limit,
            } => write!(
                f,
                "{kind} frame of {length} bytes exceeds the maximum frame size of {limit}; \
                 the peer must split it, or raise SETTINGS_MAX_FRAME_SIZE here"
            ),
            DecodeError::Length { kind, length } => {
                write!(
                    f,
                    "{kind} frame has a payload of {length} bytes, which its format forbids"
                )
            }
            DecodeError::PriorityLength { stream_id, length } => write!(
                f,
                "PRIORITY frame on stream {stream_id} has a payload of {length} bytes, not 5"
            ),
            DecodeError::StreamIdZero { kind } => {
                write!(f, "{kind} frame on stream 0; it must name a stream")
            }
            DecodeError::StreamIdNotZero { kind, stream_id } => {
                write!(
                    f,
                    "{kind} frame on stream {stream_id}; it belongs on stream 0"
                )
            }
            DecodeError::Padding { kind, stream_id } => write!(
                f,
                "{kind} frame on stream {stream_id} has padding as long as its payload or longer"
            ),
            DecodeError::SelfDependency { kind, stream_id } => {
                write!(f, "{kind} frame makes stream {stream_id} depend on itself")
            }
            DecodeError::SettingsAckNotEmpty { length } => {
                write!(
                    f,
                    "SETTINGS acknowledgement has a payload of {length} bytes, not 0"
                )
            }
            DecodeError::SettingValue { id, value } => {
                write!(
                    f,
                    "SETTINGS_{id} has the value {value}; permitted is {}",
                    id.allowed()
                )
            }
            DecodeError::TooManySettings { entries, limit } => write!(
                f,
                "SETTINGS frame with {entries} entries exceeds the limit of {limit} \
                 (max_settings_entries); raise it for this peer"
            ),
            DecodeError::PromisedStreamId { promised_id } => write!(
                f,
                "PUSH_PROMISE promises stream {promised_id}; it must be even and not 0"
            ),
            DecodeError::ZeroIncrement { stream_id: 0 } => {
                f.write_str("WINDOW_UPDATE of the connection has an increment of 0")
            }
            DecodeError::ZeroIncrement { stream_id } => {
                write!(
                    f,
                    "WINDOW_UPDATE on stream {stream_id} has an increment of 0"
                )
            }
            DecodeError::PrioritizedStreamIdZero => {
                f.write_str("PRIORITY_UPDATE prioritizes stream 0; it must name a stream")
            }
            DecodeError::UnexpectedContinuation { stream_id } => write!(
                f,
                "CONTINUATION on stream {stream_id} although no header block is open"
            ),
            DecodeError::ExpectedContinuation {
                stream_id,
                kind,
                on,
            } => write!(
                f,
                "{kind} frame on stream {on} inside the header block of stream {stream_id}; \
                 only CONTINUATION may follow"
            ),
            DecodeError::TooManyContinuations { stream_id, limit } => write!(
                f,
                "header block of stream {stream_id} exceeds the limit of {limit} CONTINUATION \
                 frames (max_continuations); raise it for this peer"
            ),
            DecodeError::HeaderBlockTooLong {
                stream_id,
                length,
                limit,
            } => write!(
                f,
                "header block of stream {stream_id} has {length} compressed bytes or more, over \
                 the limit of {limit} (max_header_block); raise it for this peer"
            ),
            DecodeError::Compression(error) => write!(f, "header block: {error}"),
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DecodeError::Compression(error) => Some(error),
            _ => None,
        }
    }
}

/// The error of a frame that does not fit the wire. Nothing was written.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::http2::{Data, EncodeError, Frame};
///
/// let frame = Frame::Data(Data {
///     padding: Some(Bytes::from(vec![0; 256])),
///     ..Data::new(1, Bytes::new())
/// });
/// let mut wire = BytesMut::new();
/// assert_eq!(frame.encode(&mut wire), Err(EncodeError::PaddingTooLong { length: 256 }));
/// assert!(wire.is_empty());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload is longer than the maximum frame size: the peer's
    /// ([`Encoder`](super::Encoder::set_max_frame_size)), or 2^24-1 for a raw frame.
    FrameTooLong {
        /// The frame.
        kind: Kind,
        /// The length that its payload would have.
        length: usize,
        /// The limit.
        limit: u32,
    },
    /// More than 255 bytes of padding.
    PaddingTooLong {
        /// The length of the padding.
        length: usize,
    },
    /// An origin of more than 65,535 bytes in ALTSVC or ORIGIN.
    OriginTooLong {
        /// The length of the origin.
        length: usize,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::FrameTooLong {
                kind,
                length,
                limit,
            } => write!(
                f,
                "{kind} frame with a payload of {length} bytes exceeds the maximum of {limit}; \
                 split it"
            ),
            EncodeError::PaddingTooLong { length } => {
                write!(
                    f,
                    "padding of {length} bytes exceeds the 255 that a frame can carry; shorten it"
                )
            }
            EncodeError::OriginTooLong { length } => {
                write!(
                    f,
                    "origin of {length} bytes exceeds the 65,535 of its length field; omit it"
                )
            }
        }
    }
}

impl std::error::Error for EncodeError {}
