//! The flow-control windows of one direction of a connection, as its frames show them.

use std::collections::BTreeMap;

use lacewing_client::Version;

/// The windows of one direction.
#[derive(Debug)]
pub(crate) struct Windows {
    /// The window of new streams. `None`: the protocol has none.
    initial: Option<i64>,
    connection: Option<i64>,
    streams: BTreeMap<u32, Sending>,
}

/// The window that is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Stream,
    Connection,
}

/// A stream of the direction.
#[derive(Debug)]
struct Sending {
    window: Option<i64>,
    ended: bool,
}

impl Windows {
    pub(crate) fn new(version: Version) -> Self {
        // RFC 9113 §6.9.2; SPDY/3 §2.6.8, SPDY/3.1 §2.6.8.
        let (initial, connection) = match version {
            Version::Http2 => (Some(65_535), Some(65_535)),
            Version::Spdy31 => (Some(65_536), Some(65_536)),
            Version::Spdy3 => (Some(65_536), None),
            Version::Spdy2 => (None, None),
        };
        Self {
            initial,
            connection,
            streams: BTreeMap::new(),
        }
    }

    /// The receiver sets the window of all streams.
    pub(crate) fn set_initial(&mut self, value: i64) {
        let Some(initial) = &mut self.initial else {
            return;
        };
        let change = value.saturating_sub(*initial);
        *initial = value;
        for stream in self.streams.values_mut() {
            stream.window = stream.window.map(|window| window.saturating_add(change));
        }
    }

    /// The receiver gives credit.
    pub(crate) fn credit(&mut self, stream: u32, credit: i64) {
        if stream == 0 {
            self.connection = self.connection.map(|left| left.saturating_add(credit));
        } else {
            let stream = self.stream(stream);
            stream.window = stream.window.map(|window| window.saturating_add(credit));
        }
    }

    /// Data passes.
    pub(crate) fn data(&mut self, stream: u32, length: u64, fin: bool) {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        self.connection = self.connection.map(|left| left.saturating_sub(length));
        let stream = self.stream(stream);
        stream.window = stream.window.map(|window| window.saturating_sub(length));
        stream.ended |= fin;
    }

    /// The stream may send.
    pub(crate) fn open(&mut self, stream: u32) {
        self.stream(stream);
    }

    /// Nothing more is asked about the stream.
    pub(crate) fn forget(&mut self, stream: u32) {
        self.streams.remove(&stream);
    }

    /// The stream sends no more.
    pub(crate) fn end(&mut self, stream: u32) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.ended = true;
        }
    }

    /// What is left of the connection's window. `None`: it has none.
    pub(crate) fn connection(&self) -> Option<i64> {
        self.connection
    }

    /// What is left of the window of a stream. `None`: it has none.
    pub(crate) fn window(&self, stream: u32) -> Option<i64> {
        let known = self.streams.get(&stream);
        known.map_or(self.initial, |stream| stream.window)
    }

    /// The window that stops a stream which has begun to send, or was given credit.
    pub(crate) fn cause(&self, stream: u32) -> Option<Cause> {
        self.cause_of(self.streams.get(&stream)?)
    }

    /// These streams, each with the window that stops it.
    pub(crate) fn causes(&self) -> impl Iterator<Item = (u32, Option<Cause>)> {
        let streams = self.streams.iter();
        streams.map(|(id, stream)| (*id, self.cause_of(stream)))
    }

    fn cause_of(&self, stream: &Sending) -> Option<Cause> {
        match stream.window {
            _ if stream.ended => None,
            Some(window) if window <= 0 => Some(Cause::Stream),
            _ if self.connection.is_some_and(|left| left <= 0) => Some(Cause::Connection),
            _ => None,
        }
    }

    fn stream(&mut self, id: u32) -> &mut Sending {
        let window = self.initial;
        self.streams.entry(id).or_insert(Sending {
            window,
            ended: false,
        })
    }
}
