//! How long a connection lives: signs of life, its greatest age, and the time
//! that it may do nothing.

use std::time::Instant;

use super::{Engine, Phase, ping::Purpose};
use crate::proto::{Limits, Rule};

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
}

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
        [graceful, self.keep_alive_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Those of them that have come.
    pub(super) fn handle_life(&mut self, now: Instant) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if due(self.keep_alive_deadline()) {
            match self.pings.keep_alive_since() {
                // Data came after the PING: the peer lives, though its answer
                // stands behind that data.
                Some(sent) if self.life.heard > sent => self.pings.forgive(),
                Some(_) => return self.fail(Rule::KeepAliveTimeout),
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

    /// When a PING is to be sent, or its answer missing.
    fn keep_alive_deadline(&self) -> Option<Instant> {
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
