//! Deferred pushes: over SPDY, a push and its response share a frame. Later frames wait for it, for
//! a bounded time. (Otherwise spdy-transport, behind Node's `spdy`, ends the connection.)

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use lacewing_conn::{
    Reason, Version,
    proto::{Config, Event, Head, Side, StreamKey, UsageError},
};

use crate::hostile::{Peer, Victim};

const SPDY: [Version; 3] = [Version::Spdy2, Version::Spdy3, Version::Spdy31];

const DATA: u16 = 0;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const GO_AWAY: u16 = 7;
const HEADERS: u16 = 8;

const OPEN: bool = false;
const FIN: bool = true;

/// Kind, stream and FIN of the frames of SPDY streams.
fn frames(mut bytes: &[u8]) -> Vec<(u16, u32, bool)> {
    let mut frames = Vec::new();
    while bytes.len() >= 8 {
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let len = (word(4) & 0xff_ffff) as usize;
        let fin = bytes[4] & 1 != 0;
        if bytes[0] & 0x80 == 0 {
            frames.push((DATA, word(0), fin));
        } else {
            frames.push(((word(0) & 0xffff) as u16, word(8), fin));
        }
        bytes = &bytes[8 + len..];
    }
    frames
}

fn kinds(bytes: &[u8]) -> Vec<u16> {
    frames(bytes).into_iter().map(|(kind, ..)| kind).collect()
}

/// A server with one request.
fn asked(config: Config) -> (Victim, StreamKey) {
    let version = config.version;
    let mut victim = Victim::with(config);
    let mut peer = Peer::new(version, Side::Client);
    peer.request(1, true, &[]);
    victim.take(&mut peer);
    victim.flush();
    let Some(Event::Opened { stream, .. }) = victim.events.last() else {
        panic!("no request")
    };
    let parent = *stream;
    (victim, parent)
}

fn start(version: Version) -> (Victim, StreamKey) {
    asked(Config::new(version, Side::Server))
}

fn push(victim: &mut Victim, parent: StreamKey, n: u8) -> StreamKey {
    let uri = format!("https://example.org/{n}").parse().unwrap();
    let request = Head::request(Method::GET, uri);
    victim.stream(parent).push(request).unwrap()
}

fn ok() -> Head {
    Head::response(StatusCode::OK)
}

/// Advances time to the next deadline of the engine.
fn wait(victim: &mut Victim) -> Duration {
    let due = victim.engine.poll_timeout().unwrap();
    let waited = due - victim.now;
    victim.now = due;
    victim.engine.handle_timeout(due);
    victim.poll();
    waited
}

#[test]
fn the_body_waits_for_the_responses_to_its_pushes() {
    for version in SPDY {
        let (mut victim, parent) = start(version);
        let pushed = push(&mut victim, parent, 1);
        victim.stream(parent).reply(ok(), false).unwrap();
        let page = Bytes::from_static(b"page");
        victim.stream(parent).send_data(page, true).unwrap();
        assert_eq!(frames(&victim.flush()), [(SYN_REPLY, 1, OPEN)], "{version}");
        victim.stream(pushed).reply(ok(), false).unwrap();
        let style = Bytes::from_static(b"style");
        victim.stream(pushed).send_data(style, true).unwrap();
        let expected = [(SYN_STREAM, 2, OPEN), (DATA, 1, FIN), (DATA, 2, FIN)];
        let mut sent = frames(&victim.flush());
        sent[1..].sort_unstable();
        assert_eq!(sent, expected, "{version}");
        assert_eq!(victim.engine.open_streams(), 0, "{version}");
    }
}

#[test]
fn the_end_of_a_response_without_a_body_waits_too() {
    for version in SPDY {
        let (mut victim, parent) = start(version);
        let pushed = push(&mut victim, parent, 1);
        victim.stream(parent).reply(ok(), true).unwrap();
        let more = victim.stream(parent).send_data(Bytes::new(), true);
        assert_eq!(more, Err(UsageError::HalfClosed), "{version}");
        assert_eq!(frames(&victim.flush()), [(SYN_REPLY, 1, OPEN)], "{version}");
        victim.stream(pushed).reply(ok(), true).unwrap();
        let expected = [(SYN_STREAM, 2, FIN), (DATA, 1, FIN)];
        assert_eq!(frames(&victim.flush()), expected, "{version}");
        assert_eq!(victim.engine.open_streams(), 0, "{version}");

        // A reply that is ready at once needs no wait.
        let (mut victim, parent) = start(version);
        let pushed = push(&mut victim, parent, 1);
        victim.stream(pushed).reply(ok(), true).unwrap();
        victim.stream(parent).reply(ok(), true).unwrap();
        let expected = [(SYN_STREAM, 2, FIN), (SYN_REPLY, 1, FIN)];
        assert_eq!(frames(&victim.flush()), expected, "{version}");
    }
}

#[test]
fn trailers_wait_too() {
    for version in SPDY {
        let (mut victim, parent) = start(version);
        let pushed = push(&mut victim, parent, 1);
        victim.stream(parent).reply(ok(), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        victim.stream(parent).send_trailers(trailers).unwrap();
        assert_eq!(frames(&victim.flush()), [(SYN_REPLY, 1, OPEN)], "{version}");
        victim.stream(pushed).reply(ok(), true).unwrap();
        let expected = [(SYN_STREAM, 2, FIN), (HEADERS, 1, FIN)];
        assert_eq!(frames(&victim.flush()), expected, "{version}");
    }
}

#[test]
fn a_body_that_is_under_way_stops_for_a_push() {
    for version in SPDY {
        let (mut victim, parent) = start(version);
        victim.stream(parent).reply(ok(), false).unwrap();
        // Longer than the data that is cut ahead, so that it waits in the queue.
        victim.stream(parent).offer();
        victim.flush();
        let pushed = push(&mut victim, parent, 1);
        let mut peer = Peer::new(version, Side::Client);
        if version != Version::Spdy2 {
            peer.window_update(1, 100_000);
        }
        if version == Version::Spdy31 {
            peer.window_update(0, 100_000);
        }
        victim.monitor.receives(&peer.bytes);
        victim.take(&mut peer);
        victim.stream(parent).offer();
        assert_eq!(frames(&victim.flush()), [], "{version}");
        victim.stream(pushed).reply(ok(), true).unwrap();
        let sent = frames(&victim.flush());
        assert_eq!(
            sent[..2],
            [(SYN_STREAM, 2, FIN), (DATA, 1, OPEN)],
            "{version}"
        );
    }
}

/// Ids increase on the wire (the drafts' §2.3.2), whichever response is ready first.
#[test]
fn no_push_overtakes_another() {
    for version in SPDY {
        let (mut victim, parent) = start(version);
        let first = push(&mut victim, parent, 1);
        let second = push(&mut victim, parent, 2);
        victim.stream(second).reply(ok(), false).unwrap();
        let style = Bytes::from_static(b"style");
        victim.stream(second).send_data(style, true).unwrap();
        let early = victim.stream(second).send_headers(HeaderMap::new());
        assert!(early.is_err(), "{version}");
        assert_eq!(frames(&victim.flush()), [], "{version}");
        victim.stream(first).reply(ok(), true).unwrap();
        let expected = [(SYN_STREAM, 2, FIN), (SYN_STREAM, 4, OPEN), (DATA, 4, FIN)];
        assert_eq!(frames(&victim.flush()), expected, "{version}");
    }
}

#[test]
fn nothing_waits_longer_than_its_limit() {
    for version in SPDY {
        let mut config = Config::new(version, Side::Server);
        config.limits.max_push_delay = Duration::from_millis(40);
        let (mut victim, parent) = asked(config);
        let first = push(&mut victim, parent, 1);
        let second = push(&mut victim, parent, 2);
        victim.stream(second).reply(ok(), true).unwrap();
        victim.stream(parent).reply(ok(), true).unwrap();
        assert_eq!(frames(&victim.flush()), [(SYN_REPLY, 1, OPEN)], "{version}");
        assert_eq!(wait(&mut victim), Duration::from_millis(40), "{version}");
        let expected = [(SYN_STREAM, 2, OPEN), (SYN_STREAM, 4, FIN), (DATA, 1, FIN)];
        assert_eq!(frames(&victim.flush()), expected, "{version}");
        victim.stream(first).reply(ok(), true).unwrap();
        assert_eq!(frames(&victim.flush()), [(HEADERS, 2, FIN)], "{version}");
        assert_eq!(victim.engine.open_streams(), 0, "{version}");
    }
}

/// A push that is cancelled before it was sent leaves no trace. The frames that waited for it
/// continue.
#[test]
fn a_cancelled_push_releases_its_parent() {
    for version in SPDY {
        let (mut victim, parent) = start(version);
        let pushed = push(&mut victim, parent, 1);
        victim.stream(parent).reply(ok(), true).unwrap();
        victim.flush();
        victim.stream(pushed).reset(Reason::Cancel);
        assert_eq!(frames(&victim.flush()), [(DATA, 1, FIN)], "{version}");
        assert_eq!(victim.engine.stats().open_streams, 0, "{version}");
    }
}

/// A client that cancels the page needs no pushes for it: they are not sent, and their handlers are
/// notified.
#[test]
fn a_parent_that_is_reset_takes_its_pushes_along() {
    for version in SPDY {
        let (mut victim, parent) = start(version);
        let first = push(&mut victim, parent, 1);
        let second = push(&mut victim, parent, 2);
        victim.stream(first).retain();
        victim.stream(second).reply(ok(), true).unwrap();
        let mut peer = Peer::new(version, Side::Client);
        peer.reset(1);
        victim.take(&mut peer);
        let mut reset: Vec<_> = victim
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Reset { stream, .. } => Some(*stream),
                _ => None,
            })
            .collect();
        reset.sort_by_key(|stream| stream.id());
        assert_eq!(reset, [parent, first, second], "{version}");
        assert_eq!(frames(&victim.flush()), [], "{version}");
        assert_eq!(victim.engine.open_streams(), 0, "{version}");

        // The same if our side cancels.
        let (mut victim, parent) = start(version);
        push(&mut victim, parent, 1);
        victim.stream(parent).reset(Reason::Cancel);
        victim.poll();
        assert_eq!(
            frames(&victim.flush()),
            [(RST_STREAM, 1, OPEN)],
            "{version}"
        );
        assert_eq!(victim.engine.open_streams(), 0, "{version}");
    }
}

/// One event reports each stream that ends with the connection.
#[test]
fn the_end_of_the_connection_ends_held_pushes_once() {
    for version in SPDY {
        let (mut victim, parent) = start(version);
        push(&mut victim, parent, 1);
        victim.engine.abort(victim.now, Reason::NoError, "enough");
        victim.poll();
        let resets = victim.events.iter();
        let resets = resets.filter(|event| matches!(event, Event::Reset { .. }));
        assert_eq!(resets.count(), 2, "{version}");
        assert_eq!(victim.engine.open_streams(), 0, "{version}");
    }
}

/// A push has a lower id than its parent request, so it ends before.
#[test]
fn nothing_is_sent_on_behind_a_push_that_ends_with_the_connection() {
    for version in SPDY {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.request(5, true, &[]);
        victim.take(&mut peer);
        victim.flush();
        let Some(Event::Opened { stream, .. }) = victim.events.last() else {
            panic!("no request")
        };
        let parent = *stream;
        push(&mut victim, parent, 1);
        let mut stream = victim.stream(parent);
        stream.reply(ok(), true).unwrap();
        assert_eq!(frames(&victim.flush()), [(SYN_REPLY, 5, OPEN)], "{version}");
        victim.engine.abort(victim.now, Reason::NoError, "enough");
        assert_eq!(kinds(&victim.flush()), [GO_AWAY], "{version}");
    }
}
