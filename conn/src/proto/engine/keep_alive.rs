//! How long a connection lives: signs of life, its greatest age, and the time
//! that it may do nothing.

use std::time::{Duration, Instant};

use super::{Engine, Phase, ping::Purpose};
use crate::proto::{Limits, Rule, Side};

/// What the deadlines of a connection's life are counted from.
#[derive(Debug)]
pub(super) struct Life {
    /// The last frame that came.
    heard: Instant,
    /// Since when no stream is open.
    idle_since: Instant,
    /// When the connection is old.
    old: Option<Instant>,
    /// The peer has closed its side: no sign of life comes any more.
    silent: bool,
    /// The last PING that asked the transport alone.
    probed: Option<Instant>,
}

/// While nothing is read since the user holds so much, nothing is heard of the
/// peer's end either. A write every so often finds out: the transport of a peer
/// that is gone refuses it.
const PROBE: Duration = Duration::from_millis(400);

/// The largest value of a PING, of either parity: no peer gets there.
const PROBE_OPAQUE: u64 = 0xffff_fffe;

impl Life {
    pub(super) fn starting(limits: &Limits, seed: u64, now: Instant) -> Self {
        // Up to a tenth less, so that connections that began together do not
        // all end together.
        let age = limits.max_connection_age.map(|age| {
            let tenths = u32::try_from(seed % 1024).unwrap_or(0);
            age.saturating_sub(age.saturating_mul(tenths) / 10_240)
        });
        Self {
            heard: now,
            idle_since: now,
            old: age.and_then(|age| now.checked_add(age)),
            silent: false,
            probed: None,
        }
    }

    #[inline]
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The peer has closed its side.
    pub(super) fn lose_the_peer(&mut self) {
        self.silent = true;
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(super) fn became_idle(&mut self, now: Instant) {
        self.idle_since = now;
    }
}

impl Engine {
    /// When the next of these deadlines is.
    pub(super) fn next_of_life(&self) -> Option<Instant> {
        let graceful = [self.life.old, self.idle_deadline()]
            .into_iter()
            .flatten()
            .min()
            .filter(|_| self.phase == Phase::Open);
        [graceful, self.keep_alive_deadline(), self.probe_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Those of them that have come.
    pub(super) fn handle_life(&mut self, now: Instant) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if due(self.probe_deadline()) {
            self.life.probed = Some(now);
            // Its silence is ours.
            self.life.heard(now);
            self.pings.forgive();
            // An answer to a PING that the peer never sent: it is ignored (the
            // drafts' §2.6.5, RFC 9113 §6.7). Were it a PING, a peer with one
            // loop for both directions, such as Go's spdystream, would write the
            // answer and wait for us to read it, while we wait for it to read.
            let odd = u64::from(self.config.side == Side::Server);
            self.wire.pong(PROBE_OPAQUE | odd, self.output.buffer());
        }
        if due(self.keep_alive_deadline()) {
            match self.pings.keep_alive_since() {
                // Data came after the PING: the peer lives, though its answer
                // stands behind that data.
                Some(sent) if self.life.heard > sent => self.pings.forgive(),
                Some(_) => return self.fail(now, Rule::KeepAliveTimeout),
                None => self.ping_for(now, Purpose::KeepAlive),
            }
        }
        if self.phase == Phase::Open && (due(self.life.old) || due(self.idle_deadline())) {
            self.shutdown(now);
        }
    }

    fn idle_deadline(&self) -> Option<Instant> {
        let idle = self.config.limits.idle_timeout?;
        // A peer that only sends PINGs is idle too.
        let nothing_open = self.streams.is_empty() && self.streams.orphans() == 0;
        let deadline = self.life.idle_since.checked_add(idle);
        deadline.filter(|_| nothing_open)
    }

    /// Nothing is read, since the user holds so much, on a connection whose
    /// peer no window stops.
    fn is_held_back(&self) -> bool {
        self.flow.receive_window().is_none()
            && self.flow.buffered() > self.flow.budget(&self.config.limits)
    }

    /// When the transport is asked whether the peer is still there. With bytes
    /// on their way it tells by itself.
    fn probe_deadline(&self) -> Option<Instant> {
        if self.life.silent || !self.is_held_back() || !self.output.is_empty() {
            return None;
        }
        match self.life.probed {
            Some(probed) => probed.checked_add(PROBE),
            // At once: a moment that has passed.
            None => Some(self.life.heard),
        }
    }

    /// When a PING is to be sent, or its answer missing.
    fn keep_alive_deadline(&self) -> Option<Instant> {
        if self.is_held_back() {
            return None;
        }
        let limits = &self.config.limits;
        let interval = limits.keep_alive_interval.filter(|_| !self.life.silent)?;
        if let Some(sent) = self.pings.keep_alive_since() {
            return sent.checked_add(limits.keep_alive_timeout);
        }
        if self.streams.is_empty() && !limits.keep_alive_while_idle {
            return None;
        }
        self.life.heard.checked_add(interval)
    }
}
