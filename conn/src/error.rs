//! The error that users of a connection see.

use std::{borrow::Cow, fmt, io, sync::Arc};

use crate::{
    Reason,
    proto::{Rule, Violation},
};

/// Who caused an [`Error`].
///
/// ```
/// use lacewing_conn::Initiator;
///
/// assert_ne!(Initiator::Peer, Initiator::Library);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// The user of this library, for example by dropping a body.
    User,
    /// The peer: it sent RST_STREAM or GOAWAY, or went away.
    Peer,
    /// This library, because the peer broke a rule or went over a limit.
    Library,
    /// The transport.
    Io,
}

/// What ended a stream or a connection, who caused it, and whether the request
/// may be made again. Cheap to clone: all streams of a connection see the same
/// one.
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
    detail: Detail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Stream,
    Connection,
}

#[derive(Clone)]
enum Detail {
    None,
    Text(Arc<Cow<'static, str>>),
    Rule(Rule),
    Io(Arc<io::Error>),
}

impl Error {
    /// A stream that was reset.
    pub fn reset(initiator: Initiator, reason: Reason) -> Self {
        Self {
            initiator,
            reason,
            scope: Scope::Stream,
            retryable: reason == Reason::RefusedStream,
            detail: Detail::None,
        }
    }

    /// A connection that ended, with a word about what happened.
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
            detail: Detail::Text(Arc::new(detail.into())),
        }
    }

    /// A stream that this side may not open so.
    #[cfg(feature = "tokio")]
    pub(crate) fn not_opened(why: String) -> Self {
        Self {
            initiator: Initiator::User,
            reason: Reason::RefusedStream,
            scope: Scope::Stream,
            retryable: false,
            detail: Detail::Text(Arc::new(why.into())),
        }
    }

    /// The peer's GOAWAY, with the words that it added.
    pub(crate) fn go_away(reason: Reason, text: &str) -> Self {
        let detail = if text.is_empty() {
            Cow::Borrowed("GOAWAY")
        } else {
            Cow::Owned(format!("GOAWAY, {text:?}"))
        };
        Self::connection(Initiator::Peer, reason, detail)
    }

    /// A transport that failed.
    pub fn io(error: io::Error) -> Self {
        Self {
            initiator: Initiator::Io,
            reason: Reason::InternalError,
            scope: Scope::Connection,
            retryable: false,
            detail: Detail::Io(Arc::new(error)),
        }
    }

    /// A rule that the peer broke.
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
            detail: match &violation.detail {
                Some(text) => Detail::Text(Arc::new(text.clone())),
                None => Detail::Rule(violation.rule),
            },
        }
    }

    /// The same error of a request that the peer did not process.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// Who caused it.
    pub fn initiator(&self) -> Initiator {
        self.initiator
    }

    /// Why, as an error code.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The peer did not process the request: it may be made again, whatever
    /// its method.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// The whole connection ended, not only a stream.
    pub fn is_connection(&self) -> bool {
        self.scope == Scope::Connection
    }

    /// The rule that the peer broke, if that is what happened.
    pub fn rule(&self) -> Option<Rule> {
        match self.detail {
            Detail::Rule(rule) => Some(rule),
            _ => None,
        }
    }

    /// The transport's error, if that is what happened.
    pub fn io_error(&self) -> Option<&io::Error> {
        match &self.detail {
            Detail::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match self.scope {
            Scope::Stream => "stream",
            Scope::Connection => "connection",
        };
        match self.initiator {
            Initiator::User => write!(f, "{scope} ended by this side: {}", self.reason)?,
            Initiator::Peer => write!(f, "{scope} ended by the peer: {}", self.reason)?,
            Initiator::Library => write!(f, "{scope} error: {}", self.reason)?,
            Initiator::Io => write!(f, "the transport failed")?,
        }
        match &self.detail {
            Detail::None => Ok(()),
            Detail::Text(text) if text.is_empty() => Ok(()),
            Detail::Text(text) => write!(f, " ({text})"),
            Detail::Rule(rule) => write!(f, " ({rule})"),
            Detail::Io(error) => write!(f, ": {error}"),
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
            _ => None,
        }
    }
}
