//! Calls that the protocol, the peer or a stream's state does not allow. They
//! have no effect and never reach the wire.

use std::fmt;

use crate::proto::wire::Unencodable;

/// The reason for which a stream was not opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The peer allows no more streams at once: wait for one to end.
    TooManyStreams {
        /// The number that it permits.
        max: u32,
    },
    /// The connection takes no new streams: use another.
    ShuttingDown,
    /// All stream ids are used up: use another connection.
    IdsExhausted,
    /// The peer takes no pushes.
    PushDisabled,
    /// The peer has not said that it takes `:protocol` in CONNECT requests
    /// (RFC 8441 §3): wait for its SETTINGS, or do without.
    ExtendedConnectDisabled,
    /// The call itself is wrong.
    Usage(UsageError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyStreams { max } => {
                write!(
                    f,
                    "the peer allows {max} streams at once; wait until one ends"
                )
            }
            Self::ShuttingDown => {
                f.write_str("the connection is shutting down; open another connection")
            }
            Self::IdsExhausted => {
                f.write_str("the connection's stream ids are used up; open another connection")
            }
            Self::PushDisabled => f.write_str("the peer accepts no pushed streams"),
            Self::ExtendedConnectDisabled => {
                f.write_str("the peer does not offer extended CONNECT (RFC 8441)")
            }
            Self::Usage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

/// A call that the state of its stream, or the protocol, does not allow. It
/// has no effect and never reaches the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsageError {
    /// The stream is gone.
    StreamClosed,
    /// The reply was sent, or the stream takes none.
    AlreadyReplied,
    /// Data or trailers before the head.
    NoHead,
    /// Our half has ended.
    HalfClosed,
    /// Earlier data of the stream has not been sent yet: wait for
    /// [`Transmit::Pull`](super::Transmit::Pull).
    Busy,
    /// The head's control data does not fit the call.
    WrongHead,
    /// The protocol cannot express it.
    Unsupported,
    /// A direction or a parent, which only raw streams of SPDY have.
    PlainStreamsOnly,
    /// The stream that is named as parent is not open.
    ParentClosed,
    /// It is larger than the protocol's length fields.
    TooLarge,
    /// content-length is no number in digits, or there are several that differ.
    InvalidLength,
    /// Content where a message has none: a response to HEAD, 204, 205 or 304,
    /// or a TRACE request.
    ContentForbidden,
    /// The `host` field of a request whose URI has no authority is none; or
    /// CONNECT without a port.
    InvalidHost,
    /// A promise must be of a GET or HEAD request without a body, with its
    /// authority (RFC 9113 §8.4).
    NotPushable,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StreamClosed => "the stream is closed",
            Self::AlreadyReplied => "the stream has its reply, or accepts none",
            Self::NoHead => "data before the head: reply first",
            Self::HalfClosed => "this half of the stream has ended",
            Self::Busy => "earlier data of the stream is not sent yet: wait for Transmit::Pull",
            Self::WrongHead => "the head's control data does not fit (request or response?)",
            Self::Unsupported => "the protocol of this connection cannot express it",
            Self::PlainStreamsOnly => {
                "streams of one direction, and streams with a parent, need a raw connection of \
                 another protocol than HTTP/2: open a plain one"
            }
            Self::ParentClosed => "the parent is not open: open a stream without a parent",
            Self::TooLarge => {
                "the message is larger than the protocol's length fields: send less in one frame"
            }
            Self::InvalidLength => "content-length must be one number, in digits",
            Self::ContentForbidden => {
                "this message has no content: a response to HEAD, 204, 205 and 304, and TRACE"
            }
            Self::InvalidHost => {
                "the host field must be a host, with a port if need be; CONNECT needs a port"
            }
            Self::NotPushable => {
                "only a GET or HEAD request with an authority and without a body can be promised"
            }
        })
    }
}

impl std::error::Error for UsageError {}

impl From<Unencodable> for UsageError {
    fn from(error: Unencodable) -> Self {
        match error {
            Unencodable::NoSuchFrame => Self::Unsupported,
            Unencodable::TooLarge => Self::TooLarge,
        }
    }
}
