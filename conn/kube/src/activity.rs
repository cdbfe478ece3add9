//! The time of the last activity of a session, for its idle timeout.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use lacewing_conn::driver::facade::wakers;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::limits::{Activity, KubeLimits};

/// The time of the last activity, which all parts of a session share.
#[derive(Clone, Debug)]
pub(crate) struct ActivityClock {
    timeout: Option<Duration>,
    counted: Activity,
    last: Arc<Mutex<Instant>>,
}

impl ActivityClock {
    pub(crate) fn new(limits: &KubeLimits) -> Self {
        Self {
            timeout: limits.idle_timeout,
            counted: limits.activity,
            last: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Records that bytes of any frame arrived.
    pub(crate) fn record_frame(&self) {
        if self.counted == Activity::AnyFrame {
            self.record();
        }
    }

    /// Records that data moved.
    pub(crate) fn record_data(&self) {
        if self.counted == Activity::DataOnly {
            self.record();
        }
    }

    fn record(&self) {
        if self.timeout.is_some() {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    /// Waits until the session is idle for too long; for ever without a timeout.
    pub(crate) async fn idle(&self) {
        let Some(timeout) = self.timeout else {
            return std::future::pending().await;
        };
        loop {
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            // A timeout beyond the clock's range never ends.
            let Some(deadline) = last.checked_add(timeout) else {
                return std::future::pending().await;
            };
            if deadline <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }
}

/// A transport that records each read, and holds all writes until the first one.
///
/// Go's clients discard what arrives in one read with the head of the 101 response: a part of
/// a frame that is lost there would leave the rest without meaning.
#[derive(Debug)]
pub(crate) struct Metered<IO> {
    io: IO,
    activity: ActivityClock,
    gate: Gate,
    was_read: bool,
    /// The gate is known to be open.
    may_write: bool,
}

impl<IO> Metered<IO> {
    pub(crate) fn new(io: IO, activity: ActivityClock, gate: Gate) -> Self {
        Self {
            io,
            activity,
            gate,
            was_read: false,
            may_write: false,
        }
    }

    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.may_write {
            ready!(self.gate.poll_open(cx));
            self.may_write = true;
        }
        Poll::Ready(())
    }
}

/// Holds the writes of a transport until it opens, once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<Mutex<GateState>>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    writer: Option<Waker>,
}

impl Gate {
    pub(crate) fn open(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.open = true;
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }

    fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.open {
            return Poll::Ready(());
        }
        wakers::register(&mut state.writer, cx.waker());
        Poll::Pending
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Metered<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.activity.record_frame();
        }
        // The end of the input opens the gate, too: nothing is in the way any more.
        if !std::mem::replace(&mut self.was_read, true) {
            self.gate.open();
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Metered<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_gate(cx));
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_gate(cx));
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
