//! The streams of a command: stdin to read, stdout and stderr to write.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use lacewing_conn::driver::{
    RawReader,
    facade::{PieceReader, wakers},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "websocket")]
use crate::websocket::ChannelReader;
use crate::{
    activity::ActivityClock,
    relay::{ReadChunks, WriteChunks as _},
    sink::Sink,
};

/// The stdin of a command: the bytes that the client sends, up to the end of its half.
///
/// If the client is lost before that end, reads return an error and not the end: a
/// command must not take half of its input for the whole. Dropping it discards the
/// rest.
#[derive(Debug)]
pub struct CommandInput {
    source: Source,
    activity: ActivityClock,
}

#[derive(Debug)]
enum Source {
    Raw(RawReader),
    #[cfg(feature = "websocket")]
    Channel(ChannelReader),
}

impl CommandInput {
    pub(super) fn raw(reader: RawReader, activity: ActivityClock) -> Self {
        Self {
            source: Source::Raw(reader),
            activity,
        }
    }

    #[cfg(feature = "websocket")]
    pub(super) fn channel(reader: ChannelReader, activity: ActivityClock) -> Self {
        Self {
            source: Source::Channel(reader),
            activity,
        }
    }

    /// Waits for the next bytes as they arrived, without a copy; `None` at the end.
    ///
    /// # Errors
    ///
    /// The client is gone, or reset the stream.
    pub async fn read_chunk(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_read_chunk(cx)).await
    }
}

impl ReadChunks for CommandInput {
    fn poll_read_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let chunk = match &mut self.source {
            Source::Raw(reader) => ready!(reader.poll_read_chunk(cx))?,
            #[cfg(feature = "websocket")]
            Source::Channel(reader) => ready!(reader.poll_read_chunk(cx))?,
        };
        self.activity.record_data();
        Poll::Ready(Ok(chunk))
    }
}

impl AsyncRead for CommandInput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.source {
            Source::Raw(reader) => ready!(Pin::new(reader).poll_read(cx, buffer))?,
            #[cfg(feature = "websocket")]
            Source::Channel(reader) => ready!(Pin::new(reader).poll_read(cx, buffer))?,
        }
        self.activity.record_data();
        Poll::Ready(Ok(()))
    }
}

/// The stdout or stderr of a command: bytes to the client.
///
/// Writes wait while the client takes nothing. `flush` waits until the transport has all
/// bytes. `shutdown` flushes, and later writes fail; the client sees the end of the
/// stream behind the outcome, when the session
/// [finishes](super::ExecSession::finish). Dropping it loses nothing that was written.
#[derive(Debug)]
pub struct CommandOutput {
    sink: SharedSink,
    activity: ActivityClock,
    ended: bool,
}

impl CommandOutput {
    pub(super) fn new(sink: SharedSink, activity: ActivityClock) -> Self {
        Self {
            sink,
            activity,
            ended: false,
        }
    }

    /// Writes all of `bytes`; waits while the client takes nothing. 8 KiB or more are not copied,
    /// except into WebSocket messages.
    ///
    /// # Errors
    ///
    /// The client is gone, or the session has finished.
    pub async fn send(&mut self, mut bytes: Bytes) -> io::Result<()> {
        if self.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        poll_fn(|cx| {
            let write = |mut sink: Pin<&mut Sink>, cx: &mut Context<'_>| {
                sink.poll_write_chunk(cx, &mut bytes)
            };
            self.sink.poll(cx, write)
        })
        .await?;
        self.activity.record_data();
        Ok(())
    }

    /// Copies the output of a command, such as a pipe, to the client. Returns the number
    /// of bytes.
    ///
    /// A background process may keep the pipe open after the command has exited. Once
    /// `exited` is cancelled, the copy therefore ends when nothing arrives from the pipe for
    /// `drain`. A slow client does not end it: what was read is sent.
    ///
    /// # Errors
    ///
    /// The client is gone, or the source cannot be read.
    pub async fn copy_from(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
        exited: &CancellationToken,
        drain: Duration,
    ) -> io::Result<u64> {
        let mut reader = PieceReader::default();
        let mut copied: u64 = 0;
        loop {
            let read = tokio::select! {
                biased;
                read = poll_fn(|cx| reader.poll_read(cx, source)) => read?,
                () = async {
                    exited.cancelled().await;
                    sleep(drain).await;
                } => Bytes::new(),
            };
            if read.is_empty() {
                return Ok(copied);
            }
            copied = copied.saturating_add(read.len() as u64);
            self.send(read).await?;
        }
    }
}

impl AsyncWrite for CommandOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = ready!(self.sink.poll(cx, |sink, cx| sink.poll_write(cx, data)))?;
        self.activity.record_data();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sink.poll(cx, Sink::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ended = true;
        self.poll_flush(cx)
    }
}

/// The sending half of a stream, which the session takes back at its end.
#[derive(Clone, Debug)]
pub(super) struct SharedSink(Arc<Mutex<SinkCell>>);

#[derive(Debug)]
struct SinkCell {
    sink: Option<Sink>,
    /// The task of a handle that waits for the stream. The session wakes it when it takes
    /// the stream away.
    waiting: Option<Waker>,
}

impl SharedSink {
    pub(super) fn new(sink: Sink) -> Self {
        Self(Arc::new(Mutex::new(SinkCell {
            sink: Some(sink),
            waiting: None,
        })))
    }

    /// Takes the stream; later writes to its handles fail.
    pub(super) fn take(&self) -> Option<Sink> {
        let mut cell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = cell.waiting.take() {
            waiting.wake();
        }
        cell.sink.take()
    }

    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnOnce(Pin<&mut Sink>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut cell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sink) = cell.sink.as_mut() else {
            let text = "the session has finished";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, text)));
        };
        let polled = operation(Pin::new(sink), cx);
        if polled.is_pending() {
            wakers::register(&mut cell.waiting, cx.waker());
        }
        polled
    }
}
