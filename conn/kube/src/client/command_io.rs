//! The streams of a command: stdin and terminal sizes to write, stdout and stderr to read.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use lacewing_conn::{Error, Initiator, Reason, driver::RawStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::oneshot,
};

use super::life::Handle;
#[cfg(feature = "websocket")]
use crate::websocket::ChannelReader;
use crate::{
    activity::ActivityClock,
    relay::{ReadChunks, WriteChunks as _},
    sink::Sink,
    terminal_size::TerminalSize,
};

/// The stdin of a command: bytes to the server.
///
/// Writes wait while the command takes nothing. `shutdown` ends stdin, and the output
/// continues. Dropping it without `shutdown` is no end of stdin: the command may wait for
/// more, or see an error.
#[derive(Debug)]
pub struct CommandStdin {
    /// `None` once stdin has ended.
    sink: Option<Sink>,
    ended: EndedStdin,
    activity: ActivityClock,
}

/// Keeps the stream of a stdin that has ended until the session is over. Its drop would send
/// RST_STREAM behind the end. A kubelet that has closed its socket meanwhile resets the connection for
/// each frame, and its last output may be lost: the end alone is one frame less.
#[derive(Clone, Debug, Default)]
pub(super) struct EndedStdin(Arc<Mutex<Option<Sink>>>);

impl EndedStdin {
    fn keep(&self, sink: Sink) {
        // A panic under this lock leaves a valid stream.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(sink);
    }
}

impl CommandStdin {
    pub(super) fn new(sink: Sink, ended: EndedStdin, activity: ActivityClock) -> Self {
        Self {
            sink: Some(sink),
            ended,
            activity,
        }
    }

    fn sink(&mut self) -> io::Result<&mut Sink> {
        let ended = || io::Error::new(io::ErrorKind::BrokenPipe, "stdin was shut down");
        self.sink.as_mut().ok_or_else(ended)
    }

    /// Writes all of `bytes`; waits while the command takes nothing. 8 KiB or more are not copied,
    /// except into WebSocket messages.
    ///
    /// # Errors
    ///
    /// The session is over, or the command has closed its stdin.
    pub async fn send(&mut self, mut bytes: Bytes) -> io::Result<()> {
        let sink = self.sink()?;
        poll_fn(|cx| sink.poll_write_chunk(cx, &mut bytes)).await?;
        self.activity.record_data();
        Ok(())
    }
}

impl AsyncWrite for CommandStdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(self.sink()?).poll_write(cx, data))?;
        self.activity.record_data();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.sink {
            Some(sink) => Pin::new(sink).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(sink) = &mut self.sink {
            ready!(Pin::new(sink).poll_shutdown(cx))?;
        }
        if let Some(sink) = self.sink.take() {
            self.ended.keep(sink);
        }
        Poll::Ready(Ok(()))
    }
}

/// The stdout or stderr of a command.
///
/// If the connection is lost, reads return an error and not the end. Read it to its end,
/// or drop it, or the other streams wait for it: the protocols have no flow control of
/// single streams.
#[derive(Debug)]
pub struct CommandReader {
    source: Source,
    activity: ActivityClock,
    /// Takes the end of the output, or its loss, once.
    end: Option<oneshot::Sender<io::Result<()>>>,
    _handle: Handle,
}

/// The end of an output, as its reader sees it. An error of the channel is a reader that was
/// dropped earlier.
pub(super) type OutputEnd = oneshot::Receiver<io::Result<()>>;

#[derive(Debug)]
pub(super) enum Source {
    Raw(RawStream),
    #[cfg(feature = "websocket")]
    Channel(ChannelReader),
}

impl CommandReader {
    pub(super) fn new(
        source: Source,
        activity: ActivityClock,
        handle: Handle,
    ) -> (Self, OutputEnd) {
        let (sender, end) = oneshot::channel();
        let reader = Self {
            source,
            activity,
            end: Some(sender),
            _handle: handle,
        };
        (reader, end)
    }

    /// Waits for the next bytes as they arrived, without a copy; `None` at the end.
    ///
    /// # Errors
    ///
    /// The connection was lost before the end.
    pub async fn read_chunk(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_read_chunk(cx)).await
    }

    fn report(&mut self, end: io::Result<()>) {
        if let Some(sender) = self.end.take() {
            // Nobody waits for it from v4 on.
            let _ = sender.send(end);
        }
    }
}

impl ReadChunks for CommandReader {
    fn poll_read_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let chunk = match &mut self.source {
            Source::Raw(stream) => ready!(stream.poll_read_chunk(cx)).or_else(end_by_cancel),
            #[cfg(feature = "websocket")]
            Source::Channel(channel) => ready!(channel.poll_read_chunk(cx)),
        };
        match &chunk {
            Ok(Some(_)) => self.activity.record_data(),
            Ok(None) => self.report(Ok(())),
            Err(error) => self.report(Err(io::Error::new(error.kind(), error.to_string()))),
        }
        Poll::Ready(chunk)
    }
}

/// Servers of Go end streams by a reset.
fn end_by_cancel<T>(error: io::Error) -> io::Result<Option<T>> {
    match is_cancel(&error) {
        true => Ok(None),
        false => Err(error),
    }
}

impl AsyncRead for CommandReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Err(error) = ready!(Pin::new(&mut self.source).poll_read(cx, buffer)) {
            self.report(Err(io::Error::new(error.kind(), error.to_string())));
            return Poll::Ready(Err(error));
        }
        if buffer.filled().len() == before && buffer.remaining() > 0 {
            self.report(Ok(()));
        }
        self.activity.record_data();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Raw(stream) => match ready!(Pin::new(stream).poll_read(cx, buffer)) {
                // Servers of Go end streams in this way.
                Err(error) if is_cancel(&error) => Poll::Ready(Ok(())),
                read => Poll::Ready(read),
            },
            #[cfg(feature = "websocket")]
            Self::Channel(channel) => Pin::new(channel).poll_read(cx, buffer),
        }
    }
}

/// Returns `true` if the server reset the stream with CANCEL. The data before it has been
/// read then.
fn is_cancel(error: &io::Error) -> bool {
    let error = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<Error>());
    error.is_some_and(|error| {
        error.initiator() == Initiator::Peer
            && error.reason() == Reason::Cancel
            && !error.is_connection()
    })
}

/// Sends the sizes of the local terminal to the command.
#[derive(Debug)]
pub struct TerminalResizer {
    sink: Sink,
}

impl TerminalResizer {
    pub(super) fn new(sink: Sink) -> Self {
        Self { sink }
    }

    /// Sends a size. Cancelling the call may send a part of it, which the server skips.
    ///
    /// # Errors
    ///
    /// The server is gone, or takes no sizes.
    pub async fn send(&mut self, size: TerminalSize) -> io::Result<()> {
        self.sink.write_all(&size.encode()).await?;
        self.sink.flush().await
    }
}
