//! A transport that returns bytes which were read before.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A transport that first returns bytes which were read from it before.
///
/// ```
/// use lacewing_server::Rewind;
/// use tokio::io::AsyncReadExt;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let mut io = Rewind::new(&b" and the rest"[..], "what was read".into());
/// let mut all = String::new();
/// io.read_to_string(&mut all).await?;
/// assert_eq!(all, "what was read and the rest");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Rewind<T> {
    prefix: Bytes,
    io: T,
}

impl<T> Rewind<T> {
    /// Wraps a transport. Readers receive `prefix` before the bytes of `io`.
    pub fn new(io: T, prefix: Bytes) -> Self {
        Self { prefix, io }
    }

    /// Returns the transport, and the bytes that no reader received yet.
    pub fn into_parts(self) -> (T, Bytes) {
        (self.io, self.prefix)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewind<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let len = self.prefix.len().min(buffer.remaining());
        buffer.put_slice(&self.prefix.split_to(len));
        if !self.prefix.has_remaining() {
            // Gives the memory back.
            self.prefix = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rewind<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn bytes_are_replayed_for_reads_of_any_size() {
        for at_once in 1..8 {
            let mut io = Rewind::new(&b"rest"[..], Bytes::from_static(b"prefix"));
            let mut all = Vec::new();
            let mut buffer = vec![0; at_once];
            loop {
                match io.read(&mut buffer).await.unwrap() {
                    0 => break,
                    len => all.extend_from_slice(buffer.get(..len).unwrap()),
                }
            }
            assert_eq!(all, b"prefixrest");
        }
    }
}
