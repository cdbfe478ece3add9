//! Error codes of RST_STREAM and GOAWAY (RFC 9113 §7).

use core::fmt;

/// An error code of RST_STREAM or GOAWAY (RFC 9113 §7); prints as the specification spells it.
///
/// A peer may send any 32-bit value. Codes without a name are kept as they are, and cause no
/// special behaviour.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(
    /// The value on the wire.
    pub u32,
);

impl ErrorCode {
    /// The condition is no error: a graceful shutdown.
    pub const NO_ERROR: ErrorCode = ErrorCode(0x00);
    /// An unspecific violation of the protocol.
    pub const PROTOCOL_ERROR: ErrorCode = ErrorCode(0x01);
    /// An unexpected error inside the endpoint.
    pub const INTERNAL_ERROR: ErrorCode = ErrorCode(0x02);
    /// The peer broke flow control.
    pub const FLOW_CONTROL_ERROR: ErrorCode = ErrorCode(0x03);
    /// A SETTINGS frame was not acknowledged in time.
    pub const SETTINGS_TIMEOUT: ErrorCode = ErrorCode(0x04);
    /// A frame arrived on a stream that was half-closed.
    pub const STREAM_CLOSED: ErrorCode = ErrorCode(0x05);
    /// A frame with an invalid size.
    pub const FRAME_SIZE_ERROR: ErrorCode = ErrorCode(0x06);
    /// The stream was refused before any processing; the request is safe to retry.
    pub const REFUSED_STREAM: ErrorCode = ErrorCode(0x07);
    /// The stream is no longer needed.
    pub const CANCEL: ErrorCode = ErrorCode(0x08);
    /// The endpoint cannot maintain the header compression of the connection.
    pub const COMPRESSION_ERROR: ErrorCode = ErrorCode(0x09);
    /// The connection made for a CONNECT request was reset or closed abnormally.
    pub const CONNECT_ERROR: ErrorCode = ErrorCode(0x0a);
    /// The peer shows behaviour that might be causing excessive load.
    pub const ENHANCE_YOUR_CALM: ErrorCode = ErrorCode(0x0b);
    /// The transport is not secure enough.
    pub const INADEQUATE_SECURITY: ErrorCode = ErrorCode(0x0c);
    /// The endpoint requires HTTP/1.1 instead of HTTP/2.
    pub const HTTP_1_1_REQUIRED: ErrorCode = ErrorCode(0x0d);

    /// The name in the specification, or `None` for a code that it does not define.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            ErrorCode::NO_ERROR => "NO_ERROR",
            ErrorCode::PROTOCOL_ERROR => "PROTOCOL_ERROR",
            ErrorCode::INTERNAL_ERROR => "INTERNAL_ERROR",
            ErrorCode::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
            ErrorCode::SETTINGS_TIMEOUT => "SETTINGS_TIMEOUT",
            ErrorCode::STREAM_CLOSED => "STREAM_CLOSED",
            ErrorCode::FRAME_SIZE_ERROR => "FRAME_SIZE_ERROR",
            ErrorCode::REFUSED_STREAM => "REFUSED_STREAM",
            ErrorCode::CANCEL => "CANCEL",
            ErrorCode::COMPRESSION_ERROR => "COMPRESSION_ERROR",
            ErrorCode::CONNECT_ERROR => "CONNECT_ERROR",
            ErrorCode::ENHANCE_YOUR_CALM => "ENHANCE_YOUR_CALM",
            ErrorCode::INADEQUATE_SECURITY => "INADEQUATE_SECURITY",
            ErrorCode::HTTP_1_1_REQUIRED => "HTTP_1_1_REQUIRED",
            _ => return None,
        })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
