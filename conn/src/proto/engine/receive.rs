//! Input: from bytes to messages, and from the header lists of the peer to events.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{Engine, Timer, admission::Verdict, first::First};
use crate::{
    Reason,
    proto::{
        Event, ExtendedConnect, Head, Outcome, Rule, Semantics, Side, StreamId, StreamKey,
        content::{self, Asked, Content, Said},
        ids::Standing,
        rules::PushStyle,
        streams::{
            Opener, Reader, Source, Stream,
            progress::StreamProgress,
            state::{Half, Misplaced, Part, State},
        },
        wire::{Data, DeclaredLength, Headers, HeadersKind, Message},
    },
};

/// A server says that the connection has to end while so many ids are left.
const ID_RESERVE: u32 = 16 << 10;

/// A list after the head that takes no more memory is not charged once its stream is done. The user
/// need not report that it has read trailers of an ordinary size.
const SMALL_LIST: usize = 4 << 10;

impl Engine {
    /// Returns the next event. Consumes whole frames of `input` (DATA perhaps in
    /// pieces) until one causes an event. At `None` the rest of `input` is the
    /// start of a frame: append to it.
    pub fn poll_event(&mut self, now: Instant, input: &mut BytesMut) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.shutdown.is_closed() {
                input.clear();
                return self
                    .shutdown
                    .take_report()
                    .map(|error| Event::Closed { error });
            }
            if self.admission.is_waiting() {
                match self.admit_waiting(now)? {
                    Ok(None) => {}
                    Ok(event) => return event,
                    Err(broken) => self.handle_broken(now, broken),
                }
                continue;
            }
            if !self.wants_input() {
                self.forget_frame();
                return None;
            }
            if input.is_empty() {
                self.watch_frame(now, 0, 0);
                return None;
            }
            self.keep_capacity(now);
            if !self.events.is_empty() {
                continue;
            }
            let mut first = First::Past;
            if self.peer.is_silent() {
                match self.look_at_first(input) {
                    Ok(First::Short) => return None,
                    Ok(looked) => first = looked,
                    Err(broken) => {
                        self.handle_broken(now, broken);
                        continue;
                    }
                }
            }
            let before = input.len();
            let event = match self.wire.decode(input) {
                Ok(Some(message)) => {
                    self.accept_message(now, message, before.saturating_sub(input.len()))
                }
                Ok(None) => {
                    if input.len() < before {
                        self.peer.note_first_bytes();
                    }
                    self.watch_block(now);
                    self.watch_frame(now, before.saturating_sub(input.len()), input.len());
                    match first.foreign().filter(|_| input.len() < before) {
                        Some(broken) => Err(broken),
                        None => return None,
                    }
                }
                Err(violation) => Err(violation.into()),
            };
            match event {
                Ok(None) => {}
                Ok(event) => return event,
                Err(broken) => self.handle_broken(now, first.explain(broken)),
            }
        }
    }

    /// Returns `false` if [`poll_event`](Self::poll_event) would do nothing while the input is
    /// empty: no event waits, and no frame is under way whose time is watched.
    #[inline]
    pub fn is_pollable(&self) -> bool {
        !self.events.is_empty()
            || self.shutdown.is_closed()
            || self.admission.is_waiting()
            || self.wire.in_data()
    }

    /// Handles the message of a whole frame at the front of `input`, which the caller has seen.
    pub(super) fn receive(&mut self, now: Instant, input: &mut BytesMut) -> Outcome {
        let before = input.len();
        match self.wire.decode(input)? {
            Some(message) => self.accept_message(now, message, before.saturating_sub(input.len())),
            None => Ok(None),
        }
    }

    /// Notes a message of `len` bytes, and handles it.
    #[inline]
    fn accept_message(&mut self, now: Instant, message: Message, len: usize) -> Outcome {
        self.life.note_received(now, self.wire.output.end());
        self.timers.stop(Timer::HeaderBlock);
        self.note_message(len);
        self.handle_message(now, message)
    }

    fn handle_message(&mut self, now: Instant, message: Message) -> Outcome {
        if !self.peer.has_spoken() {
            if let Message::Data(Data { stream, .. }) = message {
                // SPDY permits any frame first, so bytes of another protocol can look like DATA:
                // "GET " is DATA on stream 1195725856, and zeros are DATA on stream 0.
                if stream.value() == 0 || stream.value() >= 1 << 24 {
                    let text = "the first frame is DATA: this is another protocol";
                    return Err(Rule::ForeignProtocol.fatal().detailed(text));
                }
            }
            self.peer.note_first_frame();
            self.timers.stop(Timer::Preface);
            if let Message::Settings(settings) = message {
                return self.take_settings(settings);
            }
        }
        match message {
            Message::Headers(headers) => self.handle_headers(now, headers),
            Message::Data(data) => self.handle_data(now, data),
            Message::Credit { stream, increment } => self.handle_credit(now, stream, increment),
            Message::Reset { stream, reason } => self.handle_reset(now, stream, reason),
            Message::Settings(settings) => self.handle_settings(now, settings),
            Message::SettingsAck => self.handle_settings_ack(),
            Message::Ping { opaque } => {
                self.charges.glitch(&self.config.limits, now)?;
                self.wire.pong(opaque);
                Ok(None)
            }
            Message::Pong { opaque } => self.handle_pong(now, opaque),
            Message::GoAway {
                last,
                reason,
                debug,
            } => self.handle_go_away(now, last, reason, &debug),
            Message::Promise {
                parent,
                promised,
                fields,
            } => self.handle_promise(now, parent, promised, fields),
            Message::Priority { stream, priority } => {
                self.handle_priority(now, stream, priority).map(|()| None)
            }
            Message::Alternative {
                stream,
                origin,
                value,
            } => self.handle_alternative(now, stream, origin, value),
            Message::Origins(origins) => {
                self.charges.glitch(&self.config.limits, now)?;
                Ok(Some(Event::Origins { origins }))
            }
            Message::Ignored => self.useless(now),
        }
    }

    fn handle_headers(&mut self, now: Instant, headers: Headers) -> Outcome {
        let id = headers.stream;
        if self.ids.is_next_of_peer(id) {
            if matches!(headers.kind, HeadersKind::Open | HeadersKind::ByState) {
                return self.open_of_peer(now, headers);
            }
        } else if let Some(key) = self.streams.find(id) {
            return match headers.kind {
                HeadersKind::Open => Err(Rule::DuplicateOpen.on(id)),
                _ => self.continue_stream(now, key, headers),
            };
        }
        let standing = self.ids.standing(id);
        let rule = match (standing, headers.kind) {
            (Standing::Idle | Standing::BeyondGoAway, HeadersKind::Open) => Rule::StreamIdParity,
            (_, HeadersKind::Open) => Rule::StreamIdOrder,
            (Standing::ResetByUs, _) => return self.useless(now),
            (Standing::PassedOver, HeadersKind::ByState) => Rule::StreamIdOrder,
            (_, HeadersKind::Reply) => Rule::ReplyOnUnknownStream,
            (Standing::Idle, HeadersKind::ByState) if id.opener() == Some(self.config.side) => {
                // A client's stream that the server answers before it exists.
                Rule::HeadersOnIdleStream
            }
            (Standing::Idle | Standing::BeyondGoAway, HeadersKind::ByState) => Rule::StreamIdParity,
            (Standing::Idle | Standing::BeyondGoAway, HeadersKind::More) => {
                Rule::HeadersOnIdleStream
            }
            (Standing::PassedOver | Standing::Closed, _) => Rule::HeadersOnClosedStream,
        };
        Err(rule.on(id))
    }

    /// The peer opens a stream.
    fn open_of_peer(&mut self, now: Instant, headers: Headers) -> Outcome {
        let id = headers.stream;
        if self.ids.is_beyond_go_away(id) {
            return Err(Rule::OpenAfterGoAway.on(id));
        }
        let http = self.config.semantics == Semantics::Http;
        if http && self.config.side == Side::Client {
            return match (self.rules.push, headers.associated) {
                (PushStyle::Unidirectional, Some(parent)) => {
                    self.accept_pushed_stream(now, parent, headers)
                }
                (PushStyle::Unidirectional, None) => {
                    self.ids.open_of_peer(id, &self.config.limits);
                    Err(Rule::InvalidPush.on(id))
                }
                (PushStyle::Promise, _) => Err(Rule::HeadersOnIdleStream.on(id)),
            };
        }
        self.ids.open_of_peer(id, &self.config.limits);
        match self.decide_admission(now) {
            Verdict::Accept => self.accept(now, headers),
            Verdict::Wait => {
                self.make_wait(now, headers);
                Ok(None)
            }
            Verdict::RefuseUncharged => self.refuse_uncharged(now, id, Rule::TooManyStreams),
            Verdict::Refuse => Err(Rule::TooManyStreams.on(id)),
        }
    }

    /// Takes a stream of the peer that is within the limits.
    pub(super) fn accept(&mut self, now: Instant, headers: Headers) -> Outcome {
        let id = headers.stream;
        let http = self.config.semantics == Semantics::Http;
        let (fin, unidirectional) = (headers.fin, headers.unidirectional);
        let parent = headers.associated.filter(|_| !http);
        if parent.is_some_and(|parent| parent == id || self.ids.standing(parent).is_unopened()) {
            return Err(Rule::UnknownParent.on(id));
        }
        if let Some(limit) = headers.fields.exceeded {
            return self.refuse_head(now, headers, limit);
        }
        if let Some(refused) = self.refuse_over_capacity(now, id) {
            return refused;
        }
        let memory = headers.fields.memory();
        if self.headers_exceeded(memory) {
            return self.refuse_uncharged(now, id, Rule::TooManyHeaderBytes);
        }
        let priority = headers.priority;
        let said = Said {
            fin,
            length: headers.fields.length,
        };
        let mut fields = headers.fields;
        let mut head = match fields.take_request(self.config.semantics) {
            Ok(head) => head,
            Err(rule) => return self.refuse_malformed(now, id, fin, unidirectional, rule),
        };
        self.wire.recycle(fields);
        let content = match self.check_request(&mut head, said) {
            Ok(content) => content,
            Err(rule) => return self.refuse_malformed(now, id, fin, unidirectional, rule),
        };
        let state = State::accepted(fin, unidirectional);
        let early = self.streams.take_priority(id);
        let mut stream = self.new_stream(id, state, early.or(priority));
        stream.opener = Opener::Peer;
        stream.opened = Some(now);
        stream.asked = Asked::by(&head);
        stream.content = content;
        if !fin {
            stream.progress = StreamProgress::of(&head, self.rules.capabilities.informational);
            self.progress.watch_streams();
        }
        let stream = self.streams.insert(stream);
        self.streams.hold_headers(stream, memory);
        if id.value() > StreamId::MAX.value().saturating_sub(ID_RESERVE) {
            // The client is to move before its ids run out (RFC 9113 §5.1.1).
            self.shutdown(now);
        }
        Ok(Some(Event::Opened {
            stream,
            head,
            fin,
            unidirectional,
            parent,
        }))
    }

    /// Checks the rules that a well-formed request may still break.
    fn check_request(&self, head: &mut Head, said: Said) -> Result<Content, Rule> {
        if self.config.semantics == Semantics::Raw {
            return Ok(Content::default());
        }
        // RFC 8441 §3: not before we said that we take it.
        if head.is_extended_connect() && self.config.extended_connect == ExtendedConnect::Off {
            return Err(Rule::InvalidPseudoField);
        }
        content::of_request(head, said)
    }

    /// More header fields on an open stream: the reply, or trailers.
    fn continue_stream(&mut self, now: Instant, key: StreamKey, headers: Headers) -> Outcome {
        let id = key.id();
        if let Some(limit) = headers.fields.exceeded {
            return self.list_too_large(limit, id);
        }
        let memory = headers.fields.memory();
        if self.headers_exceeded(memory) {
            return Err(Rule::TooManyHeaderBytes.on(id));
        }
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(None);
        };
        let max = self.config.limits.max_header_fields;
        let before = stream.names_memory();
        let names = stream.add_names(&headers.fields.map, max);
        names.map_err(|rule| rule.on(id))?;
        let names = stream.names_memory().saturating_sub(before);
        let part = part_of(stream, &headers);
        stream
            .check_recv(part)
            .map_err(|misplaced| match misplaced {
                Misplaced::BeforeHead => Rule::DataBeforeReply.on(id),
                Misplaced::SecondHead => Rule::SecondReply.on(id),
                Misplaced::AfterEnd => Rule::HeadersAfterEnd.on(id),
            })?;
        if matches!(part, Part::Trailers { .. }) {
            return self.receive_trailers(now, key, headers);
        }
        let said = Said {
            fin: headers.fin,
            length: headers.fields.length,
        };
        let mut fields = headers.fields;
        let head = fields.take_response(self.config.semantics);
        let mut head = head.map_err(|rule| rule.on(id))?;
        self.wire.recycle(fields);
        let content = part.check_status(head.status()).and_then(|()| {
            let (rules, asked) = (self.rules, stream.asked);
            content::of_response(rules, &mut head, asked, said)
        });
        let content = content.map_err(|rule| rule.on(id))?;
        if part == Part::Informational {
            self.charges.glitch(&self.config.limits, now)?;
            return Ok(Some(Event::Informational { stream: key, head }));
        }
        stream.content = content;
        if said.length != DeclaredLength::None && !headers.fin && !stream.asked.is_connect() {
            stream.progress.expect_content();
            self.progress.watch_streams();
        }
        stream.recv_headers(headers.fin);
        stream.note_reply(head.status());
        self.streams.hold_headers(key, memory.saturating_add(names));
        if headers.fin {
            self.close_if_done(now, key);
        }
        Ok(Some(Event::Reply {
            stream: key,
            head,
            fin: headers.fin,
        }))
    }

    /// Header fields after the head: trailers, or more of SPDY's.
    fn receive_trailers(&mut self, now: Instant, key: StreamKey, headers: Headers) -> Outcome {
        let (id, fin) = (key.id(), headers.fin);
        let memory = headers.fields.memory();
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(None);
        };
        if stream.is_tunnel() {
            return Err(Rule::HeadersInTunnel.on(id));
        }
        if !fin && !self.rules.headers_anywhere {
            return Err(Rule::TrailersWithoutEnd.on(id));
        }
        if let Err(rule) = stream.content.check_end(fin) {
            return self.broken_by_content(now, rule, key, fin);
        }
        stream.recv_trailers(fin);
        let discarded = stream.recv.reader != Reader::Reading;
        let fields = headers.fields.into_trailers();
        let mut fields = fields.map_err(|rule| rule.on(id))?;
        if self.config.semantics == Semantics::Http {
            let checked = content::of_trailers(self.rules, self.config.side, &mut fields);
            checked.map_err(|rule| rule.on(id))?;
        }
        if memory > SMALL_LIST && !discarded {
            self.streams.hold_list(key, memory);
        } else if fin || self.config.semantics == Semantics::Http {
            self.streams.hold_headers(key, memory);
        }
        if fin {
            self.close_if_done(now, key);
        }
        let event = Event::Headers {
            stream: key,
            fields,
            fin,
        };
        Ok((!discarded).then_some(event))
    }

    fn handle_reset(&mut self, now: Instant, id: StreamId, reason: Reason) -> Outcome {
        self.counters.count_reset_received(reason);
        if reason == Reason::Cancel {
            self.cancel_pushes_of(now, id);
        }
        let Some(key) = self.streams.find(id) else {
            return match self.ids.standing(id) {
                Standing::Idle => Err(Rule::ResetOnIdleStream.on(id)),
                _ => self.useless(now),
            };
        };
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(None);
        };
        let stops = match self.config.semantics {
            // RFC 9113 §8.1: after a complete response this only stops our body.
            // A push has no other half, and ends.
            Semantics::Http => {
                (reason == Reason::NoError || reason == self.rules.stop_upload)
                    && stream.is_ours()
                    && stream.push.is_none()
            }
            // The peer has ended its half and needs no answer: its half is whole,
            // and may still be read.
            Semantics::Raw => true,
        };
        let raw = self.config.semantics == Semantics::Raw;
        if raw && stream.is_closed() {
            // Nothing is left to be stopped; the peer's half is whole.
            return self.useless(now);
        }
        if stops && stream.recv_half() == Half::Closed && stream.send_half() != Half::Closed {
            // Rapid Reset, CVE-2023-44487.
            if !stream.is_ours() {
                self.charges
                    .cancel(&self.config.limits, now, stream.opened)?;
            }
            stream.stop_sending();
            stream.send.source = Source::None;
            stream.send.pending = Bytes::new();
            self.streams.release_unsent(key, usize::MAX);
            self.streams.dequeue(key);
            self.close_if_done(now, key);
            return Ok(Some(Event::Stopped {
                stream: key,
                reason,
            }));
        }
        if stream.recv.reader == Reader::Lingering {
            // The client stopped its upload, as the linger period is for. It
            // has its whole response: the reset is not charged.
            self.remove(now, key);
            return self.useless(now);
        }
        // Rapid Reset, CVE-2023-44487.
        if !stream.is_ours() {
            self.charges
                .cancel(&self.config.limits, now, stream.opened)?;
        }
        self.remove(now, key);
        Ok(Some(Event::Reset {
            stream: key,
            error: super::reset_by_peer(reason),
        }))
    }
}

/// The part of its message that a header list on an open stream is.
fn part_of(stream: &Stream, headers: &Headers) -> Part {
    let (fin, kind) = (headers.fin, headers.kind);
    let waiting = stream.recv_half() == Half::Waiting;
    // A pushed stream's response may be HEADERS.
    let reply = match kind {
        HeadersKind::Reply => true,
        HeadersKind::More => !stream.is_ours() && waiting,
        _ => waiting,
    };
    if !reply {
        return Part::Trailers { fin };
    }
    let status = headers.fields.status;
    let informational = status.is_some_and(|status| status.is_informational());
    if informational && kind == HeadersKind::ByState && !fin {
        Part::Informational
    } else {
        Part::Head { fin }
    }
}
