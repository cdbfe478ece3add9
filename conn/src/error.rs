//! The error that users of a connection see.

use std::{borrow::Cow, fmt, io, sync::Arc};

use crate::{
    Reason,
    proto::{Rule, Violation},
};

/// An error of any type: of a message's body, or of a service.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The cause of an [`Error`].
///
/// ```
/// use lacewing_conn::{Error, Initiator};
///
/// /// Returns `true` for an error that belongs in the log: not a peer's cancel.
/// fn is_noteworthy(error: &Error) -> bool {
///     matches!(error.initiator(), Initiator::Library | Initiator::Io)
/// }
/// # assert!(is_noteworthy(&Error::io(std::io::ErrorKind::BrokenPipe.into())));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Initiator {
    /// The user of this library, for example by dropping a body.
    User,
    /// The peer: it sent RST_STREAM or GOAWAY, or closed the transport.
    Peer,
    /// This library, because the peer broke a rule or went over a limit.
    Library,
    /// The transport.
    Io,
}

/// The end of a stream or connection: its reason, who caused it, and whether the
/// request may be retried. Cheap to clone: all streams of a connection share one.
///
/// ```
/// use lacewing_conn::{Error, Initiator, Reason};
///
/// let error = Error::reset(Initiator::Peer, Reason::RefusedStream);
/// assert!(error.is_retryable());
/// assert_eq!(error.reason(), Reason::RefusedStream);
/// ```
#[derive(Clone)]
pub struct Error {
    initiator: Initiator,
    reason: Reason,
    scope: Scope,
    retryable: bool,
    rule: Option<Rule>,
    detail: Detail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Stream,
    Connection,
    /// One PING: nothing ended.
    Ping,
}

#[derive(Clone)]
enum Detail {
    None,
    Text(Arc<Cow<'static, str>>),
    GoAway(Arc<GoAway>),
    Io(Arc<io::Error>),
}

/// The peer's GOAWAY.
#[derive(Clone, Debug)]
struct GoAway {
    code: Reason,
    /// Its debug data: escaped, at most [`MAX_DEBUG_DATA`] bytes of it.
    text: String,
    then: Then,
}

/// The end of the connection after a GOAWAY.
#[derive(Clone, Debug)]
enum Then {
    Open,
    Ended(&'static str),
    Failed(Arc<io::Error>),
}

/// The bytes of a GOAWAY's debug data that an error shows.
const MAX_DEBUG_DATA: usize = 256;

impl Error {
    /// Creates the error of a stream that was reset.
    pub fn reset(initiator: Initiator, reason: Reason) -> Self {
        Self {
            initiator,
            reason,
            scope: Scope::Stream,
            retryable: reason == Reason::RefusedStream,
            rule: None,
            detail: Detail::None,
        }
    }

    /// Creates the error of a connection that ended, with a text that says why.
    pub fn connection(
        initiator: Initiator,
        reason: Reason,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            initiator,
            reason,
            scope: Scope::Connection,
            retryable: false,
            rule: None,
            detail: Detail::Text(Arc::new(detail.into())),
        }
    }

    /// Creates the error of a PING that was not answered in time. The connection
    /// stays open.
    #[cfg(feature = "tokio")]
    pub(crate) fn ping_timeout(timeout: std::time::Duration) -> Self {
        Self {
            initiator: Initiator::Peer,
            reason: Reason::NoError,
            scope: Scope::Ping,
            retryable: false,
            rule: None,
            detail: Detail::Text(Arc::new(format!("{timeout:?}").into())),
        }
    }

    /// Creates the error of the peer's GOAWAY, with its debug data.
    pub(crate) fn go_away(reason: Reason, debug: &[u8]) -> Self {
        let shown = debug.get(..MAX_DEBUG_DATA).unwrap_or(debug);
        let mut text: String = String::from_utf8_lossy(shown)
            .chars()
            .flat_map(char::escape_debug)
            .collect();
        if shown.len() < debug.len() {
            text.push_str(" […]");
        }
        Self {
            initiator: Initiator::Peer,
            reason,
            scope: Scope::Connection,
            retryable: false,
            rule: None,
            detail: Detail::GoAway(Arc::new(GoAway {
                code: reason,
                text,
                then: Then::Open,
            })),
        }
    }

    /// Adds the end of the connection after this GOAWAY. A GOAWAY with NO_ERROR does
    /// not explain the loss of a stream, and becomes PROTOCOL_ERROR.
    pub(crate) fn after_go_away(mut self, then: &'static str) -> Self {
        if let Detail::GoAway(go_away) = &mut self.detail {
            Arc::make_mut(go_away).then = Then::Ended(then);
        }
        if self.reason == Reason::NoError {
            self.reason = Reason::ProtocolError;
        }
        self
    }

    /// Adds the failure of the transport after this GOAWAY. If the GOAWAY was no error, the
    /// transport is the cause.
    pub(crate) fn failed_after_go_away(mut self, error: io::Error) -> Self {
        if let Detail::GoAway(go_away) = &mut self.detail {
            Arc::make_mut(go_away).then = Then::Failed(Arc::new(error));
        }
        if self.reason == Reason::NoError {
            self.initiator = Initiator::Io;
            self.reason = Reason::InternalError;
        }
        self
    }

    /// Turns a GOAWAY into the error of a stream that it leaves unprocessed.
    pub(crate) fn not_processed(mut self) -> Self {
        self.retryable = true;
        if self.reason == Reason::NoError {
            self.reason = Reason::RefusedStream;
        }
        self
    }

    /// Creates the error of a stream that this side may not open.
    #[cfg(feature = "tokio")]
    pub(crate) fn not_opened(why: String) -> Self {
        Self {
            initiator: Initiator::User,
            reason: Reason::RefusedStream,
            scope: Scope::Stream,
            retryable: false,
            rule: None,
            detail: Detail::Text(Arc::new(why.into())),
        }
    }

    /// Creates the error of a stream that this side reset, with a text that says why.
    #[cfg(feature = "tokio")]
    pub(crate) fn reset_because(reason: Reason, why: Cow<'static, str>) -> Self {
        Self {
            detail: Detail::Text(Arc::new(why)),
            ..Self::reset(Initiator::User, reason)
        }
    }

    /// Creates the error of a transport that failed.
    pub fn io(error: io::Error) -> Self {
        Self {
            initiator: Initiator::Io,
            reason: Reason::InternalError,
            scope: Scope::Connection,
            retryable: false,
            rule: None,
            detail: Detail::Io(Arc::new(error)),
        }
    }

    /// Creates the error of a rule that the peer broke.
    pub(crate) fn violation(violation: &Violation) -> Self {
        Self {
            initiator: Initiator::Library,
            reason: violation.reason,
            scope: if violation.stream.is_some() {
                Scope::Stream
            } else {
                Scope::Connection
            },
            retryable: false,
            rule: Some(violation.rule),
            detail: match &violation.detail {
                Some(text) => Detail::Text(Arc::new(text.clone())),
                None => Detail::None,
            },
        }
    }

    /// Sets [`is_retryable`](Self::is_retryable).
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// Adds the rule that the peer broke: for a transport that speaks another protocol, such as
    /// HTTP/1.1, with the same limits.
    ///
    /// ```
    /// use lacewing_conn::{Error, Initiator, Reason, proto::Rule};
    ///
    /// let error = Error::connection(Initiator::Library, Reason::ProtocolError, "after 10 s")
    ///     .with_rule(Rule::HeadersTimeout);
    /// assert_eq!(error.rule(), Some(Rule::HeadersTimeout));
    /// assert!(error.to_string().contains("headers_timeout"));
    /// ```
    #[must_use]
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Returns who caused it.
    pub fn initiator(&self) -> Initiator {
        self.initiator
    }

    /// Returns the error code.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns `true` if the peer did not process the request: it may be retried
    /// with any method.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// Returns `true` if the whole connection ended, not only a stream.
    pub fn is_connection(&self) -> bool {
        self.scope == Scope::Connection
    }

    /// Returns `true` if a PING was not answered in time, which ends nothing.
    pub fn is_ping_timeout(&self) -> bool {
        self.scope == Scope::Ping
    }

    /// Returns the rule that the peer broke, if it broke one.
    pub fn rule(&self) -> Option<Rule> {
        self.rule
    }

    /// Returns the code of the peer's GOAWAY, if the peer sent one before the end. It differs
    /// from [`reason`](Self::reason) if the code is NO_ERROR. The reason is then
    /// REFUSED_STREAM for a request that the peer did not process (RFC 9113 §8.7). For other
    /// requests it says how they ended.
    ///
    /// ```
    /// use lacewing_conn::{Error, Reason};
    ///
    /// /// Returns `true` if the server was shut down, for example by a deployment.
    /// fn is_restart(error: &Error) -> bool {
    ///     error.go_away_code() == Some(Reason::NoError)
    /// }
    /// # assert!(!is_restart(&Error::io(std::io::ErrorKind::BrokenPipe.into())));
    /// ```
    pub fn go_away_code(&self) -> Option<Reason> {
        match &self.detail {
            Detail::GoAway(go_away) => Some(go_away.code),
            _ => None,
        }
    }

    /// Returns the debug data of the peer's GOAWAY (RFC 9113 §6.8), such as
    /// `too_many_pings`: escaped, and at most 256 bytes of it. `None` if there is
    /// none.
    pub fn debug_data(&self) -> Option<&str> {
        match &self.detail {
            Detail::GoAway(go_away) if !go_away.text.is_empty() => Some(&go_away.text),
            _ => None,
        }
    }

    /// Returns the transport's error, if the transport failed.
    pub fn io_error(&self) -> Option<&io::Error> {
        match &self.detail {
            Detail::Io(error) => Some(error),
            Detail::GoAway(go_away) => go_away.io_error(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match self.scope {
            Scope::Stream => "stream",
            Scope::Connection => "connection",
            Scope::Ping => {
                f.write_str("no answer to a PING")?;
                return match &self.detail {
                    Detail::Text(timeout) => write!(f, " within {timeout}"),
                    _ => Ok(()),
                };
            }
        };
        if let Detail::GoAway(go_away) = &self.detail {
            write!(f, "{scope} ended by the peer: {go_away}")?;
            if self.reason == Reason::RefusedStream && go_away.code != self.reason {
                write!(f, " ({}: the peer did not process it)", self.reason)?;
            }
            return Ok(());
        }
        match self.initiator {
            Initiator::User => write!(f, "{scope} ended by this side: {}", self.reason)?,
            Initiator::Peer => write!(f, "{scope} ended by the peer: {}", self.reason)?,
            Initiator::Library => write!(f, "{scope} error: {}", self.reason)?,
            Initiator::Io => write!(f, "the transport failed")?,
        }
        match (&self.detail, self.rule) {
            (Detail::None | Detail::GoAway(_), None) => Ok(()),
            (Detail::None | Detail::GoAway(_), Some(rule)) => write!(f, " ({rule})"),
            (Detail::Text(text), None) if text.is_empty() => Ok(()),
            (Detail::Text(text), None) => write!(f, " ({text})"),
            (Detail::Text(text), Some(rule)) => write!(f, " ({text}: {rule})"),
            (Detail::Io(error), _) => write!(f, ": {error}"),
        }
    }
}

impl GoAway {
    fn io_error(&self) -> Option<&io::Error> {
        match &self.then {
            Then::Failed(error) => Some(error),
            Then::Open | Then::Ended(_) => None,
        }
    }
}

impl fmt::Display for GoAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GOAWAY {}", self.code)?;
        if !self.text.is_empty() {
            write!(f, " \"{}\"", self.text)?;
        }
        match &self.then {
            Then::Open => Ok(()),
            Then::Ended(then) => write!(f, ", then {then}"),
            Then::Failed(error) => write!(f, ", then the transport failed: {error}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Error({self}; initiator {:?}, retryable {})",
            self.initiator, self.retryable
        )
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.detail {
            Detail::Io(error) => Some(&**error),
            Detail::GoAway(go_away) => match &go_away.then {
                Then::Failed(error) => Some(&**error),
                Then::Open | Then::Ended(_) => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::StreamId;

    #[test]
    fn rule_and_detail_stand_side_by_side() {
        let rule = Rule::Malformed;
        let violation = Violation {
            detail: Some("byte 7 is odd".into()),
            ..Violation::stream(StreamId::new(1), rule, Reason::ProtocolError)
        };
        let error = Error::violation(&violation);
        assert_eq!(error.rule(), Some(rule));
        let text = error.to_string();
        assert!(text.contains("byte 7 is odd"), "{text}");
        assert!(text.contains(&rule.to_string()), "{text}");
    }

    #[test]
    fn debug_data_is_escaped_and_bounded() {
        let error = Error::go_away(Reason::EnhanceYourCalm, b"too\x1b[31m many\xff\n");
        assert_eq!(error.debug_data(), Some("too\\u{1b}[31m many\u{fffd}\\n"));
        let error = Error::go_away(Reason::EnhanceYourCalm, &[b'a'; 100_000]);
        assert!(error.to_string().len() < 2 * MAX_DEBUG_DATA);
        assert_eq!(Error::go_away(Reason::Cancel, b"").debug_data(), None);
    }
}
