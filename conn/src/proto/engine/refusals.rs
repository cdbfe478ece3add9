//! Requests that the user never sees: answered, where there is a status for it,
//! or reset.

use std::time::Instant;

use http::StatusCode;

use super::{Engine, receive::Outcome};
use crate::{
    Error, Reason,
    proto::{
        Event, Head, Rule, Semantics, Side, StreamId, Violation,
        streams::{Opener, Reader, state::State},
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
        if self.resets.charge(now).is_err() {
            return Err(Rule::TooManyResets.fatal());
        }
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let text = self.limit_in_words(limit);
        Ok(Some(self.refuse(
            headers.stream,
            headers.fin,
            status,
            Rule::HeaderListTooLarge,
            &text,
        )))
    }

    /// A request that is no message of HTTP is answered where it need not be
    /// reset. Charged: it counts against no limit of streams.
    pub(super) fn refuse_malformed(
        &mut self,
        now: Instant,
        id: StreamId,
        fin: bool,
        rule: Rule,
    ) -> Outcome {
        self.glitch(now)?;
        let (status, text) = (StatusCode::BAD_REQUEST, rule.to_string());
        Ok(Some(self.refuse(id, fin, status, rule, &text)))
    }

    /// A header list over a limit, where no answer can say so.
    pub(super) fn list_too_large(&self, limit: ListLimit, id: StreamId) -> Outcome {
        let text = self.limit_in_words(limit);
        Err(Rule::HeaderListTooLarge.on(id).detailed(text))
    }

    /// The limit with its value, and what to do.
    fn limit_in_words(&self, limit: ListLimit) -> String {
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
        id: StreamId,
        fin: bool,
        status: StatusCode,
        rule: Rule,
        text: &str,
    ) -> Event {
        let head = Head::response(status);
        let out = self.output.buffer();
        // A status alone always fits.
        let _ = self.wire.headers(id, SendKind::Reply, &head, true, out);
        if !fin {
            let mut stream = self.new_stream(id, State::answered(), None);
            stream.opener = Opener::Peer;
            stream.recv.reader = Reader::Discarding;
            let key = self.streams.insert(stream);
            self.linger(key);
        }
        let violation = Violation::stream(id, rule, Reason::RefusedStream);
        let detail = format!("{text}; answered with {status}");
        Event::Refused {
            id,
            error: Error::violation(&violation.detailed(detail)),
        }
    }
}
