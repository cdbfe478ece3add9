//! Reading and writing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::{poll_read_buf, poll_write_buf};

use super::buffers::{self, Size};
use crate::proto::Output;

/// Less room than this in the read buffer is not worth a system call.
const READ_MIN: usize = 4 << 10;

/// A read of less than this needs only a small buffer.
const SHRINK_BELOW: usize = 8 << 10;

/// The size of writes to a transport that takes one slice at a time.
const WRITE: usize = Size::Small.bytes();

/// Chunks below this are gathered for such a transport.
const GATHER_BELOW: usize = 4 << 10;

/// The transport, and the input that was read from it.
#[derive(Debug)]
pub(super) struct Transport<IO> {
    io: IO,
    /// The input that the engine has not consumed.
    pub(super) input: BytesMut,
    /// The size of the input's buffer; `None` if it is not of the pool.
    input_size: Option<Size>,
    /// The size of the next buffer: large while reads fill it.
    read_size: Size,
    /// Output on its way into a transport that takes one slice at a time. The box stays once it is
    /// made; other transports need none.
    staged: Option<Box<BytesMut>>,
    /// The engine's output has one of our buffers.
    lent: bool,
    /// Bytes were written and not flushed.
    unflushed: bool,
    /// The largest size of the next reads.
    largest_read: Size,
    /// The bytes of all reads; it wraps.
    pub(super) received: usize,
}

/// The outcome of a read.
#[derive(Debug)]
pub(super) enum Read {
    /// The input has new bytes.
    Bytes,
    /// The transport has ended.
    End,
}

impl<IO> Transport<IO> {
    pub(super) fn new(io: IO) -> Self {
        Self {
            io,
            input: BytesMut::new(),
            input_size: None,
            read_size: Size::Small,
            staged: None,
            lent: false,
            unflushed: false,
            largest_read: Size::Large,
            received: 0,
        }
    }

    /// Returns the length below which data is copied, so that neither a slow reader of a
    /// little data nor the start of a frame pins a large buffer.
    pub(super) fn copy_below(&self) -> usize {
        self.input_size.unwrap_or(Size::Small).bytes() / 16
    }

    /// Returns the bytes of buffers that stay with a connection that sleeps.
    pub(super) fn held(&self) -> usize {
        let input = match self.input.len() > self.copy_below() {
            true => self.input.capacity(),
            false => self.input.len(),
        };
        let staged = self.staged.as_ref();
        input.saturating_add(staged.map_or(0, |staged| staged.capacity()))
    }

    /// Returns the bytes of the thread's buffer that the output has and does not
    /// use.
    pub(super) fn lent(&self, output: &Output) -> usize {
        match self.lent && output.is_empty() {
            true => Size::Small.bytes(),
            false => 0,
        }
    }

    /// Returns the buffers to the pool before a sleep.
    pub(super) fn release_buffers(&mut self, output: &mut Output) {
        if self.input.capacity() > READ_MIN && self.input.len() <= self.copy_below() {
            let remainder = match self.input.is_empty() {
                true => BytesMut::new(),
                false => BytesMut::from(&self.input[..]),
            };
            self.replace_input(remainder, None);
        }
        if let Some(mut buffer) = output.take_back() {
            let lent = std::mem::take(&mut self.lent);
            if lent && buffer.try_reclaim(Size::Small.bytes()) {
                buffers::give_back(buffer, Size::Small);
            }
        }
        if let Some(staged) = &mut self.staged {
            if staged.is_empty() && staged.capacity() > 0 {
                buffers::give_back(std::mem::take(&mut **staged), Size::Small);
            }
        }
    }

    /// Gives the engine a buffer to encode into.
    pub(super) fn lend(&mut self, output: &mut Output) {
        if !self.lent && output.is_empty() {
            output.lend(buffers::take(Size::Small));
            self.lent = true;
        }
    }

    /// Makes room for a read. The room is the rest of the buffer, all of it if no body uses it any
    /// more, or another buffer.
    fn reserve(&mut self) {
        let (size, room) = (self.read_size(), self.room());
        let reclaimable = self.input.is_empty() && self.input.capacity() > 0;
        // The rest of a huge buffer would make small reads.
        let enough = match size {
            Size::Huge => size.bytes() / 2,
            Size::Small | Size::Large => READ_MIN,
        };
        if room >= size.bytes()
            || (reclaimable && self.input.try_reclaim(size.bytes()))
            || room >= enough
        {
            return;
        }
        if self.input.len().saturating_add(enough) > size.bytes() {
            // A frame larger than the buffers.
            self.input.reserve(size.bytes());
            self.input_size = None;
            return;
        }
        let mut fresh = buffers::take(size);
        fresh.extend_from_slice(&self.input);
        self.replace_input(fresh, Some(size));
    }

    /// Begins a poll. Its reads may be huge if those of earlier polls were full, and readers took
    /// what they read. Otherwise huge buffers would stay with content that waits.
    /// While memory is short, all reads are small.
    pub(super) fn begin_poll(&mut self, readers_lag: bool, memory_is_short: bool) {
        self.largest_read = match (memory_is_short, readers_lag) {
            (true, _) => Size::Small,
            (false, false) if self.read_size == Size::Huge => Size::Huge,
            (false, _) => Size::Large,
        };
    }

    fn read_size(&self) -> Size {
        self.read_size.min(self.largest_read)
    }

    fn replace_input(&mut self, input: BytesMut, size: Option<Size>) {
        let used = std::mem::replace(&mut self.input, input);
        if let Some(size) = std::mem::replace(&mut self.input_size, size) {
            buffers::give_back(used, size);
        }
    }

    fn room(&self) -> usize {
        self.input.capacity().saturating_sub(self.input.len())
    }
}

impl<IO: AsyncRead + Unpin> Transport<IO> {
    /// Reads once. Reads grow while they fill their buffer, and shrink again.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Read>> {
        self.reserve();
        let room = self.room();
        let read = ready!(poll_read_buf(Pin::new(&mut self.io), cx, &mut self.input))?;
        self.received = self.received.wrapping_add(read);
        if read == room && room >= READ_MIN {
            self.read_size = self.read_size.larger();
        } else if read < SHRINK_BELOW {
            self.read_size = Size::Small;
        }
        Poll::Ready(Ok(if read == 0 { Read::End } else { Read::Bytes }))
    }

    /// Reads and discards until the peer closes. Unread input would reset the
    /// transport, and the peer could lose our last bytes (RFC 9113 §9.1).
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        self.input.clear();
        Poll::Ready(ready!(self.poll_read(cx)).unwrap_or(Read::End))
    }
}

impl<IO: AsyncWrite + Unpin> Transport<IO> {
    /// Writes until the output is empty.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        output: &mut Output,
    ) -> Poll<io::Result<()>> {
        while output.has_remaining() || self.is_staging() {
            self.stage(output);
            let staged = self.staged.as_deref_mut();
            let written = if let Some(staged) = staged.filter(|staged| !staged.is_empty()) {
                ready!(poll_write_buf(Pin::new(&mut self.io), cx, staged))?
            } else if output.chunk().len() == output.remaining() {
                // The most frequent case: to fill a list of slices would cost more than the write.
                let chunk = output.chunk();
                let written = ready!(Pin::new(&mut self.io).poll_write(cx, chunk))?;
                output.advance(written);
                written
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

    /// Gathers small chunks for a transport that takes one slice at a time. What is staged goes
    /// first.
    fn stage(&mut self, output: &mut Output) {
        if !self.is_staging()
            && !self.io.is_write_vectored()
            && output.chunk().len() < GATHER_BELOW.min(output.remaining())
        {
            let staged = self.staged.get_or_insert_default();
            if staged.capacity() == 0 {
                **staged = buffers::take(Size::Small);
            }
            while output.has_remaining() && staged.len() < WRITE {
                let chunk = output.chunk();
                let len = chunk.len().min(WRITE.saturating_sub(staged.len()));
                staged.extend_from_slice(chunk.get(..len).unwrap_or_default());
                output.advance(len);
            }
        }
    }

    fn is_staging(&self) -> bool {
        self.staged
            .as_ref()
            .is_some_and(|staged| !staged.is_empty())
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
#[allow(clippy::unwrap_used)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn read(transport: &mut Transport<DuplexStream>) -> Poll<io::Result<Read>> {
        transport.begin_poll(false, false);
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
        assert_eq!(transport.held(), 0);
        assert!(output.take_back().is_none());
    }

    #[tokio::test]
    async fn the_start_of_a_frame_is_kept_in_a_small_buffer() {
        let (here, mut there) = duplex(1 << 20);
        let mut transport = Transport::new(here);
        there.write_all(b"start").await.unwrap();
        assert!(read(&mut transport).is_ready());
        transport.release_buffers(&mut Output::default());
        assert!(transport.input.capacity() < 100);
        there.write_all(b", end").await.unwrap();
        assert!(read(&mut transport).is_ready());
        assert_eq!(&transport.input[..], b"start, end");
        assert!(transport.input.capacity() >= Size::Small.bytes());
    }

    #[tokio::test]
    async fn reads_grow_while_they_are_full_and_shrink_again() {
        let (here, mut there) = duplex(4 << 20);
        let mut transport = Transport::new(here);
        there.write_all(&[1; 2 << 20]).await.unwrap();
        // Bodies that are split off keep their memory; reading continues in
        // other memory.
        let mut bodies = Vec::new();
        while read(&mut transport).is_ready() {
            let body = transport.input.split().freeze();
            assert!(!body.is_empty());
            bodies.push(body);
        }
        assert_eq!(transport.input_size, Some(Size::Huge));
        assert!(bodies.len() < 16, "{} reads", bodies.len());
        assert_eq!(bodies.iter().map(|body| body.len()).sum::<usize>(), 2 << 20);
        drop(bodies);
        for _ in 0..2 {
            there.write_all(&[1; 100]).await.unwrap();
            assert!(read(&mut transport).is_ready());
            transport.input.clear();
            transport.release_buffers(&mut Output::default());
        }
        assert_eq!(transport.read_size, Size::Small);
    }

    #[tokio::test]
    async fn a_bulk_transfer_that_pauses_in_a_frame_holds_its_start_alone() {
        let (here, mut there) = duplex(4 << 20);
        let mut transport = Transport::new(here);
        there.write_all(&[1; 1 << 20]).await.unwrap();
        while read(&mut transport).is_ready() {
            transport.input.clear();
        }
        assert_eq!(transport.input_size, Some(Size::Huge));
        there.write_all(&[2; 10 << 10]).await.unwrap();
        assert!(read(&mut transport).is_ready());
        transport.release_buffers(&mut Output::default());
        assert_eq!(&transport.input[..], &[2; 10 << 10]);
        assert!(transport.held() < 12 << 10, "{}", transport.held());
    }

    #[tokio::test]
    async fn a_frame_larger_than_the_buffers_gets_room() {
        let (here, mut there) = duplex(4 << 20);
        let mut transport = Transport::new(here);
        there.write_all(&[1; 1 << 20]).await.unwrap();
        while read(&mut transport).is_ready() {}
        assert_eq!(transport.input.len(), 1 << 20);
    }
}
