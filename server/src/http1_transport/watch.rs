//! The state that the transport of an HTTP/1.1 connection, its uploads and its task share.

use std::{
    io,
    pin::Pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use lacewing_conn::proto::{ConnectionStats, StreamId};
use tokio::time::Sleep;

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
    /// The length of the request's content is known.
    declared: AtomicBool,
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

    pub(super) fn reads_into(&self, room: usize) {
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

    /// Records whether the length of the request's content is known.
    pub(crate) fn declares_content(&self, declared: bool) {
        self.declared.store(declared, Ordering::Relaxed);
    }

    pub(crate) fn content_is_declared(&self) -> bool {
        self.declared.load(Ordering::Relaxed)
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
    pub(super) fn take_probe(&self) -> Option<&'static [u8]> {
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

    /// Records the result of a write.
    pub(super) fn wrote(&self, result: &Poll<io::Result<usize>>) {
        self.write_is_blocked(result.is_pending());
        if let Poll::Ready(Ok(len)) = result {
            self.written.fetch_add(*len as u64, Ordering::Relaxed);
        }
    }

    /// Records whether the transport accepts the bytes that wait.
    pub(super) fn write_is_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Records a read from the transport.
    pub(super) fn has_read(&self, len: usize) {
        self.read.fetch_add(len as u64, Ordering::Relaxed);
    }

    /// Records that the client has closed its side of the transport.
    pub(super) fn ends(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Records whether the buffer behind the request is full.
    pub(super) fn ahead_is_full(&self, full: bool) {
        self.ahead_is_full.store(full, Ordering::Relaxed);
    }

    /// The time for which the rest of an upload is discarded.
    pub(super) fn linger(&self) -> Duration {
        Duration::from_millis(self.linger.load(Ordering::Relaxed))
    }

    /// The timer for the end of that time; `None` before it begins.
    pub(super) fn discarding(&self) -> MutexGuard<'_, Option<Pin<Box<Sleep>>>> {
        self.discarding
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the request that is answered has arrived whole.
    pub(super) fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed) != 0
    }
}
