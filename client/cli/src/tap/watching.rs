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
mod tests {
    use super::*;
    use crate::frame_text::group;

    fn watching(version: Version) -> Watching {
        let client = ([127, 0, 0, 1], 4711).into();
        let wake = Arc::new(Notify::new());
        let mut watching = Watching::new(Board::between("test"), client, Tls::No, wake);
        watching.speaks(version);
        watching
    }

    fn pass(watching: &mut Watching, sender: Side, lines: &[&str]) {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        let frames: Vec<_> = group(lines)
            .into_iter()
            .map(|frame| (sender, frame))
            .collect();
        watching.take(&frames);
    }

    fn request(watching: &mut Watching, id: u32, fin: bool) {
        let fin = if fin { " flags=END_STREAM" } else { "" };
        let title = format!("HEADERS stream={id} length=5{fin}");
        let lines = [title.as_str(), "    :method: POST", "    :path: /a?b"];
        pass(watching, Side::Client, &lines);
    }

    fn sample(watching: &Watching, id: u32) -> Option<StreamSample> {
        let mut samples = watching.streams.as_ref()?.samples();
        samples.find(|sample| sample.id == id)
    }

    #[test]
    fn an_empty_window_stalls_the_side_that_sends() {
        for version in [Version::Http2, Version::Spdy31, Version::Spdy3] {
            let mut tap = watching(version);
            let window = [
                "SETTINGS stream=0",
                "    SETTINGS_INITIAL_WINDOW_SIZE = 1000",
            ];
            pass(&mut tap, Side::Client, &window);
            request(&mut tap, 1, true);
            // It waits for the response; nothing waits for a window.
            assert_eq!(sample(&tap, 1).unwrap().stall, None);
            pass(
                &mut tap,
                Side::Server,
                &["HEADERS stream=1", "    :status: 200"],
            );
            pass(&mut tap, Side::Server, &["DATA stream=1 length=1000"]);
            let stalled = sample(&tap, 1).unwrap();
            assert_eq!((stalled.sent, stalled.received), (1000, 0));
            assert_eq!(stalled.stall, Some(Stall::StreamWindow), "{version}");
            assert_eq!(stalled.window, Some(0));
            assert_eq!(tap.stats.stalls.stream_window, 1);
            pass(
                &mut tap,
                Side::Client,
                &["WINDOW_UPDATE stream=1", "    increment=7"],
            );
            let moving = sample(&tap, 1).unwrap();
            assert_eq!((moving.stall, moving.window), (None, Some(7)));
            pass(
                &mut tap,
                Side::Server,
                &["DATA stream=1 length=7 flags=END_STREAM"],
            );
            assert_eq!(sample(&tap, 1), None, "{version}");

            // An upload, within the window that the server has by default.
            request(&mut tap, 3, false);
            pass(&mut tap, Side::Client, &["DATA stream=3 length=65536"]);
            let upload = sample(&tap, 3).unwrap();
            assert_eq!((upload.received, upload.window), (65_536, Some(0)));
            assert_eq!(upload.stall, Some(Stall::StreamWindow), "{version}");
        }
        let mut tap = watching(Version::Spdy2);
        request(&mut tap, 1, true);
        pass(
            &mut tap,
            Side::Server,
            &["SYN_REPLY stream=1", "    status: 200"],
        );
        pass(&mut tap, Side::Server, &["DATA stream=1 length=99999999"]);
        let sample = sample(&tap, 1).unwrap();
        assert_eq!((sample.window, sample.stall), (None, None));
    }

    /// A download that moves is no stall, however often a write is under way.
    #[test]
    fn a_transport_stalls_if_it_took_nothing_since_the_last_sample() {
        let mut tap = watching(Version::Http2);
        for sender in [Side::Client, Side::Server] {
            let before = tap.stats.stalls.transport;
            tap.write_begins(sender);
            assert_eq!(tap.state().stall, None);
            for _ in 0..3 {
                tap.wrote(sender, 1_000);
                tap.write_ends(sender);
                tap.write_begins(sender);
                tap.wrote(sender, 1);
                assert_eq!(tap.state().stall, None, "{sender:?}");
            }
            assert_eq!(tap.stats.stalls.transport, before);
            // The other direction moves on.
            for _ in 0..2 {
                tap.wrote(other(sender), 1_000);
                assert_eq!(tap.state().stall, Some(Stall::Transport), "{sender:?}");
            }
            assert_eq!(tap.stats.stalls.transport, before + 1);
            tap.write_ends(sender);
            assert_eq!(tap.state().stall, None);
        }
    }

    /// A push waits for no window of the client's sender.
    #[test]
    fn a_push_is_judged_by_the_window_of_the_server() {
        let settings = ["SETTINGS stream=0", "    SETTINGS_INITIAL_WINDOW_SIZE = 0"];
        for version in [Version::Http2, Version::Spdy31, Version::Spdy3] {
            let mut tap = watching(version);
            pass(&mut tap, Side::Server, &settings);
            request(&mut tap, 1, true);
            let response = match version {
                Version::Http2 => {
                    let promise = [
                        "PUSH_PROMISE stream=1 length=9 flags=END_HEADERS",
                        "    promised stream=2",
                        "    :method: GET",
                        "    :path: /pushed",
                    ];
                    pass(&mut tap, Side::Server, &promise);
                    ["HEADERS stream=2 length=9", "    :status: 200", ""]
                }
                _ => [
                    "SYN_STREAM stream=2 version=3 length=9 flags=FLAG_UNIDIRECTIONAL",
                    "    :path: /pushed",
                    "    :status: 200",
                ],
            };
            let promised = sample(&tap, 2).map(|stream| stream.stall);
            assert!(matches!(promised, Some(None) | None), "{promised:?}");
            let lines = response.iter().filter(|line| !line.is_empty());
            pass(&mut tap, Side::Server, &lines.copied().collect::<Vec<_>>());
            pass(&mut tap, Side::Server, &["DATA stream=2 length=3"]);
            let pushed = sample(&tap, 2).unwrap();
            assert_eq!((pushed.sent, pushed.stall), (3, None), "{version}");
            assert!(pushed.window > Some(65_000), "{version}: {pushed:?}");
            // An upload does wait for it.
            request(&mut tap, 3, false);
            let upload = sample(&tap, 3).unwrap();
            assert_eq!(upload.stall, Some(Stall::StreamWindow), "{version}");
        }
    }

    #[test]
    fn streams_that_are_not_followed_use_the_connection_up() {
        let mut tap = watching(Version::Http2);
        for number in 0..MAX_STREAMS + 10 {
            let id = u32::try_from(2 * number + 1).unwrap();
            request(&mut tap, id, true);
            pass(
                &mut tap,
                Side::Server,
                &[&format!("HEADERS stream={id}"), "    :status: 200"],
            );
        }
        let last = 2 * (MAX_STREAMS + 9) + 1;
        pass(
            &mut tap,
            Side::Server,
            &[&format!("DATA stream={last} length=65535")],
        );
        pass(
            &mut tap,
            Side::Client,
            &[&format!("WINDOW_UPDATE stream={last}"), "    increment=7"],
        );
        let streams = tap.streams.as_ref().unwrap();
        assert_eq!(streams.open.len(), MAX_STREAMS);
        assert_eq!(streams.windows.server.causes().count(), MAX_STREAMS);
        assert_eq!(
            sample(&tap, 1).unwrap().stall,
            Some(Stall::ConnectionWindow)
        );
        // A reset ends a stream for both sides, and nothing is left of it.
        pass(
            &mut tap,
            Side::Client,
            &["RST_STREAM stream=1 length=4", "    0x00000077"],
        );
        let streams = tap.streams.as_ref().unwrap();
        assert_eq!(streams.windows.client.causes().count(), MAX_STREAMS - 1);
        assert_eq!(sample(&tap, 1), None);
        assert_eq!(tap.stats.data_sent, 65_535);
    }

    #[test]
    fn bytes_without_frames_are_counted() {
        let client = ([127, 0, 0, 1], 4711).into();
        let board = Board::between("test");
        let mut tap = Watching::new(board, client, Tls::No, Arc::new(Notify::new()));
        tap.count(Side::Client, 3, Content::Undecided);
        assert!(tap.connection.is_none());
        tap.count(Side::Client, 4, Content::Http1);
        tap.count(Side::Server, 5, Content::Http1);
        assert!(tap.connection.is_some());
        assert_eq!((tap.stats.data_received, tap.stats.data_sent), (7, 5));
    }
}
