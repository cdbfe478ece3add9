//! Status codes of RST_STREAM (section 2.6.3) and of GOAWAY (section 2.6.6).

use core::fmt;

/// A status code of RST_STREAM (section 2.6.3). Prints its name in the specification.
///
/// A peer may send any 32-bit value. Codes without a name are kept as they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(
    /// The value on the wire. 0 is not valid.
    pub u32,
);

impl ErrorCode {
    /// An unspecific violation of the protocol.
    pub const PROTOCOL_ERROR: ErrorCode = ErrorCode(1);
    /// A frame for a stream that is not active.
    pub const INVALID_STREAM: ErrorCode = ErrorCode(2);
    /// The stream was refused before any processing; the request is safe to retry.
    pub const REFUSED_STREAM: ErrorCode = ErrorCode(3);
    /// The receiver does not speak the version of the SYN_STREAM.
    pub const UNSUPPORTED_VERSION: ErrorCode = ErrorCode(4);
    /// The creator no longer needs the stream.
    pub const CANCEL: ErrorCode = ErrorCode(5);
    /// The sender failed internally.
    pub const INTERNAL_ERROR: ErrorCode = ErrorCode(6);
    /// The peer broke flow control.
    pub const FLOW_CONTROL_ERROR: ErrorCode = ErrorCode(7);
    /// A second SYN_REPLY. From SPDY/3 on.
    pub const STREAM_IN_USE: ErrorCode = ErrorCode(8);
    /// Data for a stream that was half-closed. From SPDY/3 on.
    pub const STREAM_ALREADY_CLOSED: ErrorCode = ErrorCode(9);
    /// No valid client certificate for the resource. SPDY/3 only, not 3.1.
    pub const INVALID_CREDENTIALS: ErrorCode = ErrorCode(10);
    /// A frame larger than the receiver supports. From SPDY/3 on.
    pub const FRAME_TOO_LARGE: ErrorCode = ErrorCode(11);

    /// The name in the specification, or `None` for a code that it does not define.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            ErrorCode::PROTOCOL_ERROR => "PROTOCOL_ERROR",
            ErrorCode::INVALID_STREAM => "INVALID_STREAM",
            ErrorCode::REFUSED_STREAM => "REFUSED_STREAM",
            ErrorCode::UNSUPPORTED_VERSION => "UNSUPPORTED_VERSION",
            ErrorCode::CANCEL => "CANCEL",
            ErrorCode::INTERNAL_ERROR => "INTERNAL_ERROR",
            ErrorCode::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
            ErrorCode::STREAM_IN_USE => "STREAM_IN_USE",
            ErrorCode::STREAM_ALREADY_CLOSED => "STREAM_ALREADY_CLOSED",
            ErrorCode::INVALID_CREDENTIALS => "INVALID_CREDENTIALS",
            ErrorCode::FRAME_TOO_LARGE => "FRAME_TOO_LARGE",
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

/// A status of GOAWAY (section 2.6.6). Prints its name in the specification.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GoAwayStatus(
    /// The value on the wire.
    pub u32,
);

impl GoAwayStatus {
    /// A normal end.
    pub const OK: GoAwayStatus = GoAwayStatus(0);
    /// An unspecific violation of the protocol.
    pub const PROTOCOL_ERROR: GoAwayStatus = GoAwayStatus(1);
    /// The sender failed internally. (The text of SPDY/3 has 11, an error; every implementation
    /// uses 2.)
    pub const INTERNAL_ERROR: GoAwayStatus = GoAwayStatus(2);

    /// The name in the specification, or `None` for a status that it does not define.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            GoAwayStatus::OK => "OK",
            GoAwayStatus::PROTOCOL_ERROR => "PROTOCOL_ERROR",
            GoAwayStatus::INTERNAL_ERROR => "INTERNAL_ERROR",
            _ => return None,
        })
    }
}

impl fmt::Display for GoAwayStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

impl fmt::Debug for GoAwayStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
