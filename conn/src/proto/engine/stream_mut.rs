//! The user's calls that need one stream.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_LENGTH};

use super::Engine;
use crate::{
    Error, Reason,
    proto::{
        AddedFields, Head, Priority, Rule, Semantics, Side, StreamKey, UsageError, Violation,
        content::{self, Content},
        memory,
        streams::{
            Ending, Handler, PriorityOwner, Source, Stream,
            state::{Half, Part},
        },
        wire::SendKind,
    },
};

/// A body of at most this many bytes is sent with its head at once, if no other
/// stream waits.
const AT_ONCE: usize = 4096;

/// One stream of an [`Engine`], at one moment: returned by
/// [`Engine::stream`].
///
/// The stream may be gone. Then calls that return a result fail with
/// [`UsageError::StreamClosed`], and all others do nothing.
///
/// ```
/// use std::time::Instant;
/// use bytes::Bytes;
/// use http::StatusCode;
/// use lacewing_conn::proto::{Engine, Head, StreamKey, UsageError};
///
/// /// Answers a request with a short text.
/// fn answer(engine: &mut Engine, request: StreamKey, now: Instant) -> Result<(), UsageError> {
///     let mut stream = engine.stream(now, request);
///     stream.reply(Head::response(StatusCode::OK), false)?;
///     stream.send_data(Bytes::from_static(b"hello\n"), true)
/// }
/// # let _ = answer;
/// ```
#[derive(Debug)]
pub struct StreamMut<'a> {
    pub(super) engine: &'a mut Engine,
    pub(super) now: Instant,
    pub(super) key: StreamKey,
}

impl Engine {
    /// The calls that need one stream, at the time `now`. A stale key is no
    /// error here: see [`StreamMut`].
    #[inline]
    pub fn stream(&mut self, now: Instant, key: StreamKey) -> StreamMut<'_> {
        StreamMut {
            engine: self,
            now,
            key,
        }
    }
}

/// Sending.
impl StreamMut<'_> {
    /// Sends an informational (1xx) response ahead of the reply.
    ///
    /// # Errors
    ///
    /// [`UsageError::WrongHead`] for any other head,
    /// [`UsageError::AlreadyReplied`] after the reply, and
    /// [`UsageError::Unsupported`] where the protocol has no such responses.
    pub fn inform(&mut self, mut head: Head) -> Result<(), UsageError> {
        if !is_informational(&head) {
            return Err(UsageError::WrongHead);
        }
        let Self { engine, key, .. } = self;
        if !engine.rules.capabilities.informational {
            return Err(UsageError::Unsupported);
        }
        let stream = engine.streams.get(*key).ok_or(UsageError::StreamClosed)?;
        if stream.send_half() != Half::Waiting {
            return Err(UsageError::AlreadyReplied);
        }
        content::of_our_response(&mut head, &mut AddedFields::default(), stream.asked)?;
        engine
            .wire
            .headers(key.id(), SendKind::Reply, &head, false)?;
        if let Some(stream) = engine.streams.get_mut(*key) {
            stream.progress.ask();
        }
        Ok(())
    }

    /// Sends the head of the reply. `fin`: no content follows. Leaves out a
    /// content-length that may not be sent: with 204 and 205, and where a 2xx
    /// to CONNECT opens a tunnel (RFC 9110 §8.6).
    ///
    /// # Errors
    ///
    /// [`UsageError::AlreadyReplied`], and the other errors of a head that the
    /// stream or the protocol does not allow.
    pub fn reply(&mut self, head: Head, fin: bool) -> Result<(), UsageError> {
        self.respond(head, AddedFields::NONE, fin)
    }

    /// Sends the head of the reply as [`reply`](Self::reply) does, with those of
    /// the `added` fields that it does not have.
    ///
    /// # Errors
    ///
    /// As [`reply`](Self::reply).
    pub fn respond(
        &mut self,
        mut head: Head,
        mut added: AddedFields,
        fin: bool,
    ) -> Result<(), UsageError> {
        let Self { engine, now, key } = self;
        let response = head.status().is_some();
        if is_informational(&head) || (engine.config.semantics == Semantics::Http && !response) {
            return Err(UsageError::WrongHead);
        }
        let stream = engine.streams.get_mut(*key);
        let stream = stream.ok_or(UsageError::StreamClosed)?;
        // With pushes to be sent first, the end is sent after them.
        let waits = fin && stream.send.pushes_ahead > 0;
        let fin = fin && !waits;
        let placed = stream.check_send(Part::Head { fin });
        placed.map_err(|_| UsageError::AlreadyReplied)?;
        let content = content::of_our_response(&mut head, &mut added, stream.asked)?;
        let status = head.status();
        if let Some(held) = stream.held_mut() {
            added.insert_into(&mut head.fields);
            held.reply = Some((head, fin));
        } else {
            let kind = match stream.push {
                Some(_) => SendKind::PushReply,
                None => SendKind::Reply,
            };
            engine
                .wire
                .response(key.id(), kind, &mut head, added, fin)?;
        }
        stream.send_headers(fin);
        stream.note_reply(status);
        stream.progress.note_reply(status);
        stream.send.content = content;
        if waits {
            stream.send.ending = Ending::Fin;
        }
        engine.send_held_pushes(*now);
        if fin {
            engine.close_if_done(*now, *key);
        }
        Ok(())
    }

    /// Declares that the content of our request will not be sent, after a final response
    /// that refuses it. The rest of the response may not be silent for longer than
    /// [`body_timeout`](crate::Limits::body_timeout): the server may wait for our content.
    pub fn withhold(&mut self) {
        if let Some(stream) = self.engine.streams.get_mut(self.key) {
            stream.progress.withhold();
            self.engine.progress.watch_streams();
        }
    }

    /// Returns the bytes that the windows allow to be sent now.
    pub fn send_capacity(&self) -> usize {
        match self.get() {
            Some(stream) if stream.send_half() == Half::Open => {
                let available = stream.send.window.available();
                available.min(self.engine.flow.send_available())
            }
            _ => 0,
        }
    }

    /// Reports that the stream's source may have data:
    /// [`Transmit::Pull`](super::Transmit::Pull) asks for it when it is the
    /// stream's turn and the windows are open.
    pub fn offer(&mut self) {
        if let Some(stream) = self.get_mut() {
            stream.send.source = Source::Offered;
            self.engine.schedule(self.key);
        }
    }

    /// Sends data of any size, and with `fin` the end of our half.
    ///
    /// # Errors
    ///
    /// [`UsageError::Busy`] while earlier data of this stream waits; the errors
    /// of a half that has not begun or has ended.
    pub fn send_data(&mut self, data: Bytes, fin: bool) -> Result<(), UsageError> {
        let (now, key) = (self.now, self.key);
        let stream = self.writable()?;
        if stream.send.content == Content::None && !data.is_empty() {
            return Err(UsageError::ContentForbidden);
        }
        stream.send.source.answered(fin);
        if fin {
            stream.send.ending = Ending::Fin;
        }
        if data.is_empty() {
            if fin {
                self.engine.end(now, key);
            }
            return Ok(());
        }
        let room = if stream.is_waiting() {
            0
        } else {
            stream.send.window.available()
        };
        let len = data.len();
        stream.send.pending = data;
        let engine = &mut *self.engine;
        let alone = engine.streams.front().is_none_or(|front| front == key);
        let room = room
            .min(engine.flow.send_available())
            .min(engine.wire.max_data())
            .min(AT_ONCE);
        if alone && len <= room && engine.wire.output.len() < engine.config.limits.cut_ahead {
            engine.cut(now, key, len);
        } else {
            engine.hold_unsent_data(key);
            engine.schedule(key);
        }
        Ok(())
    }

    /// Ends our half with trailers, after the data that still waits. Leaves out
    /// a content-length, which no trailers may have (RFC 9110 §6.5.1).
    ///
    /// # Errors
    ///
    /// The errors of a half that has not begun, has ended, or may have no
    /// trailers.
    pub fn send_trailers(&mut self, mut fields: HeaderMap) -> Result<(), UsageError> {
        let stream = self.get_mut().ok_or(UsageError::StreamClosed)?;
        match stream.send_half() {
            Half::Waiting => return Err(UsageError::NoHead),
            Half::Closed => return Err(UsageError::HalfClosed),
            Half::Open if !stream.send.ending.is_open() => return Err(UsageError::HalfClosed),
            Half::Open if stream.is_tunnel() => return Err(UsageError::Unsupported),
            // Nor has it trailers (RFC 9110 §15.3.5, §15.4.5).
            Half::Open if stream.send.content == Content::None => {
                return Err(UsageError::ContentForbidden);
            }
            Half::Open => {}
        }
        let Self { engine, now, key } = self;
        if engine.config.semantics == Semantics::Http {
            fields.remove(CONTENT_LENGTH);
        }
        if let Some(stream) = engine.streams.get_mut(*key) {
            stream.send.source.answered(true);
            let memory = memory::of_list(&fields);
            stream.send.ending = Ending::Trailers(Box::new(fields));
            engine.streams.hold_unsent(*key, memory);
        }
        engine.end(*now, *key);
        Ok(())
    }

    /// Sends header fields in the middle of our half: a SPDY HEADERS frame.
    ///
    /// # Errors
    ///
    /// [`UsageError::Unsupported`] where the protocol has no such frame; the
    /// errors of [`send_data`](Self::send_data).
    pub fn send_headers(&mut self, fields: HeaderMap) -> Result<(), UsageError> {
        if !self.engine.rules.headers_anywhere {
            return Err(UsageError::Unsupported);
        }
        if self.writable()?.is_held() {
            return Err(UsageError::Busy);
        }
        let Self { engine, key, .. } = self;
        let head = Head::fields(fields);
        engine
            .wire
            .headers(key.id(), SendKind::More, &head, false)?;
        Ok(())
    }

    /// Data of this stream, or the end of our half, was handed over and waits
    /// for a window or its turn.
    pub fn has_unsent(&self) -> bool {
        self.get().is_some_and(|stream| {
            stream.send_half() != Half::Closed
                && (!stream.send.pending.is_empty() || !stream.send.ending.is_open())
        })
    }
}

/// Receiving.
impl StreamMut<'_> {
    /// Releases receive credit: the user consumed `len` bytes of this stream's
    /// data.
    pub fn release(&mut self, len: usize) {
        let (now, key) = (self.now, self.key);
        let Some(stream) = self.get_mut() else {
            return;
        };
        let len = len.min(stream.recv.unreleased);
        stream.recv.unreleased = stream.recv.unreleased.saturating_sub(len);
        self.engine.flow.let_go(len);
        if !self.engine.shutdown.is_closed() {
            self.engine.give_back(now, Some(key), len);
        }
        self.engine.close_if_done(now, key);
    }

    /// Releases the header lists after the head, of which the user holds none any
    /// more. Until then those of more than a few KiB are charged to
    /// [`max_held_headers`](crate::Limits::max_held_headers), and the stream stays.
    pub fn release_headers(&mut self) {
        let Self { engine, now, key } = self;
        engine.streams.release_lists(*key);
        engine.close_if_done(*now, *key);
    }

    /// Returns `true` if header lists after the head wait for
    /// [`release_headers`](Self::release_headers).
    pub fn holds_headers(&self) -> bool {
        self.get().is_some_and(|stream| stream.recv.lists > 0)
    }

    /// Reads no more of this stream: what the peer still sends is discarded and
    /// its credit released, without events. Once our half has ended, the peer
    /// is asked to stop by RST_STREAM. A server of HTTP/2 sends NO_ERROR after a
    /// complete response (RFC 9113 §8.1); all others send CANCEL.
    pub fn abandon(&mut self) {
        if let Some(stream) = self.get_mut() {
            stream.recv.reader.discard();
            let held = stream.recv.unreleased;
            self.engine.streams.release_lists(self.key);
            self.release(held);
        }
    }

    /// Returns `true` if the peer sends content on this stream, or may. `false` after the head of a
    /// message that has none by definition, whatever its content-length says. These are a response
    /// to HEAD, 204, 205 and 304 (RFC 9110 §6.4.1).
    pub fn has_content(&self) -> bool {
        self.get()
            .is_none_or(|stream| stream.content != Content::None)
    }

    /// Returns the bytes of content that the peer still has to send by its content-length, which
    /// the engine checks; 0 for a message without content. `None` if it has no content-length, or
    /// one that the protocol does not check (SPDY responses).
    pub fn content_left(&self) -> Option<u64> {
        match self.get()?.content {
            Content::Unmeasured => None,
            Content::Left(left) => Some(left),
            Content::None => Some(0),
        }
    }

    /// Returns `true` if the stream carries bytes in both directions, after
    /// CONNECT and a 2xx (RFC 9113 §8.5): its halves end independently.
    pub fn is_tunnel(&self) -> bool {
        self.get().is_some_and(Stream::is_tunnel)
    }
}

/// The whole stream.
impl StreamMut<'_> {
    /// Schedules the stream by this priority from now on. A client also reports
    /// it to the server where the protocol has a frame for it
    /// (PRIORITY_UPDATE); a server's own choice overrides the client's.
    pub fn prioritize(&mut self, priority: Priority) {
        let Self { engine, key, .. } = self;
        let Some(stream) = engine.streams.get_mut(*key) else {
            return;
        };
        if engine.config.side == Side::Server {
            stream.priority_owner = PriorityOwner::Us;
        } else if stream.is_ours() && stream.priority != priority {
            engine.wire.priority_update(key.id(), priority);
        }
        engine.streams.prioritize(*key, priority);
    }

    /// Returns the stream's priority; `None` once it is gone.
    pub fn priority(&self) -> Option<Priority> {
        self.get().map(|stream| stream.priority)
    }

    /// Keeps the stream counted against `max_concurrent_streams` until
    /// [`finish`](Self::finish), even if the peer resets it: the user still
    /// works on it (Rapid Reset, CVE-2023-44487).
    pub fn retain(&mut self) {
        if let Some(stream) = self.get_mut() {
            stream.handler = Handler::Running;
        }
    }

    /// Ends the user's work on a stream that it [retained](Self::retain).
    pub fn finish(&mut self) {
        let Self { engine, now, key } = self;
        match engine.streams.get_mut(*key) {
            Some(stream) => {
                stream.handler = Handler::Done;
                engine.close_if_done(*now, *key);
            }
            // Our own streams never count among those that are gone.
            None if key.id().opener() == Some(engine.config.side) => {}
            None => {
                engine.streams.finish_detached();
                engine.admission.handler_ended();
            }
        }
    }

    /// Ends the stream before its time, with `reason` for the peer. No event
    /// follows, and the key is stale. Over SPDY a client that cancels a stream
    /// cancels what is pushed for it (the drafts' §3.3.2): an
    /// [`Event::Reset`](crate::proto::Event::Reset) reports each of those.
    pub fn reset(&mut self, reason: Reason) {
        let Some(stream) = self.get() else {
            return;
        };
        // A push that was never promised needs no end.
        let known = !stream.is_held() && !stream.is_closed();
        let Self { engine, now, key } = self;
        if known && !engine.shutdown.is_closed() {
            engine.send_reset(key.id(), reason);
            if reason == Reason::Cancel {
                engine.cancel_promises_of(*now, key.id());
            }
        }
        engine.remove(*now, *key);
    }

    /// Ends the stream because its user holds as many header lists after the head as it
    /// may. Charged to the peer as every violation is (MadeYouReset, CVE-2025-8671). An
    /// [`Event::Reset`](crate::proto::Event::Reset) follows. If the stream is over already, no event
    /// does: the error is returned.
    pub fn refuse_more_lists(&mut self) -> Option<Error> {
        let (id, rule) = (self.key.id(), Rule::TooManyLists);
        if self.get().is_none() {
            let violation = Violation::stream(id, rule, Reason::EnhanceYourCalm);
            return Some(Error::violation(&violation));
        }
        self.engine.handle_broken(self.now, rule.on(id));
        None
    }

    /// Leaves the stream to the engine: the user is gone and reads no more. Data that it handed
    /// over, and data that its source still has, is sent within `drain_timeout`. After that data,
    /// or at that time, the stream ends in both directions.
    pub fn depart(&mut self) {
        self.abandon();
        self.engine.end_later(self.now, self.key);
    }
}

impl StreamMut<'_> {
    #[inline]
    fn get(&self) -> Option<&Stream> {
        self.engine.streams.get(self.key)
    }

    #[inline]
    fn get_mut(&mut self) -> Option<&mut Stream> {
        self.engine.streams.get_mut(self.key)
    }

    /// The stream, if data may be handed over now.
    #[inline]
    fn writable(&mut self) -> Result<&mut Stream, UsageError> {
        let stream = self.get_mut().ok_or(UsageError::StreamClosed)?;
        match stream.send_half() {
            Half::Waiting => Err(UsageError::NoHead),
            Half::Closed => Err(UsageError::HalfClosed),
            Half::Open if !stream.send.ending.is_open() => Err(UsageError::HalfClosed),
            Half::Open if !stream.send.pending.is_empty() => Err(UsageError::Busy),
            Half::Open => Ok(stream),
        }
    }
}

fn is_informational(head: &Head) -> bool {
    head.status()
        .is_some_and(|status| status.is_informational())
}
