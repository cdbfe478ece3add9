//! Flow-control windows (RFC 9113 §5.2, §6.9; SPDY/3 §2.6.8), of a stream or
//! of the connection. A window that does not exist never fills.

use std::num::NonZeroU32;

/// No window may exceed this (RFC 9113 §6.9.1, SPDY/3.1 §2.6.8).
pub(crate) const MAX_WINDOW: i64 = 0x7fff_ffff;

/// A send window: the bytes that the peer permits us to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendWindow {
    /// [`NO_WINDOW`]: this protocol has none.
    available: i64,
}

/// More than any window has.
const NO_WINDOW: i64 = i64::MAX;

/// A window would exceed 2³¹−1, or more bytes arrived than it held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowError;

impl SendWindow {
    pub(crate) fn new(initial: Option<u32>) -> Self {
        Self {
            available: initial.map_or(NO_WINDOW, i64::from),
        }
    }

    /// Bytes that may be sent now.
    pub(crate) fn available(&self) -> usize {
        usize::try_from(self.available.max(0)).unwrap_or(usize::MAX)
    }

    /// Takes what a DATA frame carries.
    pub(crate) fn debit(&mut self, len: usize) {
        if self.available != NO_WINDOW {
            let len = i64::try_from(len).unwrap_or(i64::MAX);
            self.available = self.available.saturating_sub(len);
        }
    }

    /// Adds what a WINDOW_UPDATE grants.
    pub(crate) fn credit(&mut self, increment: u32) -> Result<(), WindowError> {
        self.shift(i64::from(increment))
    }

    /// Moves by the change of the initial window; below zero is legal
    /// (RFC 9113 §6.9.2).
    pub(crate) fn shift(&mut self, change: i64) -> Result<(), WindowError> {
        if self.available == NO_WINDOW {
            return Ok(());
        }
        let moved = self.available.saturating_add(change);
        if moved > MAX_WINDOW {
            return Err(WindowError);
        }
        self.available = moved;
        Ok(())
    }
}

/// A receive window: the bytes that we permit the peer to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecvWindow {
    /// The whole window, of one byte or more; `None` where there is none.
    size: Option<NonZeroU32>,
    /// Bytes that the peer may still send.
    available: i64,
    /// Bytes consumed and not advertised yet.
    unadvertised: u32,
}

fn at_least_one(size: u32) -> NonZeroU32 {
    NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN)
}

/// Credit that must be advertised to the peer now.
#[must_use = "credit that is not advertised is lost to the peer"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Increment(pub(crate) u32);

impl RecvWindow {
    pub(crate) fn new(size: Option<u32>) -> Self {
        Self {
            size: size.map(at_least_one),
            available: size.map_or(0, i64::from),
            unadvertised: 0,
        }
    }

    /// Until our SETTINGS arrive the peer may use the protocol's larger initial
    /// window: accept that much.
    pub(crate) fn at_least(self, initial: u32) -> Self {
        Self {
            available: self.available.max(i64::from(initial)),
            ..self
        }
    }

    /// Takes bytes that arrived. More than the window held is the peer's error.
    pub(crate) fn debit(&mut self, len: u32) -> Result<(), WindowError> {
        self.debit_beyond(len, 0)
    }

    /// Takes bytes that arrived. More than the window and `tolerance` held is the peer's error.
    pub(crate) fn debit_beyond(&mut self, len: u32, tolerance: u32) -> Result<(), WindowError> {
        if self.size.is_none() {
            return Ok(());
        }
        let left = self.available.saturating_sub(i64::from(len));
        if left < -i64::from(tolerance) {
            return Err(WindowError);
        }
        self.available = left;
        Ok(())
    }

    /// The peer may send an eighth of the window, or more. As long as readers keep
    /// up, it always may: they report what they consumed before more is missing.
    pub(crate) fn is_open(&self) -> bool {
        self.size()
            .is_none_or(|size| self.available > i64::from(size / 8))
    }

    /// The whole window; `None` where there is none.
    pub(crate) fn size(&self) -> Option<u32> {
        self.size.map(NonZeroU32::get)
    }

    /// Makes a connection's window larger. [`replenish`](Self::replenish)
    /// advertises the difference.
    pub(crate) fn grow(&mut self, size: u32) {
        self.size = self.size.map(|old| old.max(at_least_one(size)));
    }

    /// Releases what was consumed of a stream. Updates are few: one for each
    /// half of the window. With the next one the window grows to `target`.
    pub(crate) fn credit(&mut self, len: usize, target: u32) -> Option<Increment> {
        let size = self.size()?;
        let consumed = u32::try_from(len).unwrap_or(u32::MAX);
        self.unadvertised = self.unadvertised.saturating_add(consumed);
        if self.unadvertised < (size / 2).max(1) {
            return None;
        }
        self.grow_by(target.saturating_sub(size));
        self.advertise()
    }

    /// Makes a stream's window grow to `target` at once, before its reader takes more.
    pub(crate) fn grow_now(&mut self, target: u32) -> Option<Increment> {
        let growth = target.saturating_sub(self.size()?);
        if growth == 0 {
            return None;
        }
        self.grow_by(growth);
        self.advertise()
    }

    /// Releases to the peer all that arrived on the connection, as far as it may
    /// then send no more than `room`. Half of the window at once, or an eighth where
    /// `room` permits no more and the peer has used the window up.
    pub(crate) fn replenish(&mut self, room: i64) -> Option<Increment> {
        let size = self.size()?;
        let target = i64::from(size).min(room);
        let owed = target.saturating_sub(self.accounted());
        if let Ok(owed @ 1..) = u32::try_from(owed) {
            self.unadvertised = self.unadvertised.saturating_add(owed);
        }
        let least = if self.is_open() { size / 2 } else { size / 8 };
        if self.unadvertised < least.max(1) {
            return None;
        }
        self.advertise()
    }

    fn grow_by(&mut self, growth: u32) {
        self.size = self.size.map(|size| size.saturating_add(growth));
        self.unadvertised = self.unadvertised.saturating_add(growth);
    }

    fn advertise(&mut self) -> Option<Increment> {
        let increment = std::mem::take(&mut self.unadvertised);
        self.available = self.available.saturating_add(i64::from(increment));
        (increment > 0).then_some(Increment(increment))
    }

    /// Bytes that the peer may send plus those on their way back to it: constant
    /// when everything received was given back.
    pub(crate) fn accounted(&self) -> i64 {
        self.available.saturating_add(i64::from(self.unadvertised))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_window_may_be_negative_and_recovers() {
        let mut window = SendWindow::new(Some(65_536));
        window.debit(60_000);
        assert_eq!(window.shift(16_384 - 65_536), Ok(()));
        assert_eq!(window.available(), 0);
        assert_eq!(window.credit(43_617), Ok(()));
        assert_eq!(window.available(), 1);
    }

    #[test]
    fn a_send_window_never_exceeds_its_maximum() {
        let mut window = SendWindow::new(Some(0x7fff_ffff));
        assert_eq!(window.credit(1), Err(WindowError));
        window.debit(1);
        assert_eq!(window.credit(1), Ok(()));
        assert_eq!(SendWindow::new(None).credit(u32::MAX), Ok(()));
    }

    #[test]
    fn a_receive_window_is_advertised_by_halves() {
        let mut window = RecvWindow::new(Some(100));
        assert_eq!(window.debit(101), Err(WindowError));
        assert_eq!(window.debit(100), Ok(()));
        assert_eq!(window.debit(1), Err(WindowError));
        assert_eq!(window.credit(49, 100), None);
        assert_eq!(window.credit(11, 100), Some(Increment(60)));
        assert_eq!(window.debit(60), Ok(()));
        assert_eq!(window.accounted(), 0);
        assert_eq!(window.credit(100, 100), Some(Increment(100)));
        assert_eq!(window.accounted(), 100);
    }

    #[test]
    fn a_small_window_is_advertised_by_its_own_halves() {
        let mut window = RecvWindow::new(Some(1000)).at_least(65_535);
        assert_eq!(window.debit(65_535), Ok(()));
        assert_eq!(window.credit(500, 1000), Some(Increment(500)));
    }

    #[test]
    fn without_flow_control_nothing_is_counted() {
        let mut window = RecvWindow::new(None);
        assert_eq!(window.debit(u32::MAX), Ok(()));
        assert_eq!(window.credit(usize::MAX, 7), None);
        assert_eq!(window.replenish(i64::MAX), None);
    }

    #[test]
    fn a_stream_grows_when_it_advertises_or_at_once() {
        let mut window = RecvWindow::new(Some(100));
        assert_eq!(window.debit(60), Ok(()));
        assert_eq!(window.credit(10, 200), None);
        assert_eq!(window.credit(50, 200), Some(Increment(160)));
        assert_eq!(window.accounted(), 200);
        assert_eq!(window.grow_now(200), None);
        assert_eq!(window.grow_now(300), Some(Increment(100)));
        assert_eq!(window.accounted(), 300);
    }

    #[test]
    fn a_connection_recovers_credit_within_its_limit() {
        let mut window = RecvWindow::new(Some(100));
        assert_eq!(window.debit(40), Ok(()));
        assert_eq!(window.replenish(160), None);
        assert_eq!(window.debit(20), Ok(()));
        assert_eq!(window.replenish(140), Some(Increment(60)));
        // 90 are held: 100 less 90 is what the peer may have.
        assert_eq!(window.debit(90), Ok(()));
        assert_eq!(window.replenish(10), None);
        assert_eq!(window.replenish(200), Some(Increment(90)));
        window.grow(300);
        assert_eq!(window.replenish(1000), Some(Increment(200)));
    }
}
