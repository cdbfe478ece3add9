//! The error of the way to a session.

use std::{fmt, io, time::Duration};

use lacewing_conn::driver::upgrade::UpgradeError;

use super::refusal::Refusal;
use crate::error::KubeError;

/// The failure of a request, before its session has started. The transport is closed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The request's query names none of stdin, stdout and stderr. Nothing was sent.
    NoStreams,
    /// The connector failed: DNS, TCP, TLS.
    Connect(io::Error),
    /// The server's response is not 101 (Switching Protocols).
    Refused(Box<Refusal>),
    /// The server switched to this stream protocol, which the client did not offer;
    /// `None` if it named none.
    WrongProtocol(Option<String>),
    /// The HTTP part of the upgrade failed otherwise.
    Upgrade(UpgradeError),
    /// The WebSocket handshake failed: HTTP, or a rule of RFC 6455 §4.1.
    WebSocket(Box<dyn std::error::Error + Send + Sync>),
    /// The connection and the server's answer took longer than
    /// [`connect_timeout`](crate::KubeLimits::connect_timeout).
    TimedOut(Duration),
    /// The session did not start: a stream was refused, or not answered in time.
    Session(KubeError),
}

impl ConnectError {
    /// Returns `true` if a server answers a WebSocket client in this way that has only
    /// SPDY: any response but 101, or 101 with another subprotocol. kubectl tries SPDY
    /// then, on a new connection. A failure of the transport says nothing about
    /// protocols.
    ///
    /// kubectl also falls back when its WebSocket library knows no https proxy ("proxy:
    /// unknown scheme: https"). Here both attempts have the same connector.
    #[cfg(feature = "websocket")]
    pub(super) fn permits_fallback(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::WrongProtocol(_))
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStreams => f.write_str(
                "the request names no stream: its query needs stdin, stdout or stderr, such as \
                 `stdout=true` (`CommandRequest::of_url` adds them to the URL of a runtime)",
            ),
            Self::Connect(error) => write!(f, "unable to connect to the server: {error}"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::WrongProtocol(Some(name)) => write!(
                f,
                "the server chose the stream protocol {name:?}, which was not offered"
            ),
            Self::WrongProtocol(None) => f.write_str("the server chose no stream protocol"),
            Self::Upgrade(error) => error.fmt(f),
            Self::WebSocket(error) => write!(f, "the WebSocket handshake failed: {error}"),
            Self::TimedOut(limit) => write!(
                f,
                "timed out: no answer to the upgrade within `connect_timeout`, {limit:?}"
            ),
            Self::Session(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => Some(error),
            Self::Upgrade(error) => Some(error),
            Self::WebSocket(error) => Some(error.as_ref()),
            Self::Session(error) => Some(error),
            Self::NoStreams | Self::Refused(_) | Self::WrongProtocol(_) | Self::TimedOut(_) => None,
        }
    }
}

impl From<KubeError> for ConnectError {
    fn from(error: KubeError) -> Self {
        Self::Session(error)
    }
}

impl From<UpgradeError> for ConnectError {
    fn from(error: UpgradeError) -> Self {
        match error {
            UpgradeError::Refused(response) => Self::Refused(Box::new(Refusal::new(*response))),
            UpgradeError::TimedOut(limit) => Self::TimedOut(limit),
            other => Self::Upgrade(other),
        }
    }
}
