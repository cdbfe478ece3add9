//! One connection of the attacker: what it writes, and a thread that reads.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use lacewing_frames::http2;

use super::dialect::Dialect;
use super::seen::{Manners, Reader, Role, Seen};
use super::tcp;
use super::wire::{Field, Fin, Start, Wire};

/// The time for which one write may wait for the socket.
const WRITE_SLICE: Duration = Duration::from_millis(100);
/// Encoded bytes that are sent in one piece.
pub(crate) const BATCH: usize = 32 << 10;

/// The speed at which the attacker reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Full,
    Stopped,
    /// Bytes in each tenth of a second.
    Slow(u32),
}

/// A connection with the victim.
pub(crate) struct Peer {
    pub(crate) wire: Wire,
    socket: TcpStream,
    shared: Arc<Shared>,
    victim: SocketAddr,
    ours: SocketAddr,
    next_id: u32,
    /// Streams whose answers an honest case waits for.
    pub(crate) opened: Vec<u32>,
    pub(crate) sent: u64,
    /// A frame was begun that never ends: no answer may go into it.
    pub(crate) mid_frame: bool,
    began: Instant,
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    /// Bytes in each tenth of a second; `u64::MAX` is as fast as it goes.
    pace: AtomicU64,
    over: AtomicBool,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// Connects and says nothing.
    pub(crate) fn connect(
        victim: SocketAddr,
        dialect: Dialect,
        manners: Manners,
    ) -> io::Result<Peer> {
        let socket = TcpStream::connect_timeout(&victim, Duration::from_secs(5))?;
        Peer::over(socket, dialect, Role::Client, manners)
    }

    /// Connects with a receive buffer of a few KiB, so that the kernel takes
    /// little in the attacker's place.
    pub(crate) fn connect_narrow(
        victim: SocketAddr,
        dialect: Dialect,
        manners: Manners,
    ) -> io::Result<Peer> {
        let runtime = crate::runtime::build(1)?;
        let socket = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(4 << 10)?;
            socket.connect(victim).await?.into_std()
        })?;
        socket.set_nonblocking(false)?;
        Peer::over(socket, dialect, Role::Client, manners)
    }

    /// A connection that exists.
    pub(crate) fn over(
        socket: TcpStream,
        dialect: Dialect,
        role: Role,
        manners: Manners,
    ) -> io::Result<Peer> {
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(WRITE_SLICE))?;
        let shared = Arc::new(Shared {
            seen: Mutex::new(Seen::new(dialect)),
            changed: Condvar::new(),
            pace: AtomicU64::new(u64::MAX),
            over: AtomicBool::new(false),
        });
        let (victim, ours) = (socket.peer_addr()?, socket.local_addr()?);
        let (reading, socket_read) = (Arc::clone(&shared), socket.try_clone()?);
        let reader = Reader::new(dialect, role);
        thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || read(socket_read, &reading, reader, manners, role))?;
        Ok(Peer {
            wire: Wire::new(dialect),
            socket,
            shared,
            victim,
            ours,
            next_id: 1,
            opened: Vec::new(),
            sent: 0,
            mid_frame: false,
            began: Instant::now(),
        })
    }

    /// The first bytes of a client: the preface and SETTINGS of HTTP/2.
    pub(crate) fn greet(&mut self) {
        if self.wire.dialect == Dialect::Http2 {
            self.wire.raw(http2::PREFACE);
            self.wire.settings();
        }
        self.flush();
    }

    pub(crate) fn next_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id += 2;
        id
    }

    /// Encodes a request on a new stream.
    pub(crate) fn request(&mut self, method: &str, path: &str, fin: Fin, extra: &[Field]) -> u32 {
        let id = self.next_id();
        self.wire
            .head(id, Start::Request { method, path }, fin, extra);
        self.opened.push(id);
        self.flush_batch();
        id
    }

    pub(crate) fn get(&mut self, path: &str) -> u32 {
        self.request("GET", path, Fin::End, &[])
    }

    pub(crate) fn post(&mut self, path: &str) -> u32 {
        self.request("POST", path, Fin::More, &[])
    }

    /// Encodes DATA within the credit that there is; the length that went.
    pub(crate) fn data_in_credit(&mut self, id: u32, payload: &[u8], fin: Fin) -> usize {
        // A victim that stops reading gets no more than this.
        if self.wire.out.len() >= 4 * BATCH {
            return 0;
        }
        let credit = usize::try_from(self.seen().credit(id)).unwrap_or(0);
        let len = payload.len().min(credit);
        let Some(part) = payload.get(..len).filter(|part| !part.is_empty()) else {
            return 0;
        };
        let fin = if len == payload.len() { fin } else { Fin::More };
        self.wire.data(id, part, fin);
        self.seen().debit(id, len);
        self.flush_batch();
        len
    }

    /// Sends what is encoded, if it is much; the rest of it later, when the victim
    /// takes nothing.
    pub(crate) fn flush_batch(&mut self) {
        if self.wire.out.len() >= BATCH {
            self.flush_within(WRITE_SLICE);
        }
    }

    /// Sends what is encoded, for at most five seconds while nothing moves.
    pub(crate) fn flush(&mut self) -> bool {
        self.flush_within(Duration::from_secs(5))
    }

    /// Sends what is encoded. False when the victim took none of it for
    /// `patience`, or closed.
    pub(crate) fn flush_within(&mut self, patience: Duration) -> bool {
        if !self.mid_frame {
            let answers = self.seen().answers.split();
            self.wire.out.extend_from_slice(&answers);
        }
        let mut last = Instant::now();
        while !self.wire.out.is_empty() {
            match self.socket.write(&self.wire.out) {
                Ok(0) => return false,
                Ok(length) => {
                    self.wire.out.advance(length);
                    self.sent += length as u64;
                    last = Instant::now();
                }
                Err(error) if is_wait(&error) => {
                    if last.elapsed() >= patience || self.seen().closed.is_some() {
                        return false;
                    }
                }
                Err(_) => {
                    let mut seen = self.seen();
                    seen.closed.get_or_insert_with(Instant::now);
                    return false;
                }
            }
        }
        true
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen()
    }

    pub(crate) fn read_at(&self, pace: Pace) {
        let bytes = match pace {
            Pace::Full => u64::MAX,
            Pace::Stopped => 0,
            Pace::Slow(bytes) => u64::from(bytes),
        };
        self.shared.pace.store(bytes, Relaxed);
    }

    /// Waits, answering as the manners have it, until `done` or the time is up.
    pub(crate) fn wait(&mut self, time: Duration, done: impl Fn(&Seen) -> bool) -> bool {
        let end = Instant::now() + time;
        loop {
            let seen = self.seen();
            if done(&seen) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || seen.closed.is_some() {
                return false;
            }
            if seen.answers.is_empty() || self.mid_frame {
                let slice = left.min(Duration::from_millis(20));
                let waited = self.shared.changed.wait_timeout(seen, slice);
                drop(waited);
            } else {
                drop(seen);
                self.flush();
            }
        }
    }

    /// Waits until the victim says that it takes requests, where it says so.
    pub(crate) fn settle(&mut self) {
        if self.wire.dialect == Dialect::Http2 {
            self.wait(Duration::from_secs(3), |seen| seen.frames > 0);
            self.flush();
        } else if self.wire.dialect.spdy().is_some() {
            // A first frame: what follows is no preface any more.
            self.wire.ping(1);
            self.flush();
            self.wait(Duration::from_secs(3), |seen| seen.pings > 0);
        }
    }

    /// Returns whether the victim has closed, as far as the socket or the kernel shows.
    pub(crate) fn is_closed(&self) -> bool {
        if self.seen().closed.is_some() {
            return true;
        }
        if self.reads() || tcp::is_held(self.victim, self.ours) != Some(false) {
            return false;
        }
        self.seen().closed.get_or_insert_with(Instant::now);
        true
    }

    /// Returns whether it takes everything that the victim sends.
    pub(crate) fn reads(&self) -> bool {
        self.shared.pace.load(Relaxed) == u64::MAX
    }

    /// Time from the connection's start to its close by the victim.
    pub(crate) fn closed_after(&self) -> Option<Duration> {
        let closed = self.seen().closed?;
        Some(closed.saturating_duration_since(self.began))
    }

    /// Ends our half only.
    pub(crate) fn end_writing(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.over.store(true, Relaxed);
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Ends connections by a TCP reset, as a client that is gone: FIN alone would
/// leave the victim the time to drain.
pub(crate) fn abort(peers: Vec<Peer>) {
    if let Ok(runtime) = crate::runtime::build(1) {
        runtime.block_on(async {
            for peer in &peers {
                // The option belongs to the socket, of which this is another name.
                let other = peer.socket.try_clone().and_then(|socket| {
                    socket.set_nonblocking(true)?;
                    tokio::net::TcpStream::from_std(socket)
                });
                let _ = other.map(|other| other.set_zero_linger());
            }
        });
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Reads to the end of the connection.
fn read(mut socket: TcpStream, shared: &Shared, mut reader: Reader, manners: Manners, role: Role) {
    let _ = socket.set_read_timeout(Some(Duration::from_millis(200)));
    let mut input = BytesMut::new();
    let mut buffer = vec![0; 64 << 10];
    let mut preface = match (&reader, role) {
        (Reader::Http2(_), Role::Server) => http2::PREFACE.len(),
        _ => 0,
    };
    while !shared.over.load(Relaxed) {
        let pace = shared.pace.load(Relaxed);
        if pace == 0 {
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        let most = usize::try_from(pace)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let Some(room) = buffer.get_mut(..most) else {
            break;
        };
        match socket.read(room) {
            Ok(0) => break,
            Ok(length) => {
                input.extend_from_slice(room.get(..length).unwrap_or_default());
                let skip = preface.min(input.len());
                input.advance(skip);
                preface -= skip;
                let mut seen = shared.seen();
                seen.received += length as u64;
                reader.read(&mut input, &mut seen, manners);
                drop(seen);
                shared.changed.notify_all();
            }
            Err(error) if is_wait(&error) => {}
            Err(_) => break,
        }
        if pace != u64::MAX {
            thread::sleep(Duration::from_millis(100));
        }
    }
    shared.seen().closed.get_or_insert_with(Instant::now);
    shared.changed.notify_all();
}
