//! Pushes, on the side that receives them (RFC 9113 §8.4; the SPDY drafts §3.3). A push is a
//! promise on the parent's stream, or a unidirectional stream that names its parent.

use std::time::Instant;

use http::{HeaderMap, HeaderName};

use super::Engine;
use crate::{
    Error, Initiator, Reason,
    proto::{
        Event, Head, Outcome, Rule, ServerPush, Side, StreamId, StreamKey, Violation,
        content::{self, Said},
        ids::Standing,
        rules::PushStyle,
        streams::{
            Opener, Push,
            state::{Part, State},
        },
        wire::{Fields, Headers},
    },
};

impl Engine {
    /// A promise on one of our streams.
    pub(super) fn handle_promise(
        &mut self,
        now: Instant,
        parent: StreamId,
        promised: StreamId,
        fields: Box<Fields>,
    ) -> Outcome {
        if self.config.side == Side::Server || self.config.push == ServerPush::Refuse {
            return Err(Rule::PushNotAllowed.fatal());
        }
        self.charges.glitch(&self.config.limits, now)?;
        if !self.ids.is_next_of_peer(promised) {
            return Err(Rule::InvalidPush.fatal());
        }
        self.ids.open_of_peer(promised, &self.config.limits);
        let Some(parent) = self.streams.find(parent) else {
            // It may have crossed our reset of the parent.
            return match self.ids.standing(parent) {
                Standing::Idle | Standing::BeyondGoAway => Err(Rule::InvalidPush.fatal()),
                _ => {
                    self.send_reset(promised, Reason::Cancel);
                    self.useless(now)
                }
            };
        };
        self.promised(now, parent, (promised, None), fields)
    }

    /// A unidirectional stream that the server opens for one of ours.
    pub(super) fn accept_pushed_stream(
        &mut self,
        now: Instant,
        parent: StreamId,
        headers: Headers,
    ) -> Outcome {
        let id = headers.stream;
        self.charges.glitch(&self.config.limits, now)?;
        self.ids.open_of_peer(id, &self.config.limits);
        if self.config.push == ServerPush::Refuse {
            return Err(Rule::PushNotAllowed.on(id));
        }
        let ours = parent.opener() == Some(Side::Client);
        match (self.streams.find(parent), self.ids.standing(parent)) {
            (Some(parent), _) if ours => {
                self.promised(now, parent, (id, Some(headers.fin)), headers.fields)
            }
            // It may have crossed our reset of the parent.
            (None, Standing::ResetByUs | Standing::PassedOver | Standing::Closed) if ours => {
                self.send_reset(id, Reason::Cancel);
                self.useless(now)
            }
            _ => Err(Rule::InvalidPush.on(id)),
        }
    }

    /// The client cancels a stream and with it all that is pushed for it: not a
    /// frame more is sent (the drafts' §3.3.2).
    pub(super) fn cancel_pushes_of(&mut self, now: Instant, parent: StreamId) {
        let pushes = self.config.side == Side::Server && self.streams.opened() > 0;
        if !pushes || self.rules.push != PushStyle::Unidirectional {
            return;
        }
        for stream in self.streams.keys() {
            // Those that are not on the wire go with the parent itself.
            let pushed = self
                .streams
                .get(stream)
                .is_some_and(|pushed| pushed.parent() == Some(parent) && !pushed.is_held());
            if pushed {
                self.remove(now, stream);
                let error = super::reset_by_peer(Reason::Cancel);
                self.push_event(Event::Reset { stream, error });
            }
        }
    }

    /// The same seen from the client, which cancels a stream: what is pushed for
    /// it ends here too. The server gets RST_STREAM for each, as not every server
    /// knows the rule.
    pub(super) fn cancel_promises_of(&mut self, now: Instant, parent: StreamId) {
        let promises = self.config.side == Side::Client && self.streams.accepted() > 0;
        if !promises || self.rules.push != PushStyle::Unidirectional {
            return;
        }
        for stream in self.streams.keys() {
            let promised = self
                .streams
                .get(stream)
                .is_some_and(|promised| promised.parent() == Some(parent) && !promised.is_closed());
            if promised {
                self.send_reset(stream.id(), Reason::Cancel);
                self.remove(now, stream);
                let error = Error::reset(Initiator::User, Reason::Cancel);
                self.push_event(Event::Reset { stream, error });
            }
        }
    }

    /// Refuses a push that exceeds a limit, and whose list takes `memory` bytes; otherwise
    /// returns `None`.
    fn refuse_push(
        &mut self,
        now: Instant,
        id: StreamId,
        fields: &Fields,
        memory: usize,
    ) -> Option<Outcome> {
        let max = self.config.limits.max_pushed_streams;
        let (rule, detail) = if self.streams.accepted() >= max {
            let text = format!("more than {max} pushed streams (limit max_pushed_streams)");
            (Rule::TooManyStreams, Some(text))
        } else if let Some(limit) = fields.exceeded {
            (Rule::HeaderListTooLarge, Some(self.limit_in_words(limit)))
        } else if let Some(refused) = self.refuse_over_capacity(now, id) {
            return Some(refused);
        } else if self.headers_exceeded(memory) {
            (Rule::TooManyHeaderBytes, None)
        } else {
            return None;
        };
        let violation = Violation::stream(id, rule, Reason::RefusedStream);
        Some(Err(match detail {
            Some(text) => violation.detailed(text).into(),
            None => violation.into(),
        }))
    }

    /// A pushed stream. `in_one` is the `fin` of a frame that carries the push and its
    /// response; `None`: the response follows in another frame.
    fn promised(
        &mut self,
        now: Instant,
        parent: StreamKey,
        (id, in_one): (StreamId, Option<bool>),
        mut fields: Box<Fields>,
    ) -> Outcome {
        let memory = fields.memory();
        if let Some(refused) = self.refuse_push(now, id, &fields, memory) {
            return refused;
        }
        let mut status = None;
        if in_one.is_some() {
            status = fields.status.take();
            // The method that a push leaves out is its parent's (SPDY §3.3.1): GET.
            fields.method.get_or_insert(http::Method::GET);
            fields.forgive_missing_version();
        }
        let said = Said {
            fin: in_one.unwrap_or(false),
            length: fields.length,
        };
        let response = status.map(|status| Head {
            fields: fields.map.clone(),
            ..Head::response(status)
        });
        let head = match fields.take_request(self.config.semantics) {
            Ok(head) => head,
            Err(rule) => {
                return Err(Violation::stream(id, rule, Reason::ProtocolError).into());
            }
        };
        if let Some(rule) = broken_by_request(&head, in_one.is_some()) {
            return Err(Violation::stream(id, rule, Reason::ProtocolError).into());
        }
        let mut stream = self.new_stream(id, State::promised(), None);
        stream.opener = Opener::Peer;
        let names = in_one.map(|_| names(&head.fields).collect());
        stream.push = Some(Push::promised(parent.id(), names));
        stream.asked = content::Asked::by(&head);
        let fin = in_one.unwrap_or(false);
        let response = match response {
            None => None,
            Some(mut head) => {
                stream.recv_headers(fin);
                let content = Part::Head { fin }
                    .check_status(head.status())
                    .and_then(|()| content::of_response(self.rules, &mut head, stream.asked, said));
                stream.content =
                    content.map_err(|rule| Violation::stream(id, rule, Reason::ProtocolError))?;
                Some(head)
            }
        };
        // The request, and the response beside it.
        let lists = if response.is_some() { 2 } else { 1 };
        let memory = memory.saturating_mul(lists);
        let memory = memory.saturating_add(stream.names_memory());
        let key = self.streams.insert(stream);
        self.streams.hold_headers(key, memory);
        if let Some(head) = response {
            self.push_event(Event::Reply {
                stream: key,
                head,
                fin,
            });
            if fin {
                self.close_if_done(now, key);
            }
        }
        Ok(Some(Event::Promised {
            parent,
            stream: key,
            head,
        }))
    }
}

/// The rule that a promised request breaks, with its response in one frame or not.
fn broken_by_request(head: &Head, in_one: bool) -> Option<Rule> {
    if in_one {
        // The drafts' §3.3.1: the URL is whole.
        return (!head.has_authority()).then_some(Rule::MissingPseudoField);
    }
    // §8.4: a promise that is not safe, or has a body, is a stream error.
    (!head.is_pushable()).then_some(Rule::InvalidPromise)
}

fn names(fields: &HeaderMap) -> impl Iterator<Item = (HeaderName, ())> {
    fields.keys().map(|name| (name.clone(), ()))
}
