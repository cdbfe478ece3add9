//! The deadlines of the engine: set, and handled when they are due.

use std::time::{Duration, Instant};

use super::{Engine, StreamTimer, Timer, lifecycle::ROUND_TRIP};
use crate::proto::{Rule, shutdown::Phase};

impl Engine {
    /// The deadlines of a connection that begins.
    pub(super) fn start_timers(&mut self, now: Instant, seed: u64) {
        let limits = &self.config.limits;
        // Where both sides begin with SETTINGS. Elsewhere a peer that has
        // nothing to say is silent: a server before the first request, or while
        // it works on one.
        if self.rules.settings_acknowledged {
            let preface = now.checked_add(limits.preface_timeout);
            self.timers.set(Timer::Preface, preface);
            let settings = now.checked_add(limits.settings_timeout);
            self.timers.set(Timer::Settings, settings);
        }
        // Up to a tenth less, so that connections that began together do not
        // all end together.
        let age = limits.max_connection_age.map(|age| {
            let tenths = u32::try_from(seed % 1024).unwrap_or(0);
            age.saturating_sub(age.saturating_mul(tenths) / 10_240)
        });
        let age = age.and_then(|age| now.checked_add(age));
        self.timers.set(Timer::Age, age);
    }

    /// Streams that are open get this much time at most.
    pub(super) fn start_drain(&mut self, now: Instant) {
        let deadline = now.checked_add(self.config.limits.drain_timeout);
        self.timers.start(Timer::Drain, deadline);
    }

    /// Returns the time at which [`handle_timeout`](Self::handle_timeout) is to
    /// be called; `None`: at no time.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        if self.shutdown.is_closed() {
            // The last bytes are left to be written, and nothing else.
            return self.timers.get(Timer::Write);
        }
        self.stop_age();
        if self.wire.output.is_empty() {
            // The transport took the rest since the last look.
            self.timers.stop(Timer::Write);
        }
        let next = earlier(self.timers.next(), self.keep_alive_deadline());
        let next = earlier(next, self.probe_deadline());
        let next = earlier(next, self.rest_deadline());
        earlier(next, self.idle_deadline())
    }

    /// Handles the deadlines that are due. Call it at the time that
    /// [`poll_timeout`](Self::poll_timeout) returns, then poll for events.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.timers.is_due(Timer::Write, now) {
            // Bytes written since the last frame count too.
            self.watch_output(now);
        }
        if let Some(deadline) = self.timers.get(Timer::Write).filter(|due| *due <= now) {
            if Self::is_late(deadline, now) {
                self.retry_soon(now, Timer::Write);
                return self.handle_due(now);
            }
            // The transport is stuck: it will not take the output.
            self.fail_write(now);
            self.wire.output.discard();
            self.timers.stop(Timer::Write);
            return;
        }
        self.handle_due(now);
    }

    fn handle_due(&mut self, now: Instant) {
        if self.shutdown.is_closed() {
            return;
        }
        self.stop_age();
        let life = self.life_deadlines();
        for (timer, deadline) in self.timers.take_due(now, life) {
            self.handle_timer(now, timer, deadline);
            if self.shutdown.is_closed() {
                return;
            }
        }
    }

    /// A deadline was missed by us: what the peer did in time is seen first.
    fn retry_soon(&mut self, now: Instant, timer: Timer) {
        self.timers.set(timer, now.checked_add(ROUND_TRIP));
    }

    /// Ends the connection whose transport takes too little.
    fn fail_write(&mut self, now: Instant) {
        let limits = &self.config.limits;
        let (rate, time) = (limits.min_rate, limits.write_stall_timeout);
        let text = format!(
            "the transport took fewer bytes within write_stall_timeout ({time:?}) than wait and \
             than min_rate ({rate} bytes a second) asks for"
        );
        self.handle_broken(now, Rule::WriteStall.fatal().detailed(text));
    }

    fn handle_timer(&mut self, now: Instant, timer: Timer, deadline: Instant) {
        match timer {
            Timer::Frame if Self::is_late(deadline, now) => self.retry_soon(now, timer),
            Timer::Frame => self.end_frame(now),
            Timer::Sweep => self.sweep(now, deadline),
            Timer::Write => {}
            Timer::Preface => {
                self.time_out(
                    now,
                    Rule::PrefaceTimeout,
                    self.config.limits.preface_timeout,
                );
            }
            Timer::Settings => {
                self.time_out(
                    now,
                    Rule::SettingsTimeout,
                    self.config.limits.settings_timeout,
                );
            }
            Timer::HeaderBlock => {
                self.time_out(
                    now,
                    Rule::HeadersTimeout,
                    self.config.limits.headers_timeout,
                );
            }
            Timer::Probe => self.probe(now),
            Timer::KeepAlive => self.keep_alive(now),
            Timer::Age | Timer::Idle => self.shutdown(now),
            Timer::Rest => self.wire.rest(),
            Timer::HeldPush => self.send_held_pushes(now),
            Timer::Upload => {
                while let Some(key) = self.timers.pop_stream(StreamTimer::Upload, now) {
                    self.stop_upload(now, key);
                }
            }
            Timer::Departure => {
                while let Some(key) = self.timers.pop_stream(StreamTimer::Departure, now) {
                    self.end_departed(now, key);
                }
            }
            Timer::Admission => self.end_admission(now),
            Timer::SecondGoAway => self.send_last_go_away(),
            Timer::SecondLook => self.look_for_the_peer(),
            Timer::Drain => self.end_drain(now),
        }
    }

    /// The connection ends, since a limit's time has passed.
    pub(super) fn time_out(&mut self, now: Instant, rule: Rule, after: Duration) {
        let text = format!("after {after:?}");
        self.handle_broken(now, rule.fatal().detailed(text));
    }

    /// A connection that shuts down is not ended by its age.
    #[inline]
    fn stop_age(&mut self) {
        if self.shutdown.phase() != Phase::Open {
            self.timers.stop(Timer::Age);
        }
    }

    /// The deadlines that follow from the state of the connection. They are not kept: an idle
    /// connection has no others.
    #[cold]
    fn life_deadlines(&self) -> [(Timer, Option<Instant>); 4] {
        [
            (Timer::Probe, self.probe_deadline()),
            (Timer::KeepAlive, self.keep_alive_deadline()),
            (Timer::Idle, self.idle_deadline()),
            (Timer::Rest, self.rest_deadline()),
        ]
    }

    /// The input ends in the middle of something: a header block gets so long
    /// to end (CONTINUATION flood by drops), and a first frame.
    pub(super) fn watch_block(&mut self, now: Instant) {
        let limits = &self.config.limits;
        if !self.peer.has_spoken() {
            // No side has to send first, but what has begun is a frame.
            let deadline = now.checked_add(limits.preface_timeout);
            self.timers.start(Timer::Preface, deadline);
        }
        if self.wire.in_header_block() {
            let deadline = now.checked_add(limits.headers_timeout);
            self.timers.start(Timer::HeaderBlock, deadline);
        } else {
            self.timers.stop(Timer::HeaderBlock);
        }
    }

    /// Watches whether the transport takes the output.
    pub(super) fn watch_output(&mut self, now: Instant) {
        if self.wire.output.is_empty() {
            self.timers.stop(Timer::Write);
        } else {
            let limits = &self.config.limits;
            let deadline = now.checked_add(limits.write_stall_timeout);
            let written = self.wire.output.written();
            // All that waits now, or as much as a slow path takes meanwhile.
            let least = limits.least_written();
            let target = written.saturating_add(least).min(self.wire.output.end());
            self.timers.watch_write(written, target, deadline);
        }
    }
}

/// The first of two deadlines.
#[inline]
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
