//! The error of a session.

use std::{fmt, io, time::Duration};

use crate::{outcome::StatusError, stream_headers::StreamHeaderError};

/// The failure of a session, on either side.
#[derive(Debug)]
#[non_exhaustive]
pub enum KubeError {
    /// The connection of the streams failed: SPDY or HTTP/2.
    Connection(lacewing_conn::Error),
    /// The transport failed.
    Io(io::Error),
    /// The error stream has no valid outcome. The command may have ended in any way.
    Status(StatusError),
    /// A stream's header fields are refused.
    StreamHeaders(StreamHeaderError),
    /// An event did not occur in time. The text names it.
    TimedOut {
        /// The event, such as `the client's streams`.
        event: &'static str,
        /// The limit of [`KubeLimits`](crate::KubeLimits).
        limit: Duration,
    },
    /// The peer broke the protocol. The text names the rule.
    Protocol(&'static str),
    /// The peer ended the session early.
    Closed,
    /// The HTTP server does not pass on the transport of the request. Serve the
    /// connection with upgrades (hyper: `with_upgrades`; `axum::serve` does so).
    NoUpgrade(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for KubeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => write!(f, "the connection of the streams failed: {error}"),
            Self::Io(error) => write!(f, "the transport failed: {error}"),
            Self::Status(error) => error.fmt(f),
            Self::StreamHeaders(error) => error.fmt(f),
            Self::TimedOut { event, limit } => {
                write!(f, "timed out: {event} did not arrive within {limit:?}")
            }
            Self::Protocol(rule) => write!(f, "the peer broke the protocol: {rule}"),
            Self::Closed => f.write_str("the peer ended the session early"),
            Self::NoUpgrade(error) => write!(
                f,
                "the HTTP server does not pass on the transport, serve connections with upgrades: {error}"
            ),
        }
    }
}

impl std::error::Error for KubeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connection(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Status(error) => Some(error),
            Self::StreamHeaders(error) => Some(error),
            Self::NoUpgrade(error) => Some(error.as_ref()),
            Self::TimedOut { .. } | Self::Protocol(_) | Self::Closed => None,
        }
    }
}

impl From<lacewing_conn::Error> for KubeError {
    fn from(error: lacewing_conn::Error) -> Self {
        Self::Connection(error)
    }
}

impl From<io::Error> for KubeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StatusError> for KubeError {
    fn from(error: StatusError) -> Self {
        Self::Status(error)
    }
}

impl From<StreamHeaderError> for KubeError {
    fn from(error: StreamHeaderError) -> Self {
        Self::StreamHeaders(error)
    }
}
