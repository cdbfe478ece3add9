//! The rules that a peer can break: one variant each, with the section that
//! makes it a rule. What follows from a broken rule differs by protocol and
//! stands in [`rules`](super::rules).

use std::{borrow::Cow, fmt};

use super::{Reason, StreamId};

/// A rule that the peer broke.
///
/// ```
/// use lacewing_conn::proto::Rule;
///
/// assert!(Rule::DataOnIdleStream.to_string().contains("never opened"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// Bytes that are no frame of this protocol, or break a frame's layout.
    Malformed,
    /// A frame other than SETTINGS came first.
    SettingsFirst,
    /// A stream id of the wrong parity, or zero.
    StreamIdParity,
    /// A stream id below one that was used before.
    StreamIdOrder,
    /// A stream was opened twice.
    DuplicateOpen,
    /// More streams at once than announced.
    TooManyStreams,
    /// A new stream after both sides agreed on the last one.
    OpenAfterGoAway,
    /// A reply to a stream that we never opened or that is gone.
    ReplyOnUnknownStream,
    /// A second reply.
    SecondReply,
    /// A frame other than HEADERS and RST_STREAM on a stream that was promised
    /// and not yet replied on.
    FrameOnReservedStream,
    /// DATA on a stream that was never opened.
    DataOnIdleStream,
    /// A header field of a push that came before.
    RepeatedField,
    /// DATA that is marked as compressed.
    CompressedData,
    /// DATA on a stream that is gone.
    DataOnClosedStream,
    /// DATA after the peer ended its half.
    DataAfterEnd,
    /// DATA or trailers before the reply.
    DataBeforeReply,
    /// Header fields on a stream that was never opened.
    HeadersOnIdleStream,
    /// Header fields on a stream that is gone.
    HeadersOnClosedStream,
    /// Header fields after the peer ended its half.
    HeadersAfterEnd,
    /// Trailers that do not end the stream.
    TrailersWithoutEnd,
    /// RST_STREAM on a stream that was never opened.
    ResetOnIdleStream,
    /// WINDOW_UPDATE on a stream that was never opened.
    WindowUpdateOnIdleStream,
    /// More DATA than the stream's window held.
    StreamWindowExceeded,
    /// More DATA than the connection's window held.
    ConnectionWindowExceeded,
    /// A stream's window would exceed 2³¹−1.
    StreamWindowOverflow,
    /// The connection's window would exceed 2³¹−1.
    ConnectionWindowOverflow,
    /// A SETTINGS acknowledgement that nothing asked for.
    UnexpectedSettingsAck,
    /// A push that we did not allow.
    PushNotAllowed,
    /// A promised request that is not safe, has a body, or lacks its authority.
    InvalidPromise,
    /// A push that belongs to no stream of ours, or whose id is wrong.
    InvalidPush,
    /// A stream that names as its parent one that was never opened.
    UnknownParent,
    /// A pseudo-header field that the protocol does not define, in the wrong
    /// message, twice, or after a regular field.
    InvalidPseudoField,
    /// A request or response that lacks a pseudo-header field.
    MissingPseudoField,
    /// A pseudo-header field in trailers.
    PseudoFieldInTrailers,
    /// A pseudo-header field whose value is not valid.
    InvalidPseudoValue,
    /// A path, or a host to connect to, that an [`http::Uri`] has no place for;
    /// or CONNECT without a port.
    UnsupportedTarget,
    /// A path that is longer than an [`http::Uri`] may be.
    TargetTooLong,
    /// A field name that is empty, upper case, or no token.
    InvalidFieldName,
    /// A field value with bytes that are not allowed.
    InvalidFieldValue,
    /// A field of HTTP/1.1's connection management.
    ConnectionSpecificField,
    /// Two fields that contradict each other.
    ContradictingFields,
    /// content-length is not a number, or differs from what came.
    ContentLengthMismatch,
    /// Content in a message that is defined to have none.
    UnexpectedContent,
    /// An informational response that ends the stream, or 101.
    InvalidInformational,
    /// The header list is over the limit.
    HeaderListTooLarge,
    /// A compressed header block that does not decode.
    Compression,
    /// More resets than the limit.
    TooManyResets,
    /// More useless frames than the limit.
    TooManyGlitches,
    /// The first frame did not come in time.
    PrefaceTimeout,
    /// A header block that began did not end in time.
    HeadersTimeout,
    /// SETTINGS were not acknowledged in time.
    SettingsTimeout,
    /// A PING was not answered in time.
    KeepAliveTimeout,
    /// SETTINGS that this side of the peer may not send, or may not change.
    InvalidSettings,
    /// A priority that only a client may set, or for a stream that cannot be.
    InvalidPriorityUpdate,
    /// Header fields on a stream that is a tunnel.
    HeadersInTunnel,
    /// A request that points to a client certificate that is not there.
    MissingCredential,
    /// The transport took no byte in time.
    WriteStall,
    /// The transport ended in the middle of a frame or of a stream.
    UnexpectedEof,
}

impl Rule {
    /// The rule in words, and the section that makes it one.
    fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed => ("a malformed frame", "RFC 9113 §4, drafts §2.2"),
            Self::SettingsFirst => ("the first frame was not SETTINGS", "RFC 9113 §3.4"),
            Self::StreamIdParity => (
                "a stream id that the peer may not use",
                "RFC 9113 §5.1.1, drafts §2.3.2",
            ),
            Self::StreamIdOrder => (
                "a stream id below an earlier one",
                "RFC 9113 §5.1.1, drafts §2.3.2",
            ),
            Self::DuplicateOpen => ("a stream was opened twice", "drafts §2.3.2"),
            Self::TooManyStreams => (
                "more streams than max_concurrent_streams allows",
                "RFC 9113 §5.1.2, drafts §2.6.4",
            ),
            Self::OpenAfterGoAway => ("a stream after GOAWAY", "RFC 9113 §6.8, drafts §2.6.6"),
            Self::ReplyOnUnknownStream => ("a reply on a stream that is not open", "drafts §2.6.2"),
            Self::SecondReply => ("a second reply", "RFC 9113 §8.1, drafts §2.6.2"),
            Self::FrameOnReservedStream => (
                "a frame on a promised stream before its response",
                "RFC 9113 §5.1",
            ),
            Self::DataOnIdleStream => (
                "DATA on a stream that was never opened",
                "RFC 9113 §5.1, drafts §2.2.2",
            ),
            Self::RepeatedField => ("a header field of a push that came before", "drafts §3.3.2"),
            Self::CompressedData => (
                "DATA that is compressed, which no version kept",
                "drafts §2.2.2",
            ),
            Self::DataOnClosedStream => (
                "DATA on a stream that is closed",
                "RFC 9113 §5.1, drafts §2.2.2",
            ),
            Self::DataAfterEnd => (
                "DATA after the end of the stream",
                "RFC 9113 §5.1, drafts §2.3.6",
            ),
            Self::DataBeforeReply => ("DATA before the reply", "RFC 9113 §8.1, drafts §2.2.2"),
            Self::HeadersOnIdleStream => (
                "HEADERS on a stream that was never opened",
                "RFC 9113 §5.1, drafts §2.6.7",
            ),
            Self::HeadersOnClosedStream => (
                "HEADERS on a stream that is closed",
                "RFC 9113 §5.1, drafts §2.6.7",
            ),
            Self::HeadersAfterEnd => (
                "HEADERS after the end of the stream",
                "RFC 9113 §5.1, drafts §2.3.6",
            ),
            Self::TrailersWithoutEnd => ("trailers without END_STREAM", "RFC 9113 §8.1"),
            Self::ResetOnIdleStream => (
                "RST_STREAM on a stream that was never opened",
                "RFC 9113 §6.4",
            ),
            Self::WindowUpdateOnIdleStream => (
                "WINDOW_UPDATE on a stream that was never opened",
                "RFC 9113 §5.1",
            ),
            Self::StreamWindowExceeded => (
                "more DATA than the stream's window held",
                "RFC 9113 §6.9.1, drafts §2.6.8",
            ),
            Self::ConnectionWindowExceeded => (
                "more DATA than the connection's window held",
                "RFC 9113 §6.9.1, drafts §2.6.8",
            ),
            Self::StreamWindowOverflow => (
                "a stream's window above 2^31-1",
                "RFC 9113 §6.9.1, drafts §2.6.8",
            ),
            Self::ConnectionWindowOverflow => (
                "the connection's window above 2^31-1",
                "RFC 9113 §6.9.1, drafts §2.6.8",
            ),
            Self::UnexpectedSettingsAck => (
                "a SETTINGS acknowledgement without SETTINGS",
                "RFC 9113 §6.5.3",
            ),
            Self::PushNotAllowed => ("a push that was not allowed", "RFC 9113 §6.6"),
            Self::InvalidPromise => (
                "a promised request that is not a plain GET or HEAD",
                "RFC 9113 §8.4",
            ),
            Self::InvalidPush => (
                "a push without an open stream of ours",
                "RFC 9113 §6.6, drafts §3.3",
            ),
            Self::UnknownParent => (
                "a stream associated with one that was never opened",
                "drafts §2.6.1, §3.3.1",
            ),
            Self::InvalidPseudoField => (
                "a pseudo-header field unknown, repeated, misplaced or in the wrong message",
                "RFC 9113 §8.3, drafts §3.2",
            ),
            Self::MissingPseudoField => (
                "a required pseudo-header field is missing",
                "RFC 9113 §8.3.1, drafts §3.2.1",
            ),
            Self::PseudoFieldInTrailers => ("a pseudo-header field in trailers", "RFC 9113 §8.1"),
            Self::InvalidPseudoValue => (
                "a pseudo-header field's value is not valid",
                "RFC 9113 §8.3.1",
            ),
            Self::UnsupportedTarget => (
                "a request target with bytes that belong into no URI, or CONNECT without a port",
                "RFC 3986 §2, §3.3, RFC 9110 §9.3.6",
            ),
            Self::TargetTooLong => ("a path of more than 65,534 bytes", "RFC 9110 §15.5.15"),
            Self::InvalidFieldName => (
                "a field name that is not a lower-case token",
                "RFC 9113 §8.2.1, drafts §2.6.10",
            ),
            Self::InvalidFieldValue => (
                "a field value with forbidden bytes",
                "RFC 9113 §8.2.1, drafts §2.6.10",
            ),
            Self::ConnectionSpecificField => (
                "a connection-specific field",
                "RFC 9113 §8.2.2, drafts §3.2.1",
            ),
            Self::ContradictingFields => ("fields that contradict each other", "RFC 9113 §8.3.1"),
            Self::ContentLengthMismatch => (
                "content-length differs from the body",
                "RFC 9113 §8.1.1, drafts §3.2.1",
            ),
            Self::UnexpectedContent => (
                "content in a message that has none: a response to HEAD, 204, 205, 304, or TRACE",
                "RFC 9110 §6.4.1, §9.3.8, §15.3.6",
            ),
            Self::InvalidInformational => (
                "an informational response that is none",
                "RFC 9113 §8.1, §8.6",
            ),
            Self::HeaderListTooLarge => (
                "the header list is over max_header_list_size or max_header_fields",
                "RFC 9113 §10.5.1",
            ),
            Self::Compression => (
                "a header block that does not decode",
                "RFC 9113 §4.3, drafts §2.6.10.1",
            ),
            Self::TooManyResets => ("more resets than limits.resets allows", "RFC 9113 §10.5"),
            Self::TooManyGlitches => (
                "more useless frames than limits.glitches allows",
                "RFC 9113 §10.5",
            ),
            Self::PrefaceTimeout => ("no frame came within preface_timeout", "RFC 9113 §3.4"),
            Self::HeadersTimeout => (
                "a header block did not end within headers_timeout",
                "RFC 9113 §10.5",
            ),
            Self::KeepAliveTimeout => (
                "no answer to PING within keep_alive_timeout",
                "RFC 9113 §6.7, drafts §2.6.5",
            ),
            Self::InvalidSettings => (
                "a setting that the peer may not send, or may not change",
                "RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1",
            ),
            Self::InvalidPriorityUpdate => (
                "PRIORITY_UPDATE from a server, or for a stream that cannot be",
                "RFC 9218 §7.1",
            ),
            Self::MissingCredential => (
                "a slot of the certificate vector that holds nothing",
                "drafts §2.6.9",
            ),
            Self::HeadersInTunnel => ("HEADERS on a tunnel", "RFC 9113 §8.5"),
            Self::SettingsTimeout => (
                "SETTINGS not acknowledged within settings_timeout",
                "RFC 9113 §6.5.3",
            ),
            Self::WriteStall => (
                "the transport took nothing within write_stall_timeout",
                "RFC 9113 §10.5",
            ),
            Self::UnexpectedEof => (
                "the transport ended before its streams did",
                "RFC 9113 §9.1, drafts §2.3.7",
            ),
        }
    }
}

impl Rule {
    /// What is wrong is no more than that we have no place for the target.
    pub(crate) fn is_of_target(self) -> bool {
        matches!(self, Self::UnsupportedTarget | Self::TargetTooLong)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, section) = self.describe();
        write!(f, "{text}; {section}")
    }
}

/// A broken rule with what follows: a code, and the stream that ends by it, or
/// the whole connection.
///
/// ```
/// use lacewing_conn::proto::Violation;
///
/// fn ends_connection(violation: &Violation) -> bool {
///     violation.stream.is_none()
/// }
/// # let _ = ends_connection;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// What was broken.
    pub rule: Rule,
    /// The code that the peer is told.
    pub reason: Reason,
    /// The stream that ends; `None`: the connection ends.
    pub stream: Option<StreamId>,
    /// More than the rule says, for example which byte was wrong.
    pub detail: Option<Cow<'static, str>>,
}

impl Violation {
    /// The connection ends.
    pub(crate) fn connection(rule: Rule, reason: Reason) -> Self {
        Self {
            rule,
            reason,
            stream: None,
            detail: None,
        }
    }

    /// A stream ends.
    pub(crate) fn stream(stream: StreamId, rule: Rule, reason: Reason) -> Self {
        Self {
            rule,
            reason,
            stream: Some(stream),
            detail: None,
        }
    }

    /// The same with more to say.
    pub(crate) fn detailed(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}: {detail}", self.reason),
            None => write!(f, "{}: {}", self.reason, self.rule),
        }
    }
}
