//! Pipes of commands that carry much.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    process::{ChildStderr, ChildStdin, ChildStdout},
};

/// The bytes after which a pipe is enlarged. Most commands move less; a user without privileges
/// has a limited number of pages in all of its pipes (`pipe-user-pages-soft`).
const BULK: u64 = 1 << 20;

/// The size of an enlarged pipe. Those of Linux have 64 KiB, and both sides then wake each other
/// four times as often.
#[cfg(target_os = "linux")]
const ENLARGED: usize = 256 << 10;

/// The end of a pipe, which is enlarged in a bulk transfer.
#[derive(Debug)]
pub(super) struct BulkPipe<P> {
    pipe: P,
    moved: u64,
}

/// Two pipes that are read as one. It ends when both have.
#[derive(Debug)]
pub(super) struct JoinedPipes<P, Q> {
    first: Option<BulkPipe<P>>,
    second: Option<BulkPipe<Q>>,
}

/// A pipe that can be enlarged, where the system can.
pub(super) trait Enlarge {
    fn enlarge(&self);
}

macro_rules! enlarge {
    ($($pipe:ty),*) => {$(
        impl Enlarge for $pipe {
            fn enlarge(&self) {
                // A pipe that stays small works too.
                #[cfg(target_os = "linux")]
                let _ = rustix::pipe::fcntl_setpipe_size(self, ENLARGED);
            }
        }
    )*};
}

enlarge!(ChildStdin, ChildStdout, ChildStderr);

impl<P: Enlarge> BulkPipe<P> {
    pub(super) fn new(pipe: P) -> Self {
        Self { pipe, moved: 0 }
    }

    /// Both pipes as one, each piece in the order of its arrival.
    pub(super) fn joined<Q>(self, other: BulkPipe<Q>) -> JoinedPipes<P, Q> {
        JoinedPipes {
            first: Some(self),
            second: Some(other),
        }
    }

    fn count(&mut self, bytes: usize) {
        let before = self.moved;
        self.moved = before.saturating_add(bytes as u64);
        if before < BULK && self.moved >= BULK {
            self.pipe.enlarge();
        }
    }
}

impl<P: AsyncRead + Enlarge + Unpin> AsyncRead for BulkPipe<P> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.pipe).poll_read(cx, buffer))?;
        self.count(buffer.filled().len().saturating_sub(before));
        Poll::Ready(Ok(()))
    }
}

impl<P: AsyncWrite + Enlarge + Unpin> AsyncWrite for BulkPipe<P> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.pipe).poll_write(cx, data))?;
        self.count(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.pipe).poll_write_vectored(cx, slices))?;
        self.count(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.pipe.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

impl<P, Q> AsyncRead for JoinedPipes<P, Q>
where
    P: AsyncRead + Enlarge + Unpin,
    Q: AsyncRead + Enlarge + Unpin,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Self { first, second } = self.get_mut();
        let read = (
            poll_part(first, cx, buffer)?,
            poll_part(second, cx, buffer)?,
        );
        match read {
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            (Poll::Ready(()), Poll::Pending) | (Poll::Pending, Poll::Ready(()))
                if buffer.filled().len() == before =>
            {
                Poll::Pending
            }
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// Reads a pipe that has not ended. Ready without new bytes: it has, or the buffer is full.
fn poll_part<P: AsyncRead + Enlarge + Unpin>(
    part: &mut Option<BulkPipe<P>>,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let Some(pipe) = part else {
        return Poll::Ready(Ok(()));
    };
    let (before, room) = (buffer.filled().len(), buffer.remaining());
    ready!(Pin::new(pipe).poll_read(cx, buffer))?;
    if room > 0 && buffer.filled().len() == before {
        *part = None;
    }
    Poll::Ready(Ok(()))
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Stdio;

    use rustix::pipe::fcntl_getpipe_size;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        process::Command,
    };

    use super::*;

    #[tokio::test]
    async fn pipes_grow_after_a_mebibyte() {
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut cat = command.spawn().unwrap();
        let mut stdin = BulkPipe::new(cat.stdin.take().unwrap());
        let mut stdout = BulkPipe::new(cat.stdout.take().unwrap());
        let small = fcntl_getpipe_size(&stdin.pipe).unwrap();
        let half = vec![7; 512 << 10];
        let mut back = vec![0; half.len()];
        for enlarged in [false, true] {
            let (written, read) =
                tokio::join!(stdin.write_all(&half), stdout.read_exact(&mut back));
            written.unwrap();
            read.unwrap();
            assert!(back == half);
            let sizes = (
                fcntl_getpipe_size(&stdin.pipe).unwrap(),
                fcntl_getpipe_size(&stdout.pipe).unwrap(),
            );
            let expected = if enlarged { ENLARGED } else { small };
            assert_eq!(sizes, (expected, expected));
        }
        drop(stdin);
        assert!(cat.wait().await.unwrap().success());
    }
}
