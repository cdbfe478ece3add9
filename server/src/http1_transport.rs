//! The transport of an HTTP/1.1 connection. It detects the client's end while hyper does
//! not read, and discards the rest of an upload before it closes.

mod watch;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};

pub(crate) use self::watch::{Probe, Watch};
use crate::connections::Place;

/// Bytes of the next request that are read while one is answered.
const AHEAD: usize = 64;

/// Bytes that one read of an abandoned upload discards.
const DISCARD: usize = 4 << 10;

/// A transport that detects the client's end while a request is open. hyper does not read then. The
/// client may have closed only its side (a half-close), or it may have left: the connection's task
/// must know which.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    io: T,
    watch: Arc<Watch>,
    /// The bytes that were read to find the end.
    ahead: BytesMut,
    ended: bool,
    /// Our side is closed.
    closed: bool,
    /// Held as long as the transport, also by a WebSocket.
    _place: Option<Place>,
}

impl<T> Watched<T> {
    pub(crate) fn new(io: T, watch: Arc<Watch>, place: Option<Place>) -> Self {
        Self {
            closed: false,
            io,
            watch,
            ahead: BytesMut::new(),
            ended: false,
            _place: place,
        }
    }

    /// The transport, and what was read from it and not taken.
    pub(crate) fn into_parts(self) -> (T, BytesMut) {
        (self.io, self.ahead)
    }

    fn end(&mut self) {
        self.ended = true;
        self.watch.ends();
    }
}

impl<T: AsyncRead + Unpin> Watched<T> {
    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match Pin::new(&mut self.io).poll_read(cx, buffer) {
            // TLS without close_notify. The framing of the requests shows
            // which of them are complete.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(()))
            }
            other => other,
        };
        if let Poll::Ready(Ok(())) = read {
            match buffer.filled().len().saturating_sub(before) {
                0 => self.end(),
                len => self.watch.has_read(len),
            }
        }
        read
    }

    /// Discards what the client still sends, until its end and for `linger` at most. A transport
    /// that closes with unread bytes is reset. A client that still sends an upload would then fail
    /// before it reads the response (RFC 9112 §9.6).
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let watch = Arc::clone(&self.watch);
        let linger = watch.linger();
        let mut until = watch.discarding();
        let mut bytes = [0; DISCARD];
        while !self.ended && !linger.is_zero() {
            let mut buffer = ReadBuf::new(&mut bytes);
            let waits = match self.read(cx, &mut buffer) {
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(_)) => break,
                Poll::Pending => true,
            };
            if let Some(until) = &mut *until {
                ready!(match until.as_mut().poll(cx) {
                    Poll::Pending if !waits => continue,
                    polled => polled,
                });
                break;
            }
            let more = !waits || self.watch.has_abandoned_upload();
            if !more {
                break;
            }
            *until = Some(Box::pin(sleep(linger)));
        }
        Poll::Ready(())
    }

    /// Looks for the end of the transport while hyper does not read.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.watch.is_whole() {
            return Ok(());
        }
        while !self.ended && self.ahead.len() < AHEAD {
            let mut bytes = [0; AHEAD];
            let room = AHEAD.saturating_sub(self.ahead.len());
            let mut buffer = ReadBuf::new(bytes.get_mut(..room).unwrap_or_default());
            match self.read(cx, &mut buffer) {
                Poll::Ready(result) => result?,
                Poll::Pending => return Ok(()),
            }
            self.ahead.extend_from_slice(buffer.filled());
        }
        let full = self.ahead.len() >= AHEAD;
        self.watch.ahead_is_full(full);
        Ok(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.watch.reads_into(buffer.remaining());
        if self.ahead.has_remaining() {
            let len = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(len));
            self.watch.ahead_is_full(false);
            return Poll::Ready(Ok(()));
        }
        if self.ended || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.read(cx, buffer)
    }
}

/// hyper flushes at every poll, even while it waits for something else.
impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watch.wrote(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watch.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.look_ahead(cx)?;
        // hyper has nothing to write when it flushes: a chunk is sent completely or not at all.
        if let Some(probe) = self.watch.take_probe() {
            if let Poll::Ready(len) = Pin::new(&mut self.io).poll_write(cx, probe) {
                if len? != probe.len() {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
            }
        }
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.watch.write_is_blocked(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.closed = true;
        }
        // In a tunnel, these bytes have a reader.
        if !self.watch.is_tunnel() {
            ready!(self.poll_discard(cx));
        }
        Poll::Ready(Ok(()))
    }
}
