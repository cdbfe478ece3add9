//! The engine's deadlines. There is no clock: time is what callers say.

use std::time::{Duration, Instant};

use super::{Engine, Phase};
use crate::proto::{Limits, Output, Rule};

/// What must happen by when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers {
    /// The peer's first frame.
    pub(super) preface: Option<Instant>,
    /// The acknowledgement of our SETTINGS.
    pub(super) settings: Option<Instant>,
    /// The second GOAWAY, whether the PING between them was answered or not.
    pub(super) announce: Option<Instant>,
    /// The end of the open streams, after a shutdown.
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
    pub(super) fn starting(limits: &Limits, settings_acknowledged: bool, now: Instant) -> Self {
        let settings = now.checked_add(limits.settings_timeout);
        Self {
            preface: now.checked_add(limits.preface_timeout),
            settings: settings.filter(|_| settings_acknowledged),
            ..Self::default()
        }
    }

    pub(super) fn start_drain(&mut self, limits: &Limits, now: Instant) {
        if self.drain.is_none() {
            self.drain = now.checked_add(limits.drain_timeout);
            self.announce = now.checked_add(ANNOUNCE);
        }
    }

    /// The peer said that it ends the connection, and why.
    pub(super) fn start_end(&mut self, limits: &Limits, now: Instant) {
        if self.drain.is_none() {
            self.drain = now.checked_add(limits.drain_timeout);
        }
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
        ];
        all.into_iter().flatten().min()
    }

    /// Time has passed. Call when [`poll_timeout`](Self::poll_timeout) is due,
    /// then poll for events.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock = now;
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if due(self.timers.write.map(|(deadline, _)| deadline)) {
            // What was written since the last cut counts too.
            self.watch_output(now);
        }
        if due(self.timers.write.map(|(deadline, _)| deadline)) {
            // The transport is stuck: what is in the output will not go.
            self.fail(Rule::WriteStall);
            self.output = Output::default();
            self.timers.write = None;
            return;
        }
        if self.phase == Phase::Closed {
            return;
        }
        if due(self.timers.preface) {
            return self.fail(Rule::PrefaceTimeout);
        }
        if due(self.timers.settings) {
            return self.fail(Rule::SettingsTimeout);
        }
        if due(self.timers.block) {
            return self.fail(Rule::HeadersTimeout);
        }
        self.handle_life(now);
        self.send_held_pushes(now);
        self.stop_lingering(now);
        if due(self.timers.announce) {
            self.timers.announce = None;
            self.send_last_go_away();
        }
        if due(self.timers.drain) {
            self.fail_drain();
        }
    }

    /// The input ends in the middle of something: a header block gets so long
    /// to come to its end (CONTINUATION flood by drops).
    pub(super) fn watch_block(&mut self, now: Instant) {
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
