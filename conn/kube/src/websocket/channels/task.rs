//! The task that reads and writes a WebSocket for its channels.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use lacewing_conn::driver::facade::wakers;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep, sleep_until},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, protocol::frame::coding::CloseCode},
};

use super::{End, Shared};
use crate::{
    limits::KubeLimits,
    protocol::RemoteCommandProtocol,
    websocket::{
        message::{self, CLOSE, Received},
        tunnel::close,
    },
};

/// The pause between two PONGs while nothing is read. kubectl waits 61 s for one; a client
/// that was killed is noticed by the second one.
const PAUSED_PONG: Duration = Duration::from_millis(400);

/// Messages that are read in one turn, before other tasks have theirs.
const TURN: usize = 32;

/// Runs until the WebSocket is over. It then ends all channels.
pub(super) async fn run<IO>(shared: Arc<Shared>, socket: WebSocketStream<IO>, limits: KubeLimits)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    // The end is reported also if the runtime drops the task.
    let _over = Over(Arc::clone(&shared));
    let delay = match shared.version {
        RemoteCommandProtocol::V5 => limits.first_message_delay,
        _ => Duration::ZERO,
    };
    let mut connection = Connection {
        shared: Arc::clone(&shared),
        socket,
        last_received: Instant::now(),
        last_control: Instant::now(),
        flushed_all: true,
        paused: false,
        hold: Some(Box::pin(tokio::time::sleep(delay))),
    };
    loop {
        let deadline = connection.deadline(&limits);
        let step = tokio::select! {
            step = poll_fn(|cx| connection.poll(cx)) => step,
            () = shared.abandoned.cancelled() => return,
            () = shared.activity.idle() => Step::Fail(CloseCode::Policy),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                connection.handle_deadline(&limits)
            }
        };
        match step {
            Step::Again => {}
            Step::Over => return,
            Step::Fail(code) => {
                // The peer may not read; it has a second.
                let last = async {
                    let mut socket = pin!(&mut connection.socket);
                    poll_fn(|cx| socket.as_mut().poll_ready(cx)).await?;
                    socket.as_mut().start_send(close(code))?;
                    poll_fn(|cx| socket.as_mut().poll_flush(cx)).await
                };
                let _ = tokio::time::timeout(Duration::from_secs(1), last).await;
                return;
            }
        }
    }
}

struct Over(Arc<Shared>);

impl Drop for Over {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.over = true;
        state.queue.clear();
        for input in &mut state.inputs {
            input.end(End::Lost);
        }
        for output in &mut state.outputs {
            if let Some(writer) = output.writer.take() {
                writer.wake();
            }
        }
        drop(state);
        self.0.cancellation.cancel();
    }
}

/// The step after a turn.
enum Step {
    Again,
    /// The WebSocket is over.
    Over,
    /// It ends with this code.
    Fail(CloseCode),
}

struct Connection<IO> {
    shared: Arc<Shared>,
    socket: WebSocketStream<IO>,
    /// The time of the peer's last message.
    last_received: Instant,
    /// The time of our last PING or PONG.
    last_control: Instant,
    /// The socket has nothing to flush.
    flushed_all: bool,
    /// Nothing is read, since a reader leaves too much.
    paused: bool,
    /// Nothing is sent before its end, unless the peer sends first.
    hold: Option<Pin<Box<Sleep>>>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Connection<IO> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        {
            let mut state = self.shared.lock();
            wakers::register(&mut state.task, cx.waker());
        }
        if self
            .hold
            .as_mut()
            .is_none_or(|hold| hold.as_mut().poll(cx).is_ready())
        {
            self.hold = None;
            if let Err(error) = self.poll_send(cx) {
                return Poll::Ready(failed(&error));
            }
        }
        for _ in 0..TURN {
            let paused = self.shared.lock().is_paused(self.shared.channel_buffer);
            if paused != std::mem::replace(&mut self.paused, paused) {
                // The deadlines are others now.
                self.last_control = Instant::now();
                self.last_received = self.last_control;
                return Poll::Ready(Step::Again);
            }
            if paused {
                return Poll::Pending;
            }
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Step::Over),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(failed(&error)),
                Poll::Ready(Some(Ok(message))) => {
                    self.last_received = Instant::now();
                    self.shared.activity.record_frame();
                    // A PONG may wait for its flush.
                    self.flushed_all = false;
                    if self.hold.take().is_some() {
                        self.shared.lock().wake_task();
                    }
                    if let Some(code) = self.receive(message) {
                        return Poll::Ready(Step::Fail(code));
                    }
                }
            }
        }
        Poll::Ready(Step::Again)
    }

    /// Sends what is queued, as far as the transport takes it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        loop {
            let mut socket = Pin::new(&mut self.socket);
            if socket.as_mut().poll_ready(cx)?.is_pending() {
                return Ok(());
            }
            let mut state = self.shared.lock();
            let Some((message, charge)) = state.queue.pop_front() else {
                break;
            };
            let output = charge.and_then(|(channel, bytes)| {
                let output = state.outputs.get_mut(channel)?;
                output.bytes = output.bytes.saturating_sub(bytes);
                output.writer.take()
            });
            drop(state);
            if let Some(writer) = output {
                writer.wake();
            }
            self.flushed_all = false;
            socket.start_send(message)?;
        }
        if !self.flushed_all && Pin::new(&mut self.socket).poll_flush(cx)?.is_ready() {
            self.flushed_all = true;
            let mut state = self.shared.lock();
            // Messages may have been queued meanwhile; the next turn sends them.
            let waiting = state.queue.len() as u64;
            state.flushed = state.queued.saturating_sub(waiting);
            for output in &mut state.outputs {
                if let Some(writer) = output.writer.take() {
                    writer.wake();
                }
            }
        }
        Ok(())
    }

    /// Handles a message; returns the code of a violation.
    fn receive(&mut self, message: Message) -> Option<CloseCode> {
        let payload: Bytes = match message {
            Message::Binary(payload) => payload,
            Message::Text(text) => text.into(),
            Message::Close(frame) => {
                let code = frame.map_or(CloseCode::Status, |frame| frame.code);
                let end = match code {
                    CloseCode::Normal => End::Complete,
                    _ => End::Lost,
                };
                let mut state = self.shared.lock();
                state.inputs.iter_mut().for_each(|input| input.end(end));
                return None;
            }
            // tungstenite answers a PING.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return None,
        };
        let (channel, data) = match message::decode(self.shared.encoding, payload) {
            Received::Data(channel, data) => (channel, data),
            Received::Empty => return None,
            Received::Malformed => return Some(CloseCode::Invalid),
        };
        let mut state = self.shared.lock();
        if channel == CLOSE && self.shared.version == RemoteCommandProtocol::V5 {
            // Any other length or number ends nothing.
            if let [ended] = *data {
                if let Some(input) = state.inputs.get_mut(usize::from(ended)) {
                    input.end(End::Complete);
                }
            }
        } else if let Some(input) = state.inputs.get_mut(usize::from(channel)) {
            input.push(data);
        }
        None
    }

    /// Returns the time of the next PING or PONG, or of the peer's loss.
    fn deadline(&self, limits: &KubeLimits) -> Option<Instant> {
        let paused = self.paused;
        let pong = paused
            .then(|| self.last_control.checked_add(PAUSED_PONG))
            .flatten();
        let Some(interval) = limits.ping_interval else {
            return pong;
        };
        let ping = self.last_control.checked_add(interval);
        let lost = self.last_received.checked_add(limits.ping_timeout);
        let lost = lost.filter(|_| !paused);
        [pong, ping, lost].into_iter().flatten().min()
    }

    fn handle_deadline(&mut self, limits: &KubeLimits) -> Step {
        let now = Instant::now();
        let silent = now.saturating_duration_since(self.last_received);
        // Our own reader's delay is not the peer's silence.
        if limits.ping_interval.is_some() && !self.paused && silent >= limits.ping_timeout {
            return Step::Over;
        }
        let mut state = self.shared.lock();
        self.last_control = now;
        // A peer that takes nothing gets no further ones.
        if state.queue.is_empty() && !state.closing {
            let message = match limits.ping_interval {
                Some(_) if !self.paused => Message::Ping(Bytes::new()),
                _ => Message::Pong(Bytes::new()),
            };
            state.queue(message, None);
        }
        Step::Again
    }
}

fn failed(error: &Error) -> Step {
    match error {
        Error::Capacity(_) => Step::Fail(CloseCode::Size),
        Error::Protocol(_) => Step::Fail(CloseCode::Protocol),
        Error::Utf8(_) => Step::Fail(CloseCode::Invalid),
        _ => Step::Over,
    }
}
