//! Streams of bytes without HTTP, as container runtimes and tunnels use SPDY/3.1:
//! here on any of the four protocols.

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
    hub::{Hub, Open, Request},
    task::Streams,
};
use super::{mailbox::Mailbox, ready_queue::Cell, task::Driver, wakers};
use crate::{
    Error, Side, Version,
    proto::{ConnectionStats, OpenOptions},
};

/// Multiplexed byte streams over one transport: any `AsyncRead + AsyncWrite`,
/// such as TCP, TLS, an upgraded HTTP/1.1 connection or a pipe in memory.
///
/// Both sides open streams and accept them. A `Mux` is a handle, cheap to clone.
/// Spawn the [`MuxConnection`] that is returned with it: it does the work. When
/// the last handle is dropped, the connection refuses new streams of the peer, and
/// ends with its last stream.
///
/// ```
/// use http::HeaderMap;
/// use lacewing_conn::{Side, Version, driver::{Mux, MuxConfig, OpenOptions}};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (here, there) = tokio::io::duplex(4096);
/// let (client, connection) = Mux::client(here, Version::Spdy31, MuxConfig::new(Side::Client));
/// tokio::spawn(connection);
/// let (server, connection) = Mux::server(there, Version::Spdy31, MuxConfig::new(Side::Server));
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
    /// Creates the side that opens streams with odd ids. Either end of the transport
    /// may take this role.
    pub fn client<IO>(io: IO, version: Version, config: MuxConfig) -> (Self, MuxConnection<IO>) {
        Self::new(io, version, Side::Client, config)
    }

    /// Creates the side that opens streams with even ids.
    pub fn server<IO>(io: IO, version: Version, config: MuxConfig) -> (Self, MuxConnection<IO>) {
        Self::new(io, version, Side::Server, config)
    }

    fn new<IO>(io: IO, version: Version, side: Side, mux: MuxConfig) -> (Self, MuxConnection<IO>) {
        let hub = Arc::new(Hub {
            // As many requests wait as there are callers.
            mailbox: Mailbox::new(usize::MAX),
            state: Cell::default(),
        });
        let streams = Streams::new(Arc::clone(&hub), mux.style(version));
        let budget = &mux.connection.memory_budget;
        let mut connection = Driver::in_budget(io, mux.engine(version, side), streams, budget);
        hub.mailbox.connect(connection.notifier());
        (
            Self {
                handle: Arc::new(Handle(hub)),
            },
            MuxConnection { connection },
        )
    }

    /// Opens a stream with a header list. Waits while the peer permits no more
    /// concurrent streams.
    ///
    /// Over SPDY a stream may be unidirectional, and may be associated with another
    /// one of either side. The association is sent to the peer and has no other
    /// effect.
    ///
    /// # Errors
    ///
    /// The connection is over or shutting down; the protocol cannot carry the
    /// header list, or has only plain streams (HTTP/2); the parent is not open.
    /// Errors in the arguments are not [retryable](Error::is_retryable).
    pub async fn open(&self, headers: HeaderMap, options: OpenOptions) -> Result<RawStream, Error> {
        let (answer, outcome) = oneshot::channel();
        let open = Open {
            headers,
            options,
            answer,
        };
        self.ask(Request::Open(open), outcome).await?
    }

    /// Sends a request to the connection's task, and waits for its answer.
    async fn ask<T>(&self, request: Request, answer: oneshot::Receiver<T>) -> Result<T, Error> {
        // A refused request is dropped, and its sender with it: the answer fails.
        let _ = self.hub().mailbox.send(request);
        answer.await.map_err(|_| self.hub().closed_error())
    }

    fn hub(&self) -> &Hub {
        &self.handle.0
    }

    /// Waits for the peer to open a stream; `None` once the connection is over.
    /// [Answer](RawStream::reply) the stream before you send data on it.
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

    /// Sends a PING and returns its round trip. Calls at the same time share one
    /// PING.
    ///
    /// # Errors
    ///
    /// The connection is over, or no answer arrived within `timeout`
    /// ([`Error::is_ping_timeout`]); the connection stays open then.
    pub async fn ping(&self, timeout: Duration) -> Result<Duration, Error> {
        let (caller, answer) = oneshot::channel();
        match tokio::time::timeout(timeout, self.ask(Request::Ping(caller), answer)).await {
            Ok(answered) => answered,
            Err(_) => Err(Error::ping_timeout(timeout)),
        }
    }

    /// Returns the connection's statistics.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub async fn stats(&self) -> Result<ConnectionStats, Error> {
        let (caller, answer) = oneshot::channel();
        self.ask(Request::Stats(caller), answer).await
    }

    /// Ends the connection gracefully. It accepts no new streams. Open streams have
    /// [`drain_timeout`](crate::Limits::drain_timeout) to finish.
    ///
    /// [`MuxConfig::shutdown_order`] sets the order: GOAWAY first, or first the data that our side
    /// of the streams still sends.
    pub fn shutdown(&self) {
        // A connection that is over accepts no request and needs none.
        let _ = self.hub().mailbox.send(Request::Shutdown);
    }

    /// Waits for the end of the connection: the transport has taken the last bytes
    /// and is closed. `Ok` after a graceful end.
    ///
    /// # Errors
    ///
    /// The error that ended the connection early.
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

/// The connection behind a [`Mux`]: a future to spawn. It resolves when the
/// connection is over, to `Ok` after a graceful end.
///
/// ```
/// use lacewing_conn::{Side, Version, driver::{Mux, MuxConfig}};
///
/// async fn start(io: tokio::net::TcpStream, early: bytes::BytesMut) -> Mux {
///     let (mux, connection) = Mux::server(io, Version::Spdy31, MuxConfig::new(Side::Server));
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
    /// Prepends bytes that were already read from the transport, for example behind
    /// the 101 response of an upgrade.
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

/// The part that all clones of a [`Mux`] share; its drop is that of the last one.
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

    /// A Mux reports that its ids ran out, and that another connection may be tried.
    /// Open streams continue.
    #[tokio::test(start_paused = true)]
    async fn ids_that_run_out_are_reported() {
        for version in Version::ALL {
            let (here, there) = tokio::io::duplex(4096);
            let config = MuxConfig::new(Side::Client)
                .with(|config| config.connection.first_stream = 0x7fff_ffff);
            let (client, connection) = Mux::client(here, version, config);
            let client_task = tokio::spawn(connection);
            let (server, connection) = Mux::server(there, version, MuxConfig::new(Side::Server));
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
