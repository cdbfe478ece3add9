//! A transport whose bytes are seen as they pass.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use lacewing_client::Transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The one that sees them.
pub(crate) trait Watcher: Send + Unpin + 'static {
    fn sent(&mut self, bytes: &[u8]);
    fn received(&mut self, bytes: &[u8]);
}

/// A transport with a watcher.
pub(crate) struct Watched<W> {
    io: Box<dyn Transport>,
    watcher: W,
}

impl<W: Watcher> Watched<W> {
    pub(crate) fn new(io: Box<dyn Transport>, watcher: W) -> Self {
        Self { io, watcher }
    }
}

impl<W: Watcher> AsyncRead for Watched<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        self.watcher.received(new);
        Poll::Ready(Ok(()))
    }
}

impl<W: Watcher> AsyncWrite for Watched<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.watcher.sent(bytes.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        let mut left = written;
        for slice in slices {
            let taken = slice.len().min(left);
            self.watcher.sent(slice.get(..taken).unwrap_or_default());
            left = left.saturating_sub(taken);
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
