//! Reading and writing, and the buffers for it, which belong to the thread and
//! not to a connection: an idle connection holds none.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::{poll_read_buf, poll_write_buf};

use crate::proto::Output;

/// The size of a read, at first: small enough to be pinned by a slow reader of
/// one frame of it.
const READ: usize = 16 << 10;

/// The size to which reads grow while they come back full.
const READ_MAX: usize = 256 << 10;

/// Less room than this in the read buffer is not worth a system call.
const READ_MIN: usize = 4 << 10;

/// The start of a frame that is not longer than this is copied out of the read
/// buffer when the connection goes to sleep on it.
const REMAINDER: usize = 1 << 10;

/// The size of output buffers, and of the writes to a transport that takes one
/// slice at a time.
const WRITE: usize = 16 << 10;

/// Chunks below this are gathered for such a transport.
const GATHER_BELOW: usize = 4 << 10;

/// Buffers that a thread keeps.
const POOL: usize = 32;

thread_local! {
    static BUFFERS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer of the usual size.
fn take_buffer() -> BytesMut {
    let pooled = BUFFERS.with_borrow_mut(Vec::pop);
    pooled.unwrap_or_else(|| BytesMut::with_capacity(READ))
}

/// Gives a buffer back. One whose memory is still in use elsewhere (by a body
/// that was split off) is left to that.
pub(super) fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    if !buffer.try_reclaim(READ) || buffer.capacity() > 2 * READ {
        return;
    }
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.len() < POOL {
            buffers.push(buffer);
        }
    });
}

/// The transport and what was read from it.
#[derive(Debug)]
pub(super) struct Transport<IO> {
    io: IO,
    /// What was read and not yet understood.
    pub(super) input: BytesMut,
    read_size: usize,
    /// Output on its way into a transport that takes one slice at a time.
    staged: BytesMut,
    /// The engine's output has one of our buffers.
    lent: bool,
    /// Bytes were written and not flushed.
    unflushed: bool,
}

/// What came of a read.
#[derive(Debug)]
pub(super) enum Read {
    /// So many bytes are new in the input.
    Bytes,
    /// No more will come.
    End,
}

impl<IO> Transport<IO> {
    pub(super) fn new(io: IO) -> Self {
        Self {
            io,
            input: BytesMut::new(),
            read_size: READ,
            staged: BytesMut::new(),
            lent: false,
            unflushed: false,
        }
    }

    /// Data shorter than this is copied, so that a slow reader of a little
    /// data does not pin a large buffer.
    pub(super) fn copy_below(&self) -> usize {
        self.read_size / 16
    }

    /// Nothing is under way: no buffer is held.
    pub(super) fn release_buffers(&mut self, output: &mut Output) {
        if self.input.is_empty() {
            if self.input.capacity() > 0 {
                give_back(std::mem::take(&mut self.input));
            }
        } else if self.input.len() <= REMAINDER && self.input.capacity() >= READ_MIN {
            let remainder = BytesMut::from(&self.input[..]);
            give_back(std::mem::replace(&mut self.input, remainder));
        }
        if let Some(buffer) = output.take_back() {
            self.lent = false;
            give_back(buffer);
        }
        if self.staged.is_empty() && self.staged.capacity() > 0 {
            give_back(std::mem::take(&mut self.staged));
        }
    }

    /// Gives the engine a buffer to encode into.
    pub(super) fn lend(&mut self, output: &mut Output) {
        if !self.lent && output.is_empty() {
            output.lend(take_buffer());
            self.lent = true;
        }
    }

    /// Makes room for a read.
    fn reserve(&mut self) {
        let small = self.input.capacity() < READ && self.input.len() <= REMAINDER;
        if small && self.read_size == READ {
            let mut buffer = take_buffer();
            buffer.extend_from_slice(&self.input);
            give_back(std::mem::replace(&mut self.input, buffer));
        }
        let room = self.room();
        if room < READ_MIN || (self.input.is_empty() && room < self.read_size) {
            self.input.reserve(self.read_size);
        }
    }

    fn room(&self) -> usize {
        self.input.capacity().saturating_sub(self.input.len())
    }
}

impl<IO: AsyncRead + Unpin> Transport<IO> {
    /// Reads once. Reads grow while they come back full, and shrink again.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Read>> {
        self.reserve();
        let room = self.room();
        let read = ready!(poll_read_buf(Pin::new(&mut self.io), cx, &mut self.input))?;
        if read == room && room >= self.read_size {
            self.read_size = READ_MAX.min(self.read_size.saturating_mul(2));
        } else if read < self.read_size / 4 {
            self.read_size = READ.max(self.read_size / 2);
        }
        Poll::Ready(Ok(if read == 0 { Read::End } else { Read::Bytes }))
    }

    /// Reads and forgets, until the peer closes: so that a last word to it is
    /// not destroyed by a reset of the transport (RFC 9113 §9.1 has connections
    /// end by a close of both sides).
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..16 {
            self.input.clear();
            match ready!(self.poll_read(cx)) {
                Ok(Read::Bytes) => {}
                Ok(Read::End) | Err(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<IO: AsyncWrite + Unpin> Transport<IO> {
    /// Writes until the output is empty.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        output: &mut Output,
    ) -> Poll<io::Result<()>> {
        while output.has_remaining() || self.staged.has_remaining() {
            let written = if self.stage(output) {
                ready!(poll_write_buf(Pin::new(&mut self.io), cx, &mut self.staged))?
            } else {
                ready!(poll_write_buf(Pin::new(&mut self.io), cx, output))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Gathers small chunks for a transport that takes one slice at a time;
    /// `true` if something is staged and goes first.
    fn stage(&mut self, output: &mut Output) -> bool {
        if self.staged.is_empty()
            && !self.io.is_write_vectored()
            && output.chunk().len() < GATHER_BELOW.min(output.remaining())
        {
            if self.staged.capacity() == 0 {
                self.staged = take_buffer();
            }
            while output.has_remaining() && self.staged.len() < WRITE {
                let chunk = output.chunk();
                let len = chunk.len().min(WRITE.saturating_sub(self.staged.len()));
                self.staged
                    .extend_from_slice(chunk.get(..len).unwrap_or_default());
                output.advance(len);
            }
        }
        !self.staged.is_empty()
    }

    /// Passes on what layers below (TLS) hold back.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn read(transport: &mut Transport<DuplexStream>) -> Poll<io::Result<Read>> {
        transport.poll_read(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn an_idle_transport_holds_no_buffers() {
        let (here, mut there) = duplex(1 << 20);
        let mut transport = Transport::new(here);
        let mut output = Output::default();
        there.write_all(&[1; 100]).await.unwrap();
        transport.lend(&mut output);
        assert!(matches!(read(&mut transport), Poll::Ready(Ok(Read::Bytes))));
        assert_eq!(transport.input.len(), 100);
        transport.input.clear();
        transport.release_buffers(&mut output);
        assert_eq!(
            (transport.input.capacity(), transport.staged.capacity()),
            (0, 0)
        );
        assert!(output.take_back().is_none());
    }

    #[tokio::test]
    async fn the_start_of_a_frame_is_kept_in_a_small_buffer() {
        let (here, mut there) = duplex(1 << 20);
        let mut transport = Transport::new(here);
        there.write_all(b"start").await.unwrap();
        assert!(read(&mut transport).is_ready());
        transport.release_buffers(&mut Output::default());
        assert!(transport.input.capacity() < REMAINDER);
        there.write_all(b", end").await.unwrap();
        assert!(read(&mut transport).is_ready());
        assert_eq!(&transport.input[..], b"start, end");
        assert!(transport.input.capacity() >= READ);
    }

    #[tokio::test]
    async fn reads_grow_while_they_come_back_full_and_shrink_again() {
        let (here, mut there) = duplex(4 << 20);
        let mut transport = Transport::new(here);
        there.write_all(&[1; 2 << 20]).await.unwrap();
        // Bodies that are split off keep their memory; reading goes on in new.
        let mut bodies = Vec::new();
        while read(&mut transport).is_ready() {
            bodies.push(transport.input.split().freeze());
        }
        assert!(transport.read_size >= READ_MAX / 2);
        assert!(bodies.len() < 20, "{} reads", bodies.len());
        assert_eq!(bodies.iter().map(|body| body.len()).sum::<usize>(), 2 << 20);
        drop(bodies);
        for _ in 0..10 {
            there.write_all(&[1; 100]).await.unwrap();
            assert!(read(&mut transport).is_ready());
            transport.input.clear();
            transport.release_buffers(&mut Output::default());
        }
        assert_eq!(transport.read_size, READ);
        // The large buffer is not what the thread keeps.
        assert!(take_buffer().capacity() <= 2 * READ);
    }

    #[test]
    fn buffers_in_use_elsewhere_are_not_pooled() {
        let mut buffer = BytesMut::with_capacity(READ);
        buffer.extend_from_slice(&[1; 4000]);
        let body = buffer.split_to(4000).freeze();
        give_back(buffer);
        assert!(BUFFERS.with_borrow(Vec::is_empty));
        drop(body);
    }
}
