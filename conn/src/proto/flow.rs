//! Flow control of the connection: both windows, the bytes that the user holds,
//! and the tuning (RFC 9113 §5.2; SPDY/3.1 §2.6.8).
//!
//! *Receiving.* A stream's window is released as its reader takes the bytes. The connection's
//! window is released at once, as long as the bytes that the user holds stay within the budget. So
//! a stream without a reader stops itself and not the others.

mod tuning;
mod window;

use std::time::Instant;

pub(crate) use self::{
    tuning::Growth,
    window::{Increment, MAX_WINDOW, RecvWindow, SendWindow, WindowError},
};
use super::{Config, FlowControl, Limits, StreamKey, VersionSource, WindowPool, rules::Rules};
use tuning::Tuning;

/// The connection's window before any WINDOW_UPDATE: 65,535 bytes (RFC 9113 §6.9.2)
/// or 64 KiB (SPDY/3.1 §2.6.8).
const PROTOCOL_WINDOW: u32 = 64 << 10;

/// Flow control of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionFlow {
    /// The bytes that the peer permits us to send.
    send: SendWindow,
    /// That window does not bind us, since the peer seems not to know of it. What we send counts all
    /// the same, and makes it negative.
    unbound: bool,
    /// The bytes that we permit the peer to send.
    recv: RecvWindow,
    /// Bytes that the peer may send beyond that window: the change of a stream's initial window by
    /// our first SETTINGS. OkHttp 2 adds it to the connection's window as well.
    tolerance: u32,
    knowledge: Knowledge,
    /// Bytes of bodies that the user holds.
    buffered: usize,
    /// Data has waited for the send window since the last byte was sent.
    stalled: bool,
    tuning: Tuning,
}

/// The peer's knowledge of the connection's window. In cleartext the first bytes
/// do not distinguish SPDY/3.1 from SPDY/3, which has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knowledge {
    /// It does, or has credited the window.
    Certain,
    /// Not shown yet: the window binds neither side.
    Uncertain,
}

impl ConnectionFlow {
    pub(crate) fn new(rules: &Rules, config: &Config) -> Self {
        let initial = rules
            .connection_window
            .filter(|_| config.flow_control == FlowControl::Obeyed);
        let limits = &config.limits;
        Self {
            send: SendWindow::new(initial),
            unbound: false,
            recv: RecvWindow::new(initial.map(|initial| limits.connection_window.max(initial))),
            tolerance: rules
                .stream_window
                .map_or(0, |initial| limits.stream_window.saturating_sub(initial)),
            knowledge: match config.version_source {
                VersionSource::Negotiated => Knowledge::Certain,
                VersionSource::FirstBytes => Knowledge::Uncertain,
            },
            buffered: 0,
            stalled: false,
            tuning: Tuning::new(pool(config), limits.stream_window),
        }
    }

    /// The bytes by which our window exceeds the protocol's at the start: to be
    /// advertised with the preface.
    pub(crate) fn initial_increment(&self, rules: &Rules) -> Option<Increment> {
        let raise = self.recv.size()?.checked_sub(rules.connection_window?)?;
        (raise > 0).then_some(Increment(raise))
    }

    /// Bytes that we may send now.
    pub(crate) fn send_available(&self) -> usize {
        match self.unbound {
            true => usize::MAX,
            false => self.send.available(),
        }
    }

    /// A DATA frame of `len` bytes is sent.
    pub(crate) fn debit_send(&mut self, len: usize) {
        self.send.debit(len);
        self.stalled = false;
    }

    /// The peer's WINDOW_UPDATE for the connection. A peer that sends one counts what we send, and
    /// may end the connection over what exceeds its window. If the window was
    /// [forgotten](Self::forget_send_window), it binds us again, at the value that it has for the
    /// peer: nothing is sent until all that went beyond it is granted.
    pub(crate) fn credit_send(&mut self, increment: u32) -> Result<(), WindowError> {
        self.knowledge = Knowledge::Certain;
        self.unbound = false;
        self.send.credit(increment)
    }

    /// Data waits for the send window. `true` the first time since a byte was
    /// sent.
    pub(crate) fn note_stall(&mut self) -> bool {
        !std::mem::replace(&mut self.stalled, true)
    }

    /// Ignores the send window from now on, if it is used up and the peer has not shown that it knows
    /// of it. Returns `true` if it did not before.
    pub(crate) fn forget_send_window(&mut self) -> bool {
        let forget = self.knowledge == Knowledge::Uncertain && self.send_available() == 0;
        self.unbound |= forget;
        forget
    }

    /// A DATA frame of `len` bytes, padding included, arrived.
    pub(crate) fn debit_recv(&mut self, len: u32) -> Result<(), WindowError> {
        match self.recv.debit_beyond(len, self.tolerance) {
            Err(_) if self.knowledge == Knowledge::Uncertain => Ok(()),
            debited => debited,
        }
    }

    /// A DATA frame of `len` bytes is within the connection's window.
    pub(crate) fn permits(&self, len: u32) -> bool {
        let mut window = self.recv;
        window.debit(len).is_ok()
    }

    /// Our window is open wide enough for the peer to go on.
    pub(crate) fn peer_may_send(&self) -> bool {
        self.recv.is_open()
    }

    /// Counts what arrived for a known stream, or for none, while a probe is
    /// under way.
    #[inline]
    pub(crate) fn count(&mut self, stream: Option<StreamKey>, len: usize) {
        self.tuning.count(stream, len);
    }

    /// Bytes of bodies that the user holds.
    pub(crate) fn buffered(&self) -> usize {
        self.buffered
    }

    /// The user holds `len` bytes more.
    pub(crate) fn hold(&mut self, len: usize) {
        self.buffered = self.buffered.saturating_add(len);
    }

    /// The user holds `len` bytes less.
    pub(crate) fn let_go(&mut self, len: usize) {
        self.buffered = self.buffered.saturating_sub(len);
    }

    /// Bytes that the user may hold and the peer may send, together: no less than
    /// the window that the connection begins with.
    pub(crate) fn budget(&self, limits: &Limits) -> usize {
        // The protocol's initial window may be larger than `connection_window`. The
        // current window does not count: it grows, and the budget bounds its growth.
        let initial = limits.connection_window.max(PROTOCOL_WINDOW);
        let window = self.recv.size().map_or(0, |_| initial);
        let window = usize::try_from(window).unwrap_or(usize::MAX);
        limits.max_buffered_bytes.max(window)
    }

    /// The largest window that the connection may get: what is advertised may be
    /// held, so it is never more than the budget.
    fn max_window(&self, limits: &Limits) -> u32 {
        let budget = u32::try_from(self.budget(limits)).unwrap_or(u32::MAX);
        limits.max_connection_window.min(budget)
    }

    /// Releases to the peer all that arrived and is not held by the user, as
    /// far as the budget allows.
    pub(crate) fn replenish(&mut self, limits: &Limits) -> Option<Increment> {
        let budget = i64::try_from(self.budget(limits)).unwrap_or(i64::MAX);
        let held = i64::try_from(self.buffered).unwrap_or(i64::MAX);
        self.recv.replenish(budget.saturating_sub(held))
    }

    /// Readers keep up with what is released: the user holds no more than that.
    pub(crate) fn readers_keep_up(&self, released: Increment) -> bool {
        self.buffered <= usize::try_from(released.0).unwrap_or(usize::MAX)
    }

    /// Our window, as it is now; `None`: the connection has none.
    pub(crate) fn receive_window(&self) -> Option<u32> {
        self.recv.size()
    }

    /// Bytes that the peer may send plus those about to be released: constant when
    /// everything that arrived was released.
    pub(crate) fn accounted(&self) -> i64 {
        self.recv.accounted()
    }

    /// The window that streams are given when they read.
    pub(crate) fn stream_size(&self) -> u32 {
        self.tuning.stream_size()
    }

    /// Half a window was released, perhaps because the window limits the peer. If this returns
    /// `true`, the caller sends a PING, and calls [`finish_probe`](Self::finish_probe) when the
    /// answer arrives.
    pub(crate) fn start_probe(
        &mut self,
        stream: Option<StreamKey>,
        limits: &Limits,
        now: Instant,
    ) -> bool {
        let full = self.tuning.stream_size() >= limits.max_stream_window
            && self
                .recv
                .size()
                .is_none_or(|size| size >= self.max_window(limits));
        if full || !self.tuning.may_probe(now) {
            return false;
        }
        self.tuning.start_probe(stream);
        true
    }

    /// The probe's answer arrived: windows that were the limit grow.
    pub(crate) fn finish_probe(&mut self, now: Instant, limits: &Limits) -> Option<Growth> {
        let growth = self.tuning.finish_probe(
            now,
            self.recv.size(),
            limits.max_stream_window,
            self.max_window(limits),
        )?;
        if let Some(size) = growth.connection {
            self.recv.grow(size);
        }
        Some(growth)
    }
}

/// The budget of a connection that shares none: only its limits bound its windows.
fn pool(config: &Config) -> WindowPool {
    let shared = config.window_pool.clone();
    shared.unwrap_or_else(|| WindowPool::new(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Side, Version, rules::EVERY_VERSION};

    fn flow(version: Version, change: impl FnOnce(&mut Config)) -> ConnectionFlow {
        let mut config = Config::new(version, Side::Server);
        config.window_pool = Some(WindowPool::new(0));
        change(&mut config);
        ConnectionFlow::new(Rules::of(version), &config)
    }

    #[test]
    fn an_uncertain_window_is_ignored_until_it_is_credited() {
        for version in EVERY_VERSION {
            let mut flow = flow(version, |config| {
                config.version_source = VersionSource::FirstBytes
            });
            if flow.receive_window().is_none() {
                continue;
            }
            flow.debit_send(flow.send_available());
            assert!(flow.forget_send_window());
            assert!(!flow.forget_send_window());
            assert_eq!(flow.send_available(), usize::MAX);
            assert_eq!(flow.debit_recv(0x7fff_ffff), Ok(()));
            // A peer that grants it does know of it.
            flow.debit_send(10_000);
            assert_eq!(flow.credit_send(10_000), Ok(()));
            assert_eq!(flow.send_available(), 0);
            assert_eq!(flow.credit_send(1), Ok(()));
            assert_eq!(flow.send_available(), 1);

            let mut flow = self::flow(version, |config| {
                config.version_source = VersionSource::FirstBytes
            });
            assert_eq!(flow.credit_send(1), Ok(()));
            flow.debit_send(flow.send_available());
            assert!(!flow.forget_send_window());
            assert_eq!(flow.debit_recv(0x7fff_ffff), Err(WindowError));
        }
    }

    #[test]
    fn the_budget_does_not_grow_with_the_window() {
        for version in EVERY_VERSION {
            let limits = Limits::new(Side::Server);
            let mut flow = flow(version, |_| {});
            let budget = flow.budget(&limits);
            flow.recv.grow(limits.max_connection_window);
            assert_eq!(flow.budget(&limits), budget);
        }
    }

    #[test]
    fn what_the_user_holds_is_not_released_beyond_the_budget() {
        for version in EVERY_VERSION {
            let mut flow = flow(version, |config| config.limits.max_buffered_bytes = 0);
            let Some(window) = flow.receive_window() else {
                continue;
            };
            let limits = {
                let mut limits = Limits::new(Side::Server);
                limits.max_buffered_bytes = 0;
                limits
            };
            // The budget is the window: one that is held is not released.
            assert_eq!(flow.debit_recv(window), Ok(()));
            flow.hold(window as usize);
            assert_eq!(flow.replenish(&limits), None);
            assert!(flow.readers_keep_up(Increment(window)));
            flow.let_go(window as usize);
            assert_eq!(flow.replenish(&limits), Some(Increment(window)));
        }
    }

    /// Equal seeds and calls give equal bytes, whatever other connections do.
    #[test]
    fn without_a_shared_pool_no_other_connection_has_a_say() {
        let config = Config::new(EVERY_VERSION[0], Side::Server);
        assert!(pool(&config).take(WindowPool::GLOBAL_CAPACITY + 1));
        assert!(pool(&config).take(WindowPool::GLOBAL_CAPACITY + 1));
    }
}
