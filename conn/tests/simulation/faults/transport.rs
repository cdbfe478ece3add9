//! One direction of a transport, and its faults.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::seeds::Rng;

/// The fault of a direction, after a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The reader receives the end, and the writer an error.
    End,
    /// Both receive an error.
    Error,
    /// The rest is lost, without an error.
    Lost,
    /// The transport accepts no more bytes.
    Stuck,
}

/// The bytes in flight, and the fault that will hit them.
#[derive(Debug)]
pub(super) struct Pipe {
    bytes: BytesMut,
    /// The number of bytes that it accepts before the fault.
    left: usize,
    fault: Fault,
    /// Nothing is delivered before this time.
    until: Instant,
    /// The writer closed its side.
    pub(super) closed: bool,
    /// The largest delivery. It grows, so that large content needs no more deliveries than small
    /// content.
    piece: usize,
    deliveries: usize,
}

impl Pipe {
    pub(super) fn new(now: Instant, rng: &mut Rng) -> Self {
        let faults = [Fault::End, Fault::Error, Fault::Lost, Fault::Stuck];
        let left = match rng.below(10) {
            // In the first frames.
            0 => rng.below(120),
            1 | 2 => rng.below(4_000),
            3 => rng.below(40_000),
            _ => usize::MAX,
        };
        Self {
            bytes: BytesMut::new(),
            left,
            fault: faults[rng.below(4)],
            until: now,
            closed: false,
            piece: [1, 9, 100, 5_000, usize::MAX, usize::MAX][rng.below(6)],
            deliveries: 0,
        }
    }

    /// The fault, after it is reached.
    pub(super) fn fault(&self) -> Option<Fault> {
        (self.left == 0).then_some(self.fault)
    }

    /// The number of bytes that it accepts now.
    pub(super) fn room(&self) -> usize {
        match self.fault() {
            Some(Fault::Stuck) => 0,
            Some(_) => usize::MAX,
            None => self.left,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        if self.fault().is_some() || self.closed {
            return;
        }
        self.left -= bytes.len();
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes of one delivery.
    pub(super) fn read(&mut self, now: Instant, rng: &mut Rng) -> Option<Bytes> {
        if self.bytes.is_empty() || now < self.until {
            return None;
        }
        self.deliveries += 1;
        if self.deliveries % 200 == 0 {
            self.piece = self.piece.saturating_mul(4);
        }
        let most = self.piece.min(self.bytes.len());
        let len = 1 + rng.below(most);
        Some(self.bytes.split_to(len).freeze())
    }

    /// All bytes were delivered, and no more follow.
    pub(super) fn is_at_end(&self) -> bool {
        let ended = self.closed || matches!(self.fault(), Some(Fault::End | Fault::Error));
        ended && self.bytes.is_empty()
    }

    pub(super) fn delay(&mut self, now: Instant, time: Duration) {
        self.until = now + time;
    }

    /// The time of the next delivery.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        (!self.bytes.is_empty() && self.until > now).then_some(self.until)
    }

    /// From now on, the reader accepts no more.
    pub(super) fn discard(&mut self) {
        self.bytes.clear();
    }
}
