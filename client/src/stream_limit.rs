//! The policy for requests beyond the server's limit of streams.

/// The policy for a request when the server's limit of open streams is reached
/// (`SETTINGS_MAX_CONCURRENT_STREAMS`).
///
/// ```
/// use lacewing_client::{Client, Concurrency};
///
/// let client = Client::builder()
///     .options(|options| options.concurrency(Concurrency::OpenAnother { max: 4 }))
///     .build();
/// # let _ = client;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concurrency {
    /// It waits for its turn, up to `max_queued` of them.
    #[default]
    Queue,
    /// A [`Client`](crate::Client) opens another connection to the same origin,
    /// up to this number; then requests wait on the one that has least to do. A
    /// single [`Connection`](crate::Connection) cannot open others: there it is
    /// as [`Queue`](Self::Queue).
    OpenAnother {
        /// Connections to one origin, at least 1.
        max: usize,
    },
    /// It fails at once, with
    /// [`ClientError::TooManyStreams`](crate::ClientError::TooManyStreams).
    Fail,
}

/// The streams of a connection, and its limit; from
/// [`Connection::streams`](crate::Connection::streams).
///
/// ```
/// use lacewing_client::{Connection, ClientOptions, Version};
///
/// let (io, _peer) = tokio::io::duplex(64);
/// let (connection, _task) = Connection::handshake(io, Version::Http2, ClientOptions::default());
/// let streams = connection.streams();
/// assert_eq!((streams.open, streams.queued), (0, 0));
/// assert!(streams.has_room());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Streams {
    /// Streams that are open.
    pub open: usize,
    /// Requests that wait for a stream, and those that `poll_ready` promised a
    /// place to.
    pub queued: usize,
    /// Streams that the server allows at once. Until its settings arrive: 100.
    pub max: usize,
}

impl Streams {
    /// Returns whether one more request would have a stream at once.
    pub fn has_room(&self) -> bool {
        self.load() < self.max
    }

    /// All that the connection has to do.
    pub(crate) fn load(&self) -> usize {
        self.open.saturating_add(self.queued)
    }
}
