//! The transport of a case: reads while it writes, in one piece or byte by byte.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, timeout_at},
};

use crate::conditions::{Conditions, Segmentation};

/// The bytes of one write that are written one by one.
const SINGLE: usize = 1024;
/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;
/// The most input that is buffered while we write.
const MAX_INPUT: usize = 16 << 20;

/// A connected byte stream.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A transport, with the input that is not decoded yet.
pub(super) struct Link<'a> {
    io: Box<dyn Transport + 'a>,
    conditions: Conditions,
    /// Input that is not decoded yet.
    pub(super) input: BytesMut,
    /// The end of the transport, in words.
    pub(super) closed: Option<String>,
    /// Input was read during a write, and [`Link::read`] has not reported it.
    unread: bool,
    /// The transport takes no more bytes: later writes are dropped.
    blocked: bool,
}

impl<'a> Link<'a> {
    pub(super) fn new(io: Box<dyn Transport + 'a>, conditions: Conditions) -> Self {
        Self {
            io,
            conditions,
            input: BytesMut::new(),
            closed: None,
            unread: false,
            blocked: false,
        }
    }

    /// Reads once. Returns `false` at the end of the input, or at the deadline.
    pub(super) async fn read(&mut self, deadline: Instant) -> bool {
        if std::mem::take(&mut self.unread) {
            return true;
        }
        if self.closed.is_some() {
            return false;
        }
        let (io, input) = (&mut self.io, &mut self.input);
        match timeout_at(deadline, poll_fn(|cx| poll_input(io, input, cx))).await {
            Err(_) => false,
            Ok(outcome) => {
                self.note_read(outcome);
                true
            }
        }
    }

    /// Writes, and reads meanwhile: a peer may stop reading until its own
    /// output is read. Gives up after the timeout.
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        match self.conditions.segmentation {
            Segmentation::Whole => self.write_piece(bytes).await,
            Segmentation::Bytes => {
                // The first KiB has the frame heads that a reader may split
                // wrongly; the rest goes in larger pieces, for speed.
                let (single, rest) = bytes.split_at(bytes.len().min(SINGLE));
                for piece in single.chunks(1).chain(rest.chunks(1_009)) {
                    self.write_piece(piece).await;
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Ends our side of the transport.
    pub(super) async fn finish(&mut self) {
        let deadline = Instant::now() + self.conditions.timeout;
        let _ = timeout_at(
            deadline,
            poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)),
        )
        .await;
    }

    fn note_read(&mut self, outcome: std::io::Result<usize>) {
        match outcome {
            Ok(0) => self.closed = Some("the end of the connection".to_owned()),
            Ok(_) => {}
            // The peer's transport answers what we send after its end with a reset.
            Err(error) => self.closed = Some(format!("the end of the connection ({error})")),
        }
    }

    async fn write_piece(&mut self, mut bytes: &[u8]) {
        let deadline = Instant::now() + self.conditions.timeout;
        while !bytes.is_empty() && !self.blocked {
            let (io, input) = (&mut self.io, &mut self.input);
            let reads = self.closed.is_none() && input.len() < MAX_INPUT;
            let turn = poll_fn(|cx| {
                if let Poll::Ready(written) = Pin::new(&mut *io).poll_write(cx, bytes) {
                    return Poll::Ready(Turn::Wrote(written));
                }
                match reads {
                    true => poll_input(io, input, cx).map(Turn::Read),
                    false => Poll::Pending,
                }
            });
            match timeout_at(deadline, turn).await {
                Ok(Turn::Wrote(Ok(written))) if written > 0 => bytes.advance(written),
                Ok(Turn::Read(outcome)) => {
                    self.unread = true;
                    self.note_read(outcome);
                    // A peer that always sends keeps the timeout from firing.
                    self.blocked = Instant::now() > deadline;
                }
                // The next read finds the end, or times out; the case judges it.
                Ok(Turn::Wrote(_)) | Err(_) => self.blocked = true,
            }
        }
        if !self.blocked {
            let flush = poll_fn(|cx| Pin::new(&mut self.io).poll_flush(cx));
            self.blocked = timeout_at(deadline, flush).await.is_err();
        }
    }
}

enum Turn {
    Wrote(std::io::Result<usize>),
    Read(std::io::Result<usize>),
}

fn poll_input<T: AsyncRead + Unpin>(
    io: &mut T,
    input: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<std::io::Result<usize>> {
    let mut piece = [0; PIECE];
    let mut buffer = ReadBuf::new(&mut piece);
    let read = Pin::new(io).poll_read(cx, &mut buffer);
    read.map_ok(|()| {
        input.extend_from_slice(buffer.filled());
        buffer.filled().len()
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::conditions::Strictness;

    /// A peer that sends this many bytes as fast as they are read, and never takes
    /// a byte.
    struct Flood(usize);

    impl AsyncRead for Flood {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            let length = buffer.remaining().min(self.0);
            buffer.initialize_unfilled_to(length);
            buffer.advance(length);
            self.0 -= length;
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Flood {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<std::io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// While a write waits, input is read up to a bound, and then no more.
    #[tokio::test(start_paused = true)]
    async fn input_during_a_write_is_bounded() {
        let conditions = Conditions {
            timeout: Duration::from_secs(5),
            segmentation: Segmentation::Whole,
            strictness: Strictness::Usual,
        };
        let mut link = Link::new(Box::new(Flood(2 * MAX_INPUT)), conditions);
        // The paused clock does not advance while there is input, so only the bound ends the
        // reading.
        link.write(b"a frame").await;
        let read = link.input.len();
        assert!(
            (MAX_INPUT..MAX_INPUT + PIECE).contains(&read),
            "{read} bytes were read"
        );
        assert!(link.blocked, "the write did not time out");
    }
}
