//! Tests of a connection on the live page, by its frames.

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
