//! Events for a server's observer, for logs and counters.

use std::{fmt, io};

use http::StatusCode;
use lacewing_conn::{
    driver::MemoryStep,
    proto::{ConnectionStats, StreamId},
};

use crate::{Address, BoxError, ConnectionInfo, ServeError, Setting};

/// An event that is worth a line in a log.
///
/// ```
/// use lacewing_server::{ServerEvent, Server};
///
/// let server = Server::builder().options(|options| {
///     options.observer(|event: &ServerEvent<'_>| match event {
///         ServerEvent::Connected { .. } | ServerEvent::Closed { .. } => {}
///         trouble => eprintln!("{trouble}"),
///     })
/// });
/// # let _ = server;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// Connections can't be accepted because the machine has run out of
    /// something. The listener tries again, and reports it once until one is
    /// accepted. With [`ServerBuilder::threads`](crate::ServerBuilder::threads), also
    /// reported if a thread cannot register its listener at the start: this thread then
    /// accepts nothing on that address.
    #[non_exhaustive]
    AcceptFailed {
        /// The listener's address.
        listener: &'a Address,
        /// The error of the operating system.
        error: &'a io::Error,
    },
    /// Accepting pauses: the server has its full number of connections, and
    /// none is idle. Reported once, until a connection is accepted.
    #[non_exhaustive]
    AcceptPaused {
        /// The listener's address.
        listener: &'a Address,
        /// The limit
        /// [`max_connections`](crate::ServerOptions::max_connections).
        max_connections: usize,
    },
    /// A connection ended before its protocol was known.
    #[non_exhaustive]
    Rejected {
        /// The peer's address, if it is known.
        peer: Option<&'a Address>,
        /// The reason.
        error: &'a ServeError,
    },
    /// The protocol of a connection is known and requests may arrive.
    #[non_exhaustive]
    Connected {
        /// The connection in question.
        connection: &'a ConnectionInfo,
    },
    /// A request failed while its connection continues: its handler failed or
    /// panicked, or its response's body did.
    #[non_exhaustive]
    StreamFailed {
        /// The connection in question.
        connection: &'a ConnectionInfo,
        /// The stream in question; over HTTP/1.1 the number of the request on
        /// its connection, from 1.
        stream: StreamId,
        /// The reason.
        error: &'a StreamError,
    },
    /// The statistics of a connection: in the interval that
    /// [`stats_every`](crate::ServerOptions::stats_every) sets, and once at its end.
    /// Over HTTP/1.1, only the open requests (as streams) and the bytes of bodies are
    /// counted.
    #[non_exhaustive]
    Stats {
        /// The connection in question.
        connection: &'a ConnectionInfo,
        /// Its state and its counters.
        stats: &'a ConnectionStats,
    },
    /// The connection takes a step against memory pressure. Either the process holds 65 %
    /// or more of its [memory budget](crate::ConnectionConfig::memory_budget), and this
    /// connection is one of those that hold most. Or the connection itself holds 78 % or
    /// more of its [`max_connection_bytes`](lacewing_conn::Limits::max_connection_bytes).
    /// A pause is reported once in ten seconds, refused streams once until the pressure
    /// is less.
    #[non_exhaustive]
    MemoryPressure {
        /// The connection in question.
        connection: &'a ConnectionInfo,
        /// The step that is taken.
        step: MemoryStep,
        /// The limit: `memory_budget` or `max_connection_bytes`.
        limit: &'static str,
        /// The bytes that count against the limit: of all connections, or of this one.
        held: usize,
        /// The bytes that the limit permits.
        capacity: usize,
        /// The streams or requests that are open.
        streams: usize,
    },
    /// A client returned settings that it was once asked to keep.
    #[non_exhaustive]
    SettingsReturned {
        /// The connection in question.
        connection: &'a ConnectionInfo,
        /// The settings.
        settings: &'a [Setting],
    },
    /// A connection is closed; every [`Connected`](ServerEvent::Connected) has one.
    #[non_exhaustive]
    Closed {
        /// The connection in question.
        connection: &'a ConnectionInfo,
        /// The error; `None` after a graceful end.
        error: Option<&'a ServeError>,
    },
}

impl fmt::Display for ServerEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptFailed { listener, error } => {
                write!(f, "accepting on {listener} failed: {error}")
            }
            Self::AcceptPaused {
                listener,
                max_connections,
            } => write!(
                f,
                "accepting on {listener} pauses: {max_connections} connections are open and none is \
                 idle (limit max_connections)"
            ),
            Self::Rejected {
                peer: Some(peer),
                error,
            } => write!(f, "connection from {peer}: {error}"),
            Self::Rejected { peer: None, error } => write!(f, "connection: {error}"),
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
            Self::MemoryPressure {
                connection,
                step,
                limit,
                held,
                capacity,
                streams,
            } => write!(
                f,
                "{connection} with {streams} streams: {} as {held} of {capacity} bytes are held \
                 (limit {limit})",
                match step {
                    MemoryStep::Pause => "it is read slowly",
                    MemoryStep::Refuse => "new requests are refused",
                    MemoryStep::Shed => "a stream is ended",
                    MemoryStep::Close => "it is closed",
                    _ => "waits are short",
                }
            ),
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

/// The failure of one request. If it was on our side, the client received a
/// response with status 500, or a reset if the response had begun. Over HTTP/1.1
/// the connection closes instead of the reset.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamError {
    /// The client broke a rule or exceeded a limit. Its request was reset, or answered with a
    /// status that reports the violation.
    Refused(lacewing_conn::Error),
    /// The service returned an error instead of a response.
    Handler(BoxError),
    /// The service panicked.
    HandlerPanicked,
    /// The response's body returned an error.
    Body(BoxError),
    /// The response's body panicked.
    BodyPanicked,
    /// The response's body is longer or shorter than the `content-length` that
    /// the service set (RFC 9110 §8.6). The client sees a reset, over HTTP/1.1
    /// a connection that closes early: never a shorter body that looks whole.
    ///
    /// Over HTTP/1.1 the server waits 250 ms for the end of a body that gave as many bytes as
    /// `content-length` declares. It then sends the last of them, and drops the body. A body that
    /// continues later is not noticed: the client has its response, and the connection its
    /// framing.
    ContentLength {
        /// The value of `content-length`, in bytes.
        declared: u64,
        /// The bytes that the body had; more may have followed if these are
        /// more.
        given: u64,
    },
    /// The service returned a response that cannot be sent. It is informational
    /// (1xx), the protocol has no place for it, or its content-length is not a
    /// number.
    Response(BoxError),
    /// The service returned a body with a status that has no content: 204, 205 or
    /// 304 (RFC 9110 §15). The server sent the response without it.
    NoContent {
        /// The response's status.
        status: StatusCode,
    },
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
            Self::NoContent { status } => write!(
                f,
                "the response's body was left out: {} has no content",
                status.as_u16()
            ),
        }
    }
}

impl std::error::Error for StreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Handler(error) | Self::Body(error) | Self::Response(error) => Some(&**error),
            Self::Refused(error) => Some(error),
            Self::HandlerPanicked
            | Self::BodyPanicked
            | Self::ContentLength { .. }
            | Self::NoContent { .. } => None,
        }
    }
}
