//! Pushes, on the side that sends them (RFC 9113 §8.4; the drafts' §3.3).

use std::time::Instant;

use super::{Engine, StreamMut, Timer};
use crate::{
    Error, Initiator, Reason,
    proto::{
        Event, Head, OpenError, Side, StreamId, StreamKey, UsageError, content,
        rules::PushStyle,
        streams::{
            HeldPush, Push,
            state::{Half, State},
        },
        wire::SendKind,
    },
};

impl StreamMut<'_> {
    /// Promises the response to a request that the client did not make. Then
    /// [`reply`](Self::reply) on the new stream.
    ///
    /// Where push and response share a frame, the push goes out with its
    /// reply, and the parent's body behind it; after
    /// [`max_push_delay`](crate::Limits::max_push_delay) without it. If the
    /// parent is reset before, the push ends with an
    /// [`Event::Reset`].
    ///
    /// # Errors
    ///
    /// [`OpenError`]: the client takes no pushes, or no more at once; the
    /// parent has ended; the request is none that may be pushed.
    pub fn push(&mut self, request: Head) -> Result<StreamKey, OpenError> {
        let usage = OpenError::Usage;
        let Self {
            engine,
            now,
            key: parent,
        } = self;
        if engine.config.side != Side::Server || !request.is_request() {
            return Err(usage(UsageError::WrongHead));
        }
        let stream = engine.streams.get(*parent);
        let stream = stream.ok_or(usage(UsageError::StreamClosed))?;
        if stream.send_half() == Half::Closed || stream.is_ours() {
            return Err(usage(UsageError::HalfClosed));
        }
        if !request.is_pushable() {
            return Err(usage(UsageError::NotPushable));
        }
        let priority = stream.priority;
        if !engine.peer.takes_push() {
            return Err(OpenError::PushDisabled);
        }
        engine.check_open()?;
        let id = engine.ids.next();
        let mut push = engine.new_stream(id, State::pushed(), Some(priority));
        push.asked = content::Asked::by(&request);
        match engine.rules.push {
            PushStyle::Promise => {
                let parent = parent.id();
                push.push = Some(Push::of(parent));
                let kind = SendKind::Push { parent };
                let encoded = engine.wire.headers(id, kind, &request, false);
                encoded.map_err(|error| usage(error.into()))?;
                engine.ids.take_next();
                Ok(engine.streams.insert(push))
            }
            // Servers of that time sent the response's head in the same frame,
            // and spdy-transport takes no other push: it waits for the reply.
            PushStyle::Unidirectional => {
                let held = HeldPush {
                    request,
                    reply: None,
                    until: now.checked_add(engine.config.limits.max_push_delay),
                };
                push.push = Some(Push::held(parent.id(), held));
                engine.ids.take_next();
                // Content that may refer to the push waits: the drafts' §3.3.1.
                let key = engine.streams.hold_push(push, *parent);
                engine.arm_held_push();
                Ok(key)
            }
        }
    }
}

impl Engine {
    /// The first push goes out at its deadline, with its response or without.
    pub(super) fn arm_held_push(&mut self) {
        let first = self.streams.first_held_push();
        let deadline = first.and_then(|(_, push)| push.until);
        self.timers.set(Timer::HeldPush, deadline);
    }

    /// Sends the pushes that have their response, or waited for it long enough,
    /// and resumes the streams behind them.
    #[inline]
    pub(super) fn send_held_pushes(&mut self, now: Instant) {
        if self.streams.first_held_push().is_some() {
            self.send_due_pushes(now);
        }
    }

    #[inline(never)]
    fn send_due_pushes(&mut self, now: Instant) {
        while let Some((key, held)) = self.streams.first_held_push() {
            let waits = held.until.is_some_and(|until| until > now);
            if waits && held.reply.is_none() {
                break;
            }
            self.send_held_push(key, now);
        }
        self.arm_held_push();
    }

    fn send_held_push(&mut self, key: StreamKey, now: Instant) {
        let Some((held, parent)) = self.streams.take_held_push(key) else {
            return;
        };
        let request = &held.request;
        let encoded = match &held.reply {
            Some((reply, fin)) => self
                .wire
                .pushed_response(key.id(), parent, request, reply, *fin),
            None => {
                let kind = SendKind::Push { parent };
                self.wire.headers(key.id(), kind, request, false)
            }
        };
        if encoded.is_ok() {
            self.resume(now, key);
        } else {
            // The head exceeds the protocol's length fields: the push was never sent.
            self.drop_push(now, key, Reason::InternalError);
        }
        self.resume_parent(now, parent);
    }

    /// Continues the body of a stream that may have waited for a push.
    fn resume(&mut self, now: Instant, key: StreamKey) {
        self.end(now, key);
        self.schedule(key);
        self.close_if_done(now, key);
    }

    /// A push of this stream is held no longer: what waited behind it is sent, unless
    /// other pushes are still held.
    pub(super) fn resume_parent(&mut self, now: Instant, parent: StreamId) {
        // After the end of the connection nothing is sent.
        let open = !self.shutdown.is_closed();
        if let Some(parent) = self.streams.find(parent).filter(|_| open) {
            self.resume(now, parent);
        }
    }

    /// Ends a push that is not on the wire. The user learns of it.
    fn drop_push(&mut self, now: Instant, stream: StreamKey, reason: Reason) {
        self.remove(now, stream);
        let error = Error::reset(Initiator::User, reason);
        self.push_event(Event::Reset { stream, error });
    }

    /// A stream is gone before its pushes were on the wire: they are of no use
    /// without its response.
    pub(super) fn drop_held_pushes_of(&mut self, now: Instant, parent: StreamId) {
        for push in self.streams.held_pushes_of(parent) {
            self.drop_push(now, push, Reason::Cancel);
        }
        self.arm_held_push();
    }
}
