//! Control frames without a meaning, or received too late: they are ignored and charged. Also the
//! version of each frame.

use bytes::Bytes;
use http::{Method, StatusCode};
use lacewing_conn::{
    Reason, Side, Version,
    proto::{Event, Head, OpenOptions, Rule, StreamKey},
};

use crate::{
    hostile::{Peer, Victim},
    pair::{Pair, every_version},
};

const SPDY: [Version; 3] = [Version::Spdy2, Version::Spdy3, Version::Spdy31];
const UNSUPPORTED_VERSION: u32 = 4;

/// The version in the frames.
fn number(version: Version) -> u8 {
    if version == Version::Spdy2 { 2 } else { 3 }
}

fn control(version: u8, kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80, version, 0, kind, 0, 0, 0, payload.len() as u8];
    frame.extend_from_slice(payload);
    frame
}

/// A server with one request whose content is incomplete.
fn server(version: Version) -> (Victim, Peer, StreamKey) {
    let mut victim = Victim::new(version, Side::Server);
    let mut peer = Peer::new(version, Side::Client);
    peer.request(1, false, &[]);
    victim.take(&mut peer);
    victim.flush();
    let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
        panic!("no request")
    };
    victim.events.clear();
    (victim, peer, stream)
}

/// A client with a request whose content is incomplete.
fn client(version: Version) -> (Victim, Peer, StreamKey) {
    let mut victim = Victim::new(version, Side::Client);
    let uri = "https://example.org/".parse().unwrap();
    let head = Head::request(Method::POST, uri);
    let stream = victim
        .engine
        .open(victim.now, head, OpenOptions::default())
        .unwrap();
    victim.flush();
    (victim, Peer::new(version, Side::Server), stream)
}

fn rule(victim: &Victim) -> Option<Rule> {
    victim.events.iter().find_map(|event| match event {
        Event::Closed { error } => error.rule(),
        _ => None,
    })
}

/// A frame that a version does not define is ignored. So is every frame of another version that
/// opens no stream. A flood of them is treated as a flood.
#[test]
fn frames_without_a_meaning_are_ignored_and_charged() {
    let one = [0, 0, 0, 1];
    for version in SPDY {
        let ours = number(version);
        let mut frames = vec![
            ("an unknown type", control(ours, 77, b"hello")),
            ("type 0", control(ours, 0, b"")),
            ("type 11", control(ours, 11, b"")),
            ("PING of version 9", control(9, 6, &one)),
            (
                "SETTINGS of version 9",
                // MAX_CONCURRENT_STREAMS is 0, in either byte order.
                control(9, 4, &[0, 0, 0, 1, 4, 0, 0, 4, 0, 0, 0, 0]),
            ),
            (
                "RST_STREAM of version 9",
                control(9, 3, &[0, 0, 0, 1, 0, 0, 0, 5]),
            ),
            (
                "GOAWAY of version 9",
                control(9, 7, &[0, 0, 0, 0, 0, 0, 0, 0]),
            ),
            (
                "WINDOW_UPDATE of version 9",
                control(9, 9, &[0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff]),
            ),
            ("NOOP of version 9", control(9, 5, b"")),
            ("PING of the other version", control(5 - ours, 6, &one)),
        ];
        match version {
            Version::Spdy2 => frames.extend([
                ("NOOP", control(2, 5, b"")),
                (
                    "WINDOW_UPDATE",
                    control(2, 9, &[0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff]),
                ),
                ("CREDENTIAL", control(2, 10, b"\0\x01\0\0\0\0")),
            ]),
            Version::Spdy3 => frames.extend([
                ("NOOP", control(3, 5, b"")),
                (
                    "WINDOW_UPDATE of the connection",
                    control(3, 9, &[0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]),
                ),
                ("CREDENTIAL", control(3, 10, b"\0\x01\0\0\0\0")),
            ]),
            _ => frames.extend([
                ("NOOP", control(3, 5, b"")),
                ("CREDENTIAL", control(3, 10, b"\0\x01\0\0\0\0")),
            ]),
        }
        for (name, frame) in frames {
            for side in [Side::Server, Side::Client] {
                let context = format!("{version}, {side:?}: {name}");
                let (mut victim, _, stream) = match side {
                    Side::Server => server(version),
                    Side::Client => client(version),
                };
                let room = victim.stream(stream).send_capacity();
                for _ in 0..3 {
                    victim.take_bytes(&frame);
                }
                assert!(victim.events.is_empty(), "{context}: {:?}", victim.events);
                assert!(victim.flush().is_empty(), "{context}");
                assert_eq!(victim.engine.open_streams(), 1, "{context}");
                assert!(!victim.engine.is_shutting_down(), "{context}");
                assert_eq!(victim.engine.peer_max_concurrent_streams(), 100);
                assert_eq!(victim.stream(stream).send_capacity(), room, "{context}");
                for _ in 0..11_000 {
                    victim.take_bytes(&frame);
                }
                assert_eq!(rule(&victim), Some(Rule::TooManyGlitches), "{context}");
            }
        }
    }
}

/// A stream error on an id that we may still open ends the connection. A reset would hit our next
/// stream, which would then wait for an answer forever.
#[test]
fn a_malformed_frame_of_a_stream_that_we_did_not_open_ends_the_connection() {
    for version in SPDY {
        for (side, id) in [(Side::Client, 1), (Side::Client, 7), (Side::Server, 2)] {
            let mut victim = Victim::new(version, side);
            victim.flush();
            let head = [0x80, 9, 0, 1, 1, 0, 0, 10, 0, 0, 0, id];
            victim.take_bytes(&[&head[..], &[0; 6]].concat());
            victim.flush();
            let what = format!("{version} {side:?} {id}: {:?}", victim.events);
            assert_eq!(victim.monitor.resets, 0, "{what}");
            assert_eq!(rule(&victim), Some(Rule::Malformed), "{what}");
            assert!(victim.engine.is_closed(), "{what}");
        }
    }
}

/// An id that we reset is not opened later: the peer would treat it as closed.
#[test]
fn an_id_of_ours_that_was_reset_is_passed_over() {
    for version in SPDY {
        let mut victim = Victim::new(version, Side::Client);
        victim.flush();
        let mut peer = Peer::new(version, Side::Server);
        peer.reply(1, true, peer.ok());
        victim.take(&mut peer);
        victim.flush();
        assert_eq!(victim.monitor.resets, 1, "{version}");
        let uri = "https://example.org/".parse().unwrap();
        let head = Head::request(Method::GET, uri);
        let stream = victim
            .engine
            .open(victim.now, head, OpenOptions::without_content())
            .unwrap();
        assert_eq!(stream.id().value(), 3, "{version}");
    }
}

/// A stream of another version is refused, whichever side it belongs to. Its header block still
/// enters the compression state of the following blocks.
#[test]
fn streams_of_another_version_are_refused() {
    for version in SPDY {
        let (mut victim, mut peer, _) = server(version);
        for id in [3, 5] {
            peer.request(id, true, &[("x-lost", "1")]);
            peer.bytes[1] = 9;
            victim.take(&mut peer);
        }
        victim.flush();
        assert_eq!(victim.monitor.resets, 2, "{version}");
        assert_eq!(victim.monitor.code, Some(UNSUPPORTED_VERSION), "{version}");
        assert!(
            victim
                .events
                .iter()
                .all(|event| matches!(event, Event::Refused { .. }))
        );
        peer.request(7, true, &[("x-lost", "2")]);
        victim.take(&mut peer);
        let Some(Event::Opened { head, .. }) = victim.events.last() else {
            panic!("{version}: {:?}", victim.events)
        };
        assert_eq!(head.fields["x-lost"], "2", "{version}");

        // Each of them requires an answer, and is charged for it.
        let (mut victim, mut peer, _) = server(version);
        for count in 1..=300 {
            peer.request(2 * count + 1, true, &[]);
            peer.bytes[1] = 9;
            victim.take(&mut peer);
        }
        assert_eq!(rule(&victim), Some(Rule::TooManyResets), "{version}");

        let (mut victim, mut peer, _) = client(version);
        let name = if version == Version::Spdy2 {
            "url"
        } else {
            ":path"
        };
        peer.associated((2, 1), true, false, &[(name, "/")]);
        peer.bytes[1] = 9;
        victim.take(&mut peer);
        victim.flush();
        assert_eq!(victim.monitor.resets, 1, "{version}");
        assert_eq!(victim.monitor.code, Some(UNSUPPORTED_VERSION), "{version}");
        // Replies and header fields of another version are ignored.
        let ok = peer.ok();
        peer.reply(1, false, ok);
        peer.bytes[1] = 9;
        victim.take(&mut peer);
        peer.headers(1, true, ok);
        peer.bytes[1] = 9;
        victim.take(&mut peer);
        assert_eq!(victim.events.len(), 1, "{version}: {:?}", victim.events);
        peer.reply(1, false, ok);
        victim.take(&mut peer);
        assert!(
            matches!(victim.events.last(), Some(Event::Reply { .. })),
            "{version}: {:?}",
            victim.events
        );
    }
}

/// The drafts' §2.6.5: the same frame is returned, before waiting DATA. Clients use odd ids and
/// servers even ones.
#[test]
fn pings_go_ahead_of_data() {
    for version in SPDY {
        let (mut victim, mut peer, stream) = server(version);
        let ok = Head::response(StatusCode::OK);
        victim.stream(stream).reply(ok, false).unwrap();
        victim.flush();
        let body = Bytes::from(vec![7; 50_000]);
        victim.stream(stream).send_data(body, false).unwrap();
        let ping = control(number(version), 6, &[0x12, 0x34, 0x56, 0x77]);
        peer.raw(&ping);
        victim.take(&mut peer);
        let sent = victim.flush();
        assert!(sent.starts_with(&ping), "{version}: {:?}", &sent[..20]);
        assert!(sent.len() > 50_000, "{version}: the data follows it");

        for (side, parity) in [(Side::Client, 1), (Side::Server, 0)] {
            let mut victim = Victim::new(version, side);
            victim.flush();
            victim.engine.ping(victim.now);
            let sent = victim.flush();
            assert_eq!(sent.len(), 12, "{version}");
            assert_eq!(sent[3], 6);
            assert_eq!(sent[11] % 2, parity, "{version}, {side:?}");
        }
    }
}

/// After GOAWAY, new streams and all their frames are ignored (§2.6.6), except for their header
/// blocks, which the compression state needs.
#[test]
fn frames_after_go_away_are_ignored() {
    every_version(|version| {
        let (mut victim, mut peer, _) = server(version);
        peer.settings_ack();
        victim.take(&mut peer);
        victim.engine.shutdown(victim.now);
        let went = victim.flush();
        if version == Version::Http2 {
            // The first GOAWAY precedes a PING; this is the answer to that PING.
            let at = went.len() - 8;
            let mut pong = vec![0, 0, 8, 6, 1, 0, 0, 0, 0];
            pong.extend_from_slice(&went[at..]);
            peer.raw(&pong);
            victim.take(&mut peer);
            victim.flush();
        } else {
            let mut expected = vec![0, 0, 0, 1, 0, 0, 0, 0];
            expected.truncate(if version == Version::Spdy2 { 4 } else { 8 });
            assert_eq!(went, control(number(version), 7, &expected));
        }
        let (resets, go_aways) = (victim.monitor.resets, victim.monitor.go_aways);
        victim.events.clear();
        peer.request(3, false, &[("x-shared", "value")]);
        peer.data(3, b"body", false);
        if version != Version::Spdy2 {
            peer.window_update(3, 1000);
        }
        peer.reset(3);
        victim.take(&mut peer);
        victim.flush();
        assert!(victim.events.is_empty(), "{version}: {:?}", victim.events);
        assert_eq!(victim.monitor.resets, resets, "{version}: no answer");
        assert_eq!(victim.monitor.go_aways, go_aways, "{version}");
        assert!(!victim.engine.is_closed(), "{version}: stream 1 continues");
        peer.headers(1, true, &[("x-shared", "value")]);
        victim.take(&mut peer);
        let Some(Event::Headers { fields, fin, .. }) = victim.events.last() else {
            panic!("{version}: {:?}", victim.events)
        };
        assert!(*fin && fields["x-shared"] == "value");
    });
}

/// The last-good id decides: streams above it were not processed and may be retried, and the rest
/// continues. A later GOAWAY can only lower the id.
#[test]
fn go_away_says_which_requests_may_be_made_again() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let streams = [(); 4].map(|()| pair.get("/never/"));
        pair.run();
        let mut peer = Peer::new(version, Side::Server);
        peer.bytes.clear();
        peer.go_away(streams[2]);
        let hear = |pair: &mut Pair, peer: &mut Peer| {
            let bytes = peer.bytes.split();
            pair.client.input.extend_from_slice(&bytes);
            pair.run();
        };
        hear(&mut pair, &mut peer);
        let refused = |pair: &Pair| {
            let errors = pair.client.errors.iter();
            let refused = errors.map(|(stream, error)| {
                assert!(error.is_retryable(), "{version}: {error}");
                assert_eq!(error.reason(), Reason::RefusedStream);
                *stream
            });
            refused.collect::<Vec<_>>()
        };
        assert_eq!(refused(&pair), [streams[3]], "{version}");
        peer.go_away(streams[1]);
        hear(&mut pair, &mut peer);
        assert_eq!(refused(&pair), [streams[2], streams[3]], "{version}");
        peer.go_away(streams[3]);
        hear(&mut pair, &mut peer);
        assert_eq!(pair.client.last_good, Some(streams[1]), "{version}");
        // The other streams receive their answers.
        let key = pair.server.keys[&streams[0]];
        let ok = Head::response(StatusCode::OK);
        pair.server_stream(key).reply(ok, true).unwrap();
        pair.run();
        assert_eq!(pair.response(streams[0]).status, Some(StatusCode::OK));
        // A stream without an answer at the end of the connection may have been processed.
        pair.client.engine.handle_eof(pair.now);
        pair.run();
        let error = &pair.client.errors[&streams[1]];
        assert!(!error.is_retryable(), "{version}: {error}");
    });
}

/// The drafts' §2.4.1: GOAWAY of an error has the last stream too.
#[test]
fn errors_name_the_last_stream() {
    for version in SPDY {
        let (mut victim, mut peer, _) = server(version);
        peer.request(9, true, &[]);
        peer.raw(&control(number(version), 6, b"odd"));
        victim.take(&mut peer);
        let sent = victim.flush();
        let mut expected = vec![0, 0, 0, 9, 0, 0, 0, 1];
        expected.truncate(if version == Version::Spdy2 { 4 } else { 8 });
        assert_eq!(sent, control(number(version), 7, &expected), "{version}");
        assert!(victim.engine.is_closed());
    }
}

/// The codes of RST_STREAM of each version (SPDY/3 added 8 to 11), and the statuses of GOAWAY.
#[test]
fn codes_of_resets_and_of_go_away() {
    let codes = [
        (Reason::ProtocolError, 1),
        (Reason::InvalidStream, 2),
        (Reason::RefusedStream, 3),
        (Reason::UnsupportedVersion, 4),
        (Reason::Cancel, 5),
        (Reason::InternalError, 6),
        (Reason::FlowControlError, 7),
        (Reason::StreamInUse, 8),
        (Reason::StreamClosed, 9),
        (Reason::InvalidCredentials, 10),
        (Reason::FrameTooLarge, 11),
    ];
    for version in SPDY {
        for (reason, code) in codes {
            let (mut victim, _, stream) = server(version);
            victim.stream(stream).reset(reason);
            victim.flush();
            let known = version != Version::Spdy2 || code <= 7;
            let expected = if known { code } else { 1 };
            assert_eq!(victim.monitor.code, Some(expected), "{version}: {reason}");

            let (mut victim, _, _) = client(version);
            let payload = [0, 0, 0, 1, 0, 0, 0, code as u8];
            victim.take_bytes(&control(number(version), 3, &payload));
            let Some(Event::Reset { error, .. }) = victim.events.last() else {
                panic!("{version}: {:?}", victim.events)
            };
            assert_eq!(error.reason(), reason, "{version}");
            assert!(victim.flush().is_empty(), "{version}: no answer");
        }
        // 11 in the first draft is an error for 2.
        for (status, expected) in [
            (0, Reason::NoError),
            (1, Reason::ProtocolError),
            (2, Reason::InternalError),
            (11, Reason::InternalError),
        ] {
            let (mut victim, _, _) = client(version);
            let payload = [0, 0, 0, 1, 0, 0, 0, status];
            let (len, expected) = match version {
                Version::Spdy2 => (4, Reason::NoError),
                _ => (8, expected),
            };
            victim.take_bytes(&control(number(version), 7, &payload[..len]));
            let [Event::GoAway { last, reason, .. }] = &victim.events[..] else {
                panic!("{version}: {:?}", victim.events)
            };
            assert_eq!((last.value(), *reason), (1, expected), "{version}");
        }
    }
}

/// Frames in flight when we reset a stream are ignored, header blocks included (SPDY/3 §2.4.2, RFC
/// 9113 §5.1).
#[test]
fn frames_in_flight_at_our_reset_are_ignored() {
    every_version(|version| {
        let (mut victim, mut peer, stream) = server(version);
        victim.stream(stream).reset(Reason::Cancel);
        victim.flush();
        assert_eq!(victim.monitor.resets, 1, "{version}");
        victim.events.clear();
        peer.data(1, b"late", false);
        if version != Version::Spdy2 {
            peer.window_update(1, 1000);
        }
        peer.headers(1, true, &[("x-shared", "value")]);
        peer.reset(1);
        victim.take(&mut peer);
        victim.flush();
        assert!(victim.events.is_empty(), "{version}: {:?}", victim.events);
        assert_eq!(victim.monitor.resets, 1, "{version}: one reset");
        peer.request(3, true, &[("x-shared", "value")]);
        victim.take(&mut peer);
        let Some(Event::Opened { head, .. }) = victim.events.last() else {
            panic!("{version}: {:?}", victim.events)
        };
        assert_eq!(head.fields["x-shared"], "value", "{version}");
    });
}
