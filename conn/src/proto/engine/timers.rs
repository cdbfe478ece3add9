//! The engine's deadlines. There is no clock: time is what callers say.

use std::time::{Duration, Instant};

use super::{Engine, Phase};
use crate::proto::{Limits, Rule};

/// What must happen by when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers {
    /// The peer's first frame.
    pub(super) preface: Option<Instant>,
    /// The acknowledgement of our SETTINGS.
    pub(super) settings: Option<Instant>,
    /// The second GOAWAY, whether the PING between them was answered or not.
    /// After the end of the input: another look for the peer.
    pub(super) announce: Option<Instant>,
    /// The end of the open streams, after a shutdown or the peer's GOAWAY.
    pub(super) drain: Option<Instant>,
    /// The end of a header block that has begun.
    pub(super) block: Option<Instant>,
    /// The transport taking a byte, and how many it had taken when this was
    /// set.
    pub(super) write: Option<(Instant, u64)>,
}

/// How long the first GOAWAY waits for its PING (a peer that answers none must
/// not hold up the shutdown).
const ANNOUNCE: Duration = Duration::from_secs(1);

impl Timers {
    /// `settings_acknowledged`: both sides begin with SETTINGS. Where they do
    /// not, a peer that has nothing to say is silent: a server before the first
    /// request, or while it works on one.
    pub(super) fn starting(limits: &Limits, settings_acknowledged: bool, now: Instant) -> Self {
        if !settings_acknowledged {
            return Self::default();
        }
        Self {
            preface: now.checked_add(limits.preface_timeout),
            settings: now.checked_add(limits.settings_timeout),
            ..Self::default()
        }
    }

    pub(super) fn start_drain(&mut self, limits: &Limits, now: Instant) {
        if self.drain.is_none() {
            self.drain = now.checked_add(limits.drain_timeout);
        }
    }

    /// The second GOAWAY is due, or after the end of the input another look for
    /// the peer.
    pub(super) fn start_announce(&mut self, now: Instant) {
        self.announce = now.checked_add(ANNOUNCE);
    }

    fn next(&self) -> Option<Instant> {
        let write = self.write.map(|(deadline, _)| deadline);
        let all = [
            self.preface,
            self.settings,
            self.announce,
            self.drain,
            self.block,
            write,
        ];
        all.into_iter().flatten().min()
    }
}

impl Engine {
    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Closed {
            // Only the last bytes are left to be written.
            return self.timers.write.map(|(deadline, _)| deadline);
        }
        let timers = self.timers.next();
        let all = [
            timers,
            self.next_of_life(),
            self.next_held_push(),
            self.next_linger(),
            self.next_departed(),
        ];
        all.into_iter().flatten().min()
    }

    /// Time has passed. Call when [`poll_timeout`](Self::poll_timeout) is due,
    /// then poll for events.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if due(self.timers.write.map(|(deadline, _)| deadline)) {
            // What was written since the last cut counts too.
            self.watch_output(now);
        }
        if due(self.timers.write.map(|(deadline, _)| deadline)) {
            // The transport is stuck: what is in the output will not go.
            self.fail(now, Rule::WriteStall);
            self.output.discard();
            self.timers.write = None;
            return;
        }
        if self.phase == Phase::Closed {
            return;
        }
        if due(self.timers.preface) {
            return self.fail(now, Rule::PrefaceTimeout);
        }
        if due(self.timers.settings) {
            return self.fail(now, Rule::SettingsTimeout);
        }
        if due(self.timers.block) {
            return self.fail(now, Rule::HeadersTimeout);
        }
        self.handle_life(now);
        self.send_held_pushes(now);
        self.stop_lingering(now);
        self.end_departed(now);
        if due(self.timers.announce) {
            self.timers.announce = None;
            if self.life.is_silent() {
                self.look_for_the_peer();
            } else {
                self.send_last_go_away();
            }
        }
        if due(self.timers.drain) {
            self.end_drain(now);
        }
    }

    /// The input ends in the middle of something: a header block gets so long
    /// to come to its end (CONTINUATION flood by drops), and a first frame.
    pub(super) fn watch_block(&mut self, now: Instant) {
        if !self.peer.has_spoken() && self.timers.preface.is_none() {
            // Nobody has to speak first, but what has begun is a frame.
            self.timers.preface = now.checked_add(self.config.limits.preface_timeout);
        }
        if !self.wire.in_header_block() {
            self.timers.block = None;
        } else if self.timers.block.is_none() {
            self.timers.block = now.checked_add(self.config.limits.headers_timeout);
        }
    }

    /// Watches whether the transport takes what is in the output.
    pub(super) fn watch_output(&mut self, now: Instant) {
        let written = self.output.written();
        if self.output.is_empty() {
            self.timers.write = None;
        } else if self
            .timers
            .write
            .is_none_or(|(_, before)| before != written)
        {
            let deadline = now.checked_add(self.config.limits.write_stall_timeout);
            self.timers.write = deadline.map(|deadline| (deadline, written));
        }
    }
}
