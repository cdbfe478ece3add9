//! The bounds of a session: sizes, numbers and times.

use std::time::Duration;

use lacewing_conn::Side;

/// The bounds of a session on one side. Every buffer and every wait of this crate has
/// its bound here; those of the SPDY connection below are in
/// [`MuxConfig::kubernetes`](lacewing_conn::driver::MuxConfig::kubernetes).
///
/// ```
/// use std::time::Duration;
/// use lacewing_conn::Side;
/// use lacewing_kube::KubeLimits;
///
/// let limits = KubeLimits::new(Side::Server).with(|limits| {
///     limits.idle_timeout = Some(Duration::from_secs(600));
/// });
/// assert_eq!(limits.stream_creation_timeout, Duration::from_secs(30));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KubeLimits {
    /// The time for all streams of a session to be open, and for the second stream of a
    /// forwarded connection to follow the first. Answers a client that opens only some
    /// of them. Default 30 s, as kubelets have.
    pub stream_creation_timeout: Duration,
    /// The time for a client to connect, and for the server to answer its HTTP request.
    /// Default 30 s.
    pub connect_timeout: Duration,
    /// Forwarded connections at once, over one connection. Answers a client that opens
    /// them without end. Default 500: each has two streams, and a connection has 1,000.
    pub max_forwards: usize,
    /// Forwarded connections whose second stream has not arrived. Default 100.
    pub max_pending_forwards: usize,
    /// Bytes of the error stream that the client keeps. Default 64 KiB: a status has
    /// fewer than 300 and the text of the runtime.
    pub max_status: usize,
    /// Bytes of a received WebSocket message. A longer one ends the session. Default
    /// 32 MiB, as Go's servers have: some clients send the whole of stdin in one.
    pub max_message: usize,
    /// Received bytes of one WebSocket channel that wait for their reader. When they
    /// exceed this, the transport is not read, and its flow control slows the peer down.
    /// A single message may exceed it. Default 256 KiB.
    pub channel_buffer: usize,
    /// The time after the start of a v5 WebSocket in which nothing is sent, unless the peer
    /// sends first. kubectl 1.30 to 1.32 discards what arrives before it has made its streams:
    /// it then loses the outcome of a fast command, and exits with 0. Default 100 ms on the
    /// server, and zero on the client.
    pub first_message_delay: Duration,
    /// Written bytes of one stream or channel that wait to be sent. Default 256 KiB: one write to
    /// the transport then takes four frames.
    pub write_buffer: usize,
    /// The time for the peer to take what is left at the end of a session: output, the
    /// status, the ends of the streams, and the end of the connection. Answers a client
    /// that stops reading. Default 60 s.
    pub finish_timeout: Duration,
    /// The time for the peer to close the connection itself after the end of a session.
    /// The server sends GOAWAY only after it: it still answers a stream that the client opens
    /// late, and the peer takes all bytes on their way. Default 30 s; clients of Go close at
    /// once.
    pub close_timeout: Duration,
    /// The time without [`activity`](Self::activity) after which the session ends.
    /// `None`: never. Default 4 h on the server, as kubelets have, and `None` on the
    /// client.
    pub idle_timeout: Option<Duration>,
    /// The events that restart [`idle_timeout`](Self::idle_timeout). Default
    /// [`Activity::AnyFrame`].
    pub activity: Activity,
    /// The pause between two PINGs. They keep the connection alive behind proxies, and
    /// notice that the peer is gone. No PING precedes the client's first frame: Go's
    /// clients lose it. Default `None` on the server, since kubectl sends them, and 5 s
    /// on the client.
    pub ping_interval: Option<Duration>,
    /// The time without any frame of the peer after which it is gone, while we send
    /// PINGs. Bytes that wait for our own reader count as frames. Default 60 s.
    pub ping_timeout: Duration,
}

/// The events that restart the timer of [`KubeLimits::idle_timeout`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// Every frame of the peer, PING included, as in Go's SPDY servers. kubectl sends a
    /// PING every 5 s, so its sessions never end by idleness.
    #[default]
    AnyFrame,
    /// Data of the peer, and data to it.
    DataOnly,
}

impl KubeLimits {
    /// Creates the defaults of a side.
    pub fn new(side: Side) -> Self {
        let (idle_timeout, ping_interval, delay) = match side {
            Side::Server => (Some(Duration::from_secs(4 * 3600)), None, 100),
            Side::Client => (None, Some(Duration::from_secs(5)), 0),
        };
        Self {
            stream_creation_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(30),
            max_forwards: 500,
            max_pending_forwards: 100,
            max_status: 64 << 10,
            max_message: 32 << 20,
            channel_buffer: 256 << 10,
            first_message_delay: Duration::from_millis(delay),
            write_buffer: 256 << 10,
            finish_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(30),
            idle_timeout,
            activity: Activity::default(),
            ping_interval,
            ping_timeout: Duration::from_secs(60),
        }
    }

    /// Returns the limits after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
