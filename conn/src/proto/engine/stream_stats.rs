//! The state of each open stream at one moment, for pictures. Nothing is counted for it.

use super::Engine;
use crate::proto::{
    StreamId, StreamKey,
    flow::MAX_WINDOW,
    streams::{Opener, Stream},
};

/// The state of an open stream at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStats {
    /// The stream.
    pub stream: StreamKey,
    /// Whether the peer opened it.
    pub is_of_peer: bool,
    /// Bytes of DATA payload sent, modulo 2³².
    pub sent: u32,
    /// Bytes of DATA payload received, modulo 2³².
    pub received: u32,
    /// Bytes that the peer permits us to send on it; `None` where streams have no window.
    pub send_window: Option<usize>,
    /// The window that we grant, in bytes; `None` where streams have none.
    pub receive_window: Option<u32>,
    /// Bytes received that our user has not taken.
    pub unread: usize,
    /// The cause for which data waits; `None` if none does.
    pub stall: Option<StreamStall>,
}

impl StreamStats {
    /// The number of the stream on the wire.
    pub fn id(&self) -> StreamId {
        self.stream.id()
    }
}

/// The cause for which data of a stream waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamStall {
    /// The peer's window for the stream is used up.
    StreamWindow,
    /// The peer's window for the connection is used up.
    ConnectionWindow,
    /// The transport does not take what waits before it.
    Transport,
    /// Our user does not take what the peer sent, and the window that we grant is nearly used up.
    Reader,
}

impl Engine {
    /// Returns the state of the open streams, those with the highest ids if there are more than
    /// `most`. It visits every stream, so it is for pictures and not for each request.
    ///
    /// [`StreamStall::Transport`] is found between two writes: in a turn of the driver, before it
    /// writes.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// use http::Method;
    /// use lacewing_conn::{
    ///     Side, Version,
    ///     proto::{Config, Engine, Head, OpenOptions},
    /// };
    ///
    /// let now = Instant::now();
    /// let mut client = Engine::new(Config::new(Version::Http2, Side::Client), now, 1);
    /// let head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
    /// client.open(now, head, OpenOptions::without_content()).unwrap();
    /// let streams = client.stream_stats(100);
    /// assert_eq!((streams.len(), streams[0].is_of_peer), (1, false));
    /// assert_eq!(streams[0].stall, None);
    /// ```
    pub fn stream_stats(&self, most: usize) -> Vec<StreamStats> {
        let keys = self.streams.keys();
        let beyond = keys.len().saturating_sub(most);
        let keys = keys.into_iter().skip(beyond);
        keys.filter_map(|key| Some(self.state_of(key, self.streams.get(key)?)))
            .collect()
    }

    fn state_of(&self, key: StreamKey, stream: &Stream) -> StreamStats {
        let (sent, received) = stream.progress.moved();
        let window = stream.send.window.available();
        let is_window = i64::try_from(window).is_ok_and(|window| window <= MAX_WINDOW);
        StreamStats {
            stream: key,
            is_of_peer: stream.opener == Opener::Peer,
            sent,
            received,
            send_window: is_window.then_some(window),
            receive_window: stream.recv.window.size(),
            unread: stream.recv.unreleased,
            stall: self.stall_of(stream),
        }
    }

    fn stall_of(&self, stream: &Stream) -> Option<StreamStall> {
        if stream.wants_to_send() {
            if stream.send.window.available() == 0 {
                return Some(StreamStall::StreamWindow);
            }
            if self.flow.send_available() == 0 {
                return Some(StreamStall::ConnectionWindow);
            }
            if !self.wire.output.is_empty() {
                return Some(StreamStall::Transport);
            }
        }
        let unread = stream.recv.unreleased > 0 && !stream.recv.window.is_open();
        unread.then_some(StreamStall::Reader)
    }
}
