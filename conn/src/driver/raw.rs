//! Streams of bytes without HTTP: what container runtimes and tunnels use
//! SPDY/3.1 for, on any of the four protocols.

mod config;
mod hub;
mod outgoing;
mod stream;
mod task;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use http::HeaderMap;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
};

pub use self::{
    config::MuxConfig,
    stream::{RawReader, RawStream, RawWriter},
};
use self::{
    config::Style,
    hub::{Hub, Open, Request},
    task::Streams,
};
use super::{mailbox::Mailbox, ready_queue::Cell, task::Driver, wakers};
use crate::{
    Error, Side, Version,
    proto::{Config, ConnectionStats, OpenOptions},
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
        Self::over(io, mux.engine(version, side), mux.style(version))
    }

    fn over<IO>(io: IO, config: Config, style: Style) -> (Self, MuxConnection<IO>) {
        let hub = Arc::new(Hub {
            // As many requests wait as there are callers.
            mailbox: Mailbox::new(usize::MAX),
            state: Cell::default(),
        });
        let streams = Streams::new(Arc::clone(&hub), style);
        let connection = Driver::new(io, config, streams);
        hub.mailbox.connect(connection.notifier());
        (
            Self {
                handle: Arc::new(Handle(hub)),
            },
            MuxConnection { connection },
        )
    }

    /// Opens a stream with a header list. Waits while the peer takes no more
    /// streams at once.
    ///
    /// Over SPDY a stream may be unidirectional, and may belong to another one
    /// of either side; the peer is told so, and nothing else follows from it.
    ///
    /// # Errors
    ///
    /// The connection is over or shutting down; the protocol cannot carry the
    /// header list, or has only plain streams (HTTP/2); the parent is not open.
    /// Those of the call itself are not
    /// [retryable](Error::is_retryable).
    pub async fn open(&self, headers: HeaderMap, options: OpenOptions) -> Result<RawStream, Error> {
        let (answer, outcome) = oneshot::channel();
        let open = Open {
            headers,
            options,
            answer,
        };
        self.ask(Request::Open(open), outcome).await?
    }

    /// Leaves a request with the connection's task, and waits for its answer.
    async fn ask<T>(&self, request: Request, answer: oneshot::Receiver<T>) -> Result<T, Error> {
        // One that is not accepted is dropped, and its sender with it.
        let _ = self.hub().mailbox.send(request);
        answer.await.map_err(|_| self.hub().closed_error())
    }

    fn hub(&self) -> &Hub {
        &self.handle.0
    }

    /// Waits for the peer to open a stream; `None` when it will not any more.
    /// The stream has to be [answered](RawStream::reply) before data can be
    /// sent on it.
    pub async fn accept(&self) -> Option<(HeaderMap, RawStream)> {
        poll_fn(|cx| {
            let mut state = self.hub().state.lock();
            if let Some(accepted) = state.accepted.pop_front() {
                return Poll::Ready(Some((accepted.headers, accepted.stream)));
            }
            if state.closed.is_some() {
                return Poll::Ready(None);
            }
            wakers::register_shared(&mut state.acceptors, cx.waker());
            Poll::Pending
        })
        .await
    }

    /// Asks the peer for a sign of life: the time that a PING and its answer
    /// took. Calls at the same time share one PING.
    ///
    /// # Errors
    ///
    /// The connection is over, or no answer came within `timeout`
    /// ([`Error::is_ping_timeout`]); the connection goes on after that.
    pub async fn ping(&self, timeout: Duration) -> Result<Duration, Error> {
        let (caller, answer) = oneshot::channel();
        match tokio::time::timeout(timeout, self.ask(Request::Ping(caller), answer)).await {
            Ok(answered) => answered,
            Err(_) => Err(Error::ping_timeout(timeout)),
        }
    }

    /// What the connection holds, and what it has been through.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub async fn stats(&self) -> Result<ConnectionStats, Error> {
        let (caller, answer) = oneshot::channel();
        self.ask(Request::Stats(caller), answer).await
    }

    /// Ends the connection gracefully: no new streams, and those that are open
    /// get the time to finish that
    /// [`drain_timeout`](crate::Limits::drain_timeout) gives.
    /// [`MuxConfig::shutdown_order`] says whether the peer is told at once, or
    /// behind what our side of the streams has to send.
    pub fn shutdown(&self) {
        // A connection that is over accepts no request and needs none.
        let _ = self.hub().mailbox.send(Request::Shutdown);
    }

    /// Waits for the end of the connection, when the last bytes are with the
    /// transport and that is closed: `Ok` after a graceful one.
    ///
    /// # Errors
    ///
    /// What ended it before its time.
    pub async fn closed(&self) -> Result<(), Error> {
        poll_fn(|cx| {
            let mut state = self.hub().state.lock();
            if let (true, Some(result)) = (state.ended, &state.closed) {
                return Poll::Ready(result.clone());
            }
            wakers::register_shared(&mut state.closers, cx.waker());
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
    connection: Driver<IO, Streams>,
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
struct Handle(Arc<Hub>);

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.handles_gone = true;
        let accepted = std::mem::take(&mut state.accepted);
        drop(state);
        drop(accepted);
        let _ = self.0.mailbox.send(Request::HandlesGone);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A Mux tells that its ids ran out, and that another connection may be
    /// tried; the streams that are open go on.
    #[tokio::test(start_paused = true)]
    async fn ids_that_run_out_are_told() {
        for version in Version::ALL {
            let (here, there) = tokio::io::duplex(4096);
            let config = MuxConfig::default();
            let mut engine = config.engine(version, Side::Client);
            engine.first_stream = 0x7fff_ffff;
            let (client, connection) = Mux::over(here, engine, config.style(version));
            let client_task = tokio::spawn(connection);
            let (server, connection) = Mux::server(there, version, config);
            let server_task = tokio::spawn(connection);
            let open = || client.open(HeaderMap::new(), OpenOptions::default());
            let mut last = open().await.unwrap();
            assert_eq!(last.id().value(), 0x7fff_ffff, "{version}");
            let hour = Duration::from_secs(3600);
            let next = tokio::time::timeout(hour, open()).await.unwrap();
            assert!(next.unwrap_err().is_retryable(), "{version}");
            let (headers, theirs) = server.accept().await.unwrap();
            theirs.reply(headers);
            last.recv_reply().await.unwrap();
            drop((last, theirs, client, server));
            client_task.await.unwrap().unwrap();
            server_task.await.unwrap().unwrap();
        }
    }
}
