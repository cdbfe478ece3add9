//! The differences between the protocols, as data: a table of capabilities, and
//! what follows from a broken rule.

mod table;

use http::StatusCode;

pub use self::table::Rule;
use super::{Reason, Version};

/// All protocols, for unit tests of what does not know one from another.
#[cfg(test)]
pub(crate) const EVERY_VERSION: [Version; 4] = Version::ALL;

/// The capabilities of a protocol's messages: for those who build on the engine, and
/// need not know which protocol they speak.
///
/// ```
/// use lacewing_conn::{Version, proto::Capabilities};
///
/// assert!(Capabilities::of(Version::Http2).informational);
/// assert!(!Capabilities::of(Version::Spdy31).informational);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The HTTP version of messages: HTTP/2 for HTTP/2, and HTTP/1.1, which it maps, for
    /// SPDY.
    pub http_version: http::Version,
    /// Informational (1xx) responses, `100 Continue` among them.
    pub informational: bool,
    /// `:protocol` in CONNECT requests (RFC 8441), if the peer offers it.
    pub extended_connect: bool,
    /// A request's priority is a header field (RFC 9218 §5), and not a part of
    /// the frame that opens its stream.
    pub priority_field: bool,
    /// The origins that a server may push for.
    pub push_scope: PushScope,
}

impl Capabilities {
    /// Returns the capabilities of a protocol's messages.
    pub fn of(version: Version) -> &'static Self {
        &Rules::of(version).capabilities
    }
}

/// The origins that a server may push for, beside that of the parent request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PushScope {
    /// None (RFC 9113 §8.4).
    SameOrigin,
    /// Those of the same host and port, if the parent is in cleartext (the SPDY
    /// drafts §3.3.1).
    SameServer,
}

/// The capabilities of a protocol.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The capabilities that users see.
    pub(crate) capabilities: Capabilities,
    /// The window of a new stream until SETTINGS say otherwise. `None`: streams
    /// have no windows.
    pub(crate) stream_window: Option<u32>,
    /// The connection's window at its start. `None`: it has none.
    pub(crate) connection_window: Option<u32>,
    /// SETTINGS are the first frame and are acknowledged.
    pub(crate) settings_acknowledged: bool,
    /// Streams that the peer permits us before its SETTINGS arrive.
    pub(crate) max_concurrent_streams: u32,
    /// GOAWAY is sent twice, so that streams on their way are not lost.
    pub(crate) goaway_twice: bool,
    /// Header fields may stand in the middle of a body without ending it.
    pub(crate) headers_anywhere: bool,
    /// Streams may be unidirectional and may name the stream that they belong
    /// to.
    pub(crate) stream_associations: bool,
    /// The form of a push.
    pub(crate) push: PushStyle,
    /// A response's content-length is checked against its body.
    pub(crate) response_length_checked: bool,
    /// A request that is no message of HTTP is answered rather than reset.
    malformed_answered: bool,
    /// The code that cancels an upload after a complete response.
    pub(crate) stop_upload: Reason,
    /// The column of the table of rules.
    dialect: Dialect,
}

/// A column of the table of rules.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dialect {
    Http2,
    /// SPDY/3 and SPDY/3.1.
    Spdy3,
    Spdy2,
}

/// The form of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushStyle {
    /// A promise on the parent stream; the response follows on the new one.
    Promise,
    /// A unidirectional stream that names its parent; its response is in its
    /// head or follows as header fields.
    Unidirectional,
}

/// The outcome of a broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// The connection ends.
    Connection(Reason),
    /// The stream ends.
    Stream(Reason),
    /// Nothing but a charge for the useless frame.
    Ignore,
}

static HTTP_2: Rules = Rules {
    capabilities: Capabilities {
        http_version: http::Version::HTTP_2,
        informational: true,
        extended_connect: true,
        priority_field: true,
        push_scope: PushScope::SameOrigin,
    },
    stream_window: Some(65_535),
    connection_window: Some(65_535),
    settings_acknowledged: true,
    max_concurrent_streams: 100,
    goaway_twice: true,
    headers_anywhere: false,
    stream_associations: false,
    push: PushStyle::Promise,
    response_length_checked: true,
    malformed_answered: false,
    stop_upload: Reason::NoError,
    dialect: Dialect::Http2,
};

static SPDY_3_1: Rules = spdy_3_1();

static SPDY_3: Rules = Rules {
    connection_window: None,
    ..spdy_3_1()
};

static SPDY_2: Rules = Rules {
    stream_window: None,
    connection_window: None,
    dialect: Dialect::Spdy2,
    ..spdy_3_1()
};

/// The rules of the last SPDY, from which the earlier ones differ.
const fn spdy_3_1() -> Rules {
    Rules {
        // There is one SYN_REPLY: no frame is left for the first two.
        capabilities: Capabilities {
            http_version: http::Version::HTTP_11,
            informational: false,
            extended_connect: false,
            priority_field: false,
            push_scope: PushScope::SameServer,
        },
        stream_window: Some(65_536),
        connection_window: Some(65_536),
        settings_acknowledged: false,
        max_concurrent_streams: 100,
        goaway_twice: false,
        headers_anywhere: true,
        stream_associations: true,
        push: PushStyle::Unidirectional,
        // SPDY/3 §3.2.2: the client ignores it.
        response_length_checked: false,
        // §3.2.1: 400, for what a request lacks and for a wrong length. Names
        // and values that break the rules of header blocks are reset (§2.6.10).
        malformed_answered: true,
        stop_upload: Reason::Cancel,
        dialect: Dialect::Spdy3,
    }
}

impl Rules {
    /// The capabilities of this protocol.
    pub(crate) fn of(version: Version) -> &'static Self {
        match version {
            Version::Spdy2 => &SPDY_2,
            Version::Spdy3 => &SPDY_3,
            Version::Spdy31 => &SPDY_3_1,
            Version::Http2 => &HTTP_2,
        }
    }

    /// The outcome of a broken rule.
    pub(crate) fn reaction(&self, rule: Rule) -> Reaction {
        rule.reaction(self.dialect)
    }

    /// The status of the answer to a request that breaks this rule; `None` if it is
    /// reset. A valid target that only this implementation cannot hold is answered in
    /// every protocol: it is no error of framing.
    pub(crate) fn answer(&self, rule: Rule) -> Option<StatusCode> {
        let of_message = matches!(
            rule,
            Rule::MissingPseudoField
                | Rule::InvalidPseudoValue
                | Rule::ContradictingFields
                | Rule::ContentLengthMismatch
                | Rule::UnexpectedContent
        );
        match rule {
            Rule::UnsupportedTarget => Some(StatusCode::BAD_REQUEST),
            Rule::TargetTooLong => Some(StatusCode::URI_TOO_LONG),
            _ if of_message && self.malformed_answered => Some(StatusCode::BAD_REQUEST),
            _ => None,
        }
    }
}
