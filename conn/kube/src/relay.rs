//! Copies between a stream of a session and a socket or pipe, in pieces that are not copied.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use lacewing_conn::driver::{RawStream, facade::PieceReader};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_write_buf;

/// The bytes of one write, at most. Each wakes the other side, which costs more than the copy.
const AT_ONCE: usize = 256 << 10;

/// The pieces of one write, at most.
const MAX_PIECES: usize = 32;

/// A stream that gives bytes as they arrived.
pub(crate) trait ReadChunks {
    /// Takes the next bytes; `None` at the end.
    fn poll_read_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>>;
}

/// A stream that takes bytes which the caller owns.
pub(crate) trait WriteChunks: AsyncWrite + Unpin {
    /// Takes all of `chunk`, and leaves it empty.
    fn poll_write_chunk(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes)
    -> Poll<io::Result<()>>;

    /// Waits for room. What is read before there is some would be held by the relay.
    fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl ReadChunks for RawStream {
    fn poll_read_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        Self::poll_read_chunk(self, cx)
    }
}

impl WriteChunks for RawStream {
    fn poll_write_chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        Self::poll_write_chunk(self, cx, chunk)
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll_writable(self, cx)
    }
}

/// Copies in both directions until both have ended. Each end is passed on by itself.
///
/// # Errors
///
/// The first error of either direction. The other one may be incomplete then.
pub(crate) async fn relay<S, IO>(stream: &mut S, io: &mut IO) -> io::Result<()>
where
    S: ReadChunks + WriteChunks,
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let (mut to_io, mut to_stream) = (Outward::default(), Inward::default());
    poll_fn(|cx| {
        let sent = to_io.poll(cx, stream, io)?;
        let received = to_stream.poll(cx, io, stream)?;
        match sent.is_ready() && received.is_ready() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    })
    .await
}

/// The way from a stream to a socket or pipe.
#[derive(Debug, Default)]
pub(crate) struct Outward {
    pieces: Pieces,
    step: Step,
}

/// The state of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Copying,
    /// The source has ended.
    Ending,
    Over,
}

impl Outward {
    /// Copies to the end of `source`, and shuts `to` down.
    pub(crate) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        to: &mut W,
    ) -> Poll<io::Result<()>>
    where
        R: ReadChunks,
        W: AsyncWrite + Unpin,
    {
        while self.step == Step::Copying {
            self.gather(cx, source)?;
            if self.pieces.has_remaining() {
                ready!(self.poll_write(cx, to))?;
            } else if self.step == Step::Copying {
                ready!(Pin::new(&mut *to).poll_flush(cx))?;
                return Poll::Pending;
            }
        }
        if self.step == Step::Ending {
            while self.pieces.has_remaining() {
                ready!(self.poll_write(cx, to))?;
            }
            ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
            self.step = Step::Over;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what is there, up to the size of a write. An error waits until those bytes are
    /// written.
    fn gather<R: ReadChunks>(&mut self, cx: &mut Context<'_>, source: &mut R) -> io::Result<()> {
        while self.pieces.has_room() {
            match source.poll_read_chunk(cx) {
                Poll::Ready(Ok(Some(chunk))) => self.pieces.push(chunk),
                Poll::Ready(Ok(None)) => {
                    self.step = Step::Ending;
                    break;
                }
                // Sources repeat their errors.
                Poll::Ready(Err(_)) if self.pieces.has_remaining() => break,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        match ready!(poll_write_buf(Pin::new(to), cx, &mut self.pieces))? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// The way from a socket or pipe to a stream.
#[derive(Debug, Default)]
struct Inward {
    reader: PieceReader,
    chunk: Bytes,
    step: Step,
}

impl Inward {
    /// Copies to the end of `source`, and shuts `to` down.
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        to: &mut W,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: WriteChunks,
    {
        while self.step == Step::Copying {
            if !self.chunk.is_empty() {
                ready!(to.poll_write_chunk(cx, &mut self.chunk))?;
            }
            ready!(to.poll_writable(cx));
            self.chunk = ready!(self.reader.poll_read(cx, source))?;
            if self.chunk.is_empty() {
                self.step = Step::Ending;
            }
        }
        if self.step == Step::Ending {
            ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
            self.step = Step::Over;
        }
        Poll::Ready(Ok(()))
    }
}

/// The pieces of a write.
#[derive(Debug, Default)]
struct Pieces {
    queue: VecDeque<Bytes>,
    len: usize,
}

impl Pieces {
    fn has_room(&self) -> bool {
        self.len < AT_ONCE && self.queue.len() < MAX_PIECES
    }

    /// Adds a piece that is not empty.
    fn push(&mut self, piece: Bytes) {
        self.len = self.len.saturating_add(piece.len());
        self.queue.push_back(piece);
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(&self.queue);
        filled.fold(0, |count, (slice, piece)| {
            *slice = IoSlice::new(piece);
            count.saturating_add(1)
        })
    }

    fn advance(&mut self, mut count: usize) {
        self.len = self.len.saturating_sub(count);
        while let Some(piece) = self.queue.front_mut() {
            if count < piece.len() {
                piece.advance(count);
                return;
            }
            count = count.saturating_sub(piece.len());
            self.queue.pop_front();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

    use super::*;

    /// A stream that gives chunks of at most 1000 bytes, and an error at the end if it `breaks`.
    #[derive(Debug)]
    struct Chunked {
        io: DuplexStream,
        breaks: bool,
    }

    impl ReadChunks for Chunked {
        fn poll_read_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
            let mut bytes = [0; 1000];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            let read = Bytes::copy_from_slice(buffer.filled());
            Poll::Ready(match (read.is_empty(), self.breaks) {
                (false, _) => Ok(Some(read)),
                (true, false) => Ok(None),
                (true, true) => Err(io::ErrorKind::ConnectionReset.into()),
            })
        }
    }

    impl WriteChunks for Chunked {
        fn poll_write_chunk(
            &mut self,
            cx: &mut Context<'_>,
            chunk: &mut Bytes,
        ) -> Poll<io::Result<()>> {
            while !chunk.is_empty() {
                let written = ready!(Pin::new(&mut self.io).poll_write(cx, chunk))?;
                chunk.advance(written);
            }
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Chunked {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.io).poll_write(cx, data)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_shutdown(cx)
        }
    }

    fn bytes(seed: u8, len: usize) -> Vec<u8> {
        let steps = (0..len).scan(seed, |state, _| {
            *state = state.wrapping_mul(5).wrapping_add(113);
            Some(*state)
        });
        steps.collect()
    }

    /// Writes all of `data`, ends, and reads the other direction to its end.
    async fn exchange(io: DuplexStream, data: &[u8]) -> Vec<u8> {
        let (mut reader, mut writer) = tokio::io::split(io);
        let write = async {
            writer.write_all(data).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let (read, ()) = tokio::join!(reader.read_to_end(&mut received), write);
        read.unwrap();
        received
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_whatever_the_buffers_take() {
        for room in [1, 999, 64 << 10] {
            let (client, io) = duplex(room);
            let (mut near, pod) = duplex(room.div_ceil(2));
            let mut stream = Chunked { io, breaks: false };
            let (up, down) = (bytes(1, 3000 + 5 * room), bytes(2, 5000 + 8 * room));
            let (relayed, at_client, at_pod) = tokio::join!(
                relay(&mut stream, &mut near),
                exchange(client, &up),
                exchange(pod, &down)
            );
            relayed.unwrap();
            assert!(at_client == down && at_pod == up, "room {room}");
        }
    }

    #[tokio::test]
    async fn an_end_passes_while_the_other_direction_is_open() {
        let (mut client, io) = duplex(64);
        let (mut near, mut pod) = duplex(64);
        let mut stream = Chunked { io, breaks: false };
        let talk = async {
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut question = Vec::new();
            pod.read_to_end(&mut question).await.unwrap();
            pod.write_all(b"answer to ").await.unwrap();
            pod.write_all(&question).await.unwrap();
            pod.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let (relayed, answer) = tokio::join!(relay(&mut stream, &mut near), talk);
        relayed.unwrap();
        assert_eq!(answer, "answer to question");
    }

    #[tokio::test]
    async fn what_arrived_before_an_error_is_written_first() {
        let (mut client, io) = duplex(4096);
        let (mut near, mut pod) = duplex(4096);
        let mut stream = Chunked { io, breaks: true };
        client.write_all(&bytes(3, 2500)).await.unwrap();
        drop(client);
        let error = relay(&mut stream, &mut near).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        drop(near);
        let mut received = Vec::new();
        pod.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, bytes(3, 2500));
    }
}
