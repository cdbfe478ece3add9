//! PING: a sign of life for the user, for keep-alive, for the shutdown, and for
//! the tuning of windows. One is on its way at a time, for all purposes.

use std::time::{Duration, Instant};

use super::Engine;
use crate::proto::{Event, Outcome, shutdown::Phase};

/// The PING on its way, and what has been learned from earlier ones.
#[derive(Debug, Default)]
pub(super) struct Pings {
    /// Made for the first of them: few connections send one.
    sent: Option<Box<Sent>>,
    counter: u32,
}

#[derive(Debug, Default)]
struct Sent {
    current: Option<Ping>,
    round_trip: Option<Duration>,
    count: u64,
}

/// A PING on its way.
#[derive(Clone, Copy, Debug)]
struct Ping {
    opaque: u64,
    sent: Instant,
    /// The bytes on their way to the peer when it was sent: the answer waits behind them.
    ahead: u64,
    /// The user asked for it.
    wanted: bool,
    /// The time since which keep-alive waits for the answer, if it does. Later than
    /// `sent` if the PING was sent for another purpose.
    keep_alive: Option<Instant>,
}

/// The purpose of a PING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    User,
    Shutdown,
    KeepAlive,
    Tuning,
}

impl Pings {
    pub(super) fn new(seed: u64) -> Self {
        let [a, b, c, d, ..] = seed.to_le_bytes();
        Self {
            counter: u32::from_le_bytes([a, b, c, d]) >> 2,
            ..Self::default()
        }
    }

    /// The time since which keep-alive waits for an answer.
    pub(super) fn keep_alive_since(&self) -> Option<Instant> {
        self.current()?.keep_alive
    }

    fn current(&self) -> Option<&Ping> {
        self.sent.as_ref()?.current.as_ref()
    }

    fn current_mut(&mut self) -> Option<&mut Ping> {
        self.sent.as_mut()?.current.as_mut()
    }

    /// The number of all.
    pub(super) fn count(&self) -> u64 {
        self.sent.as_ref().map_or(0, |sent| sent.count)
    }

    /// The bytes that the peer may receive before the PING.
    pub(super) fn ahead(&self) -> u64 {
        self.current().map_or(0, |ping| ping.ahead)
    }

    /// Data that arrives after it is as good as its answer.
    pub(super) fn forgive(&mut self) {
        if let Some(ping) = self.current_mut() {
            ping.keep_alive = None;
        }
    }
}

impl Engine {
    /// Asks the peer for a sign of life; [`Event::Pong`] reports the time until the
    /// answer. One at a time: a second call before the answer does nothing.
    pub fn ping(&mut self, now: Instant) {
        self.ping_for(now, Purpose::User);
    }

    /// Returns the last measured time from a PING to its answer; `None` before
    /// the first. PINGs are sent by [`ping`](Self::ping), by keep-alive, and while
    /// windows are tuned.
    pub fn round_trip(&self) -> Option<Duration> {
        self.life.pings.sent.as_ref()?.round_trip
    }

    pub(super) fn is_pinging(&self) -> bool {
        self.life.pings.current().is_some()
    }

    pub(super) fn ping_for(&mut self, now: Instant, purpose: Purpose) {
        if self.shutdown.is_closed() || self.life.is_silent() {
            return;
        }
        if !self.is_pinging() {
            self.send_ping(now);
        }
        if let Some(ping) = self.life.pings.current_mut() {
            ping.wanted |= purpose == Purpose::User;
            if purpose == Purpose::KeepAlive {
                ping.keep_alive.get_or_insert(now);
            }
        }
    }

    fn send_ping(&mut self, now: Instant) {
        let counter = self.life.pings.counter.wrapping_add(1) & 0x3fff_ffff;
        let opaque = u64::from(counter);
        self.wire.ping(opaque);
        let ahead = self.life.unanswered(self.wire.output.end());
        let pings = &mut self.life.pings;
        pings.counter = counter;
        let sent = pings.sent.get_or_insert_default();
        sent.count = sent.count.saturating_add(1);
        sent.current = Some(Ping {
            opaque,
            sent: now,
            ahead,
            wanted: false,
            keep_alive: None,
        });
    }

    pub(super) fn handle_pong(&mut self, now: Instant, opaque: u64) -> Outcome {
        // An answer to nothing is ignored, as the SPDY drafts demand.
        let Some(sent) = &mut self.life.pings.sent else {
            return self.useless(now);
        };
        let Some(ping) = sent.current.take_if(|ping| ping.opaque == opaque) else {
            return self.useless(now);
        };
        let round_trip = now.saturating_duration_since(ping.sent);
        sent.round_trip = Some(round_trip);
        if self.shutdown.phase() == Phase::FirstGoAway {
            self.send_last_go_away();
        }
        if ping.keep_alive.is_some() {
            self.life.note_answer();
        }
        self.finish_probe(now);
        Ok(ping.wanted.then_some(Event::Pong { round_trip }))
    }
}
