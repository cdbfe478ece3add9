//! The error of an upgrade.

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use http::{Request, Response};

/// The failure of an [`Upgrade`](super::Upgrade). The transport is closed by then.
///
/// ```
/// use lacewing_conn::driver::upgrade::UpgradeError;
///
/// fn explain(error: &UpgradeError) -> String {
///     match error {
///         UpgradeError::Refused(response) => {
///             format!("{}: {}", response.status(), String::from_utf8_lossy(response.body()))
///         }
///         other => other.to_string(),
///     }
/// }
/// # let _ = explain;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The server answered with another status than 101: its response, with
    /// the start of its body ([`max_body`](super::Upgrade::max_body)).
    Refused(Box<Response<Bytes>>),
    /// The client did not ask for the upgrade. It received 426 (Upgrade Required).
    NotRequested(Box<Request<Bytes>>),
    /// The server switches to a protocol that the client did not ask for: the value
    /// of its header field.
    WrongProtocol(String),
    /// The client supports none of our stream protocols. It received 403 and their
    /// names.
    NoCommonProtocol,
    /// An argument of the caller cannot be sent, for the reason given.
    Unsendable(&'static str),
    /// The peer sent a head or body that breaks HTTP/1.1. A client received 400.
    Malformed(&'static str),
    /// A head or body is longer than this many bytes
    /// ([`max_head`](super::Upgrade::max_head),
    /// [`max_body`](super::Upgrade::max_body)).
    TooLarge(usize),
    /// The peer closed the transport before its head was complete.
    Closed,
    /// The HTTP part exceeded this time ([`timeout`](super::Upgrade::timeout)).
    TimedOut(Duration),
    /// The transport failed.
    Io(io::Error),
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(response) => {
                write!(f, "the server refused the upgrade: {}", response.status())
            }
            Self::NotRequested(request) => write!(
                f,
                "{} {} does not ask for the upgrade",
                request.method(),
                request.uri()
            ),
            Self::WrongProtocol(name) => {
                write!(
                    f,
                    "the server switched to {name:?}, which was not asked for"
                )
            }
            Self::NoCommonProtocol => f.write_str(
                "the client supports none of our stream protocols; the 403 response lists them",
            ),
            Self::Unsendable(why) => write!(f, "the request cannot be sent: {why}"),
            Self::Malformed(what) => write!(f, "not an HTTP/1.1 upgrade: {what}"),
            Self::TooLarge(limit) => {
                write!(
                    f,
                    "more than {limit} bytes before the upgrade (max_head, max_body): raise it for this peer"
                )
            }
            Self::Closed => f.write_str("the peer closed the connection before the upgrade"),
            Self::TimedOut(timeout) => write!(f, "no upgrade within {timeout:?}"),
            Self::Io(error) => write!(f, "the transport failed: {error}"),
        }
    }
}

impl std::error::Error for UpgradeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for UpgradeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
