//! Streams of bytes without HTTP: what container runtimes and tunnels use
//! SPDY/3.1 for, on any of the four protocols.

mod outgoing;
mod stream;
mod task;

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::stream::{RawReader, RawStream, RawWriter};
use self::task::Streams;
use super::{Connection, Notifier, shared::Cell};
use crate::{
    Error, Initiator, Limits, Reason, Side, Version,
    proto::{Config, Priority, Semantics},
};

/// Multiplexed byte streams over one transport: any `AsyncRead + AsyncWrite`,
/// such as TCP, TLS, an upgraded HTTP/1.1 connection or a pipe in memory.
///
/// Both sides open streams and accept them. A `Mux` is a handle, cheap to
/// clone; the work is done by the [`MuxConnection`] that comes with it and has
/// to be spawned. When the last handle is dropped, new streams of the peer are
/// refused, and the connection ends when the last stream does.
///
/// ```
/// use http::HeaderMap;
/// use lacewing_conn::{Version, driver::{Mux, MuxConfig, OpenOptions}};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (here, there) = tokio::io::duplex(4096);
/// let (client, connection) = Mux::client(here, Version::Spdy31, MuxConfig::default());
/// tokio::spawn(connection);
/// let (server, connection) = Mux::server(there, Version::Spdy31, MuxConfig::default());
/// tokio::spawn(connection);
///
/// let mut stream = client.open(HeaderMap::new(), OpenOptions::default()).await?;
/// stream.write_all(b"hello").await?;
/// stream.shutdown().await?;
///
/// let (_headers, mut accepted) = server.accept().await.ok_or("closed")?;
/// accepted.reply(HeaderMap::new());
/// let mut text = String::new();
/// accepted.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Mux {
    handle: Arc<Handle>,
}

/// How a [`Mux`] behaves.
///
/// ```
/// use lacewing_conn::driver::MuxConfig;
///
/// let config = MuxConfig { ignore_flow_control: true, ..MuxConfig::default() };
/// assert_eq!(config.write_buffer, 64 * 1024);
/// ```
#[derive(Clone, Debug)]
pub struct MuxConfig {
    /// The bounds against peers that ask for too much; `None` for the defaults
    /// of the side.
    pub limits: Option<Limits>,
    /// The peer knows no flow control: it neither obeys our windows nor grants
    /// any, so neither are used, and memory is bounded by not reading from the
    /// transport. Only for peers known to be so (the Go spdystream family).
    pub ignore_flow_control: bool,
    /// Bytes written to a stream that may wait to be sent. Default 64 KiB.
    pub write_buffer: usize,
}

impl Default for MuxConfig {
    fn default() -> Self {
        Self {
            limits: None,
            ignore_flow_control: false,
            write_buffer: 64 << 10,
        }
    }
}

/// How a stream is opened.
///
/// ```
/// use lacewing_conn::driver::OpenOptions;
///
/// let options = OpenOptions { fin: true, ..OpenOptions::default() };
/// assert!(options.priority.is_none());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// We send nothing but the header list.
    pub fin: bool,
    /// How urgent the stream is.
    pub priority: Option<Priority>,
}

impl Mux {
    /// The side that opens streams with odd ids. (Roles do not depend on who
    /// dialled.)
    pub fn client<IO>(io: IO, version: Version, config: MuxConfig) -> (Self, MuxConnection<IO>) {
        Self::new(io, version, Side::Client, config)
    }

    /// The side that opens streams with even ids.
    pub fn server<IO>(io: IO, version: Version, config: MuxConfig) -> (Self, MuxConnection<IO>) {
        Self::new(io, version, Side::Server, config)
    }

    fn new<IO>(io: IO, version: Version, side: Side, mux: MuxConfig) -> (Self, MuxConnection<IO>) {
        let mut config = Config::new(version, side);
        config.semantics = Semantics::Raw;
        config.ignore_flow_control = mux.ignore_flow_control;
        if let Some(limits) = mux.limits {
            config.limits = limits;
        }
        let hub = Arc::new(Hub {
            state: Cell::default(),
        });
        let streams = Streams::new(Arc::clone(&hub), mux.write_buffer.max(1));
        let connection = Connection::new(io, config, streams);
        let handle = Handle {
            hub,
            notifier: connection.notifier(),
        };
        (
            Self {
                handle: Arc::new(handle),
            },
            MuxConnection { connection },
        )
    }

    /// Opens a stream with a header list. Waits while the peer takes no more
    /// streams at once.
    ///
    /// # Errors
    ///
    /// The connection is over or shutting down, or the protocol cannot carry
    /// the header list.
    pub async fn open(&self, headers: HeaderMap, options: OpenOptions) -> Result<RawStream, Error> {
        let opening = Arc::new(Opening {
            state: Cell::default(),
        });
        {
            let mut state = self.handle.hub.state.lock();
            if let Some(result) = &state.closed {
                return Err(closed(result));
            }
            state.opens.push_back(Open {
                headers,
                options,
                opening: Arc::clone(&opening),
            });
        }
        self.handle.notifier.notify();
        poll_fn(|cx| opening.poll(cx)).await
    }

    /// Waits for the peer to open a stream; `None` when it will not any more.
    /// The stream has to be [answered](RawStream::reply) before data can be
    /// sent on it.
    pub async fn accept(&self) -> Option<(HeaderMap, RawStream)> {
        poll_fn(|cx| {
            let mut state = self.handle.hub.state.lock();
            if let Some(accepted) = state.accepted.pop_front() {
                return Poll::Ready(Some((accepted.headers, accepted.stream)));
            }
            if state.closed.is_some() {
                return Poll::Ready(None);
            }
            wait(&mut state.acceptors, cx.waker());
            Poll::Pending
        })
        .await
    }

    /// Ends the connection gracefully: no new streams, and those that are open
    /// get the time to finish that [`Limits::drain_timeout`] gives.
    pub fn shutdown(&self) {
        self.handle.hub.state.lock().shutdown = true;
        self.handle.notifier.notify();
    }

    /// Waits for the end of the connection: `Ok` after a graceful one.
    ///
    /// # Errors
    ///
    /// What ended it before its time.
    pub async fn closed(&self) -> Result<(), Error> {
        poll_fn(|cx| {
            let mut state = self.handle.hub.state.lock();
            if let Some(result) = &state.closed {
                return Poll::Ready(result.clone());
            }
            wait(&mut state.closers, cx.waker());
            Poll::Pending
        })
        .await
    }
}

/// The connection behind a [`Mux`]: a future to be spawned. It resolves when
/// the connection is over, to `Ok` after a graceful end.
///
/// ```
/// use lacewing_conn::{Version, driver::{Mux, MuxConfig}};
///
/// async fn start(io: tokio::net::TcpStream, early: bytes::BytesMut) -> Mux {
///     let (mux, connection) = Mux::server(io, Version::Spdy31, MuxConfig::default());
///     tokio::spawn(connection.with_input(early));
///     mux
/// }
/// # let _ = start;
/// ```
#[derive(Debug)]
#[must_use = "a connection does nothing unless it is polled"]
pub struct MuxConnection<IO> {
    connection: Connection<IO, Streams>,
}

impl<IO> MuxConnection<IO> {
    /// The same connection with bytes that were read from the transport
    /// already, for example together with the 101 response of an upgrade.
    pub fn with_input(self, input: BytesMut) -> Self {
        Self {
            connection: self.connection.with_input(input),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Future for MuxConnection<IO> {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().connection).poll(cx)
    }
}

/// What all clones of a [`Mux`] hold together.
#[derive(Debug)]
struct Handle {
    hub: Arc<Hub>,
    notifier: Notifier,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.hub.state.lock();
        state.handles_gone = true;
        let accepted = std::mem::take(&mut state.accepted);
        drop(state);
        drop(accepted);
        self.notifier.notify();
    }
}

/// The cell between the handles and the connection's task.
#[derive(Debug)]
struct Hub {
    state: Cell<HubState>,
}

#[derive(Debug, Default)]
struct HubState {
    /// As many as there are callers of [`Mux::open`].
    opens: VecDeque<Open>,
    /// Bounded by the streams that the peer may have open.
    accepted: VecDeque<Accepted>,
    acceptors: Vec<Waker>,
    closers: Vec<Waker>,
    shutdown: bool,
    handles_gone: bool,
    closed: Option<Result<(), Error>>,
}

/// A stream that is wanted.
#[derive(Debug)]
struct Open {
    headers: HeaderMap,
    options: OpenOptions,
    opening: Arc<Opening>,
}

/// A stream that the peer opened.
#[derive(Debug)]
struct Accepted {
    headers: HeaderMap,
    stream: RawStream,
}

/// Where a caller of [`Mux::open`] waits.
#[derive(Debug)]
struct Opening {
    state: Cell<OpeningState>,
}

#[derive(Debug, Default)]
struct OpeningState {
    outcome: Option<Result<RawStream, Error>>,
    waker: Option<Waker>,
}

impl Opening {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<RawStream, Error>> {
        let mut state = self.state.lock();
        if let Some(outcome) = state.outcome.take() {
            return Poll::Ready(outcome);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn settle(&self, outcome: Result<RawStream, Error>) {
        let mut state = self.state.lock();
        state.outcome = Some(outcome);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The error of a stream that cannot be opened because the connection is over.
/// It was not sent, so it may be opened on another one.
fn closed(result: &Result<(), Error>) -> Error {
    let error = match result {
        Err(error) => error.clone(),
        Ok(()) => Error::connection(
            Initiator::User,
            Reason::RefusedStream,
            "the connection is closed",
        ),
    };
    error.with_retryable(true)
}

fn wait(waiting: &mut Vec<Waker>, waker: &Waker) {
    if !waiting.iter().any(|known| known.will_wake(waker)) {
        waiting.push(waker.clone());
    }
}
