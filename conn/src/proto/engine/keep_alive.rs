//! The life of a connection: signs of life of the peer, and the time without
//! streams.

use std::time::{Duration, Instant};

use super::{
    Engine,
    ping::{Pings, Purpose},
};
use crate::proto::{Rule, Side, shutdown::Phase};

/// The signs of life that the peer gives.
#[derive(Debug)]
pub(super) struct Life {
    /// The time of the last frame.
    last_received: Instant,
    /// The end of our output when it arrived, in bytes since the start.
    written: u64,
    /// The last frame was the answer to a PING of keep-alive.
    only_answered: bool,
    /// The time at which the last stream ended.
    idle_since: Instant,
    /// Made for the first of them: a server's connection seldom has any.
    seldom: Option<Box<Seldom>>,
    /// The peer has closed its side: no sign of life arrives any more.
    silent: bool,
    pub(super) pings: Pings,
}

#[derive(Debug, Default)]
struct Seldom {
    /// The time at which we opened a stream while none was open, for the first time since the last
    /// frame. Later ones do not move it: requests that time out one after another on a dead
    /// connection would put off its end for ever.
    asked: Option<Instant>,
    /// The last frame that asked the transport alone.
    probed: Option<Instant>,
}

/// The interval of probes. While the user holds so much that nothing is read, the end of
/// the peer is not noticed either. A server's probe is a write, which fails on the transport of a
/// client that is gone.
const PROBE: Duration = Duration::from_millis(400);

/// The largest value of a client's PING: no peer counts so far.
const PROBE_OPAQUE: u64 = 0xffff_ffff;

/// The time without streams after which the codec rests: longer than most round trips, and so short
/// that few of the connections of a burst hold their state at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Time between two PINGs to a peer that does nothing but answer them. Servers
/// of gRPC count those within five minutes, and treat the third as a flood.
const BETWEEN_PINGS: Duration = Duration::from_secs(360);

/// Bytes a second of the slowest path that keep-alive expects.
const SLOW_PATH: u64 = 1000;

impl Life {
    pub(super) fn new(seed: u64, now: Instant) -> Self {
        Self {
            last_received: now,
            written: 0,
            only_answered: false,
            idle_since: now,
            seldom: None,
            silent: false,
            pings: Pings::new(seed),
        }
    }

    #[inline]
    pub(super) fn note_received(&mut self, now: Instant, written: u64) {
        self.last_received = now;
        self.written = written;
        self.only_answered = false;
    }

    /// The last frame was an answer that we asked for: the peer lives.
    pub(super) fn note_answer(&mut self) {
        self.only_answered = true;
    }

    /// Bytes of our output, which ends at `end`, since the last frame arrived.
    pub(super) fn unanswered(&self, end: u64) -> u64 {
        end.saturating_sub(self.written)
    }

    /// A stream of ours is opened, the first one or not: an answer to it is
    /// expected.
    pub(super) fn note_open(&mut self, now: Instant, first: bool) {
        self.only_answered = false;
        if first {
            let seldom = self.seldom.get_or_insert_default();
            if seldom.asked.is_none_or(|asked| asked <= self.last_received) {
                seldom.asked = Some(now);
            }
        }
    }

    fn probed(&self) -> Option<Instant> {
        self.seldom.as_ref()?.probed
    }

    /// The later one of the last frame and our first stream after it.
    fn silent_since(&self) -> Instant {
        let asked = self.seldom.as_ref().and_then(|seldom| seldom.asked);
        asked.map_or(self.last_received, |asked| asked.max(self.last_received))
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
    /// Asks the transport whether the client is still there. A client does not ask: a server may end
    /// the transport behind its last byte, as Go's kubelets do. The answer of a closed socket to any
    /// byte of ours discards what the transport still has for a slow reader.
    pub(super) fn probe(&mut self, now: Instant) {
        self.life.seldom.get_or_insert_default().probed = Some(now);
        // While we read nothing, the silence of the peer is our doing.
        let written = self.wire.output.end();
        self.life.note_received(now, written);
        self.life.pings.forgive();
        // An answer to a PING that the peer never sent: it is ignored (the drafts' §2.6.5, RFC 9113
        // §6.7). With a PING, a peer with one loop for both directions, such as Go's spdystream,
        // would write the answer. It would wait for us to read it, while we wait for it to read.
        if self.config.side == Side::Server {
            self.wire.pong(PROBE_OPAQUE);
        }
    }

    /// Sends a PING, or misses the answer to the one that was sent.
    pub(super) fn keep_alive(&mut self, now: Instant) {
        match self.life.pings.keep_alive_since() {
            // Data arrived after the PING: the peer lives, though its answer
            // stands behind that data.
            Some(since) if self.life.last_received > since => self.life.pings.forgive(),
            // The answer may wait in the transport, which we do not read.
            Some(_) if !self.wants_input() => self.life.pings.forgive(),
            Some(_) => {
                let after = self.config.limits.keep_alive_timeout;
                self.time_out(now, Rule::KeepAliveTimeout, after);
            }
            None => self.ping_for(now, Purpose::KeepAlive),
        }
    }

    /// The time at which a connection without streams shuts down.
    pub(super) fn idle_deadline(&self) -> Option<Instant> {
        let idle = self.config.limits.idle_timeout?;
        // A peer that sends PINGs alone is idle too.
        let nothing_open = self.streams.is_empty() && self.streams.detached() == 0;
        let deadline = self.life.idle_since.checked_add(idle);
        deadline.filter(|_| nothing_open && self.shutdown.phase() == Phase::Open)
    }

    /// The time at which the codec of a connection without streams rests. A short pause must not
    /// cost the work, and the compression: the codec forgets a part of what it can refer to.
    pub(super) fn rest_deadline(&self) -> Option<Instant> {
        let rests = self.streams.is_empty() && self.wire.can_rest();
        rests.then(|| self.life.idle_since.checked_add(PAUSE))?
    }

    /// Nothing is read, since the user holds too much and no window stops the
    /// peer.
    pub(super) fn is_held_back(&self) -> bool {
        self.flow.receive_window().is_none()
            && self.flow.buffered() > self.flow.budget(&self.config.limits)
    }

    /// The time of the next probe. With bytes on their way the transport fails by
    /// itself.
    pub(super) fn probe_deadline(&self) -> Option<Instant> {
        if self.life.silent || !self.is_held_back() || !self.wire.output.is_empty() {
            return None;
        }
        match self.life.probed() {
            Some(probed) => probed.checked_add(PROBE),
            // At once: a time that has passed.
            None => Some(self.life.last_received),
        }
    }

    /// The time at which a PING is sent, or its answer is missing.
    pub(super) fn keep_alive_deadline(&self) -> Option<Instant> {
        if self.is_held_back() {
            return None;
        }
        let limits = &self.config.limits;
        let explicit = limits.keep_alive_interval;
        let interval = explicit.or(limits.max_silence);
        let interval = interval.filter(|_| !self.life.silent)?;
        if let Some(since) = self.life.pings.keep_alive_since() {
            // What is written later does not count: requests would put off the end of a dead
            // connection.
            let patience = Duration::from_secs(self.life.pings.ahead() / SLOW_PATH);
            let patience = limits.keep_alive_timeout.saturating_add(patience);
            return since.checked_add(patience);
        }
        if self.streams.is_empty() && !(limits.keep_alive_while_idle && explicit.is_some()) {
            return None;
        }
        if explicit.is_some() {
            return self.life.last_received.checked_add(interval);
        }
        // Idle time is no silence.
        let since = self.life.silent_since();
        let interval = if self.life.only_answered {
            interval.max(BETWEEN_PINGS)
        } else {
            interval
        };
        since.checked_add(interval)
    }
}
