//! The transport of a case: writes while it reads, whole or byte by byte.

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

/// Bytes of one write that are written singly.
const SINGLE: usize = 1024;
/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// Any transport.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A transport, and the bytes read from it.
pub(super) struct Link<'a> {
    io: Box<dyn Transport + 'a>,
    conditions: Conditions,
    /// What was read and not taken.
    pub(super) input: BytesMut,
    /// How the transport ended, in words.
    pub(super) closed: Option<String>,
    /// Input came while we wrote.
    untaken: bool,
    /// The transport takes nothing more.
    deaf: bool,
}

impl<'a> Link<'a> {
    pub(super) fn new(io: Box<dyn Transport + 'a>, conditions: Conditions) -> Self {
        Self {
            io,
            conditions,
            input: BytesMut::new(),
            closed: None,
            untaken: false,
            deaf: false,
        }
    }

    /// Reads once; `false` when nothing comes any more, or not in time.
    pub(super) async fn read(&mut self, deadline: Instant) -> bool {
        // What came while we wrote.
        if std::mem::take(&mut self.untaken) {
            return true;
        }
        if self.closed.is_some() {
            return false;
        }
        let (io, input) = (&mut self.io, &mut self.input);
        match timeout_at(deadline, poll_fn(|cx| poll_input(io, input, cx))).await {
            Err(_) => false,
            Ok(outcome) => {
                self.came(outcome);
                true
            }
        }
    }

    /// Writes, and reads meanwhile: a peer that waits for its own output to be
    /// read does not read.
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        match self.conditions.segmentation {
            Segmentation::Whole => self.write_piece(bytes).await,
            Segmentation::Bytes => {
                // Of a long write, the beginning shows what there is to see.
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
        let _ = poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await;
    }

    fn came(&mut self, outcome: std::io::Result<usize>) {
        match outcome {
            Ok(0) => self.closed = Some("the end of the connection".to_owned()),
            Ok(_) => {}
            // What we sent after the end was answered with a reset.
            Err(error) => self.closed = Some(format!("the end of the connection ({error})")),
        }
    }

    async fn write_piece(&mut self, mut bytes: &[u8]) {
        let deadline = Instant::now() + self.conditions.timeout;
        while !bytes.is_empty() && !self.deaf {
            let (io, input) = (&mut self.io, &mut self.input);
            let closed = self.closed.is_some();
            let turn = poll_fn(|cx| {
                if let Poll::Ready(written) = Pin::new(&mut *io).poll_write(cx, bytes) {
                    return Poll::Ready(Turn::Wrote(written));
                }
                if closed {
                    return Poll::Pending;
                }
                poll_input(io, input, cx).map(Turn::Read)
            });
            match timeout_at(deadline, turn).await {
                Ok(Turn::Wrote(Ok(written))) if written > 0 => bytes.advance(written),
                Ok(Turn::Read(outcome)) => {
                    self.untaken = true;
                    self.came(outcome);
                }
                // The end is read as well, or nothing is: both are judged there.
                Ok(Turn::Wrote(_)) | Err(_) => self.deaf = true,
            }
        }
        if !self.deaf {
            let _ = poll_fn(|cx| Pin::new(&mut self.io).poll_flush(cx)).await;
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
