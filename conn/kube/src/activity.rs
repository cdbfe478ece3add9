//! The time of the last activity of a session, for its idle timeout.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

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

/// A transport that records each read.
#[derive(Debug)]
pub(crate) struct Metered<IO> {
    io: IO,
    activity: ActivityClock,
}

impl<IO> Metered<IO> {
    pub(crate) fn new(io: IO, activity: ActivityClock) -> Self {
        Self { io, activity }
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
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Metered<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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
