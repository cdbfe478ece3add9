//! A transport in memory with faults: it breaks at any byte, stands still, loses bytes, delays them.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{ledger::Weather, seeds::Rng};

/// Polls of one end, at most: more are a loop without an end.
const POLLS: usize = 3_000_000;

/// The fault of a direction, after a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The reader sees the end, and the writer an error.
    End,
    /// Both see an error.
    Error,
    /// The rest is lost, and neither notices.
    Lost,
    /// Nothing more is taken from the writer.
    Stuck,
}

pub(crate) const FAULTS: [Fault; 4] = [Fault::End, Fault::Error, Fault::Lost, Fault::Stuck];

/// One direction.
#[derive(Clone, Debug)]
pub(crate) struct Pipe(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// Bytes that it takes until its fault.
    left: usize,
    fault: Fault,
    latency: Duration,
    /// Nothing is delivered before.
    until: Instant,
    closed: bool,
    unread: bool,
    piece: usize,
    deliveries: usize,
    rng: Rng,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    /// One that works, in pieces and with a latency of its own.
    pub(crate) fn new(weather: Weather, rng: &mut Rng) -> Self {
        let latency = if rng.chance(50) { 0 } else { rng.below(150) };
        Self(Arc::new(Mutex::new(Inner {
            bytes: VecDeque::new(),
            // In a storm it may be slower than the limits allow.
            capacity: match weather {
                Weather::Storm => rng.one_of(&[10, 1_000, 20_000, 64 << 10, 256 << 10]),
                Weather::Calm | Weather::Leaving => rng.one_of(&[64 << 10, 256 << 10]),
            },
            left: usize::MAX,
            fault: Fault::End,
            latency: Duration::from_millis(latency as u64),
            until: Instant::now(),
            closed: false,
            unread: false,
            piece: rng.one_of(&[1, 9, 100, 5_000, usize::MAX, usize::MAX]),
            deliveries: 0,
            rng: Rng::new(rng.next()),
            reader: None,
            writer: None,
        })))
    }

    /// Breaks after so many more bytes.
    pub(crate) fn break_after(&self, bytes: usize, fault: Fault) {
        let mut inner = self.lock();
        inner.left = inner.left.min(bytes);
        inner.fault = fault;
        inner.wake();
    }

    /// Delivers nothing for a while.
    pub(crate) fn delay(&self, time: Duration) {
        self.lock().until = Instant::now() + time;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Inner {
    fn fault(&self) -> Option<Fault> {
        (self.left == 0).then_some(self.fault)
    }

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()] {
            waker.inspect(Waker::wake_by_ref);
        }
    }
}

/// One end: reads one direction and writes the other.
#[derive(Debug)]
pub(crate) struct Side {
    from: Pipe,
    to: Pipe,
    sleep: Option<Pin<Box<Sleep>>>,
    polls: usize,
}

/// Both ends.
pub(crate) fn pair(there: &Pipe, back: &Pipe) -> (Side, Side) {
    let side = |from: &Pipe, to: &Pipe| Side {
        from: from.clone(),
        to: to.clone(),
        sleep: None,
        polls: 0,
    };
    (side(back, there), side(there, back))
}

impl Side {
    fn count(&mut self) {
        self.polls += 1;
        assert!(self.polls < POLLS, "a loop without an end");
    }
}

impl AsyncRead for Side {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let side = &mut *self;
        side.count();
        let mut inner = side.from.lock();
        let now = Instant::now();
        if !inner.bytes.is_empty() && inner.until > now {
            let until = inner.until;
            inner.reader = Some(cx.waker().clone());
            drop(inner);
            let sleep = side
                .sleep
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            sleep.as_mut().reset(until);
            // Ready is impossible before its time.
            return sleep.as_mut().poll(cx).map(Ok);
        }
        if !inner.bytes.is_empty() {
            inner.deliveries += 1;
            // Grows, so that much content takes no more deliveries than a little.
            if inner.deliveries % 200 == 0 {
                inner.piece = inner.piece.saturating_mul(4);
            }
            let most = inner.piece.min(inner.bytes.len()).min(buffer.remaining());
            if most == 0 {
                return Poll::Ready(Ok(()));
            }
            let len = 1 + inner.rng.below(most);
            let (first, _) = inner.bytes.as_slices();
            let len = len.min(first.len());
            buffer.put_slice(&first[..len]);
            inner.bytes.drain(..len);
            inner.writer.take().inspect(Waker::wake_by_ref);
            return Poll::Ready(Ok(()));
        }
        match inner.fault() {
            Some(Fault::Error) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Fault::End) => return Poll::Ready(Ok(())),
            Some(Fault::Lost | Fault::Stuck) => {}
            None if inner.closed => return Poll::Ready(Ok(())),
            None => {}
        }
        inner.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Side {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.count();
        let mut inner = self.to.lock();
        if inner.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        match inner.fault() {
            Some(Fault::End | Fault::Error) => {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            Some(Fault::Lost) => return Poll::Ready(Ok(bytes.len())),
            Some(Fault::Stuck) => {
                inner.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            None if inner.unread => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            None => {}
        }
        let room = inner.capacity.saturating_sub(inner.bytes.len());
        let most = bytes.len().min(room).min(inner.left);
        if most == 0 {
            inner.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let len = if inner.rng.chance(70) {
            most
        } else {
            1 + inner.rng.below(most)
        };
        if inner.bytes.is_empty() {
            inner.until = inner.until.max(Instant::now() + inner.latency);
        }
        inner.left -= len;
        inner.bytes.extend(&bytes[..len]);
        inner.reader.take().inspect(Waker::wake_by_ref);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.to.lock();
        inner.closed = true;
        inner.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let mut to = self.to.lock();
        to.closed = true;
        to.wake();
        drop(to);
        let mut from = self.from.lock();
        from.unread = true;
        from.bytes.clear();
        from.wake();
    }
}
