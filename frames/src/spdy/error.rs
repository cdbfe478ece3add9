//! Errors of received bytes (`DecodeError`) and of a caller's frame (`EncodeError`).

use core::fmt;

use super::{ErrorCode, FrameHead, GoAwayStatus, Kind};

/// A rule of SPDY that received bytes break. Each rule is a variant.
///
/// Rules about a header *list* are not here. They are in [`Block::list`](super::Block), since the
/// frame was read and its stream is known.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::spdy::{DecodeError, Frame, GoAwayStatus, Kind, Scope, WireVersion};
///
/// // a PING of three bytes
/// let mut wire = BytesMut::from(&[0x80, 3, 0, 6, 0, 0, 0, 3, 0, 0, 1][..]);
/// let error = Frame::decode(WireVersion::V3, &mut wire, 8192).unwrap_err();
/// assert_eq!(error, DecodeError::Length { kind: Kind::PING, length: 3 });
/// assert_eq!(error.scope(), Scope::Connection);
/// assert_eq!(error.go_away_status(), GoAwayStatus::PROTOCOL_ERROR);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A head declares a payload longer than the limit (section 2.4.2). Every endpoint must accept
    /// control frames of up to 8,192 bytes.
    FrameTooLong {
        /// The frame's head.
        head: FrameHead,
        /// The limit in bytes.
        limit: u32,
    },
    /// The payload does not have the length, or the minimum length, of this kind of frame.
    Length {
        /// The frame.
        kind: Kind,
        /// The length of its payload in bytes.
        length: u32,
    },
    /// SYN_STREAM, SYN_REPLY or HEADERS on stream 0, which is not valid (section 2.3.2).
    StreamIdZero {
        /// The frame.
        kind: Kind,
    },
    /// WINDOW_UPDATE with a delta of 0 (section 2.6.8).
    ZeroDelta {
        /// The stream; 0 is the connection, in SPDY/3.1.
        stream_id: u32,
    },
    /// SYN_STREAM of another version (section 2.6.3, UNSUPPORTED_VERSION).
    UnsupportedVersion {
        /// The stream.
        stream_id: u32,
        /// The frame's version.
        version: u16,
    },
    /// SETTINGS with a number of entries that does not match its length (section 2.6.4).
    SettingsCount {
        /// The declared number of entries.
        entries: u32,
        /// The length of the payload in bytes.
        length: u32,
    },
    /// A SETTINGS frame with more entries than the limit.
    TooManySettings {
        /// The entries in the frame.
        entries: u32,
        /// The limit.
        limit: usize,
    },
    /// CREDENTIAL with a proof or a certificate that extends beyond its end (section 2.6.9).
    CredentialLength {
        /// The length of the payload in bytes.
        length: u32,
    },
    /// A CREDENTIAL frame with more certificates than the limit.
    TooManyCertificates {
        /// The limit.
        limit: usize,
    },
    /// A header block that does not decompress (section 2.6.10.1). All later ones are lost too.
    Compression(lacewing_spdy_zlib::DecodeError),
}

/// The scope of an error: the connection or one stream (section 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Send GOAWAY and close. From now on the decoder returns the same error.
    Connection,
    /// Send RST_STREAM on this stream. The frame is consumed, and decoding continues.
    Stream(u32),
}

impl DecodeError {
    /// Returns whether a header block exceeds, or inflates to more than, the limits of header lists
    /// and frames.
    pub fn is_list_too_large(&self) -> bool {
        match self {
            DecodeError::Compression(lacewing_spdy_zlib::DecodeError::TooLarge { .. }) => true,
            DecodeError::FrameTooLong { head, .. } => matches!(
                head,
                FrameHead::Control {
                    kind: Kind::SYN_STREAM | Kind::SYN_REPLY | Kind::HEADERS,
                    ..
                }
            ),
            _ => false,
        }
    }

    /// Returns the scope of the error: the connection or a stream (section 2.4).
    pub fn scope(&self) -> Scope {
        match *self {
            DecodeError::UnsupportedVersion { stream_id, .. } => Scope::Stream(stream_id),
            DecodeError::ZeroDelta { stream_id } if stream_id != 0 => Scope::Stream(stream_id),
            _ => Scope::Connection,
        }
    }

    /// The code for RST_STREAM (section 2.6.3).
    pub fn error_code(&self) -> ErrorCode {
        match self {
            DecodeError::UnsupportedVersion { .. } => ErrorCode::UNSUPPORTED_VERSION,
            DecodeError::FrameTooLong { .. } => ErrorCode::FRAME_TOO_LARGE,
            _ => ErrorCode::PROTOCOL_ERROR,
        }
    }

    /// The status for GOAWAY (section 2.6.6), which SPDY/2 does not send.
    pub fn go_away_status(&self) -> GoAwayStatus {
        GoAwayStatus::PROTOCOL_ERROR
    }

    /// The section that states the rule. For a limit of this crate, the section that permits it.
    pub fn section(&self) -> &'static str {
        match self {
            DecodeError::FrameTooLong { .. } => "SPDY/3 2.4.2",
            DecodeError::Length { kind, .. } => kind.section(),
            DecodeError::StreamIdZero { .. } => "SPDY/3 2.3.2",
            DecodeError::ZeroDelta { .. } => "SPDY/3 2.6.8",
            DecodeError::UnsupportedVersion { .. } => "SPDY/3 2.6.3",
            DecodeError::SettingsCount { .. } | DecodeError::TooManySettings { .. } => {
                "SPDY/3 2.6.4"
            }
            DecodeError::CredentialLength { .. } | DecodeError::TooManyCertificates { .. } => {
                "SPDY/3 2.6.9"
            }
            DecodeError::Compression(_) => "SPDY/3 2.6.10.1",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::FrameTooLong { head, limit } => write!(
                f,
                "{head} frame of {} bytes exceeds the limit of {limit} (max_frame_size); the peer must \
                 split it, or raise the limit",
                head.length()
            ),
            DecodeError::Length { kind, length } => write!(
                f,
                "{kind} frame has a payload of {length} bytes, which its format forbids"
            ),
            DecodeError::StreamIdZero { kind } => {
                write!(f, "{kind} frame on stream 0; it must name a stream")
            }
            DecodeError::ZeroDelta { stream_id: 0 } => {
                f.write_str("WINDOW_UPDATE of the connection has a delta of 0")
            }
            DecodeError::ZeroDelta { stream_id } => {
                write!(f, "WINDOW_UPDATE on stream {stream_id} has a delta of 0")
            }
            DecodeError::UnsupportedVersion { stream_id, version } => write!(
                f,
                "SYN_STREAM on stream {stream_id} has version {version}, which is not the \
                 connection's"
            ),
            DecodeError::SettingsCount { entries, length } => write!(
                f,
                "SETTINGS frame declares {entries} entries in a payload of {length} bytes"
            ),
            DecodeError::TooManySettings { entries, limit } => write!(
                f,
                "SETTINGS frame with {entries} entries exceeds the limit of {limit} \
                 (max_settings_entries); raise it for this peer"
            ),
            DecodeError::CredentialLength { length } => write!(
                f,
                "CREDENTIAL frame has a proof or certificate that extends beyond its {length} bytes"
            ),
            DecodeError::TooManyCertificates { limit } => write!(
                f,
                "CREDENTIAL frame has more certificates than the limit of {limit} \
                 (max_certificates); raise it for this peer"
            ),
            DecodeError::Compression(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for DecodeError {}

impl From<lacewing_spdy_zlib::DecodeError> for DecodeError {
    fn from(error: lacewing_spdy_zlib::DecodeError) -> Self {
        DecodeError::Compression(error)
    }
}

/// The error of a frame that does not fit the wire. Nothing was written.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::spdy::{Data, EncodeError, Frame, WireVersion};
///
/// let frame = Frame::Data(Data::new(1, Bytes::from(vec![0; 1 << 24])));
/// let error = frame.encode(WireVersion::V3, &mut BytesMut::new()).unwrap_err();
/// assert_eq!(error, EncodeError::FrameTooLong { length: 1 << 24 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A payload with a length that does not fit into 24 bits.
    FrameTooLong {
        /// The length in bytes.
        length: usize,
    },
    /// A header list that a block cannot carry.
    Block(lacewing_spdy_zlib::EncodeError),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::FrameTooLong { length } => write!(
                f,
                "payload of {length} bytes does not fit into a frame, which takes {} at most; split it",
                FrameHead::MAX_LENGTH
            ),
            EncodeError::Block(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for EncodeError {}

impl From<lacewing_spdy_zlib::EncodeError> for EncodeError {
    fn from(error: lacewing_spdy_zlib::EncodeError) -> Self {
        EncodeError::Block(error)
    }
}
