//! The reason for the end of a stream or a connection, in words that fit every protocol.

use std::fmt;

/// The reason for the end of a stream or a connection: the error codes of all four protocols
/// in one neutral list. Codes that a protocol lacks are sent as the nearest
/// that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing is wrong: a graceful end.
    NoError,
    /// The peer broke a rule of the protocol.
    ProtocolError,
    /// An internal error of the side that reports it.
    InternalError,
    /// A flow-control rule was broken.
    FlowControlError,
    /// SETTINGS were not acknowledged in time.
    SettingsTimeout,
    /// A frame arrived on a stream that was closed or half-closed.
    StreamClosed,
    /// A frame of a wrong size.
    FrameSizeError,
    /// The stream was not processed; the request may be made again.
    RefusedStream,
    /// The stream is not wanted any more.
    Cancel,
    /// The compression contexts of the two sides no longer agree.
    CompressionError,
    /// The connection behind a CONNECT request failed.
    ConnectError,
    /// The peer asks for too much.
    EnhanceYourCalm,
    /// The security of the transport is too low.
    InadequateSecurity,
    /// The peer requires HTTP/1.1 for this request.
    Http11Required,
    /// A frame for a stream that is not active.
    InvalidStream,
    /// The version of the frame is not spoken.
    UnsupportedVersion,
    /// A second reply on one stream.
    StreamInUse,
    /// The credentials of a CREDENTIAL frame are not valid.
    InvalidCredentials,
    /// A frame larger than the receiver takes.
    FrameTooLarge,
    /// A code that the protocol does not define.
    Unknown(u32),
}

impl Reason {
    /// Every code that some protocol defines.
    pub(crate) const KNOWN: [Self; 19] = [
        Self::NoError,
        Self::ProtocolError,
        Self::InternalError,
        Self::FlowControlError,
        Self::SettingsTimeout,
        Self::StreamClosed,
        Self::FrameSizeError,
        Self::RefusedStream,
        Self::Cancel,
        Self::CompressionError,
        Self::ConnectError,
        Self::EnhanceYourCalm,
        Self::InadequateSecurity,
        Self::Http11Required,
        Self::InvalidStream,
        Self::UnsupportedVersion,
        Self::StreamInUse,
        Self::InvalidCredentials,
        Self::FrameTooLarge,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoError => "NO_ERROR",
            Self::ProtocolError => "PROTOCOL_ERROR",
            Self::InternalError => "INTERNAL_ERROR",
            Self::FlowControlError => "FLOW_CONTROL_ERROR",
            Self::SettingsTimeout => "SETTINGS_TIMEOUT",
            Self::StreamClosed => "STREAM_CLOSED",
            Self::FrameSizeError => "FRAME_SIZE_ERROR",
            Self::RefusedStream => "REFUSED_STREAM",
            Self::Cancel => "CANCEL",
            Self::CompressionError => "COMPRESSION_ERROR",
            Self::ConnectError => "CONNECT_ERROR",
            Self::EnhanceYourCalm => "ENHANCE_YOUR_CALM",
            Self::InadequateSecurity => "INADEQUATE_SECURITY",
            Self::Http11Required => "HTTP_1_1_REQUIRED",
            Self::InvalidStream => "INVALID_STREAM",
            Self::UnsupportedVersion => "UNSUPPORTED_VERSION",
            Self::StreamInUse => "STREAM_IN_USE",
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::FrameTooLarge => "FRAME_TOO_LARGE",
            Self::Unknown(code) => return write!(f, "unknown code {code:#x}"),
        })
    }
}
