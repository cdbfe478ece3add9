//! The channels of one WebSocket, and the task that moves their bytes.

mod task;

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use lacewing_conn::driver::facade::wakers;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};
use tokio_util::sync::CancellationToken;

use super::{
    MAX_SENT,
    message::{self, CLOSE},
    tunnel::close,
};
use crate::{
    activity::ActivityClock,
    limits::KubeLimits,
    protocol::{ChannelEncoding, RemoteCommandProtocol},
    relay::{ReadChunks, WriteChunks},
};

/// A channel, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channel(pub(crate) u8);

impl Channel {
    pub(crate) const STDIN: Self = Self(0);
    pub(crate) const STDOUT: Self = Self(1);
    pub(crate) const STDERR: Self = Self(2);
    pub(crate) const ERROR: Self = Self(3);
    pub(crate) const RESIZE: Self = Self(4);

    /// The number of channels of a command.
    pub(crate) const COMMAND: usize = 5;

    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The report of the end of a channel that we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndOfChannel {
    /// By the end of the WebSocket.
    Silent,
    /// By a message, which v5 has. Only clients send it.
    Message,
    /// Silent, and what the peer sends ends with it: a connection of which one side has ended is
    /// over where no message says so.
    #[cfg(feature = "server")]
    Both,
}

/// A WebSocket that carries channels. A task of its own reads and writes it.
///
/// Reading pauses while a reader leaves [`KubeLimits::channel_buffer`] bytes, as the
/// protocol has no flow control of its own. PINGs of the peer then wait with the data
/// before them; unsolicited PONGs (RFC 6455 §5.5.3) keep the peer's timer alive,
/// and test whether the peer is still there.
#[derive(Clone, Debug)]
pub(crate) struct ChannelSocket {
    shared: Arc<Shared>,
}

impl ChannelSocket {
    /// Starts the task, for channels with numbers below `count`. `readable` are those that the
    /// peer may send; data of others is discarded.
    pub(crate) fn start<IO>(
        socket: WebSocketStream<IO>,
        version: RemoteCommandProtocol,
        encoding: ChannelEncoding,
        count: usize,
        readable: &[Channel],
        limits: &KubeLimits,
    ) -> Self
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let is_readable = |index| readable.iter().any(|channel| channel.index() == index);
        let input = |index| Input {
            discards: !is_readable(index),
            ..Input::default()
        };
        let state = State {
            inputs: (0..count).map(input).collect(),
            outputs: (0..count).map(|_| Output::default()).collect(),
            ..State::default()
        };
        let shared = Arc::new(Shared {
            version,
            encoding,
            write_buffer: limits.write_buffer.max(1),
            channel_buffer: limits.channel_buffer.max(1),
            activity: ActivityClock::new(limits),
            cancellation: CancellationToken::new(),
            abandoned: CancellationToken::new(),
            state: Mutex::new(state),
        });
        tokio::spawn(task::run(Arc::clone(&shared), socket, limits.clone()));
        Self { shared }
    }

    /// Returns the reader of a channel. A channel has one.
    pub(crate) fn reader(&self, channel: Channel) -> ChannelReader {
        ChannelReader {
            shared: Arc::clone(&self.shared),
            channel,
            chunk: Bytes::new(),
        }
    }

    /// Returns the writer of a channel. A channel has one.
    pub(crate) fn writer(&self, channel: Channel, end: EndOfChannel) -> ChannelWriter {
        ChannelWriter {
            shared: Arc::clone(&self.shared),
            channel,
            end,
            queued: 0,
            ended: false,
        }
    }

    /// Returns the token that is cancelled when the WebSocket is over.
    pub(crate) fn cancellation(&self) -> &CancellationToken {
        &self.shared.cancellation
    }

    pub(crate) fn activity(&self) -> &ActivityClock {
        &self.shared.activity
    }

    /// Queues the message with which the server begins a channel.
    #[cfg(feature = "server")]
    pub(crate) fn begin(&self, channel: Channel, data: &[u8]) {
        let message = message::encode(self.shared.encoding, channel.0, data);
        self.shared.lock().queue(message, None);
    }

    /// Queues a Close with code 1000 behind everything, and discards all further input.
    pub(crate) fn close(&self) {
        let mut state = self.shared.lock();
        state.inputs.iter_mut().for_each(Input::discard);
        if !state.closing {
            state.closing = true;
            state.queue(close(CloseCode::Normal), None);
        }
    }

    /// Ends the task and with it the transport, without waiting for the peer.
    pub(crate) fn abandon(&self) {
        self.shared.abandoned.cancel();
    }
}

/// The state that the handles share with the task.
#[derive(Debug)]
struct Shared {
    version: RemoteCommandProtocol,
    encoding: ChannelEncoding,
    write_buffer: usize,
    channel_buffer: usize,
    activity: ActivityClock,
    /// Cancelled at the end.
    cancellation: CancellationToken,
    /// Cancelled to end the task.
    abandoned: CancellationToken,
    state: Mutex<State>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct State {
    inputs: Box<[Input]>,
    outputs: Box<[Output]>,
    /// Messages in the order in which they are sent, with the channel and the bytes that
    /// each accounts for.
    queue: VecDeque<(Message, Option<(usize, usize)>)>,
    /// Messages queued and flushed, since the start.
    queued: u64,
    flushed: u64,
    /// Our Close was queued.
    closing: bool,
    /// Nothing is sent or received any more.
    over: bool,
    task: Option<Waker>,
}

/// A channel that the peer sends.
#[derive(Debug, Default)]
struct Input {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    end: Option<End>,
    /// Data has no reader.
    discards: bool,
    reader: Option<Waker>,
}

/// The end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The peer ended it.
    Complete,
    /// The WebSocket was lost.
    Lost,
}

/// A channel that we send.
#[derive(Debug, Default)]
struct Output {
    /// Bytes in the queue.
    bytes: usize,
    writer: Option<Waker>,
}

impl State {
    fn queue(&mut self, message: Message, charge: Option<(usize, usize)>) {
        if self.over {
            return;
        }
        self.queue.push_back((message, charge));
        self.queued = self.queued.saturating_add(1);
        self.wake_task();
    }

    fn wake_task(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// Returns `true` while a reader leaves too much.
    fn is_paused(&self, channel_buffer: usize) -> bool {
        self.inputs
            .iter()
            .any(|input| input.bytes >= channel_buffer)
    }
}

impl Input {
    fn push(&mut self, data: Bytes) {
        if self.discards || self.end.is_some() || data.is_empty() {
            return;
        }
        self.bytes = self.bytes.saturating_add(data.len());
        self.chunks.push_back(data);
        self.wake();
    }

    fn end(&mut self, end: End) {
        self.end.get_or_insert(end);
        self.wake();
    }

    fn discard(&mut self) {
        self.discards = true;
        self.chunks.clear();
        self.bytes = 0;
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// The reader of a channel. Dropping it discards what follows.
#[derive(Debug)]
pub(crate) struct ChannelReader {
    shared: Arc<Shared>,
    channel: Channel,
    /// The rest of a message.
    chunk: Bytes,
}

impl ReadChunks for ChannelReader {
    fn poll_read_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if !self.chunk.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.chunk))));
        }
        let mut state = self.shared.lock();
        let Some(input) = state.inputs.get_mut(self.channel.index()) else {
            return Poll::Ready(Ok(None));
        };
        let Some(chunk) = input.chunks.pop_front() else {
            return match input.end {
                Some(End::Complete) => Poll::Ready(Ok(None)),
                Some(End::Lost) => {
                    let text = "the WebSocket ended before the channel did";
                    Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, text)))
                }
                None => {
                    wakers::register(&mut input.reader, cx.waker());
                    Poll::Pending
                }
            };
        };
        let was_full = input.bytes >= self.shared.channel_buffer;
        input.bytes = input.bytes.saturating_sub(chunk.len());
        if was_full {
            state.wake_task();
        }
        Poll::Ready(Ok(Some(chunk)))
    }
}

impl AsyncRead for ChannelReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut chunk) = ready!(self.poll_read_chunk(cx))? {
            let len = chunk.len().min(buffer.remaining());
            buffer.put_slice(chunk.get(..len).unwrap_or_default());
            chunk.advance(len);
            self.chunk = chunk;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for ChannelReader {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(input) = state.inputs.get_mut(self.channel.index()) {
            input.discard();
        }
        state.wake_task();
    }
}

/// The writer of a channel.
#[derive(Debug)]
pub(crate) struct ChannelWriter {
    shared: Arc<Shared>,
    channel: Channel,
    end: EndOfChannel,
    /// The number of messages queued up to our last one.
    queued: u64,
    ended: bool,
}

impl WriteChunks for ChannelWriter {
    fn poll_write_chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        while !chunk.is_empty() {
            let written = ready!(Pin::new(&mut *self).poll_write(cx, chunk))?;
            chunk.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ChannelWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let mut state = this.shared.lock();
        if this.ended || state.over || state.closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let number = this.channel.index();
        let Some(output) = state.outputs.get_mut(number) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let room = this.shared.write_buffer.saturating_sub(output.bytes);
        if room == 0 && !data.is_empty() {
            wakers::register(&mut output.writer, cx.waker());
            return Poll::Pending;
        }
        let len = room.min(data.len()).min(MAX_SENT);
        if len > 0 {
            output.bytes = output.bytes.saturating_add(len);
            let data = data.get(..len).unwrap_or_default();
            let message = message::encode(this.shared.encoding, this.channel.0, data);
            state.queue(message, Some((number, len)));
            this.queued = state.queued;
        }
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if state.flushed >= self.queued {
            return Poll::Ready(Ok(()));
        }
        if state.over {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if let Some(output) = state.outputs.get_mut(self.channel.index()) {
            wakers::register(&mut output.writer, cx.waker());
        }
        Poll::Pending
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ended {
            this.ended = true;
            let mut state = this.shared.lock();
            let has_message = this.shared.version == RemoteCommandProtocol::V5;
            if this.end == EndOfChannel::Message && has_message {
                let end = message::encode(this.shared.encoding, CLOSE, &[this.channel.0]);
                state.queue(end, None);
                this.queued = state.queued;
            }
            #[cfg(feature = "server")]
            if this.end == EndOfChannel::Both {
                if let Some(input) = state.inputs.get_mut(this.channel.index()) {
                    input.end(End::Complete);
                }
            }
        }
        self.poll_flush(cx)
    }
}
