//! A connection that passes, on the live page: its streams and windows, from its frames.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use lacewing_client::Version;
use lacewing_conform::Side;
use lacewing_conn::proto::ConnectionStats;
use lacewing_server::live::{
    Board, ConnectionFacts, Sample, Stall, StreamSample, WatchedConnection,
};
use tokio::sync::Notify;

use crate::{
    detect::Content,
    frame_meaning::{What, meanings},
    frame_text::FrameText,
    windows::{Cause, Windows},
};

/// The open streams of a connection that are followed; further ones are counted by the board.
const MAX_STREAMS: usize = 1_000;

/// A connection that passes.
///
/// The windows and the open streams are followed from its start, since a viewer who comes later
/// must see what is left of them. The board records nothing else while nobody looks.
pub(super) struct Watching {
    board: Board,
    client: SocketAddr,
    is_tls: bool,
    wake: Arc<Notify>,
    /// `None` before the protocol is known.
    connection: Option<WatchedConnection>,
    streams: Option<Streams>,
    stats: ConnectionStats,
    writing: BySide<Writing>,
    /// Those of the last sample.
    writing_before: BySide<Writing>,
    was_stalled: bool,
}

/// What the other side takes of the bytes that a side has sent.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Writing {
    is_under_way: bool,
    /// Bytes since the start.
    taken: u64,
}

/// The open streams of a protocol that has frames.
struct Streams {
    windows: BySide<Windows>,
    open: BTreeMap<u32, Stream>,
    /// The highest id that each side has opened.
    last: BySide<u32>,
}

#[derive(Default)]
struct Stream {
    /// Bytes of content, modulo 2³².
    moved: BySide<u32>,
    ended: BySide<bool>,
    /// The server may send its content.
    is_answered: bool,
}

/// Something that each side has, as a sender.
#[derive(Clone, Copy, Default)]
struct BySide<T> {
    client: T,
    server: T,
}

impl<T> BySide<T> {
    fn of(&mut self, side: Side) -> &mut T {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

impl Watching {
    /// A connection of which nothing is known. `wake` is notified when it is time for
    /// [`sample`](Self::sample).
    pub(super) fn new(board: Board, client: SocketAddr, is_tls: Tls, wake: Arc<Notify>) -> Self {
        Self {
            board,
            client,
            is_tls: is_tls == Tls::Ended,
            wake,
            connection: None,
            streams: None,
            stats: ConnectionStats::default(),
            writing: BySide::default(),
            writing_before: BySide::default(),
            was_stalled: false,
        }
    }

    /// The connection speaks this protocol.
    pub(super) fn speaks(&mut self, version: Version) {
        self.streams = Some(Streams {
            windows: BySide {
                client: Windows::new(version),
                server: Windows::new(version),
            },
            open: BTreeMap::new(),
            last: BySide::default(),
        });
        self.begin(version.alpn());
    }

    /// Bytes pass that are no frames: they are counted.
    pub(super) fn count(&mut self, sender: Side, bytes: usize, content: Content) {
        if self.streams.is_some() {
            return;
        }
        let counted = match sender {
            Side::Client => &mut self.stats.data_received,
            Side::Server => &mut self.stats.data_sent,
        };
        *counted = counted.saturating_add(bytes as u64);
        if self.connection.is_none() {
            match content {
                Content::Undecided | Content::Frames(..) => {}
                Content::Http1 => self.begin("http/1.1"),
                Content::Tls => self.begin("tls"),
                Content::Unknown => self.begin("unknown"),
            }
        }
    }

    fn begin(&mut self, protocol: &'static str) {
        let facts = ConnectionFacts::new(protocol, self.client.to_string());
        let connection = self.board.watch(match self.is_tls {
            true => facts.with_tls(),
            false => facts,
        });
        let wake = Arc::clone(&self.wake);
        connection.wake_by(move || wake.notify_one());
        self.connection = Some(connection);
    }

    /// Takes frames that pass.
    pub(super) fn take(&mut self, frames: &[(Side, FrameText)]) {
        let (Some(connection), Some(streams)) = (&self.connection, &mut self.streams) else {
            return;
        };
        for (sender, frame) in frames {
            for (stream, what, fin) in meanings(frame) {
                streams.take(connection, &mut self.stats, *sender, stream, &what, fin);
                if fin {
                    streams.end(connection, *sender, stream);
                }
            }
        }
    }

    /// What a side has sent is now written to the other one.
    pub(super) fn write_begins(&mut self, sender: Side) {
        self.writing.of(sender).is_under_way = true;
    }

    /// The other side has taken so many bytes of it.
    pub(super) fn wrote(&mut self, sender: Side, length: usize) {
        let taken = &mut self.writing.of(sender).taken;
        *taken = taken.saturating_add(length as u64);
    }

    /// The other side has taken all of it, or is gone.
    pub(super) fn write_ends(&mut self, sender: Side) {
        self.writing.of(sender).is_under_way = false;
    }

    /// Shows the state of the connection, if it is due.
    pub(super) fn sample(&mut self) {
        if self.connection.as_ref().is_some_and(|one| one.is_due()) {
            let state = self.state();
            if let Some(connection) = &self.connection {
                connection.sampled(state);
            }
        }
    }

    /// The state of the connection now, and since it was asked last.
    fn state(&mut self) -> Sample {
        let is_stalled = self.is_stalled();
        if is_stalled && !self.was_stalled {
            let stalls = &mut self.stats.stalls.transport;
            *stalls = stalls.saturating_add(1);
        }
        self.was_stalled = is_stalled;
        // `written` stays 0, with which the board believes the stall: it does not know two
        // directions.
        let mut sample = Sample {
            stall: is_stalled.then_some(Stall::Transport),
            ..Sample::default()
        };
        // The board takes this for no window.
        self.stats.send_window = usize::MAX;
        if let Some(streams) = &self.streams {
            self.stats.open_streams = streams.open.len();
            let left = |windows: &Windows| windows.connection().map(at_least_none);
            if let Some(left) = left(&streams.windows.server) {
                self.stats.send_window = usize::try_from(left).unwrap_or(usize::MAX);
            }
            sample.peer_window = left(&streams.windows.client);
            let shown: Vec<_> = streams.samples().collect();
            let is_narrow = shown
                .iter()
                .any(|stream| stream.stall == Some(Stall::ConnectionWindow));
            if is_narrow {
                sample.stall.get_or_insert(Stall::ConnectionWindow);
            }
            sample.streams = Some(shown);
        }
        sample.stats = self.stats.clone();
        sample
    }

    /// Whether a side has taken nothing since the last sample of what it is given.
    fn is_stalled(&mut self) -> bool {
        let before = std::mem::replace(&mut self.writing_before, self.writing);
        let stalls = |now: Writing, before: Writing| now.is_under_way && now == before;
        stalls(self.writing.client, before.client) || stalls(self.writing.server, before.server)
    }
}

/// Whether TLS ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    Ended,
    No,
}

impl Streams {
    fn take(
        &mut self,
        connection: &WatchedConnection,
        stats: &mut ConnectionStats,
        sender: Side,
        id: u32,
        what: &What,
        fin: bool,
    ) {
        match what {
            What::Open(title) => self.begin(connection, sender, id, title),
            // Trailers are of a stream that is known.
            What::Fields if self.is_next(sender, id) => self.begin(connection, sender, id, ""),
            What::Head(status) => {
                let status = status.parse().unwrap_or(0);
                if let (Some(stream), 200..) = (self.open.get_mut(&id), status) {
                    stream.is_answered = true;
                }
                if status >= 200 {
                    connection.answered(id, status);
                }
            }
            What::Data(length) => self.data(connection, stats, sender, id, *length, fin),
            What::Credit(credit) => {
                if id == 0 || self.open.contains_key(&id) {
                    self.windows.of(other(sender)).credit(id, *credit);
                }
            }
            What::InitialWindow(value) => self.windows.of(other(sender)).set_initial(*value),
            What::Reset(code) => {
                // No code that the protocol defines is a number.
                let code = match code.starts_with("0x") {
                    true => "unknown",
                    false => code,
                };
                connection.count_reset(sender, code);
                connection.reset(id, code);
                self.forget(id);
            }
            What::Fields | What::Other => {}
        }
    }

    /// A stream begins.
    fn begin(&mut self, connection: &WatchedConnection, sender: Side, id: u32, title: &str) {
        let last = self.last.of(sender);
        *last = id.max(*last);
        let (method, path) = title.split_once(' ').unwrap_or((title, ""));
        if self.open.len() >= MAX_STREAMS {
            connection.count_begun();
            return;
        }
        connection.begin(id, method, path);
        let stream = self.open.entry(id).or_default();
        self.windows.client.open(id);
        self.windows.server.open(id);
        // A push has no request of the client's. Without HTTP, both sides send on it.
        if sender == Side::Server && !title.is_empty() {
            stream.ended.client = true;
            self.windows.client.end(id);
        }
        // No head of a response has to come.
        stream.is_answered = title.is_empty();
    }

    /// Whether this side may open a stream with this id (RFC 9113 §5.1.1).
    fn is_next(&mut self, sender: Side, id: u32) -> bool {
        let is_own = (sender == Side::Client) == (id % 2 == 1);
        id > *self.last.of(sender) && is_own
    }

    fn data(
        &mut self,
        connection: &WatchedConnection,
        stats: &mut ConnectionStats,
        sender: Side,
        id: u32,
        length: u64,
        fin: bool,
    ) {
        let total = match sender {
            Side::Client => &mut stats.data_received,
            Side::Server => &mut stats.data_sent,
        };
        *total = total.saturating_add(length);
        let windows = self.windows.of(sender);
        let Some(stream) = self.open.get_mut(&id) else {
            // It counts against the connection's window all the same.
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            windows.credit(0, length.saturating_neg());
            return;
        };
        let short = u32::try_from(length).unwrap_or(u32::MAX);
        let moved = stream.moved.of(sender);
        *moved = moved.wrapping_add(short);
        let bytes = usize::try_from(length).unwrap_or(usize::MAX);
        match sender {
            Side::Client => connection.taken(id, bytes),
            Side::Server => connection.given(id, bytes),
        }
        let before = windows.cause(id);
        windows.data(id, length, fin);
        let stalls = match (before, windows.cause(id)) {
            (None, Some(Cause::Stream)) => &mut stats.stalls.stream_window,
            (None, Some(Cause::Connection)) => &mut stats.stalls.connection_window,
            _ => return,
        };
        *stalls = stalls.saturating_add(1);
    }

    /// A side sends no more on a stream.
    fn end(&mut self, connection: &WatchedConnection, sender: Side, id: u32) {
        self.windows.of(sender).end(id);
        let Some(stream) = self.open.get_mut(&id) else {
            return;
        };
        *stream.ended.of(sender) = true;
        if stream.ended.client && stream.ended.server {
            connection.ended(id, None);
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u32) {
        self.open.remove(&id);
        self.windows.client.forget(id);
        self.windows.server.forget(id);
    }

    /// The state of the streams. The window is that of the side that sends, or will.
    fn samples(&self) -> impl Iterator<Item = StreamSample> {
        self.open.iter().map(|(id, stream)| {
            let (up, down) = (&self.windows.client, &self.windows.server);
            // Before its response, a server has nothing that could wait.
            let narrow = stream.is_answered.then(|| down.cause(*id)).flatten();
            let uploads = up.cause(*id).is_some() || !(stream.ended.client || stream.is_answered);
            let sending = match uploads && narrow.is_none() {
                true => up,
                false => down,
            };
            StreamSample {
                id: *id,
                sent: stream.moved.server,
                received: stream.moved.client,
                window: sending.window(*id).map(at_least_none),
                stall: narrow.or_else(|| up.cause(*id)).map(|cause| match cause {
                    Cause::Stream => Stall::StreamWindow,
                    Cause::Connection => Stall::ConnectionWindow,
                }),
            }
        })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.closed(&self.stats);
        }
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

/// A window that was made smaller may be negative.
fn at_least_none(window: i64) -> u64 {
    u64::try_from(window).unwrap_or(0)
}

#[cfg(test)]
mod tests;
