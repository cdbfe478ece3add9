//! The transport of an HTTP/1.1 connection: finds the end of the transport
//! while hyper does not read.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use lacewing_conn::proto::StreamId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connections::Place;

/// Bytes of the next request that are read while one is answered.
const AHEAD: usize = 64;

/// The state that a connection's transport, its uploads and its task share.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The number of the request that is answered and has arrived whole;
    /// 0 for none.
    whole: AtomicU32,
    /// The client has closed its side of the transport.
    ended: AtomicBool,
    received: AtomicU64,
}

impl Watch {
    /// The request that is answered has arrived whole: hyper reads no more until
    /// the response is sent.
    pub(crate) fn request_is_whole(&self, number: StreamId) {
        self.whole.store(number.value(), Ordering::Relaxed);
    }

    /// The response is sent, or there will be none.
    pub(crate) fn request_is_over(&self, number: StreamId) {
        // The next one may have come by now.
        let relaxed = Ordering::Relaxed;
        let _ = self
            .whole
            .compare_exchange(number.value(), 0, relaxed, relaxed);
    }

    /// Bytes of a request's body arrived.
    pub(crate) fn received(&self, len: usize) {
        self.received.fetch_add(len as u64, Ordering::Relaxed);
    }

    pub(crate) fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The client has closed its side of the transport.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed) != 0
    }
}

/// A transport of which hyper does not notice the end while a request is
/// answered: it may be the end of what the client has to say (a half-close), or
/// it may be gone. So the connection's task has to know.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    io: T,
    watch: Arc<Watch>,
    /// The bytes that were read to find the end.
    ahead: Bytes,
    ended: bool,
    /// Held as long as the transport, also by a WebSocket.
    _place: Option<Place>,
}

impl<T> Watched<T> {
    pub(crate) fn new(io: T, watch: Arc<Watch>, place: Option<Place>) -> Self {
        Self {
            io,
            watch,
            ahead: Bytes::new(),
            ended: false,
            _place: place,
        }
    }

    /// The transport, and what was read from it and not taken.
    pub(crate) fn into_parts(self) -> (T, Bytes) {
        (self.io, self.ahead)
    }

    fn end(&mut self) {
        self.ended = true;
        self.watch.ended.store(true, Ordering::Relaxed);
    }
}

impl<T: AsyncRead + Unpin> Watched<T> {
    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match Pin::new(&mut self.io).poll_read(cx, buffer) {
            // TLS without close_notify. What requests are whole shows in their
            // framing.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(()))
            }
            other => other,
        };
        if matches!(read, Poll::Ready(Ok(()))) && buffer.filled().len() == before {
            self.end();
        }
        read
    }

    /// Looks for the end of the transport while hyper does not read.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.ended || !self.ahead.is_empty() || !self.watch.is_whole() {
            return Ok(());
        }
        let mut bytes = [0; AHEAD];
        let mut buffer = ReadBuf::new(&mut bytes);
        match self.read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => self.ahead = Bytes::copy_from_slice(buffer.filled()),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => {}
        }
        Ok(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let len = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(len));
            return Poll::Ready(Ok(()));
        }
        if self.ended || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.read(cx, buffer)
    }
}

/// hyper flushes whenever it is polled, whatever it waits for.
impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<T> {
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
        self.look_ahead(cx)?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
