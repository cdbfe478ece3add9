//! The end of a connection: graceful, by the peer, or by an error. A broken
//! rule becomes a GOAWAY or an RST_STREAM here and nowhere else.

use std::{io, time::Instant};

use super::{Engine, Phase, ping::Purpose};
use crate::{
    Error, Initiator, Reason,
    proto::{
        Broken, Event, Rule, ShutdownOrder, Side, StreamId, Violation, rules::Reaction,
        streams::state::Half,
    },
};

/// The peer's GOAWAY.
#[derive(Clone, Debug)]
pub(super) struct PeerGoAway {
    /// The last of our streams that the peer will process.
    last: StreamId,
    /// Its code and debug data.
    pub(super) error: Error,
    /// The end of the connection was told of.
    over: bool,
}

impl PeerGoAway {
    /// It says that something is wrong: what happens afterwards follows from
    /// that.
    fn is_error(&self) -> bool {
        self.error.reason() != Reason::NoError
    }
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
        if self.config.shutdown_order == ShutdownOrder::DataFirst {
            self.phase = Phase::Finishing;
            return self.finish_sending();
        }
        if !self.rules.goaway_twice || self.config.side == Side::Client {
            return self.send_last_go_away();
        }
        // RFC 9113 §6.8: announce it, wait a round trip for streams that are
        // on their way, then name the last one.
        self.phase = Phase::Announced;
        self.timers.start_announce(now);
        self.wire
            .go_away(StreamId::MAX, Reason::NoError, "", self.output.buffer());
        self.ping_for(now, Purpose::Shutdown);
    }

    /// Ends at once: the peer is told `reason`, every stream ends.
    pub fn abort(&mut self, now: Instant, reason: Reason, detail: &'static str) {
        self.close(
            now,
            reason,
            Error::connection(Initiator::User, reason, detail),
            detail,
        );
    }

    /// The peer sent a GOAWAY with an error.
    pub(super) fn peer_left_with_error(&self) -> bool {
        self.peer_goaway
            .as_ref()
            .is_some_and(|go_away| go_away.is_error())
    }

    /// The error of what the end of the transport's input leaves unfinished.
    pub(super) fn eof_error(&self) -> Error {
        match &self.peer_goaway {
            Some(go_away) => {
                let then = "the transport ended before its streams did";
                go_away.error.clone().after_go_away(then)
            }
            None => {
                let text = Rule::UnexpectedEof.to_string();
                Error::connection(Initiator::Peer, Reason::ProtocolError, text)
            }
        }
    }

    /// The transport failed: nothing more can be written or read.
    pub fn handle_io_error(&mut self, now: Instant, error: io::Error) {
        self.output.discard();
        if self.phase == Phase::Closed {
            return;
        }
        // Whoever says goodbye with an error hangs up without more ado.
        let told = self.peer_goaway.clone().filter(|told| told.is_error());
        self.end_all(
            now,
            &match told {
                Some(go_away) => go_away.error.after_go_away("the transport failed"),
                None => Error::io(error),
            },
        );
    }

    /// GOAWAY goes out once all of our halves have ended, where it is to follow
    /// the data.
    pub(super) fn finish_sending(&mut self) {
        let finishing = self.phase == Phase::Finishing;
        if finishing
            && self
                .streams
                .iter_mut()
                .all(|(_, stream)| stream.state.send() == Half::Closed)
        {
            self.send_last_go_away();
        }
    }

    /// The open streams had their time.
    pub(super) fn end_drain(&mut self, now: Instant) {
        let then = "the streams did not end within drain_timeout";
        match self.peer_goaway.clone().filter(|told| told.is_error()) {
            Some(go_away) => {
                let error = go_away.error.after_go_away(then);
                self.close(now, Reason::NoError, error, "");
            }
            None => self.abort(now, Reason::NoError, then),
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
            Phase::Draining => self.phase = Phase::Closed,
            // The peer left: our own GOAWAY tells it what we processed.
            Phase::Open | Phase::Announced | Phase::Finishing if self.peer_goaway.is_some() => {
                self.send_last_go_away();
            }
            _ => {}
        }
    }

    /// After everything else: the peer's GOAWAY was an error, and the connection
    /// ended by it.
    pub(super) fn farewell(&mut self) -> Option<Event> {
        let go_away = self.peer_goaway.as_mut()?;
        if !go_away.is_error() || std::mem::replace(&mut go_away.over, true) {
            return None;
        }
        Some(Event::Closed {
            error: go_away.error.clone(),
        })
    }

    /// The peer's GOAWAY: our streams above `last` were not processed. After an
    /// error the others get no more time than a shutdown of ours gives them:
    /// such a peer may never say another word.
    pub(super) fn handle_go_away(
        &mut self,
        now: Instant,
        last: StreamId,
        reason: Reason,
        debug: &[u8],
    ) -> Event {
        let earlier = self.peer_goaway.take();
        let last = earlier
            .as_ref()
            .map_or(last, |earlier| earlier.last.min(last));
        // A graceful one after an error takes nothing back.
        let error = match earlier.filter(|earlier| earlier.is_error() && reason == Reason::NoError)
        {
            Some(earlier) => earlier.error,
            None => Error::go_away(reason, debug),
        };
        self.peer_goaway = Some(Box::new(PeerGoAway {
            last,
            error: error.clone(),
            over: false,
        }));
        if reason != Reason::NoError {
            self.timers.start_drain(&self.config.limits, now);
        }
        for key in self.streams.keys() {
            let ours = self.streams.get(key).is_some_and(|stream| stream.is_ours());
            if ours && key.id() > last {
                self.remove(now, key);
                let error = error.clone().not_processed();
                self.push_event(Event::Reset { stream: key, error });
            }
        }
        if self.streams.is_empty() {
            self.finish_drain();
        }
        Event::GoAway {
            last,
            reason,
            error,
        }
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
            return self.end_by(now, violation);
        };
        if self.ids.is_unopened_of_ours(id) {
            if violation.rule == Rule::Malformed {
                // The peer does not speak this protocol: nothing that it sends
                // will be a response.
                let rest = violation.clone();
                let whole = Violation {
                    stream: None,
                    ..rest
                };
                return self.end_by(now, &whole);
            }
            // The peer takes our reset for one of the stream that would have
            // this id.
            self.ids.pass_over_ours(id);
        }
        // Whoever makes us reset is charged as if it had (MadeYouReset,
        // CVE-2025-8671).
        if self.resets.charge(now).is_err() {
            return self.fail(now, Rule::TooManyResets);
        }
        let key = self.streams.find(id);
        self.send_reset(id, violation.reason);
        let error = Error::violation(violation);
        match key {
            Some(stream) => {
                self.remove(now, stream);
                self.push_event(Event::Reset { stream, error });
            }
            None => self.push_event(Event::Refused { id, error }),
        }
    }

    /// A broken rule ends the connection, whatever the protocol.
    pub(super) fn fail(&mut self, now: Instant, rule: Rule) {
        let violation = self.fatal(rule.fatal());
        self.end_by(now, &violation);
    }

    /// One GOAWAY, then silence.
    fn end_by(&mut self, now: Instant, violation: &Violation) {
        let text = violation.to_string();
        self.close(now, violation.reason, Error::violation(violation), &text);
    }

    fn close(&mut self, now: Instant, reason: Reason, error: Error, detail: &str) {
        if self.phase == Phase::Closed {
            return;
        }
        let last = self.ids.last_of_peer();
        self.wire
            .go_away(last, reason, detail, self.output.buffer());
        self.end_all(now, &error);
    }

    /// Every stream learns of the same error.
    pub(super) fn end_all(&mut self, now: Instant, error: &Error) {
        self.phase = Phase::Closed;
        self.held_pushes.clear();
        for key in self.streams.keys() {
            let go_away = self.peer_goaway.as_ref();
            let refused = go_away.is_some_and(|go_away| key.id() > go_away.last);
            self.remove(now, key);
            let error = error.clone().with_retryable(refused);
            self.push_event(Event::Reset { stream: key, error });
        }
        self.push_event(Event::Closed {
            error: error.clone(),
        });
        if let Some(go_away) = &mut self.peer_goaway {
            go_away.over = true;
        }
    }

    /// RST_STREAM, and the memory of it: what is on its way is ignored.
    pub(super) fn send_reset(&mut self, id: StreamId, reason: Reason) {
        self.counters.resets_sent.count(reason);
        self.wire.reset(id, reason, self.output.buffer());
        self.ids.remember_reset(id, &self.config.limits);
    }
}
