//! The end of a connection: graceful, by the peer, or by an error. A broken
//! rule becomes a GOAWAY or an RST_STREAM here and nowhere else.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Engine, Timer, ping::Purpose};
use crate::{
    Error, Initiator, Reason,
    proto::{
        Broken, Event, Outcome, Rule, ShutdownOrder, Side, StreamId, Violation,
        rules::Reaction,
        shutdown::{GoAways, Phase},
        streams::{Stream, state::Half},
    },
};

/// The longest round trip for which a shutdown waits: a peer that answers no PING must
/// not delay it.
pub(super) const ROUND_TRIP: Duration = Duration::from_secs(1);

impl Engine {
    /// Ends gracefully: accepts no new streams, finishes those that are open or on
    /// their way to us, then closes. Resets streams that do not end within
    /// `drain_timeout`.
    pub fn shutdown(&mut self, now: Instant) {
        let twice = self.rules.goaway_twice && self.config.side == Side::Server;
        let go_aways = match self.config.shutdown_order {
            ShutdownOrder::DataFirst => GoAways::AfterData,
            _ if twice => GoAways::Twice,
            _ => GoAways::Once,
        };
        if !self.shutdown.begin(go_aways) {
            return;
        }
        self.start_drain(now);
        match go_aways {
            GoAways::Once => self.send_last_go_away(),
            GoAways::AfterData => self.finish_sending(),
            GoAways::Twice => {
                // A round trip later no more streams are on their way, and the
                // last GOAWAY names the last one.
                let round_trip = now.checked_add(ROUND_TRIP);
                self.timers.set(Timer::SecondGoAway, round_trip);
                self.wire.go_away(StreamId::MAX, Reason::NoError, "");
                self.ping_for(now, Purpose::Shutdown);
            }
        }
    }

    /// Ends at once: sends `reason` to the peer and ends every stream.
    pub fn abort(&mut self, now: Instant, reason: Reason, detail: &'static str) {
        self.close(
            now,
            reason,
            Error::connection(Initiator::User, reason, detail),
            detail,
        );
    }

    /// Ends after an error of the transport, which neither takes nor gives any
    /// more bytes.
    pub fn handle_io_error(&mut self, now: Instant, error: io::Error) {
        self.wire.output.discard();
        if self.shutdown.is_closed() {
            return;
        }
        let error = self.shutdown.io_error(error, self.peer.has_spoken());
        self.end_all(now, &error);
    }

    /// GOAWAY goes out once all of our halves have ended, where it is to follow
    /// the data.
    pub(super) fn finish_sending(&mut self) {
        let ended = |(_, stream): (_, &mut Stream)| stream.send_half() == Half::Closed;
        if self.shutdown.phase() == Phase::Finishing && self.streams.iter_mut().all(ended) {
            self.send_last_go_away();
        }
    }

    /// Ends the streams that outlast `drain_timeout`.
    pub(super) fn end_drain(&mut self, now: Instant) {
        let then = "the streams did not end within drain_timeout";
        match self.shutdown.peer_error() {
            Some(go_away) => {
                let error = go_away.clone().after_go_away(then);
                self.close(now, Reason::NoError, error, "");
            }
            None => self.abort(now, Reason::NoError, then),
        }
    }

    /// The last GOAWAY: streams above those taken so far are refused.
    pub(super) fn send_last_go_away(&mut self) {
        if !self.shutdown.send_last() {
            return;
        }
        let last = self.ids.stop_peer();
        self.timers.stop(Timer::SecondGoAway);
        self.timers.stop(Timer::SecondLook);
        self.wire.go_away(last, Reason::NoError, "");
        if self.streams.is_empty() {
            self.finish_drain();
        }
    }

    /// The last stream is gone: a connection that was shutting down closes. If
    /// the peer left, our own GOAWAY reports the streams that we processed.
    pub(super) fn finish_drain(&mut self) {
        if self.admission.is_waiting() {
            return;
        }
        if self.shutdown.drained() {
            self.send_last_go_away();
        }
        if self.shutdown.is_closed() {
            self.wire.end();
        }
    }

    /// The peer's GOAWAY: our streams above `last` were not processed. After an
    /// error the others get no more time than a shutdown of ours gives them:
    /// such a peer may never send another frame.
    pub(super) fn handle_go_away(
        &mut self,
        now: Instant,
        last: StreamId,
        reason: Reason,
        debug: &[u8],
    ) -> Outcome {
        self.charges.glitch(&self.config.limits, now)?;
        let refused = self.shutdown.refused_from();
        let last = self.shutdown.note_peer(last, reason, debug);
        let error = self.shutdown.peer().cloned();
        let error = error.unwrap_or_else(|| Error::go_away(reason, debug));
        if reason != Reason::NoError {
            self.start_drain(now);
        }
        // One that names the same stream again refuses no more.
        let refuses_more = refused.is_none_or(|refused| last < refused);
        let keys = if refuses_more {
            self.streams.keys()
        } else {
            Vec::new()
        };
        for key in keys {
            let ours = self.streams.get(key).is_some_and(|stream| stream.is_ours());
            if ours && self.shutdown.refuses(key.id()) {
                self.remove(now, key);
                let error = error.clone().not_processed();
                self.push_event(Event::Reset { stream: key, error });
            }
        }
        if self.streams.is_empty() {
            self.finish_drain();
        }
        Ok(Some(Event::GoAway {
            last,
            reason,
            error,
        }))
    }

    /// Makes the outcome of a broken rule: the end of its stream or of the
    /// connection, or a charge for a useless frame.
    pub(super) fn handle_broken(&mut self, now: Instant, broken: Broken) {
        let violation = match broken {
            Broken::OnStream(id, rule, detail) => match self.rules.reaction(rule) {
                Reaction::Stream(reason) => Violation {
                    detail,
                    ..Violation::stream(id, rule, reason)
                },
                Reaction::Connection(_) => self.fatal(Broken::Fatal(rule, detail)),
                Reaction::Ignore => match self.charges.glitch(&self.config.limits, now) {
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
            // To the peer, our reset ends the stream that would have this id: it is not
            // used any more.
            self.ids.pass_over_ours(id);
        }
        // A peer that makes us reset is charged as if it had (MadeYouReset,
        // CVE-2025-8671).
        if let Err(broken) = self.charges.reset(&self.config.limits, now) {
            let violation = self.fatal(broken);
            return self.end_by(now, &violation);
        }
        self.reset_by(now, id, violation);
    }

    /// A violation ends its stream, and an event reports it.
    pub(super) fn reset_by(&mut self, now: Instant, id: StreamId, violation: &Violation) {
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

    /// One GOAWAY, then silence.
    fn end_by(&mut self, now: Instant, violation: &Violation) {
        let text = violation.to_string();
        self.close(now, violation.reason, Error::violation(violation), &text);
    }

    fn close(&mut self, now: Instant, reason: Reason, error: Error, detail: &str) {
        if self.shutdown.is_closed() {
            return;
        }
        let last = self.ids.last_of_peer();
        self.wire.go_away(last, reason, detail);
        self.end_all(now, &error);
    }

    /// Ends every stream with the same error.
    pub(super) fn end_all(&mut self, now: Instant, error: &Error) {
        self.shutdown.close();
        self.streams.forget_held_pushes();
        for key in self.streams.keys() {
            let refused = self.shutdown.refuses(key.id());
            self.remove(now, key);
            let error = error.clone().with_retryable(refused);
            self.push_event(Event::Reset { stream: key, error });
        }
        self.push_event(Event::Closed {
            error: error.clone(),
        });
        self.shutdown.note_reported();
        // The last output may wait for the transport for long.
        self.wire.end();
    }

    /// Sends RST_STREAM, and remembers it: frames of the stream on their way are ignored.
    pub(super) fn send_reset(&mut self, id: StreamId, reason: Reason) {
        self.counters.count_reset_sent(reason);
        self.wire.reset(id, reason);
        self.ids.remember_reset(id, &self.config.limits);
    }
}
