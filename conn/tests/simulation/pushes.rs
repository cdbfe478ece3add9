//! Pushes over SPDY: their required fields, their acceptance, and their end.

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use lacewing_conn::{
    Initiator, Reason, Side, Version,
    proto::{Config, Event, Head, OpenOptions, ServerPush, StreamKey},
};
use lacewing_frames::spdy::{Decoder, DecoderLimits, Message};

use crate::hostile::{Peer, Victim};

const SPDY: [Version; 3] = [Version::Spdy2, Version::Spdy3, Version::Spdy31];
const PROTOCOL_ERROR: u32 = 1;
const INVALID_STREAM: u32 = 2;
const REFUSED_STREAM: u32 = 3;
const CANCEL: u32 = 5;

type Frame = Message<Vec<(Bytes, Bytes)>>;

/// The bytes that a side sent, from the first one on.
fn frames(version: Version, bytes: &[u8]) -> Vec<Frame> {
    let wire = version
        .spdy_frames()
        .unwrap_or(lacewing_frames::spdy::WireVersion::V3);
    let mut decoder = Decoder::new(wire, DecoderLimits::default());
    let mut bytes = BytesMut::from(bytes);
    std::iter::from_fn(|| decoder.decode(&mut bytes).unwrap()).collect()
}

/// A client with one open request that accepts pushes, and its server.
fn client(version: Version) -> (Victim, Peer, StreamKey) {
    let mut config = Config::new(version, Side::Client);
    config.push = ServerPush::Accept;
    config.limits.max_pushed_streams = 3;
    let mut victim = Victim::with(config);
    let uri = "https://example.org/".parse().unwrap();
    let head = Head::request(Method::GET, uri);
    let stream = victim
        .engine
        .open(victim.now, head, OpenOptions::without_content())
        .unwrap();
    victim.flush();
    (victim, Peer::new(version, Side::Server), stream)
}

/// A server with one request.
fn server(version: Version) -> (Victim, Peer, StreamKey) {
    let mut victim = Victim::new(version, Side::Server);
    let mut peer = Peer::new(version, Side::Client);
    peer.request(1, true, &[]);
    victim.take(&mut peer);
    let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
        panic!("no request")
    };
    (victim, peer, stream)
}

fn style() -> Head {
    let uri = "https://example.org/style.css".parse().unwrap();
    Head::request(Method::GET, uri)
}

fn ok() -> Head {
    Head::response(StatusCode::OK)
}

/// The fields of a push of `/style.css`.
fn url(version: Version) -> Vec<(&'static str, &'static str)> {
    match version {
        Version::Spdy2 => vec![("url", "https://example.org/style.css")],
        _ => vec![
            (":scheme", "https"),
            (":host", "example.org"),
            (":path", "/style.css"),
        ],
    }
}

/// The drafts' §3.3.1: an even id, the associated stream, the flag, and the absolute URL.
#[test]
fn a_push_names_its_request_and_its_parent() {
    // The push has its response, and precedes the response of the parent.
    for (version, answered) in SPDY.into_iter().flat_map(|v| [(v, true), (v, false)]) {
        let (mut victim, _, parent) = server(version);
        let push = victim.stream(parent).push(style()).unwrap();
        if answered {
            victim.stream(push).reply(ok(), true).unwrap();
        } else {
            victim.now += victim.engine.limits().max_push_delay;
            victim.engine.handle_timeout(victim.now);
        }
        let mut sent = victim.flush().to_vec();
        victim.stream(parent).reply(ok(), true).unwrap();
        sent.extend_from_slice(&victim.flush());
        let sent = frames(version, &sent);
        let pushes = sent.iter().filter_map(|frame| match frame {
            Message::SynStream {
                stream_id,
                associated,
                unidirectional,
                block,
                ..
            } => Some((
                *stream_id,
                *associated,
                *unidirectional,
                block.list.as_ref().unwrap(),
            )),
            _ => None,
        });
        let pushes: Vec<_> = pushes.collect();
        let [(2, 1, true, list)] = pushes[..] else {
            panic!("{version}: {pushes:?}");
        };
        for (name, value) in url(version) {
            let said = list.iter().find(|(said, _)| said == name.as_bytes());
            let said = said.map(|(_, value)| &value[..]);
            assert_eq!(said, Some(value.as_bytes()), "{version}: {name}");
        }
        // The content that refers to it follows it.
        let place = |wanted: fn(&Frame) -> bool| sent.iter().position(wanted).unwrap();
        let pushed = place(|frame| matches!(frame, Message::SynStream { .. }));
        assert!(pushed < place(|frame| matches!(frame, Message::SynReply { .. })));
    }
}

/// With or without its response, with or (as spdy-transport) without the flag.
#[test]
fn pushes_are_taken_as_servers_send_them() {
    for version in SPDY {
        for unidirectional in [true, false] {
            for in_one in [true, false] {
                let (mut victim, mut peer, parent) = client(version);
                let mut fields = url(version);
                if in_one {
                    fields.extend(peer.ok());
                }
                peer.associated((2, 1), unidirectional, false, &fields);
                if !in_one {
                    let ok = peer.ok();
                    peer.headers(2, false, ok);
                }
                peer.data(2, b"body", true);
                victim.take(&mut peer);
                let context = format!("{version}, {unidirectional}, {in_one}");
                let mut seen = (0, 0, 0);
                for event in &victim.events {
                    match event {
                        Event::Promised {
                            parent: of, head, ..
                        } => {
                            assert_eq!(*of, parent);
                            let lacewing_conn::proto::Control::Request { method, uri, .. } =
                                &head.control
                            else {
                                panic!("{context}: {head:?}")
                            };
                            assert_eq!(method, "GET", "{context}");
                            assert_eq!(uri, "https://example.org/style.css", "{context}");
                            seen.0 += 1;
                        }
                        Event::Reply { head, .. } => {
                            assert_eq!(head.status(), Some(StatusCode::OK), "{context}");
                            seen.1 += 1;
                        }
                        Event::Data { data, fin, .. } => {
                            assert_eq!((&data[..], *fin), (&b"body"[..], true), "{context}");
                            seen.2 += 1;
                        }
                        other => panic!("{context}: {other:?}"),
                    }
                }
                assert_eq!(seen, (1, 1, 1), "{context}");
                victim.flush();
                assert_eq!(victim.monitor.resets, 0, "{context}");
                assert_eq!(victim.engine.open_streams(), 1, "{context}");
            }
        }
    }
}

/// A push with a missing or repeated field ends. A push without a valid parent ends too in SPDY/2;
/// in the other versions it ends the connection.
#[test]
fn pushes_that_break_a_rule_are_not_taken() {
    for version in SPDY {
        // Without a parent, for a stream that was never opened, for another push.
        for parent in [0, 9, 2] {
            let (mut victim, mut peer, _) = client(version);
            let fields = url(version);
            if parent == 2 {
                peer.associated((2, 1), true, false, &fields);
            }
            peer.associated((4, parent), true, false, &fields);
            victim.take(&mut peer);
            victim.flush();
            if version == Version::Spdy2 {
                assert!(!victim.engine.is_closed(), "of {parent}");
                assert_eq!(victim.monitor.code, Some(INVALID_STREAM), "of {parent}");
            } else {
                assert!(victim.engine.is_closed(), "{version}: of {parent}");
                assert_eq!(victim.monitor.code, Some(PROTOCOL_ERROR));
            }
        }
        for missing in 0..url(version).len() {
            let (mut victim, mut peer, _) = client(version);
            let mut fields = url(version);
            let (name, _) = fields.remove(missing);
            peer.associated((2, 1), true, false, &fields);
            victim.take(&mut peer);
            victim.flush();
            assert_eq!(victim.monitor.resets, 1, "{version}: without {name}");
            assert_eq!(victim.monitor.code, Some(PROTOCOL_ERROR));
            assert!(!victim.engine.is_closed(), "{version}: without {name}");
        }
        // "The server can't change the identity of the resource."
        if version != Version::Spdy2 {
            for (name, value) in url(version) {
                let (mut victim, mut peer, _) = client(version);
                peer.associated((2, 1), true, false, &url(version));
                let mut fields = peer.ok().to_vec();
                fields.push((name, value));
                peer.headers(2, false, &fields);
                victim.take(&mut peer);
                victim.flush();
                assert_eq!(victim.monitor.resets, 1, "{version}: {name} again");
                assert_eq!(victim.monitor.code, Some(PROTOCOL_ERROR));
            }
        }
        // No field is repeated before the body; fields after it are trailers.
        for (behind, breach) in [(false, true), (true, false)] {
            let (mut victim, mut peer, _) = client(version);
            let mut fields = url(version);
            fields.push(("x-first", "1"));
            peer.associated((2, 1), true, false, &fields);
            let mut fields = peer.ok().to_vec();
            fields.push(("x-second", "2"));
            peer.headers(2, false, &fields);
            peer.headers(2, false, &[("x-third", "3")]);
            if behind {
                peer.data(2, b"body", false);
            }
            victim.take(&mut peer);
            victim.flush();
            assert_eq!(victim.monitor.resets, 0, "{version}: {:?}", victim.events);
            for name in ["x-second", "x-first"] {
                peer.headers(2, false, &[(name, "again")]);
            }
            victim.take(&mut peer);
            victim.flush();
            assert_eq!(victim.monitor.resets, usize::from(breach), "{version}");
            assert_eq!(victim.monitor.code, breach.then_some(PROTOCOL_ERROR));
        }
        // Ids increase.
        let (mut victim, mut peer, _) = client(version);
        peer.associated((4, 1), true, false, &url(version));
        peer.associated((2, 1), true, false, &url(version));
        victim.take(&mut peer);
        victim.flush();
        assert_eq!(victim.engine.is_closed(), version != Version::Spdy2);
        assert_eq!(victim.monitor.code.unwrap_or(1), PROTOCOL_ERROR);
        assert_eq!(victim.monitor.resets + victim.monitor.go_aways, 1);
    }
}

#[test]
fn pushes_are_bounded() {
    for version in SPDY {
        let (mut victim, mut peer, _) = client(version);
        for push in 1..=5 {
            peer.associated((2 * push, 1), true, false, &url(version));
        }
        victim.take(&mut peer);
        victim.flush();
        assert_eq!(victim.monitor.resets, 2, "{version}: three are accepted");
        assert_eq!(victim.monitor.code, Some(REFUSED_STREAM));
        assert!(!victim.engine.is_closed());
        // An end makes room for another push.
        let ok = peer.ok();
        peer.headers(2, true, ok);
        peer.associated((12, 1), true, false, &url(version));
        victim.take(&mut peer);
        victim.flush();
        assert_eq!(victim.monitor.resets, 2, "{version}");
    }
}

/// The server could not know the rule: it ends the push and not the connection.
#[test]
fn a_push_may_cross_the_reset_of_its_parent() {
    for version in SPDY {
        let (mut victim, mut peer, parent) = client(version);
        victim.stream(parent).reset(Reason::Cancel);
        victim.flush();
        assert_eq!(victim.monitor.resets, 1);
        peer.associated((2, 1), true, false, &url(version));
        peer.data(2, &[7; 10_000], true);
        victim.take(&mut peer);
        victim.flush();
        assert!(!victim.engine.is_closed(), "{version}: {:?}", victim.events);
        assert_eq!(victim.monitor.resets, 2, "{version}: once for the push");
        assert_eq!(victim.monitor.code, Some(CANCEL), "{version}");
        assert_eq!(victim.engine.open_streams(), 0);
        let stats = victim.engine.stats();
        assert_eq!(
            stats.receive_credit,
            stats.receive_window.map_or(0, i64::from),
            "{version}: its bytes were given back"
        );
        // The compression states agree.
        let head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
        let next = victim
            .engine
            .open(victim.now, head, OpenOptions::without_content())
            .unwrap();
        victim.flush();
        let ok = peer.ok();
        peer.reply(next.id().value(), true, ok);
        victim.take(&mut peer);
        assert!(matches!(victim.events.last(), Some(Event::Reply { .. })));
    }
}

/// The drafts' §3.3.2: RST_STREAM with CANCEL on a stream ends its pushes, and the server stops at
/// once.
#[test]
fn a_request_that_is_cancelled_takes_its_pushes_with_it() {
    for version in SPDY {
        for replied in [false, true] {
            let (mut victim, mut peer, parent) = server(version);
            peer.request(3, true, &[]);
            victim.take(&mut peer);
            let Some(Event::Opened { stream: other, .. }) = victim.events.pop() else {
                panic!("no request")
            };
            let mut pushes = Vec::new();
            for stream in [parent, parent, other] {
                let push = victim.stream(stream).push(style()).unwrap();
                victim.stream(push).reply(ok(), false).unwrap();
                pushes.push(push);
            }
            if replied {
                // Its own response is complete; those of its pushes are not.
                victim.stream(parent).reply(ok(), true).unwrap();
            }
            victim.flush();
            peer.reset(1);
            victim.take(&mut peer);
            let context = format!("{version}, replied: {replied}");
            let ended: Vec<_> = victim
                .events
                .iter()
                .filter_map(|event| match event {
                    Event::Reset { stream, error } => {
                        assert_eq!(error.initiator(), Initiator::Peer, "{context}");
                        assert_eq!(error.reason(), Reason::Cancel, "{context}");
                        Some(*stream)
                    }
                    _ => None,
                })
                .collect();
            for push in &pushes[..2] {
                assert!(ended.contains(push), "{context}: {ended:?}");
                let data = Bytes::from_static(b"late");
                assert!(victim.stream(*push).send_data(data, true).is_err());
            }
            assert_eq!(ended.contains(&parent), !replied, "{context}");
            assert!(!ended.contains(&pushes[2]), "{context}");
            assert!(victim.flush().is_empty(), "{context}: not a frame more");
            // A push of another stream continues.
            let data = Bytes::from_static(b"body");
            victim.stream(pushes[2]).send_data(data, true).unwrap();
            assert!(!victim.flush().is_empty(), "{context}");
            assert_eq!(victim.engine.open_streams(), 1, "{context}");
        }
        // This push is not on the wire yet: the client receives neither it nor the end of the
        // response that waited for it.
        for body in ["page", ""] {
            let (mut victim, mut peer, parent) = server(version);
            victim.stream(parent).push(style()).unwrap();
            victim.stream(parent).reply(ok(), false).unwrap();
            let body = Bytes::from_static(body.as_bytes());
            victim.stream(parent).send_data(body, true).unwrap();
            victim.flush();
            peer.reset(1);
            victim.take(&mut peer);
            assert!(victim.flush().is_empty(), "{version}: not a frame more");
            assert_eq!(victim.engine.open_streams(), 0, "{version}");
        }
        // Another reason ends only the stream.
        let (mut victim, mut peer, parent) = server(version);
        let push = victim.stream(parent).push(style()).unwrap();
        victim.stream(push).reply(ok(), false).unwrap();
        victim.flush();
        let three = u8::from(version != Version::Spdy2);
        peer.raw(&[0x80, 2 + three, 0, 3, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 6]);
        victim.take(&mut peer);
        assert_eq!(victim.engine.open_streams(), 1, "{version}");
    }
}

/// The client waits for none of these pushes, although its server may not know that rule. Complete
/// responses stay.
#[test]
fn a_cancelled_request_waits_for_none_of_its_pushes() {
    for version in SPDY {
        let (mut victim, mut peer, parent) = client(version);
        let uri = "https://example.org/other".parse().unwrap();
        let head = Head::request(Method::GET, uri);
        victim
            .engine
            .open(victim.now, head, OpenOptions::without_content())
            .unwrap();
        peer.associated((2, 1), true, false, &url(version));
        peer.associated((4, 3), true, false, &url(version));
        let mut whole = url(version);
        whole.extend(peer.ok());
        peer.associated((6, 1), true, false, &whole);
        peer.data(6, b"whole", true);
        victim.take(&mut peer);
        victim.events.clear();
        victim.flush();
        victim.stream(parent).reset(Reason::Cancel);
        victim.poll();
        victim.flush();
        let ended: Vec<_> = victim
            .events
            .iter()
            .map(|event| match event {
                Event::Reset { stream, error } => {
                    assert_eq!(error.initiator(), Initiator::User, "{version}");
                    stream.id().value()
                }
                other => panic!("{version}: {other:?}"),
            })
            .collect();
        assert_eq!(ended, [2], "{version}");
        assert_eq!(
            victim.monitor.resets, 2,
            "{version}: the request's and the push's"
        );
        assert_eq!(victim.monitor.code, Some(CANCEL), "{version}");
        // The other request and its push continue.
        assert_eq!(victim.engine.open_streams(), 2, "{version}");
    }
}

/// One push alone, by its own id.
#[test]
fn a_push_can_be_cancelled() {
    for version in SPDY {
        let (mut victim, mut peer, _) = client(version);
        peer.associated((2, 1), true, false, &url(version));
        victim.take(&mut peer);
        let Some(Event::Promised { stream, .. }) = victim.events.pop() else {
            panic!("{version}: no push")
        };
        victim.stream(stream).reset(Reason::Cancel);
        victim.flush();
        assert_eq!(victim.monitor.code, Some(CANCEL), "{version}");
        // Frames in flight are ignored, and their credit is released.
        let fields = peer.ok();
        peer.headers(2, false, fields);
        peer.data(2, &[7; 10_000], true);
        victim.take(&mut peer);
        victim.flush();
        assert_eq!(victim.monitor.resets, 1, "{version}");
        assert!(victim.events.is_empty(), "{version}: {:?}", victim.events);
        let stats = victim.engine.stats();
        let full = stats.receive_window.map_or(0, i64::from);
        assert_eq!(stats.receive_credit, full, "{version}");

        let (mut victim, mut peer, parent) = server(version);
        let push = victim.stream(parent).push(style()).unwrap();
        victim.stream(push).reply(ok(), false).unwrap();
        victim.flush();
        victim.stream(push).offer();
        peer.reset(2);
        victim.take(&mut peer);
        assert!(
            matches!(&victim.events[..], [Event::Reset { stream, .. }] if *stream == push),
            "{version}"
        );
        assert!(victim.flush().is_empty(), "{version}: it stops at once");
        assert_eq!(victim.engine.open_streams(), 1, "{version}: the request");
    }
}
