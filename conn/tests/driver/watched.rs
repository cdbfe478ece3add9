//! A transport whose writes a test sees, or lets fail.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{self, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// What a test does with the writes of a transport.
pub(crate) trait Writes: Unpin {
    /// Called before each write, which an error prevents.
    fn permit(&self) -> io::Result<()> {
        Ok(())
    }

    /// Called after each write that took bytes.
    fn note(&self, _len: usize) {}
}

/// A pipe in memory, which accepts one slice or many at a time.
pub(crate) struct Watched<W> {
    pub(crate) io: DuplexStream,
    pub(crate) writes: W,
    pub(crate) vectored: bool,
}

impl<W: Writes> Watched<W> {
    fn noted(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(len)) = &result {
            self.writes.note(*len);
        }
        result
    }
}

impl<W: Writes> AsyncRead for Watched<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<W: Writes> AsyncWrite for Watched<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.permit()?;
        let written = Pin::new(&mut self.io).poll_write(cx, data);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(self.vectored);
        self.writes.permit()?;
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, data);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
