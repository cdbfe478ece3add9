//! Broken rules, and the reaction of each protocol: one row each.

use lacewing_conn::{
    Initiator, Side, Version,
    proto::{Config, Event, Head, HeaderCompression, OpenOptions},
};

use crate::{
    hostile::{Peer, Victim},
    pair::every_version,
};

/// The reaction of the victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    Nothing,
    Reset(&'static str),
    Close(&'static str),
}

use Reaction::{Close, Nothing, Reset};

/// Reactions of SPDY/2, SPDY/3 and 3.1, HTTP/2.
type Row = [Reaction; 3];

/// The code of a reason on the wire.
fn code(version: Version, reason: &str) -> u32 {
    let http2 = version == Version::Http2;
    match reason {
        "PROTOCOL_ERROR" => 1,
        "INVALID_STREAM" if !http2 => 2,
        "REFUSED_STREAM" if !http2 => 3,
        "CANCEL" if !http2 => 5,
        "FLOW_CONTROL_ERROR" => [7, 3][usize::from(http2)],
        "STREAM_IN_USE" if version != Version::Spdy2 => 8,
        "STREAM_CLOSED" if version != Version::Spdy2 => [9, 5][usize::from(http2)],
        other => panic!("{version} has no {other}"),
    }
}

fn expect(side: Side, name: &str, row: Row, misbehave: impl Fn(&mut Peer)) {
    every_version(|version| {
        let peer_side = if side == Side::Server {
            Side::Client
        } else {
            Side::Server
        };
        let mut victim = Victim::new(version, side);
        let mut peer = Peer::new(version, peer_side);
        if side == Side::Client {
            // Stream 1: a POST with incomplete content.
            let uri = "https://example.org/".parse().unwrap();
            let head = Head::request(http::Method::POST, uri);
            victim
                .engine
                .open(victim.now, head, OpenOptions::default())
                .unwrap();
        }
        victim.take(&mut peer);
        victim.flush();
        misbehave(&mut peer);
        victim.take(&mut peer);
        let resets = victim.monitor.resets;
        victim.flush();
        let closed = victim.events.iter().find_map(|event| match event {
            Event::Closed { error } => Some(error.clone()),
            _ => None,
        });
        let reset = victim.events.iter().find_map(|event| match event {
            Event::Reset { error, .. } if error.initiator() == Initiator::Library => {
                Some(error.clone())
            }
            _ => None,
        });
        let expected = match version {
            Version::Spdy2 => row[0],
            Version::Spdy3 | Version::Spdy31 => row[1],
            Version::Http2 => row[2],
        };
        match (expected, closed) {
            (Close(reason), Some(error)) => {
                assert_eq!(error.reason().to_string(), reason, "{name}, {version}");
                assert_eq!(error.initiator(), Initiator::Library);
                assert_eq!(victim.monitor.go_aways, 1);
                // GOAWAY of SPDY/2 has no status.
                let told = (version != Version::Spdy2).then(|| code(version, reason));
                assert_eq!(victim.monitor.code, told, "{name}, {version}");
                assert!(victim.engine.is_closed());
            }
            (Reset(reason), None) => {
                assert_eq!(
                    victim.monitor.resets,
                    resets + 1,
                    "{name}, {version}: one reset"
                );
                let told = Some(code(version, reason));
                assert_eq!(victim.monitor.code, told, "{name}, {version}");
                if let Some(error) = reset {
                    assert_eq!(error.reason().to_string(), reason, "{name}, {version}");
                }
            }
            (Nothing, None) => {
                assert_eq!(victim.monitor.resets, resets, "{name}, {version}: no reset");
            }
            (expected, closed) => panic!("{name}, {version}: {closed:?} and not {expected:?}"),
        }
    });
}

#[test]
fn of_clients() {
    let server = Side::Server;
    let protocol = "PROTOCOL_ERROR";
    expect(server, "an even id", [Close(protocol); 3], |peer| {
        peer.request(2, true, &[])
    });
    expect(
        server,
        "an id below an earlier one",
        [Reset(protocol), Close(protocol), Close(protocol)],
        |peer| {
            peer.request(3, true, &[]);
            peer.request(9, true, &[]);
            peer.request(7, true, &[]);
        },
    );
    expect(
        server,
        "the first id after a higher one",
        [Reset(protocol), Close(protocol), Close(protocol)],
        |peer| {
            peer.request(3, true, &[]);
            peer.request(1, true, &[]);
        },
    );
    expect(
        server,
        "an id that was used and is closed",
        [Reset(protocol), Close(protocol), Close("STREAM_CLOSED")],
        |peer| {
            peer.request(1, true, &[]);
            peer.reset(1);
            peer.request(3, true, &[]);
            peer.request(1, true, &[]);
        },
    );
    expect(
        server,
        "DATA on an idle stream",
        [
            Reset("INVALID_STREAM"),
            Reset("INVALID_STREAM"),
            Close(protocol),
        ],
        |peer| peer.data(5, b"x", false),
    );
    expect(
        server,
        "DATA after the end",
        [Nothing, Reset("STREAM_CLOSED"), Reset("STREAM_CLOSED")],
        |peer| {
            peer.request(1, true, &[]);
            peer.data(1, b"x", false);
        },
    );
    expect(
        server,
        "a second head for an open stream",
        [Reset(protocol); 3],
        |peer| {
            peer.request(1, false, &[]);
            peer.request(1, false, &[]);
        },
    );
    expect(
        server,
        "header fields after the end",
        [Nothing, Reset("STREAM_CLOSED"), Reset("STREAM_CLOSED")],
        |peer| {
            peer.request(1, true, &[]);
            peer.headers(1, true, &[("x-trailer", "1")]);
        },
    );
    expect(
        server,
        "DATA on a closed stream",
        [Nothing, Reset(protocol), Reset("STREAM_CLOSED")],
        |peer| {
            peer.request(1, false, &[]);
            peer.reset(1);
            peer.data(1, b"x", false);
        },
    );
    expect(
        server,
        "header fields on a closed stream",
        [Nothing, Nothing, Close("STREAM_CLOSED")],
        |peer| {
            peer.request(1, false, &[]);
            peer.reset(1);
            peer.headers(1, true, &[("x-trailer", "1")]);
        },
    );
    expect(
        server,
        "header fields on an idle stream (in HTTP/2 a request without its fields)",
        [
            Reset("INVALID_STREAM"),
            Reset("INVALID_STREAM"),
            Reset(protocol),
        ],
        |peer| peer.headers(5, true, &[("x-trailer", "1")]),
    );
    expect(
        server,
        "compressed DATA (in HTTP/2 a flag without meaning)",
        [Reset(protocol), Reset(protocol), Nothing],
        |peer| {
            peer.request(1, false, &[]);
            // Both have their flags in the fifth byte.
            let flags = peer.bytes.len() + 4;
            peer.data(1, b"x", false);
            peer.bytes[flags] |= 2;
        },
    );
    expect(
        server,
        "RST_STREAM on a closed stream",
        [Nothing; 3],
        |peer| {
            peer.request(1, false, &[]);
            peer.reset(1);
            peer.reset(1);
        },
    );
    expect(
        server,
        "RST_STREAM on an idle stream",
        [Nothing, Nothing, Close(protocol)],
        |peer| peer.reset(5),
    );
    expect(
        server,
        "WINDOW_UPDATE on an idle stream",
        [Nothing, Nothing, Close(protocol)],
        |peer| peer.window_update(5, 1),
    );
    expect(
        server,
        "trailers that do not end",
        [Nothing, Nothing, Reset(protocol)],
        |peer| {
            peer.request(1, false, &[]);
            peer.headers(1, false, &[("x-trailer", "1")]);
        },
    );
    expect(
        server,
        "content-length too small (the SPDY drafts require an answer: 400)",
        [Nothing, Nothing, Reset(protocol)],
        |peer| {
            peer.request(1, false, &[("content-length", "3")]);
            peer.data(1, b"four", false);
        },
    );
    expect(
        server,
        "content-length too large (the SPDY drafts require an answer: 400)",
        [Nothing, Nothing, Reset(protocol)],
        |peer| {
            peer.request(1, false, &[("content-length", "3")]);
            peer.data(1, b"x", true);
        },
    );
    expect(server, "DATA on stream 0", [Close(protocol); 3], |peer| {
        peer.request(1, false, &[]);
        peer.data(0, b"x", false);
    });
    expect(
        server,
        "content-length without a body (the SPDY drafts require an answer: 400)",
        [Nothing, Nothing, Reset(protocol)],
        |peer| {
            peer.request(1, true, &[("content-length", "3")]);
        },
    );
    expect(
        server,
        "a reply from a client",
        [
            Reset("INVALID_STREAM"),
            Reset("INVALID_STREAM"),
            Close(protocol),
        ],
        |peer| {
            let ok = peer.ok();
            peer.reply(2, true, ok);
        },
    );
}

#[test]
fn of_servers() {
    let client = Side::Client;
    let protocol = "PROTOCOL_ERROR";
    expect(
        client,
        "DATA before the reply",
        [Close(protocol), Reset(protocol), Reset(protocol)],
        |peer| peer.data(1, b"x", false),
    );
    expect(
        client,
        "zeros, which are DATA on no stream",
        [Close(protocol); 3],
        |peer| peer.raw(&[0; 64]),
    );
    expect(
        client,
        "a second reply",
        [Reset(protocol), Reset("STREAM_IN_USE"), Reset(protocol)],
        |peer| {
            let ok = peer.ok();
            peer.reply(1, false, ok);
            peer.reply(1, false, ok);
        },
    );
    expect(
        client,
        "a reply to nothing",
        [
            Reset("INVALID_STREAM"),
            Reset("INVALID_STREAM"),
            Close(protocol),
        ],
        |peer| {
            let ok = peer.ok();
            peer.reply(3, false, ok);
        },
    );
    expect(
        client,
        "DATA after the end",
        [Nothing, Reset("STREAM_CLOSED"), Reset("STREAM_CLOSED")],
        |peer| {
            let ok = peer.ok();
            peer.reply(1, true, ok);
            peer.data(1, b"x", false);
        },
    );
    expect(
        client,
        "header fields before the reply",
        [Close(protocol), Reset(protocol), Reset(protocol)],
        |peer| peer.headers(1, false, &[("x-early", "1")]),
    );
    expect(
        client,
        "a second reply after the end",
        [Nothing, Reset("STREAM_CLOSED"), Reset("STREAM_CLOSED")],
        |peer| {
            let ok = peer.ok();
            peer.reply(1, true, ok);
            peer.reply(1, true, ok);
        },
    );
    expect(
        client,
        "DATA on a stream that the server reset",
        [Nothing, Reset(protocol), Reset("STREAM_CLOSED")],
        |peer| {
            peer.reset(1);
            peer.data(1, b"x", false);
        },
    );
    expect(
        client,
        "a reply without status",
        [Reset(protocol); 3],
        |peer| {
            peer.reply(1, false, &[("x", "y")]);
        },
    );
    expect(
        client,
        "requests by a server",
        [Reset("INVALID_STREAM"), Close(protocol), Close(protocol)],
        |peer| peer.request(2, true, &[]),
    );
    expect(
        client,
        "a request's field in a response",
        [Nothing, Reset(protocol), Reset(protocol)],
        |peer| {
            let mut fields = peer.ok().to_vec();
            fields.insert(0, (":method", "GET"));
            if peer.version == Version::Spdy2 {
                // There, only the place of a field makes it special.
                fields[0].0 = "method";
            }
            peer.reply(1, false, &fields);
        },
    );
}

/// RFC 9113 §8.2 and §8.3: malformed requests are stream errors, and no handler receives them.
#[test]
fn malformed_requests_reach_no_handler() {
    let base = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "example.org"),
        (":path", "/"),
    ];
    let with = |extra: &[(&'static str, &'static str)]| {
        base.iter().chain(extra).copied().collect::<Vec<_>>()
    };
    let without = |name: &str| {
        base.iter()
            .filter(|(other, _)| *other != name)
            .copied()
            .collect::<Vec<_>>()
    };
    let replaced = |name: &str, value: &'static str| {
        base.iter()
            .map(|(other, old)| (*other, if *other == name { value } else { *old }))
            .collect::<Vec<_>>()
    };
    let mut cases = vec![
        ("upper case", with(&[("X-Upper", "1")])),
        ("an empty name", with(&[("", "1")])),
        ("a space in a name", with(&[("x y", "1")])),
        ("a colon in a name", with(&[("x:y", "1")])),
        ("a control byte in a name", with(&[("x\x7f", "1")])),
        ("NUL in a value", with(&[("x", "a\0b")])),
        ("CR in a value", with(&[("x", "a\rb")])),
        ("LF in a value", with(&[("x", "a\nb")])),
        ("leading space", with(&[("x", " a")])),
        ("trailing tab", with(&[("x", "a\t")])),
        ("te", with(&[("te", "gzip")])),
        ("pseudo after regular", {
            let mut fields = without(":path");
            fields.push(("x", "1"));
            fields.push((":path", "/"));
            fields
        }),
        ("a repeated pseudo field", with(&[(":path", "/again")])),
        ("an unknown pseudo field", with(&[(":unknown", "1")])),
        (":status in a request", with(&[(":status", "200")])),
        ("no :method", without(":method")),
        ("no :scheme", without(":scheme")),
        ("no :path", without(":path")),
        ("an empty :path", replaced(":path", "")),
        ("* without OPTIONS", replaced(":path", "*")),
        ("a space in :path", replaced(":path", "/a b")),
        ("CR in :method", replaced(":method", "GE\rT")),
        (
            "user information",
            replaced(":authority", "user@example.org"),
        ),
        ("another host", with(&[("host", "other.example")])),
        ("CONNECT with :path", replaced(":method", "CONNECT")),
        (
            "differing lengths",
            with(&[("content-length", "0"), ("content-length", "1")]),
        ),
        ("a signed length", with(&[("content-length", "+0")])),
    ];
    for name in [
        "connection",
        "proxy-connection",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
    ] {
        cases.push((name, with(&[(name, "x")])));
    }
    for (name, fields) in cases {
        let mut victim = Victim::new(Version::Http2, Side::Server);
        let mut peer = Peer::new(Version::Http2, Side::Client);
        peer.open(1, true, &fields);
        victim.take(&mut peer);
        victim.flush();
        assert_eq!(victim.monitor.resets, 1, "{name}");
        assert!(!victim.engine.is_closed(), "{name}");
        let [Event::PeerSettings, Event::Refused { error, .. }] = &victim.events[..] else {
            panic!("{name}: {:?}", victim.events);
        };
        assert!(error.rule().is_some(), "{name}: {error}");
        // The next request works.
        peer.request(3, true, &[("x", "1"), ("te", "trailers")]);
        victim.take(&mut peer);
        assert!(
            matches!(victim.events.last(), Some(Event::Opened { .. })),
            "{name}"
        );
    }
}

/// According to the SPDY drafts, a missing field is answered, and a broken rule of names and values
/// is reset (§2.6.10, §3.2.1).
#[test]
fn malformed_spdy_requests_reach_no_handler() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        for extra in [
            ("X-Upper", "1"),
            ("", "1"),
            ("x", "a\0\0b"),
            ("x", "\0a"),
            ("x", "a\0"),
        ] {
            let mut victim = Victim::new(version, Side::Server);
            let mut peer = Peer::new(version, Side::Client);
            peer.request(1, true, &[extra]);
            victim.take(&mut peer);
            victim.flush();
            assert_eq!(victim.monitor.resets, 1, "{version}: {extra:?}");
            peer.request(3, true, &[("connection", "close"), ("x", "a\0b")]);
            victim.take(&mut peer);
            let Some(Event::Opened { head, .. }) = victim.events.last() else {
                panic!("{version}: {extra:?}: {:?}", victim.events);
            };
            assert_eq!(
                head.fields.len(),
                2,
                "connection is ignored, x has two values"
            );
        }
        let mut config = Config::new(version, Side::Server);
        // Makes the answer readable in the bytes.
        config.header_compression = HeaderCompression::Stored;
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        peer.open(1, true, &[("x", "no request")]);
        victim.take(&mut peer);
        let answer = victim.flush();
        assert_eq!(victim.monitor.resets, 0);
        let answered = answer.windows(3).any(|text| text == b"400");
        assert!(
            answered && matches!(victim.events[..], [Event::Refused { .. }]),
            "{version}: 400 and no handler"
        );
    }
}

/// For any segmentation of the transport, a frame on a stream that was never opened is one
/// violation.
#[test]
fn a_frame_in_pieces_is_answered_once() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.ping();
        peer.data(5, &[0; 1000], true);
        let bytes = peer.bytes.split();
        for piece in bytes.chunks(100) {
            victim.take_bytes(piece);
        }
        victim.flush();
        assert_eq!(victim.monitor.resets, 1, "{version}");
        let refused = victim
            .events
            .iter()
            .filter(|event| matches!(event, Event::Refused { .. }));
        assert_eq!(refused.count(), 1, "{version}");
        // The stream may still be opened.
        peer.request(5, true, &[]);
        victim.take(&mut peer);
        assert!(matches!(victim.events.last(), Some(Event::Opened { .. })));
    }
}
