//! Streams of the peer, held against `max_concurrent_streams`.
//!
//! A stream that the peer cancels ends for the peer at once, and counts here until its
//! handler has ended (Rapid Reset, CVE-2023-44487). The next stream, in the same flight,
//! is within the limit as the peer counts. It waits for the handler, and is not refused
//! because our handler is late.

use std::time::{Duration, Instant};

use super::{Engine, Timer};
use crate::{
    Error,
    proto::{Event, Outcome, Rule, StreamId, Violation, rules::Reaction, wire::Headers},
};

/// The time for which a stream waits for the handlers of cancelled ones to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// So many times `max_concurrent_streams` are refused without a charge, of a peer
/// that may not know the limit yet.
const FORGIVEN: u32 = 4;

/// The stream that waits. No input is read meanwhile: there is one at most.
#[derive(Debug)]
pub(super) struct Admission {
    /// The start of the connection.
    began: Instant,
    waiting: Option<Box<Headers>>,
    /// The handlers took too long once, and none has ended since: nothing waits
    /// for them.
    handlers: Handlers,
    /// Streams that were refused because the peer may not know the limit.
    forgiven: u32,
}

/// The decision on a new stream of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    /// It waits for the handlers of cancelled streams.
    Wait,
    /// The peer is not at fault.
    RefuseUncharged,
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handlers {
    Ending,
    Stuck,
}

impl Admission {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            waiting: None,
            handlers: Handlers::Ending,
            forgiven: 0,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// The memory of the stream that waits.
    pub(super) fn memory(&self) -> usize {
        let list = |headers: &Headers| headers.fields.memory();
        self.waiting.as_deref().map_or(0, list)
    }

    /// A handler of a stream that is gone has ended.
    pub(super) fn handler_ended(&mut self) {
        self.handlers = Handlers::Ending;
    }
}

impl Engine {
    /// Decides on a new stream of the peer.
    pub(super) fn decide_admission(&mut self, now: Instant) -> Verdict {
        let max = self.config.limits.max_concurrent_streams;
        if self.streams.accepted() >= max {
            let forgiven = self.admission.forgiven;
            if forgiven < max.saturating_mul(FORGIVEN) && self.peer_may_not_know_limits(now) {
                self.admission.forgiven = forgiven.saturating_add(1);
                return Verdict::RefuseUncharged;
            }
            return Verdict::Refuse;
        }
        if self.streams.of_peer() < max {
            Verdict::Accept
        } else if self.admission.handlers == Handlers::Stuck {
            Verdict::RefuseUncharged
        } else {
            Verdict::Wait
        }
    }

    /// Makes a stream wait for the handlers of cancelled ones.
    pub(super) fn make_wait(&mut self, now: Instant, headers: Headers) {
        self.timers.set(Timer::Admission, now.checked_add(PATIENCE));
        self.admission.waiting = Some(Box::new(headers));
    }

    /// The stream that waits, once there is room for it.
    pub(super) fn admit_waiting(&mut self, now: Instant) -> Option<Outcome> {
        if self.streams.of_peer() >= self.config.limits.max_concurrent_streams {
            return None;
        }
        let headers = self.admission.waiting.take()?;
        self.timers.stop(Timer::Admission);
        Some(self.accept(now, *headers))
    }

    /// The stream that waits is refused when its time is over.
    pub(super) fn end_admission(&mut self, now: Instant) {
        self.admission.handlers = Handlers::Stuck;
        let Some(waiting) = self.admission.waiting.take() else {
            return;
        };
        match self.refuse_uncharged(now, waiting.stream, Rule::TooManyStreams) {
            Ok(Some(event)) => self.push_event(event),
            Ok(None) => {}
            Err(broken) => self.handle_broken(now, broken),
        }
        if self.streams.is_empty() && self.shutdown.has_begun() {
            self.finish_drain();
        }
    }

    /// Returns `true` if a header list of `memory` bytes would exceed `max_held_headers`.
    /// A stream alone never does: `max_header_list_size` limits its list.
    pub(super) fn headers_exceeded(&self, memory: usize) -> bool {
        let held = self.streams.held_headers();
        held > 0 && held.saturating_add(memory) > self.config.limits.held_headers()
    }

    /// Our SETTINGS may not have reached the peer: it opens streams by the
    /// protocol's default, without a limit.
    fn peer_may_not_know_limits(&self, now: Instant) -> bool {
        if self.rules.settings_acknowledged {
            return self.peer.has_unacknowledged_settings();
        }
        let known = self
            .admission
            .began
            .checked_add(self.config.limits.settings_timeout);
        known.is_some_and(|known| now < known)
    }

    /// Refuses a stream that the peer opened in good faith. It is charged as a useless
    /// frame, and not as a reset.
    pub(super) fn refuse_uncharged(&mut self, now: Instant, id: StreamId, rule: Rule) -> Outcome {
        self.refuse_for(now, id, rule, None)
    }

    /// As [`refuse_uncharged`](Self::refuse_uncharged). `detail` names the limit and its value.
    pub(super) fn refuse_for(
        &mut self,
        now: Instant,
        id: StreamId,
        rule: Rule,
        detail: Option<String>,
    ) -> Outcome {
        self.charges.glitch(&self.config.limits, now)?;
        let reason = match self.rules.reaction(rule) {
            Reaction::Stream(reason) => reason,
            _ => return Err(rule.on(id)),
        };
        self.send_reset(id, reason);
        let violation = Violation::stream(id, rule, reason);
        let violation = match detail {
            Some(text) => violation.detailed(text),
            None => violation,
        };
        let error = Error::violation(&violation);
        Ok(Some(Event::Refused { id, error }))
    }
}
