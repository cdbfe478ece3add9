//! The differences between the protocols, as data: a table of capabilities, and
//! what follows from a broken rule.

mod table;

use std::{fmt, str::FromStr};

use http::StatusCode;

pub use self::table::Rule;
use super::Reason;

/// A protocol, as ALPN names it.
///
/// ```
/// use lacewing_conn::Version;
///
/// assert_eq!(Version::from_alpn(b"spdy/3.1"), Some(Version::Spdy31));
/// assert_eq!("h2".parse(), Ok(Version::Http2));
/// assert_eq!(Version::Spdy2.to_string(), "spdy/2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// SPDY/2.
    Spdy2,
    /// SPDY/3.
    Spdy3,
    /// SPDY/3.1: SPDY/3 with a window for the connection.
    Spdy31,
    /// HTTP/2 (RFC 9113).
    Http2,
}

/// A name that is none of `h2`, `spdy/3.1`, `spdy/3`, `spdy/2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownVersion;

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown protocol: use one of h2, spdy/3.1, spdy/3, spdy/2")
    }
}

impl std::error::Error for UnknownVersion {}

impl Version {
    /// All of them, in the order in which a server prefers them.
    pub const ALL: [Self; 4] = [Self::Http2, Self::Spdy31, Self::Spdy3, Self::Spdy2];

    /// The protocol's name in ALPN (RFC 7301) and NPN.
    pub const fn alpn(self) -> &'static str {
        match self {
            Self::Spdy2 => "spdy/2",
            Self::Spdy3 => "spdy/3",
            Self::Spdy31 => "spdy/3.1",
            Self::Http2 => "h2",
        }
    }

    /// The protocol of that name in ALPN.
    pub fn from_alpn(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.alpn().as_bytes() == name)
    }

    /// The HTTP version of messages of this protocol: HTTP/2 for
    /// HTTP/2, and HTTP/1.1, which it maps, for SPDY.
    pub const fn http_version(self) -> http::Version {
        match self {
            Self::Http2 => http::Version::HTTP_2,
            _ => http::Version::HTTP_11,
        }
    }

    /// Returns the capabilities of messages of this protocol.
    ///
    /// ```
    /// use lacewing_conn::Version;
    ///
    /// assert!(Version::Http2.capabilities().informational);
    /// assert!(!Version::Spdy31.capabilities().informational);
    /// ```
    pub fn capabilities(self) -> Capabilities {
        self.rules().capabilities
    }

    /// The capabilities of this protocol.
    pub(crate) fn rules(self) -> &'static Rules {
        match self {
            Self::Spdy2 => &SPDY_2,
            Self::Spdy3 => &SPDY_3,
            Self::Spdy31 => &SPDY_3_1,
            Self::Http2 => &HTTP_2,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alpn())
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(name: &str) -> Result<Self, UnknownVersion> {
        Self::from_alpn(name.as_bytes()).ok_or(UnknownVersion)
    }
}

/// All protocols, for unit tests of what does not know one from another.
#[cfg(test)]
pub(crate) const EVERY_VERSION: [Version; 4] = Version::ALL;

/// The capabilities of a protocol's messages: for those who build on the engine, and
/// need not know which protocol they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
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
