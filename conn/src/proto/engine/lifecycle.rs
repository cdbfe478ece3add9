//! The end of a connection: graceful, by the peer, or by an error. A broken
//! rule becomes a GOAWAY or an RST_STREAM here and nowhere else.

use std::{io, time::Instant};

use super::{Engine, Phase, ping::Purpose};
use crate::{
    Error, Initiator, Reason,
    proto::{
        Broken, Event, Output, Rule, Side, StreamId, StreamKey, Violation, rules::Reaction,
        streams::Reader,
    },
};

/// What the peer said of its end.
#[derive(Debug)]
pub(super) struct PeerGoAway {
    /// The last of our streams that it may process.
    last: StreamId,
    error: Error,
}

impl Engine {
    /// Ends gracefully: no new streams are taken, those that are open (or on
    /// their way to us) are finished, then the connection closes. Streams that
    /// are not done within `drain_timeout` are reset.
    pub fn shutdown(&mut self, now: Instant) {
        if self.phase != Phase::Open {
            return;
        }
        self.timers.start_drain(&self.config.limits, now);
        if !self.rules.goaway_twice || self.config.side == Side::Client {
            return self.send_last_go_away();
        }
        // RFC 9113 §6.8: announce it, wait a round trip for streams that are
        // on their way, then name the last one.
        self.phase = Phase::Announced;
        self.wire
            .go_away(StreamId::MAX, Reason::NoError, "", self.output.buffer());
        self.ping_for(now, Purpose::Shutdown);
    }

    /// Ends at once: the peer is told `reason`, every stream ends.
    pub fn abort(&mut self, reason: Reason, detail: &'static str) {
        self.close(
            reason,
            Error::connection(Initiator::User, reason, detail),
            detail,
        );
    }

    /// The transport's input ended.
    pub fn handle_eof(&mut self, now: Instant) {
        self.clock = now;
        if self.phase == Phase::Closed {
            return;
        }
        // Streams that only wait for the user to read them are whole, and of
        // those that linger nobody wants more.
        if self
            .streams
            .iter_mut()
            .all(|(_, stream)| stream.state.is_closed() || stream.recv.reader == Reader::Lingering)
        {
            self.phase = Phase::Closed;
            return;
        }
        // Who says why it ends the connection, and then does, did no wrong.
        let error = self.told_error().unwrap_or_else(|| {
            let text = Rule::UnexpectedEof.to_string();
            Error::connection(Initiator::Peer, Reason::ProtocolError, text)
        });
        self.end_all(&error);
    }

    /// The transport failed: nothing more can be written or read.
    pub fn handle_io_error(&mut self, error: io::Error) {
        self.output = Output::default();
        if self.phase != Phase::Closed {
            let error = self.told_error().unwrap_or_else(|| Error::io(error));
            self.end_all(&error);
        }
    }

    /// The last GOAWAY: streams above those taken so far are refused.
    pub(super) fn send_last_go_away(&mut self) {
        if matches!(self.phase, Phase::Draining | Phase::Closed) {
            return;
        }
        let last = self.ids.stop_peer();
        self.phase = Phase::Draining;
        self.timers.announce = None;
        self.wire
            .go_away(last, Reason::NoError, "", self.output.buffer());
        if self.streams.is_empty() {
            self.finish_drain();
        }
    }

    /// The last stream is gone: a connection that was shutting down closes.
    pub(super) fn finish_drain(&mut self) {
        match self.phase {
            Phase::Draining => {
                self.phase = Phase::Closed;
                if let Some(error) = self.told_error() {
                    self.push_event(Event::Closed { error });
                }
            }
            // The peer left: our own GOAWAY tells it what we processed.
            Phase::Open | Phase::Announced if self.peer_goaway.is_some() => {
                self.send_last_go_away();
            }
            _ => {}
        }
    }

    /// The peer's GOAWAY: our streams above `last` were not processed. After an
    /// error the peer is about to close the connection: if it does not, the
    /// streams that it may have processed are waited for no longer than in a
    /// shutdown of our own.
    pub(super) fn handle_go_away(&mut self, now: Instant, last: StreamId, error: Error) -> Event {
        let before = self.peer_goaway.take();
        let last = before
            .as_ref()
            .map_or(last, |earlier| earlier.last.min(last));
        // A later word may only add to an error, not take it back.
        let error = match before {
            Some(earlier) if error.reason() == Reason::NoError => earlier.error,
            _ => error,
        };
        if error.reason() != Reason::NoError {
            self.timers.start_end(&self.config.limits, now);
        }
        self.peer_goaway = Some(PeerGoAway {
            last,
            error: error.clone(),
        });
        // Of an orderly end the streams still need a reason.
        let refusal = match error.reason() {
            Reason::NoError => {
                let detail = "GOAWAY: the peer takes no new streams";
                Error::connection(Initiator::Peer, Reason::RefusedStream, detail)
            }
            _ => error.clone(),
        };
        let refusal = refusal.with_retryable(true);
        for key in self.streams.keys() {
            let ours = self.streams.get(key).is_some_and(|stream| stream.is_ours());
            if ours && key.id() > last {
                self.remove(key);
                let error = refusal.clone();
                self.push_event(Event::Reset { stream: key, error });
            }
        }
        if self.streams.is_empty() {
            self.finish_drain();
        }
        Event::GoAway {
            last,
            reason: error.reason(),
            error,
        }
    }

    /// The streams that were left after the peer's GOAWAY took too long.
    pub(super) fn fail_drain(&mut self) {
        let detail = "the streams did not end within drain_timeout";
        match self.told_error() {
            Some(error) => self.close(Reason::NoError, error, detail),
            None => self.abort(Reason::NoError, detail),
        }
    }

    /// The error that the peer named as the reason of its GOAWAY.
    fn told_error(&self) -> Option<Error> {
        let error = &self.peer_goaway.as_ref()?.error;
        (error.reason() != Reason::NoError).then(|| error.clone())
    }

    /// What follows from a broken rule: the end of its stream or of the
    /// connection, or a charge for a useless frame.
    pub(super) fn handle_broken(&mut self, now: Instant, broken: Broken) {
        let violation = match broken {
            Broken::OnStream(id, rule, detail) => match self.rules.reaction(rule) {
                Reaction::Stream(reason) => Violation {
                    detail,
                    ..Violation::stream(id, rule, reason)
                },
                Reaction::Connection(_) => self.fatal(Broken::Fatal(rule, detail)),
                Reaction::Ignore => match self.glitch(now) {
                    Ok(()) => return,
                    Err(broken) => self.fatal(broken),
                },
            },
            Broken::Decided(violation) => violation,
            fatal @ Broken::Fatal(..) => self.fatal(fatal),
        };
        self.handle_violation(now, &violation);
    }

    /// The violation by which a broken rule ends the connection.
    pub(super) fn fatal(&self, broken: Broken) -> Violation {
        let (rule, detail) = match broken {
            Broken::OnStream(_, rule, detail) | Broken::Fatal(rule, detail) => (rule, detail),
            Broken::Decided(violation) => return violation,
        };
        let reason = match self.rules.reaction(rule) {
            Reaction::Connection(reason) | Reaction::Stream(reason) => reason,
            Reaction::Ignore => Reason::ProtocolError,
        };
        Violation {
            detail,
            ..Violation::connection(rule, reason)
        }
    }

    /// A violation ends its stream, or the connection.
    fn handle_violation(&mut self, now: Instant, violation: &Violation) {
        let Some(id) = violation.stream else {
            return self.end_by(violation);
        };
        // Whoever makes us reset is charged as if it had (MadeYouReset,
        // CVE-2025-8671).
        if self.resets.charge(now).is_err() {
            return self.fail(Rule::TooManyResets);
        }
        let key = self.streams.find(id);
        self.send_reset(id, violation.reason);
        let error = Error::violation(violation);
        match key {
            Some(stream) => {
                self.remove(stream);
                self.push_event(Event::Reset { stream, error });
            }
            None => self.push_event(Event::Refused { id, error }),
        }
    }

    /// A broken rule ends the connection, whatever the protocol.
    pub(super) fn fail(&mut self, rule: Rule) {
        let violation = self.fatal(rule.fatal());
        self.end_by(&violation);
    }

    /// One GOAWAY, then silence.
    fn end_by(&mut self, violation: &Violation) {
        let text = violation.to_string();
        self.close(violation.reason, Error::violation(violation), &text);
    }

    fn close(&mut self, reason: Reason, error: Error, detail: &str) {
        if self.phase == Phase::Closed {
            return;
        }
        let last = self.ids.last_of_peer();
        self.wire
            .go_away(last, reason, detail, self.output.buffer());
        self.end_all(&error);
    }

    /// Every stream learns of the same error.
    fn end_all(&mut self, error: &Error) {
        self.phase = Phase::Closed;
        self.held_pushes.clear();
        for key in self.streams.keys() {
            let refused = self.peer_goaway.as_ref();
            let refused = refused.is_some_and(|goaway| key.id() > goaway.last);
            self.remove(key);
            let error = error.clone().with_retryable(refused);
            self.push_event(Event::Reset { stream: key, error });
        }
        self.push_event(Event::Closed {
            error: error.clone(),
        });
    }

    /// RST_STREAM, and the memory of it: what is on its way is ignored.
    pub(super) fn send_reset(&mut self, id: StreamId, reason: Reason) {
        self.counters.resets_sent.count(reason);
        self.wire.reset(id, reason, self.output.buffer());
        self.ids.remember_reset(id, &self.config.limits);
    }

    /// Ends a stream before its time. The peer is told `reason`; no event
    /// follows, and the key is stale. Over SPDY a client that cancels a stream
    /// cancels what is pushed for it (the drafts' §3.3.2): of those it learns by
    /// [`Event::Reset`].
    pub fn reset(&mut self, now: Instant, stream: StreamKey, reason: Reason) {
        self.clock = now;
        let Some(open) = self.streams.get(stream) else {
            return;
        };
        // A push that nobody heard of needs no end.
        let known = !open.is_held() && !open.state.is_closed();
        if known && self.phase != Phase::Closed {
            self.send_reset(stream.id(), reason);
            if reason == Reason::Cancel {
                self.cancel_promises_of(stream.id());
            }
        }
        self.remove(stream);
    }
}
