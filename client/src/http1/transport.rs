//! The transport of an HTTP/1.1 connection: it counts its bytes, and its writes end.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use crate::{Limits, Transport};

/// The bytes of a connection, both ways.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    read: AtomicU64,
    written: AtomicU64,
}

impl Traffic {
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

/// A transport that counts. It fails if bytes wait and the server takes too few of them.
pub(super) struct Counted<IO> {
    io: IO,
    traffic: Arc<Traffic>,
    /// The server takes so many bytes in this time, or all that wait.
    least: u64,
    timeout: Duration,
    stall: Option<Stall>,
}

/// Runs while bytes wait.
struct Stall {
    end: Pin<Box<Sleep>>,
    /// The bytes that were written when it began.
    mark: u64,
}

impl<IO: Transport> Counted<IO> {
    pub(super) fn new(io: IO, traffic: Arc<Traffic>, limits: &Limits) -> Self {
        Self {
            io,
            traffic,
            least: limits.least_written(),
            timeout: limits.write_stall_timeout,
            stall: None,
        }
    }

    /// Handles the result of a write of `asked` bytes.
    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        asked: usize,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(result) = result else {
            return Poll::Ready(Err(std::task::ready!(self.poll_stall(cx))));
        };
        if let Ok(length) = &result {
            let written = u64::try_from(*length).unwrap_or(u64::MAX);
            self.traffic.written.fetch_add(written, Ordering::Relaxed);
        }
        // A part is not enough: a server that takes a byte now and then would hold us for ever.
        if !result.as_ref().is_ok_and(|length| *length < asked) {
            self.stall = None;
        }
        Poll::Ready(result)
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let (written, timeout) = (self.traffic.written(), self.timeout);
        let begin = || Stall {
            end: Box::pin(sleep(timeout)),
            mark: written,
        };
        let stall = self.stall.get_or_insert_with(begin);
        std::task::ready!(stall.end.as_mut().poll(cx));
        if written.saturating_sub(stall.mark) >= self.least {
            // The new timer needs a poll.
            self.stall = Some(begin());
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.stall = None;
        let text = format!(
            "the server took fewer than {} bytes in {timeout:?} (write_stall_timeout, min_rate)",
            self.least
        );
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, text))
    }
}

impl<IO: Transport> AsyncRead for Counted<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let length = buffer.filled().len().saturating_sub(before);
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.traffic.read.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<IO: Transport> AsyncWrite for Counted<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.wrote(cx, bytes.len(), result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        let asked = pieces
            .iter()
            .fold(0usize, |sum, piece| sum.saturating_add(piece.len()));
        self.wrote(cx, asked, result)
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
