//! Pushes, on the side that sends them (RFC 9113 §8.4; the drafts' §3.3).

use http::Method;

use super::{Engine, OpenError, UsageError};
use crate::proto::{
    Head, Side, StreamId, StreamKey,
    rules::PushStyle,
    streams::state::{Half, State},
    wire::SendKind,
};

impl Engine {
    /// Promises the response to a request that the client did not make. Then
    /// [`reply`](Self::reply) on the new stream.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: the client takes no pushes, or no more at once; the
    /// parent has ended; the request is none that may be pushed.
    pub fn push(&mut self, parent: StreamKey, request: Head) -> Result<StreamKey, OpenError> {
        let usage = OpenError::Usage;
        if self.config.side != Side::Server || !request.is_request() {
            return Err(usage(UsageError::WrongHead));
        }
        let open = self
            .streams
            .get(parent)
            .ok_or(usage(UsageError::StreamClosed))?;
        if open.state.send == Half::Closed || !open.remote {
            return Err(usage(UsageError::HalfClosed));
        }
        if !request.is_pushable() {
            return Err(usage(UsageError::NotPushable));
        }
        let priority = open.priority;
        if !self.peer_takes_push {
            return Err(OpenError::PushDisabled);
        }
        self.check_open()?;
        let id = StreamId::new(self.next_id);
        let mut stream = self.new_stream(id, State::pushed(), Some(priority));
        stream.bodyless = request.is_method(&Method::HEAD);
        stream.parent = Some(parent.id());
        match self.rules.push {
            PushStyle::Promise => {
                let parent = parent.id();
                let kind = SendKind::Push { parent };
                let out = self.output.buffer();
                let encoded = self.wire.headers(id, kind, &request, false, out);
                encoded.map_err(|error| usage(error.into()))?;
            }
            // Servers of that time sent the response's head in the same frame,
            // and spdy-transport takes no other push: it waits for the reply,
            // until something else must go first.
            PushStyle::Unidirectional => stream.held = Some(Box::new(request)),
        }
        self.next_id = self.next_id.saturating_add(2);
        self.opened = self.opened.saturating_add(1);
        let key = self.streams.insert(stream);
        if self.rules.push == PushStyle::Unidirectional {
            self.held_pushes.push_back(key);
        }
        Ok(key)
    }

    /// The response's head on a pushed stream.
    pub(super) fn reply_to_push(
        &mut self,
        stream: StreamKey,
        parent: StreamId,
        head: &Head,
        fin: bool,
    ) -> Result<(), UsageError> {
        // Ids rise on the wire: those before it go first.
        while let Some(key) = self.held_pushes.front().copied() {
            if key.id() >= stream.id() {
                break;
            }
            self.send_held_push();
        }
        let held = self
            .streams
            .get_mut(stream)
            .and_then(|open| open.held.take());
        let out = self.output.buffer();
        if let Some(request) = held {
            self.held_pushes.retain(|key| *key != stream);
            let heads = (&*request, head);
            let id = stream.id();
            self.wire.pushed_response(id, parent, heads, fin, out)?;
            return Ok(());
        }
        self.wire
            .headers(stream.id(), SendKind::PushReply, head, fin, out)?;
        Ok(())
    }

    /// Sends all pushes that wait for their response: what comes now may refer
    /// to them.
    #[inline]
    pub(super) fn send_held_pushes(&mut self) {
        while !self.held_pushes.is_empty() {
            self.send_held_push();
        }
    }

    fn send_held_push(&mut self) {
        let Some(key) = self.held_pushes.pop_front() else {
            return;
        };
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        let (Some(request), Some(parent)) = (stream.held.take(), stream.parent) else {
            return;
        };
        let kind = SendKind::Push { parent };
        let out = self.output.buffer();
        let encoded = self.wire.headers(key.id(), kind, &request, false, out);
        if encoded.is_err() {
            // Longer than the protocol's length fields: it never was.
            self.remove(key);
        }
    }
}
