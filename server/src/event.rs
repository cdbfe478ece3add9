//! What a server tells an observer, for logs and counters.

use std::{fmt, io, net::SocketAddr};

use lacewing_conn::proto::{ConnectionStats, StreamId};

use crate::{BoxError, ConnectionError, ConnectionInfo, Setting};

/// Something that is worth a line in a log.
///
/// ```
/// use lacewing_server::{Event, Server};
///
/// let server = Server::builder().observer(|event: &Event<'_>| match event {
///     Event::Connected { .. } | Event::Closed { .. } => {}
///     trouble => eprintln!("{trouble}"),
/// });
/// # let _ = server;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Connections can't be accepted because the machine has run out of
    /// something. The listener tries again, and tells of it once until one is
    /// accepted.
    AcceptFailed {
        /// The listener's address.
        listener: SocketAddr,
        /// What the operating system said.
        error: &'a io::Error,
    },
    /// A connection ended before its protocol was known.
    Rejected {
        /// The peer's address.
        peer: SocketAddr,
        /// Why.
        error: &'a ConnectionError,
    },
    /// The protocol of a connection is known and requests may come.
    Connected {
        /// The connection in question.
        connection: &'a ConnectionInfo,
    },
    /// A request failed while its connection goes on: its handler failed or
    /// panicked, or its response's body did.
    StreamFailed {
        /// The connection in question.
        connection: &'a ConnectionInfo,
        /// The stream in question; over HTTP/1.1 the number of the request on
        /// its connection, from 1.
        stream: StreamId,
        /// Why.
        error: &'a StreamError,
    },
    /// What a connection holds and has been through: in the interval that
    /// [`stats_every`](crate::Builder::stats_every) sets, and once at its end.
    /// HTTP/1.1 has of these the open requests (as streams) and the bytes of
    /// bodies.
    Stats {
        /// The connection in question.
        connection: &'a ConnectionInfo,
        /// Its state and its counters.
        stats: &'a ConnectionStats,
    },
    /// A client returned settings that it was once asked to keep.
    SettingsReturned {
        /// The connection in question.
        connection: &'a ConnectionInfo,
        /// The settings.
        settings: &'a [Setting],
    },
    /// A connection is closed; every [`Connected`](Event::Connected) has one.
    Closed {
        /// The connection in question.
        connection: &'a ConnectionInfo,
        /// Why, if not by a graceful end.
        error: Option<&'a ConnectionError>,
    },
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptFailed { listener, error } => {
                write!(f, "accepting on {listener} failed: {error}")
            }
            Self::Rejected { peer, error } => write!(f, "connection from {peer}: {error}"),
            Self::Connected { connection } => write!(f, "connected: {connection}"),
            Self::StreamFailed {
                connection,
                stream,
                error,
            } => {
                write!(f, "{connection}, stream {}: {error}", stream.value())
            }
            Self::Stats { connection, stats } => {
                write!(
                    f,
                    "{connection}: {} streams, {} B sent, {} B received",
                    stats.open_streams, stats.data_sent, stats.data_received
                )?;
                match stats.round_trip {
                    Some(time) => write!(f, ", round trip {:.1} ms", time.as_secs_f64() * 1e3),
                    None => Ok(()),
                }
            }
            Self::SettingsReturned {
                connection,
                settings,
            } => write!(f, "{connection}: returned {} settings", settings.len()),
            Self::Closed {
                connection,
                error: None,
            } => write!(f, "closed: {connection}"),
            Self::Closed {
                connection,
                error: Some(error),
            } => {
                write!(f, "closed: {connection}: {error}")
            }
        }
    }
}

/// What went wrong with one request. If it was on our side, the client saw a
/// response with status 500, or a reset if the response had begun (over HTTP/1.1
/// a connection that closes before the response's end).
///
/// ```
/// use lacewing_server::StreamError;
///
/// let error = StreamError::Handler("no database".into());
/// assert_eq!(error.to_string(), "the handler failed: no database");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamError {
    /// The client broke a rule, or went over a limit: its request was reset, or
    /// answered with a status that says so.
    Refused(lacewing_conn::Error),
    /// The service gave an error instead of a response.
    Handler(BoxError),
    /// The service panicked.
    HandlerPanicked,
    /// The response's body gave an error.
    Body(BoxError),
    /// The response's body panicked.
    BodyPanicked,
    /// The response's body is longer or shorter than the `content-length` that
    /// the service set (RFC 9110 §8.6). The client sees a reset, over HTTP/1.1
    /// a connection that closes early: never a shorter body that looks whole.
    ContentLength {
        /// What `content-length` says, in bytes.
        declared: u64,
        /// The bytes that the body had; more may have followed if these are
        /// more.
        given: u64,
    },
    /// The service gave what can't be sent: an informational (1xx) response as
    /// the final one, or one that the protocol has no place for.
    Response(BoxError),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "refused: {error}"),
            Self::Handler(error) => write!(f, "the handler failed: {error}"),
            Self::HandlerPanicked => f.write_str("the handler panicked"),
            Self::Body(error) => write!(f, "the response's body failed: {error}"),
            Self::BodyPanicked => f.write_str("the response's body panicked"),
            Self::ContentLength { declared, given } if given < declared => write!(
                f,
                "the response's body ended after {given} B, and its content-length is {declared}"
            ),
            Self::ContentLength { declared, given } => write!(
                f,
                "the response's body has {given} B or more, and its content-length is {declared}"
            ),
            Self::Response(error) => write!(f, "the response can't be sent: {error}"),
        }
    }
}

impl std::error::Error for StreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Handler(error) | Self::Body(error) | Self::Response(error) => Some(&**error),
            Self::Refused(error) => Some(error),
            Self::HandlerPanicked | Self::BodyPanicked | Self::ContentLength { .. } => None,
        }
    }
}
