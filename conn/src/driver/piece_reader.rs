//! Reads from sockets and pipes in pieces that are given away.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

use super::buffers::{self, Size};

/// Reads a socket or pipe in pieces, without a copy, into buffers of the thread's pool: 16 KiB, and
/// up to 256 KiB while reads fill them. A piece keeps its buffer, and the pool takes the buffer again
/// when all of its pieces are dropped. A reader that waits holds no buffer.
///
/// ```
/// use std::future::poll_fn;
/// use lacewing_conn::driver::{RawWriter, facade::PieceReader};
/// use tokio::net::TcpStream;
///
/// async fn upload(from: &mut TcpStream, to: &mut RawWriter) -> std::io::Result<()> {
///     let mut reader = PieceReader::default();
///     loop {
///         let piece = poll_fn(|cx| reader.poll_read(cx, from)).await?;
///         if piece.is_empty() {
///             return Ok(());
///         }
///         to.write_chunk(piece).await?;
///     }
/// }
/// # let _ = upload;
/// ```
#[derive(Debug)]
pub struct PieceReader {
    bytes: BytesMut,
    /// The size of the buffer; `None` if there is none.
    buffer: Option<Size>,
    /// The size of the next buffer.
    next: Size,
}

impl Default for PieceReader {
    fn default() -> Self {
        Self {
            bytes: BytesMut::new(),
            buffer: None,
            next: Size::Small,
        }
    }
}

impl PieceReader {
    /// Reads once. The piece is empty at the end of the source.
    ///
    /// # Errors
    ///
    /// Those of the source.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<Bytes>> {
        // A smaller rest would make small reads.
        if self.bytes.capacity() < self.next.bytes() / 4 {
            self.replace(Some(self.next));
        }
        let room = self.bytes.capacity();
        let Poll::Ready(read) = poll_read_buf(Pin::new(source), cx, &mut self.bytes) else {
            self.replace(None);
            return Poll::Pending;
        };
        if read? == room {
            self.next = self.next.larger();
        }
        Poll::Ready(Ok(self.bytes.split().freeze()))
    }

    fn replace(&mut self, size: Option<Size>) {
        let fresh = size.map(buffers::take).unwrap_or_default();
        let used = std::mem::replace(&mut self.bytes, fresh);
        if let Some(size) = std::mem::replace(&mut self.buffer, size) {
            buffers::give_back(used, size);
        }
    }
}

impl Drop for PieceReader {
    fn drop(&mut self) {
        self.replace(None);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn read(reader: &mut PieceReader, source: &mut DuplexStream) -> Poll<io::Result<Bytes>> {
        reader.poll_read(&mut Context::from_waker(Waker::noop()), source)
    }

    /// A bulk transfer, whose pieces are dropped after the next two: it uses the same few buffers
    /// again, across its pauses.
    #[tokio::test]
    async fn a_bulk_transfer_uses_few_buffers_again() {
        let (mut near, mut far) = duplex(1 << 20);
        let mut reader = PieceReader::default();
        let mut pieces = std::collections::VecDeque::new();
        let mut addresses = std::collections::HashSet::new();
        let mut received = 0;
        for _ in 0..10 {
            far.write_all(&[7; 1 << 20]).await.unwrap();
            while let Poll::Ready(piece) = read(&mut reader, &mut near) {
                let piece = piece.unwrap();
                received += piece.len();
                if piece.len() == Size::Huge.bytes() {
                    addresses.insert(piece.as_ptr());
                }
                pieces.push_back(piece);
                while pieces.len() > 2 {
                    pieces.pop_front();
                }
            }
            assert_eq!((reader.bytes.capacity(), reader.buffer), (0, None));
        }
        assert_eq!(received, 10 << 20);
        assert!(addresses.len() <= 8, "{} buffers", addresses.len());
    }

    #[tokio::test]
    async fn the_end_is_an_empty_piece() {
        let (mut near, mut far) = duplex(64);
        let mut reader = PieceReader::default();
        far.write_all(b"last").await.unwrap();
        drop(far);
        for expected in ["last", ""] {
            let Poll::Ready(piece) = read(&mut reader, &mut near) else {
                unreachable!("the source is closed");
            };
            assert_eq!(piece.unwrap(), expected);
        }
    }
}
