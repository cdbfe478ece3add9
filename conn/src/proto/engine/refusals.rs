//! Requests that the user never sees: answered, where there is a status for it,
//! or reset.

use std::time::Instant;

use http::StatusCode;

use super::Engine;
use crate::{
    Error, Reason,
    proto::{
        Event, Head, Outcome, Rule, Semantics, Side, StreamId, StreamKey, Violation,
        content::Content,
        streams::{
            Opener, Reader,
            state::{Half, State},
        },
        wire::{Headers, ListLimit, SendKind},
    },
};

impl Engine {
    /// A request whose head is not taken gets an answer where there is a
    /// status for it.
    pub(super) fn refuse_head(
        &mut self,
        now: Instant,
        headers: Headers,
        limit: ListLimit,
    ) -> Outcome {
        let answered = self.config.semantics == Semantics::Http && self.config.side == Side::Server;
        if !answered || headers.unidirectional {
            return self.list_too_large(limit, headers.stream);
        }
        // Charged like a reset: it costs as much.
        self.charges.reset(&self.config.limits, now)?;
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let text = self.limit_in_words(limit);
        Ok(Some(self.refuse(
            now,
            headers.stream,
            headers.fin,
            status,
            Rule::HeaderListTooLarge,
            &text,
        )))
    }

    /// A request that is no message of HTTP is reset, or answered where the
    /// protocol requires that. Charged: it counts against no limit of streams.
    pub(super) fn refuse_malformed(
        &mut self,
        now: Instant,
        id: StreamId,
        fin: bool,
        unidirectional: bool,
        rule: Rule,
    ) -> Outcome {
        let status = self.rules.answer(rule).filter(|_| !unidirectional);
        let status = status.filter(|_| self.config.semantics == Semantics::Http);
        let Some(status) = status else {
            return Err(rule.on(id));
        };
        self.charges.glitch(&self.config.limits, now)?;
        Ok(Some(self.refuse(
            now,
            id,
            fin,
            status,
            rule,
            &rule.to_string(),
        )))
    }

    /// A frame on an open stream breaks `rule`. A request whose response has not
    /// begun is answered, where the protocol requires that, and ends for the user
    /// as if it were reset.
    pub(super) fn broken_by_content(
        &mut self,
        now: Instant,
        rule: Rule,
        key: StreamKey,
        fin: bool,
    ) -> Outcome {
        let status = self.rules.answer(rule);
        let status = status.filter(|_| self.config.semantics == Semantics::Http);
        let (Some(status), Some(stream)) = (status, self.streams.get_mut(key)) else {
            return Err(rule.on(key.id()));
        };
        // With pushes before it the answer would have to wait.
        let unanswered = !stream.is_ours()
            && stream.send_half() == Half::Waiting
            && stream.recv_half() == Half::Open
            && !stream.is_waiting();
        if !unanswered {
            return Err(rule.on(key.id()));
        }
        stream.recv_data(fin);
        stream.send_end_stream();
        stream.content = Content::default();
        // It ends a handler, as a reset would (MadeYouReset, CVE-2025-8671).
        self.charges.reset(&self.config.limits, now)?;
        self.answer(key.id(), status);
        // The rest of the body is of no use.
        self.stream(now, key).abandon();
        Ok(Some(Event::Reset {
            stream: key,
            error: answered(
                key.id(),
                rule,
                Reason::ProtocolError,
                status,
                &rule.to_string(),
            ),
        }))
    }

    /// The outcome of a header list over a limit on a stream that has no answer for it.
    pub(super) fn list_too_large(&self, limit: ListLimit, id: StreamId) -> Outcome {
        let text = self.limit_in_words(limit);
        Err(Rule::HeaderListTooLarge.on(id).detailed(text))
    }

    /// The limit with its value, and what to do.
    pub(super) fn limit_in_words(&self, limit: ListLimit) -> String {
        let limits = &self.config.limits;
        match limit {
            ListLimit::Size => format!(
                "the header list is over max_header_list_size ({} bytes); raise it in Limits to \
                 take larger ones",
                limits.max_header_list_size
            ),
            ListLimit::Fields => format!(
                "the header list is over max_header_fields ({} fields); raise it in Limits to \
                 take more",
                limits.max_header_fields
            ),
        }
    }

    /// Answers a request that the user never sees.
    fn refuse(
        &mut self,
        now: Instant,
        id: StreamId,
        fin: bool,
        status: StatusCode,
        rule: Rule,
        text: &str,
    ) -> Event {
        self.answer(id, status);
        if !fin {
            let mut stream = self.new_stream(id, State::answered(), None);
            stream.opener = Opener::Peer;
            stream.recv.reader = Reader::Discarding;
            let key = self.streams.insert(stream);
            self.linger(now, key);
        }
        Event::Refused {
            id,
            error: answered(id, rule, Reason::RefusedStream, status, text),
        }
    }

    fn answer(&mut self, id: StreamId, status: StatusCode) {
        let head = Head::response(status);
        // A status alone always fits.
        let _ = self.wire.headers(id, SendKind::Reply, &head, true);
    }
}

fn answered(id: StreamId, rule: Rule, reason: Reason, status: StatusCode, text: &str) -> Error {
    let violation = Violation::stream(id, rule, reason);
    let detail = format!("{text}; answered with {status}");
    Error::violation(&violation.detailed(detail))
}
