//! One forwarded connection.

#[cfg(feature = "websocket")]
use std::sync::Arc;
use std::{
    fmt::Debug,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use lacewing_conn::driver::{RawStream, RawWriter};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::OwnedSemaphorePermit,
};
#[cfg(feature = "websocket")]
use tokio_util::sync::DropGuard;

use crate::activity::ActivityClock;
use crate::relay::{ReadChunks, WriteChunks, relay};
#[cfg(feature = "websocket")]
use crate::websocket::{ChannelReader, ChannelWriter};

/// A local connection of the client, to a port of the pod.
///
/// Either [connect](Self::into_io) it, or report that this [failed](Self::fail). Dropping
/// it ends it without a text: the client closes the local connection.
#[derive(Debug)]
#[must_use = "the client waits"]
pub struct Forward {
    port: u16,
    io: ForwardIo,
}

impl Forward {
    pub(super) fn new(
        error: RawStream,
        data: RawStream,
        port: u16,
        permit: OwnedSemaphorePermit,
        activity: ActivityClock,
    ) -> Self {
        // Clients send nothing on it.
        let (_, error) = error.into_split();
        let io = ForwardIo {
            data: Box::new(data),
            error: ErrorStream::Raw(error),
            activity,
            _hold: Hold::Permit(permit),
        };
        Self { port, io }
    }

    /// A pair of channels of a WebSocket.
    #[cfg(feature = "websocket")]
    pub(super) fn of_channels(
        (reader, writer): (ChannelReader, ChannelWriter),
        error: ChannelWriter,
        port: u16,
        session: Arc<DropGuard>,
        activity: ActivityClock,
    ) -> Self {
        let io = ForwardIo {
            data: Box::new(ChannelPair { reader, writer }),
            error: ErrorStream::Channel(error),
            activity,
            _hold: Hold::Session(session),
        };
        Self { port, io }
    }

    /// Returns the port of the pod, from 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the bytes of the connection, in both directions.
    pub fn into_io(self) -> ForwardIo {
        self.io
    }

    /// Reports a failure to the user of the client, and ends the connection.
    ///
    /// kubectl ends the whole session at such a text, with all of its ports. Report only
    /// that the pod cannot be connected to; end a connection that breaks later by dropping
    /// its [`ForwardIo`].
    pub async fn fail(self, text: &str) {
        self.io.fail(text).await;
    }
}

/// The bytes of a forwarded connection. Each direction ends by itself: `shutdown` ends
/// ours. Dropping it before both have ended resets the connection, and reports nothing.
///
/// Clients with WebSocket channels cannot end one direction: `shutdown` ends both. They see
/// the end of a connection only when all of their ports have ended, by the end of the WebSocket.
#[derive(Debug)]
pub struct ForwardIo {
    data: Box<dyn Duplex>,
    /// Its drop ends the error stream, without a text.
    error: ErrorStream,
    activity: ActivityClock,
    _hold: Hold,
}

/// The bytes in both directions: a stream, or the reader and the writer of a channel.
trait Duplex: AsyncRead + ReadChunks + WriteChunks + Debug + Send + Sync {}

impl<T: AsyncRead + ReadChunks + WriteChunks + Debug + Send + Sync> Duplex for T {}

/// The part of the session that a connection holds until its end.
#[derive(Debug)]
enum Hold {
    Permit(#[expect(dead_code, reason = "its drop counts")] OwnedSemaphorePermit),
    /// The last one ends the WebSocket.
    #[cfg(feature = "websocket")]
    Session(#[expect(dead_code, reason = "its drop counts")] Arc<DropGuard>),
}

/// The way of a text to the client's user.
#[derive(Debug)]
enum ErrorStream {
    Raw(RawWriter),
    #[cfg(feature = "websocket")]
    Channel(ChannelWriter),
}

impl ForwardIo {
    /// Joins the connection to one of the pod, and copies in both directions until both have
    /// ended. It copies less, and wakes the pod and the client less often, than
    /// [`copy_bidirectional`](tokio::io::copy_bidirectional).
    ///
    /// ```no_run
    /// use lacewing_kube::server::Forward;
    /// use tokio::net::TcpStream;
    ///
    /// async fn carry(forward: Forward) {
    ///     match TcpStream::connect(("localhost", forward.port())).await {
    ///         // A pod or a client that breaks off ends this connection alone.
    ///         Ok(mut pod) => drop(forward.into_io().relay(&mut pod).await),
    ///         Err(error) => forward.fail(&error.to_string()).await,
    ///     }
    /// }
    /// # let _ = carry;
    /// ```
    ///
    /// # Errors
    ///
    /// The first error of either side. Drop the connection then.
    pub async fn relay<IO>(&mut self, pod: &mut IO) -> io::Result<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        relay(self, pod).await
    }

    /// Reports a failure to the user of the client, and ends the connection. For proxies,
    /// which learn late that a port is refused; see [`Forward::fail`].
    pub async fn fail(mut self, text: &str) {
        match self.error {
            ErrorStream::Raw(writer) => end_with(writer, text).await,
            #[cfg(feature = "websocket")]
            ErrorStream::Channel(writer) => end_with(writer, text).await,
        }
        // The client may be gone.
        let _ = self.data.shutdown().await;
    }
}

impl ReadChunks for ForwardIo {
    fn poll_read_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let chunk = ready!(self.data.poll_read_chunk(cx))?;
        self.activity.record_data();
        Poll::Ready(Ok(chunk))
    }
}

impl WriteChunks for ForwardIo {
    fn poll_write_chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        ready!(self.data.poll_write_chunk(cx, chunk))?;
        self.activity.record_data();
        Poll::Ready(Ok(()))
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.data.poll_writable(cx)
    }
}

impl AsyncRead for ForwardIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.data).poll_read(cx, buffer))?;
        self.activity.record_data();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ForwardIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.data).poll_write(cx, data))?;
        self.activity.record_data();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.data).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.data).poll_shutdown(cx)
    }
}

/// The reader and the writer of a channel.
#[cfg(feature = "websocket")]
#[derive(Debug)]
struct ChannelPair {
    reader: ChannelReader,
    writer: ChannelWriter,
}

#[cfg(feature = "websocket")]
impl ReadChunks for ChannelPair {
    fn poll_read_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        self.reader.poll_read_chunk(cx)
    }
}

#[cfg(feature = "websocket")]
impl WriteChunks for ChannelPair {
    fn poll_write_chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        self.writer.poll_write_chunk(cx, chunk)
    }
}

#[cfg(feature = "websocket")]
impl AsyncRead for ChannelPair {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buffer)
    }
}

#[cfg(feature = "websocket")]
impl AsyncWrite for ChannelPair {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}

/// Writes a text to an error stream, and ends it. The connection bounds the wait.
pub(super) async fn report(stream: RawStream, text: String) {
    end_with(stream.into_split().1, &text).await;
}

async fn end_with(mut writer: impl AsyncWrite + Unpin, text: &str) {
    // The client may be gone.
    let _ = writer.write_all(text.as_bytes()).await;
    let _ = writer.shutdown().await;
}
