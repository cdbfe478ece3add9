//! Receive credit that is released to the peer, and windows that grow.

use std::time::Instant;

use super::{Engine, ping::Purpose};
use crate::proto::{FlowControl, StreamKey, flow::Increment, streams::state::Half};

impl Engine {
    /// Releases receive credit; no other code does. `len` bytes of a stream were
    /// consumed, discarded, refused or padding. The credit of the connection
    /// follows from the bytes that the user holds.
    pub(super) fn give_back(&mut self, now: Instant, stream: Option<StreamKey>, len: usize) {
        let released = self.replenish();
        let keep_up = released.is_some_and(|released| self.flow.readers_keep_up(released));
        let of_stream = stream.filter(|key| len > 0 && self.replenish_stream(*key, len));
        if of_stream.is_some() || keep_up {
            self.start_probe(now, of_stream);
        }
    }

    /// `true` if a window was released to the peer.
    fn replenish_stream(&mut self, key: StreamKey, len: usize) -> bool {
        let target = self.flow.stream_size();
        let stream = self.streams.get_mut(key);
        let Some(stream) = stream.filter(|stream| stream.recv_half() != Half::Closed) else {
            return false;
        };
        let increment = stream.recv.window.credit(len, target);
        self.advertise(Some(key), increment)
    }

    /// Releases the credit of the connection.
    fn replenish(&mut self) -> Option<Increment> {
        if self.shutdown.is_closed() {
            return None;
        }
        let increment = self.flow.replenish(&self.config.limits);
        self.advertise(None, increment);
        increment
    }

    /// Sends WINDOW_UPDATE; `false` without an increment.
    fn advertise(&mut self, stream: Option<StreamKey>, increment: Option<Increment>) -> bool {
        let Some(Increment(increment)) = increment else {
            return false;
        };
        let id = stream.map(StreamKey::id);
        self.wire.window_update(id, increment);
        true
    }

    /// The receive window that streams are given as they read.
    pub(super) fn stream_receive_window(&self) -> Option<u32> {
        let initial = self.rules.stream_window;
        let initial = initial.filter(|_| self.config.flow_control == FlowControl::Obeyed);
        initial.map(|_| self.flow.stream_size())
    }

    /// Half a window was released: perhaps the window is the limit.
    fn start_probe(&mut self, now: Instant, stream: Option<StreamKey>) {
        if !self.is_pinging() && self.flow.start_probe(stream, &self.config.limits, now) {
            self.ping_for(now, Purpose::Tuning);
        }
    }

    /// A PING was answered: perhaps the one that measures the path.
    pub(super) fn finish_probe(&mut self, now: Instant) {
        let Some(growth) = self.flow.finish_probe(now, &self.config.limits) else {
            return;
        };
        if growth.connection.is_some() {
            self.replenish();
        }
        if let Some(key) = growth.stream {
            let target = self.flow.stream_size();
            let stream = self.streams.get_mut(key);
            let stream = stream.filter(|stream| stream.recv_half() != Half::Closed);
            let increment = stream.and_then(|stream| stream.recv.window.grow_now(target));
            self.advertise(Some(key), increment);
        }
        if let Some(stream) = growth.again {
            self.start_probe(now, stream);
        }
    }
}
