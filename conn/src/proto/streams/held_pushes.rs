//! Pushes of ours that are not on the wire yet. Each is a stream of the table, and the
//! body of the stream that it belongs to waits for it.

use super::{HeldPush, Stream, Streams};
use crate::proto::{StreamId, StreamKey, memory};

impl Streams {
    /// Inserts a push for `parent`, which waits behind it.
    pub(crate) fn hold_push(&mut self, push: Stream, parent: StreamKey) -> StreamKey {
        let request = push.held().map_or(0, memory_of_request);
        let key = self.insert(push);
        self.hold_unsent(key, request);
        self.pushes.push_back(key);
        self.dequeue(parent);
        if let Some(parent) = self.get_mut(parent) {
            parent.send.pushes_ahead = parent.send.pushes_ahead.saturating_add(1);
        }
        key
    }

    /// The next push to be sent: ids rise on the wire, so no push overtakes another.
    #[inline]
    pub(crate) fn first_held_push(&self) -> Option<(StreamKey, &HeldPush)> {
        let key = *self.pushes.front()?;
        Some((key, self.get(key)?.held()?))
    }

    /// Takes a push that is sent now, with the stream that it belongs to. Its data may still
    /// wait for a window.
    pub(crate) fn take_held_push(&mut self, key: StreamKey) -> Option<(HeldPush, StreamId)> {
        let stream = self.get_mut(key)?;
        let parent = stream.parent()?;
        let held = stream.take_held()?;
        self.release_unsent(key, memory_of_request(&held));
        self.forget_held_push(key, parent);
        Some((held, parent))
    }

    /// The pushes that are held for a stream.
    pub(crate) fn held_pushes_of(&self, parent: StreamId) -> Vec<StreamKey> {
        let held = self.pushes.iter().copied();
        let of_parent = |key: &StreamKey| self.get(*key).and_then(Stream::parent) == Some(parent);
        held.filter(of_parent).collect()
    }

    /// The connection ends: nothing goes on the wire any more.
    pub(crate) fn forget_held_pushes(&mut self) {
        self.pushes.clear();
    }

    /// The push is held no longer.
    pub(super) fn forget_held_push(&mut self, key: StreamKey, parent: StreamId) {
        if self.pushes.front() == Some(&key) {
            self.pushes.pop_front();
        } else {
            self.pushes.retain(|held| *held != key);
        }
        let parent = self.find(parent).and_then(|parent| self.get_mut(parent));
        if let Some(parent) = parent {
            parent.send.pushes_ahead = parent.send.pushes_ahead.saturating_sub(1);
        }
    }
}

fn memory_of_request(held: &HeldPush) -> usize {
    memory::of_list(&held.request.fields)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::proto::{
        Head,
        streams::{Push, tests::stream},
    };

    fn held(streams: &mut Streams, id: u32, parent: StreamKey) -> StreamKey {
        let request = Head::request(Method::GET, "https://a/".parse().unwrap());
        let held = HeldPush {
            request,
            reply: None,
            until: None,
        };
        let push = Stream {
            push: Some(Push::held(parent.id(), held)),
            ..stream(id)
        };
        streams.hold_push(push, parent)
    }

    #[test]
    fn a_stream_waits_until_each_of_its_pushes_is_taken_or_gone() {
        let mut streams = Streams::default();
        let parent = streams.insert(stream(1));
        let first = held(&mut streams, 2, parent);
        let second = held(&mut streams, 4, parent);
        assert_eq!(streams.held_pushes_of(parent.id()), [first, second]);
        assert_eq!(streams.get(parent).map(Stream::is_waiting), Some(true));
        assert_eq!(streams.first_held_push().map(|(key, _)| key), Some(first));
        assert!(streams.take_held_push(first).is_some());
        assert!(streams.take_held_push(first).is_none());
        assert_eq!(streams.get(parent).map(Stream::is_waiting), Some(true));
        assert!(streams.remove(second));
        assert_eq!(streams.get(parent).map(Stream::is_waiting), Some(false));
        assert!(streams.first_held_push().is_none());
    }

    #[test]
    fn data_of_a_push_that_is_taken_still_counts() {
        let mut streams = Streams::default();
        let parent = streams.insert(stream(1));
        let push = held(&mut streams, 2, parent);
        let with_request = streams.unsent();
        streams.hold_unsent(push, 1000);
        assert!(streams.take_held_push(push).is_some());
        assert_eq!(streams.unsent(), 1000);
        // A request with fields is charged while it is held, and no longer.
        let mut request = Head::request(Method::GET, "https://a/".parse().unwrap());
        let value = http::HeaderValue::from_static("x");
        request.fields.insert("x-long", value);
        let long = HeldPush {
            request,
            reply: None,
            until: None,
        };
        let long = Stream {
            push: Some(Push::held(parent.id(), long)),
            ..stream(4)
        };
        let long = streams.hold_push(long, parent);
        assert!(streams.unsent() > 1000 + with_request);
        assert!(streams.take_held_push(long).is_some());
        assert_eq!(streams.unsent(), 1000);
    }
}
