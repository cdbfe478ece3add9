//! The transport of an HTTP/1.1 connection, and the state that it shares with the
//! connection's task. It detects the client's end while hyper does not read, and
//! discards the rest of an upload before it closes.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use lacewing_conn::proto::{ConnectionStats, StreamId};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use crate::connections::Place;

/// Bytes of the next request that are read while one is answered.
const AHEAD: usize = 64;

/// Bytes that one read of an abandoned upload discards.
const DISCARD: usize = 4 << 10;

/// An interim response without meaning, which every HTTP/1.1 client skips (RFC 9110 §15.2.1). The
/// transport of a client that has left answers it with a reset.
const PROBE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The probe between two chunks of a response: the next chunk's size begins with this digit
/// (RFC 9112 §7.1).
const CHUNK_PROBE: &[u8] = b"0";

/// The state that a connection's transport, its uploads and its task share.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The number of the request that is answered and has arrived whole;
    /// 0 for none.
    whole: AtomicU32,
    /// The client has closed its side of the transport.
    ended: AtomicBool,
    /// Requests that are not answered.
    open: AtomicUsize,
    /// Bytes of content.
    received: AtomicU64,
    sent: AtomicU64,
    /// The numbers of the protocol that the connection was upgraded to.
    upgraded: Mutex<Option<ConnectionStats>>,
    /// Bytes that the transport carried.
    read: AtomicU64,
    written: AtomicU64,
    /// The largest buffer that hyper read into.
    read_buffer: AtomicUsize,
    /// Bytes wait, and the transport does not take them.
    blocked: AtomicBool,
    /// A handler waits for content.
    awaited: AtomicBool,
    /// `written` at the start of the request; [`u64::MAX`] if its client does not understand
    /// interim responses.
    answer_from: AtomicU64,
    /// The response's content is sent in chunks.
    chunked: AtomicBool,
    /// The buffer behind the request is full, so reading cannot show the end of the transport.
    ahead_is_full: AtomicBool,
    probe: AtomicU8,
    /// A handler dropped an upload that had not ended.
    abandoned: AtomicBool,
    /// The transport belongs to a tunnel, or to the protocol of an upgrade other than h2c.
    tunnel: AtomicBool,
    /// `Limits::upload_linger`, in milliseconds.
    linger: AtomicU64,
    /// The end of the time in which the rest of the client's bytes is discarded; `None` before
    /// it begins.
    discarding: Mutex<Option<Pin<Box<Sleep>>>>,
}

/// The way in which the next flush looks for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// A write without bytes. It fails after RST, and after the end of a Unix socket. A TCP client
    /// that sent FIN alone may still read: only bytes would show whether it does. TLS passes no
    /// empty write on.
    Empty = 1,
    /// Bytes without a meaning for the client, if the protocol permits some now; else `Empty`.
    Bytes = 2,
}

impl Watch {
    /// The request that is answered has arrived whole: hyper reads no more until
    /// the response is sent.
    pub(crate) fn request_is_whole(&self, number: StreamId) {
        self.whole.store(number.value(), Ordering::Relaxed);
    }

    /// The response is sent, or there will be none.
    pub(crate) fn request_is_over(&self, number: StreamId) {
        // The next read may already have data.
        let relaxed = Ordering::Relaxed;
        let _ = self
            .whole
            .compare_exchange(number.value(), 0, relaxed, relaxed);
    }

    /// A request waits for its response; returns how many waited before.
    pub(crate) fn open(&self) -> usize {
        self.open.fetch_add(1, Ordering::Relaxed)
    }

    /// A request is answered, or will not be; returns how many waited before.
    pub(crate) fn close(&self) -> usize {
        self.chunked.store(false, Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::Relaxed)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    /// The numbers that HTTP/1.1 has too, or those of the protocol after an upgrade.
    pub(crate) fn stats(&self) -> ConnectionStats {
        let upgraded = self.upgraded.lock();
        if let Some(stats) = &*upgraded.unwrap_or_else(PoisonError::into_inner) {
            return stats.clone();
        }
        let mut stats = ConnectionStats::default();
        stats.open_streams = self.open.load(Ordering::Relaxed);
        stats.data_sent = self.sent.load(Ordering::Relaxed);
        stats.data_received = self.bytes_received();
        stats
    }

    /// The connection is one of another protocol, and these are its numbers.
    pub(crate) fn upgraded(&self, stats: ConnectionStats) {
        let upgraded = self.upgraded.lock();
        *upgraded.unwrap_or_else(PoisonError::into_inner) = Some(stats);
    }

    /// The content of the response is sent in chunks.
    pub(crate) fn sends_chunks(&self) {
        self.chunked.store(true, Ordering::Relaxed);
    }

    /// Bytes of a response's content are sent.
    pub(crate) fn sent(&self, len: usize) {
        self.sent.fetch_add(len as u64, Ordering::Relaxed);
    }

    /// Bytes of a request's body arrived.
    pub(crate) fn received(&self, len: usize) {
        self.received.fetch_add(len as u64, Ordering::Relaxed);
    }

    pub(crate) fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// A handler dropped an upload before its end: the client may still send it.
    pub(crate) fn upload_is_abandoned(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Sets the time for which the rest of an upload is discarded.
    pub(crate) fn discards_for(&self, linger: Duration) {
        let millis = u64::try_from(linger.as_millis()).unwrap_or(u64::MAX);
        self.linger.store(millis, Ordering::Relaxed);
    }

    /// From here on the bytes of the transport are no requests.
    pub(crate) fn becomes_tunnel(&self) {
        self.tunnel.store(true, Ordering::Relaxed);
    }

    /// The bytes of the transport are no requests.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Relaxed)
    }

    /// The client has closed its side of the transport.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// The bytes of the largest buffer that was read into.
    pub(crate) fn read_buffer(&self) -> usize {
        self.read_buffer.load(Ordering::Relaxed)
    }

    fn reads_into(&self, room: usize) {
        if room > self.read_buffer.load(Ordering::Relaxed) {
            self.read_buffer.store(room, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_write_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// A handler waits for content, or does not any longer.
    pub(crate) fn body_awaited(&self, awaited: bool) {
        self.awaited.store(awaited, Ordering::Relaxed);
    }

    pub(crate) fn body_is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }

    /// A handler dropped the upload of the current request before its end.
    pub(crate) fn has_abandoned_upload(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Records a new request, and whether its client understands interim responses.
    pub(crate) fn request_begins(&self, interim: bool) {
        // The upload before it has ended: else this request would not be one.
        self.abandoned.store(false, Ordering::Relaxed);
        let from = if interim {
            self.bytes_written()
        } else {
            u64::MAX
        };
        self.answer_from.store(from, Ordering::Relaxed);
    }

    /// Returns whether the client may have left without a read that shows it.
    pub(crate) fn may_be_gone(&self) -> bool {
        self.has_ended() || self.ahead_is_full.load(Ordering::Relaxed)
    }

    /// Requests a probe: the next flush finds out whether the client is there.
    pub(crate) fn ask_for(&self, probe: Probe) {
        self.probe.store(probe as u8, Ordering::Relaxed);
    }

    /// Returns the bytes to write, none or some, if it is time for a probe.
    fn take_probe(&self) -> Option<&'static [u8]> {
        if self.probe.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let probe = self.probe.swap(0, Ordering::Relaxed);
        if !self.is_whole() {
            return None;
        }
        if probe == Probe::Empty as u8 {
            return Some(&[]);
        }
        Some(match self.answer_from.load(Ordering::Relaxed) {
            from if from == self.bytes_written() => PROBE,
            // HTTP/1.0 has no chunks.
            u64::MAX => &[],
            _ if self.chunked.load(Ordering::Relaxed) => CHUNK_PROBE,
            // Each byte now counts against the content-length.
            _ => &[],
        })
    }

    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        self.blocked.store(result.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Ok(len)) = result {
            self.written.fetch_add(*len as u64, Ordering::Relaxed);
        }
    }

    fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed) != 0
    }
}

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
        self.watch.ended.store(true, Ordering::Relaxed);
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
                len => {
                    self.watch.read.fetch_add(len as u64, Ordering::Relaxed);
                }
            }
        }
        read
    }

    /// Discards what the client still sends, until its end and for `linger` at most. A
    /// transport that closes with unread bytes is reset: a client that still sends an upload
    /// would fail before it reads the response (RFC 9112 §9.6).
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let watch = Arc::clone(&self.watch);
        let linger = Duration::from_millis(watch.linger.load(Ordering::Relaxed));
        let mut until = watch
            .discarding
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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
            let more = !waits || self.watch.abandoned.load(Ordering::Relaxed);
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
        self.watch.ahead_is_full.store(full, Ordering::Relaxed);
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
            self.watch.ahead_is_full.store(false, Ordering::Relaxed);
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
        let blocked = flushed.is_pending();
        self.watch.blocked.store(blocked, Ordering::Relaxed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.closed = true;
        }
        // In a tunnel, these bytes have a reader.
        if !self.watch.tunnel.load(Ordering::Relaxed) {
            ready!(self.poll_discard(cx));
        }
        Poll::Ready(Ok(()))
    }
}
