//! HTTP on SPDY, version by version (the drafts' §3.2): the fields that a head must have, and those
//! that it omits. Users see the same request as over HTTP/2.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode};
use lacewing_conn::{
    Side, Version,
    proto::{Control, Event, Head, OpenOptions, Priority},
};
use lacewing_frames::spdy::{Decoder, DecoderLimits, Message};

use crate::{
    hostile::{Peer, Victim},
    pair::{Body, Pair, every_version},
};

const SPDY: [Version; 3] = [Version::Spdy2, Version::Spdy3, Version::Spdy31];

type Fields = Vec<(Bytes, Bytes)>;
type Frame = Message<Fields>;

/// The bytes that a side sent, from the first one on.
fn frames(version: Version, bytes: &[u8]) -> Vec<Frame> {
    let wire = version
        .spdy_frames()
        .unwrap_or(lacewing_frames::spdy::WireVersion::V3);
    let mut decoder = Decoder::new(wire, DecoderLimits::default());
    let mut bytes = BytesMut::from(bytes);
    std::iter::from_fn(|| decoder.decode(&mut bytes).unwrap()).collect()
}

/// The list of the first frame that opens or answers a stream.
fn head(version: Version, bytes: &[u8]) -> Fields {
    let mut lists = frames(version, bytes)
        .into_iter()
        .filter_map(|frame| match frame {
            Message::SynStream { block, .. } | Message::SynReply { block, .. } => {
                Some(block.list.unwrap())
            }
            _ => None,
        });
    lists.next().expect("a head")
}

fn value_of_status(fields: &Fields) -> &[u8] {
    let status = fields.iter().find(|(name, _)| name.ends_with(b"status"));
    &status.expect("a status").1
}

fn value<'a>(fields: &'a Fields, name: &str) -> Option<&'a [u8]> {
    let found = fields.iter().find(|(other, _)| other == name.as_bytes());
    found.map(|(_, value)| &value[..])
}

/// The control data of a request.
fn request(version: Version) -> Vec<(&'static str, &'static str)> {
    match version {
        Version::Spdy2 => vec![
            ("method", "GET"),
            ("scheme", "https"),
            ("host", "example.org"),
            ("url", "/path?query"),
            ("version", "HTTP/1.1"),
        ],
        _ => vec![
            (":method", "GET"),
            (":scheme", "https"),
            (":host", "example.org"),
            (":path", "/path?query"),
            (":version", "HTTP/1.1"),
        ],
    }
}

/// A server that received a stream with these fields, and the bytes that it then sent.
fn serve(version: Version, fields: &[(&str, &str)]) -> (Victim, Bytes) {
    let mut victim = Victim::new(version, Side::Server);
    let mut peer = Peer::new(version, Side::Client);
    victim.flush();
    peer.open(1, true, fields);
    victim.take(&mut peer);
    let sent = victim.flush();
    (victim, sent)
}

/// The URI of the request that reached the user.
fn uri(victim: &Victim) -> String {
    match &victim.events[..] {
        [Event::Opened { head, .. }] => match &head.control {
            Control::Request { uri, .. } => uri.to_string(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_says_all_that_the_drafts_ask_for() {
    for version in SPDY {
        let mut victim = Victim::new(version, Side::Client);
        victim.flush();
        let mut sent = Head::request(
            Method::GET,
            "https://example.org/path?query".parse().unwrap(),
        );
        for name in [
            "connection",
            "host",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
            "upgrade",
            "x-many",
        ] {
            sent.fields.append(name, HeaderValue::from_static("one"));
        }
        sent.fields
            .append("x-many", HeaderValue::from_static("two"));
        victim
            .engine
            .open(victim.now, sent, OpenOptions::without_content())
            .unwrap();
        let fields = head(version, &victim.flush());
        for (name, expected) in request(version) {
            assert_eq!(value(&fields, name), Some(expected.as_bytes()), "{version}");
        }
        // Several values of one name, and no connection-specific field.
        assert_eq!(value(&fields, "x-many"), Some(&b"one\0two"[..]));
        assert_eq!(fields.len(), 6, "{version}: {fields:?}");
    }
}

#[test]
fn a_response_says_all_that_the_drafts_ask_for() {
    for version in SPDY {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.request(1, true, &[]);
        victim.take(&mut peer);
        victim.flush();
        let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
            panic!("no request")
        };
        let mut response = Head::response(StatusCode::NOT_FOUND);
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
        ] {
            let value = HeaderValue::from_static("x");
            response.fields.append(name, value);
        }
        for value in ["a=1", "b=2"] {
            let value = HeaderValue::from_static(value);
            response.fields.append("set-cookie", value);
        }
        victim.stream(stream).reply(response, true).unwrap();
        let fields = head(version, &victim.flush());
        let names = match version {
            Version::Spdy2 => ["status", "version"],
            _ => [":status", ":version"],
        };
        let status = value(&fields, names[0]).unwrap();
        assert!(status.starts_with(b"404"), "{version}");
        assert_eq!(value(&fields, names[1]), Some(&b"HTTP/1.1"[..]));
        assert_eq!(value(&fields, "set-cookie"), Some(&b"a=1\0b=2"[..]));
        assert_eq!(fields.len(), 3, "{version}: {fields:?}");
    }
}

/// A request that lacks a field is answered with 400 (§3.2.1).
#[test]
fn each_field_that_a_request_must_have_is_missed() {
    for version in SPDY {
        let whole = request(version);
        for missing in 0..whole.len() {
            let mut fields = whole.clone();
            let (name, _) = fields.remove(missing);
            let (victim, sent) = serve(version, &fields);
            if name == "host" {
                // Draft 2 does not require it.
                assert_eq!(uri(&victim), "/path?query");
                continue;
            }
            let context = format!("{version}, without {name}");
            assert!(
                matches!(victim.events[..], [Event::Refused { .. }]),
                "{context}"
            );
            assert_eq!(victim.monitor.resets, 0, "{context}");
            let answer = &frames(version, &sent)[0];
            let Message::SynReply {
                stream_id: 1,
                fin: true,
                block,
            } = answer
            else {
                panic!("{context}: {answer:?}")
            };
            let status = block
                .fields()
                .iter()
                .find(|(name, _)| name.ends_with(b"status"));
            assert!(status.unwrap().1.starts_with(b"400"), "{context}");
        }
    }
}

/// A response that lacks a field ends its stream (§3.2.2).
#[test]
fn each_field_that_a_response_must_have_is_missed() {
    for version in SPDY {
        for missing in [None, Some(0), Some(1)] {
            let mut victim = Victim::new(version, Side::Client);
            let uri = "https://example.org/".parse().unwrap();
            let head = Head::request(Method::GET, uri);
            victim
                .engine
                .open(victim.now, head, OpenOptions::without_content())
                .unwrap();
            victim.flush();
            let mut peer = Peer::new(version, Side::Server);
            let mut fields = peer.ok().to_vec();
            if let Some(missing) = missing {
                fields.remove(missing);
            }
            peer.reply(1, true, &fields);
            victim.take(&mut peer);
            victim.flush();
            let resets = usize::from(missing.is_some());
            assert_eq!(victim.monitor.resets, resets, "{version}: {fields:?}");
            assert_eq!(victim.monitor.code, missing.map(|_| 1), "{version}");
        }
    }
}

/// "200" and "200 OK".
#[test]
fn a_status_may_have_its_phrase() {
    for version in SPDY {
        for (text, code) in [("200", 200), ("200 OK", 200), ("404 Not Found", 404)] {
            let mut victim = Victim::new(version, Side::Client);
            let uri = "https://example.org/".parse().unwrap();
            let head = Head::request(Method::GET, uri);
            victim
                .engine
                .open(victim.now, head, OpenOptions::without_content())
                .unwrap();
            let mut peer = Peer::new(version, Side::Server);
            let mut fields = peer.ok().to_vec();
            fields[0].1 = text;
            peer.reply(1, true, &fields);
            victim.take(&mut peer);
            let Some(Event::Reply { head, .. }) = victim.events.last() else {
                panic!("{version}: {:?}", victim.events)
            };
            assert_eq!(head.status().unwrap().as_u16(), code, "{version}: {text}");
        }
    }
}

/// The order of fields is free. A URL may be absolute (in SPDY/2 towards proxies), and a path
/// begins with a slash.
#[test]
fn urls_are_understood_as_they_are_sent() {
    for version in SPDY {
        let mut fields = request(version);
        fields.reverse();
        fields.insert(0, ("x-first", "1"));
        let (victim, _) = serve(version, &fields);
        assert_eq!(uri(&victim), "https://example.org/path?query", "{version}");

        let path = if version == Version::Spdy2 {
            "url"
        } else {
            ":path"
        };
        let with = |value: &'static str| {
            let mut fields = request(version);
            for (name, old) in &mut fields {
                if *name == path {
                    *old = value;
                }
            }
            fields
        };
        for (value, expected) in [
            ("http://other.example/x", "https://other.example/x"),
            ("http://other.example", "https://other.example/"),
            ("/", "https://example.org/"),
        ] {
            let (victim, _) = serve(version, &with(value));
            assert_eq!(uri(&victim), expected, "{version}: {value}");
        }
        for value in ["path", "example.org", "", "/a b", "*", "/#fragment"] {
            if value.is_empty() && version == Version::Spdy2 {
                continue;
            }
            let (victim, sent) = serve(version, &with(value));
            assert!(
                matches!(victim.events[..], [Event::Refused { .. }]),
                "{version}: {value}"
            );
            assert_eq!(victim.monitor.resets, 0, "{version}: {value}");
            let fields = head(version, &sent);
            let status = value_of_status(&fields);
            assert!(status.starts_with(b"400"), "{version}: {value}");
        }
    }
    // Without a host field, the URL has all parts.
    let fields = [
        ("method", "GET"),
        ("url", "http://example.org:8080/x"),
        ("version", "HTTP/1.1"),
    ];
    let (victim, _) = serve(Version::Spdy2, &fields);
    assert_eq!(uri(&victim), "http://example.org:8080/x");
}

/// An absolute URL takes precedence in any place, and may have only the permitted parts.
#[test]
fn whole_urls_go_before_the_host_beside_them() {
    let url = |value: &'static str, fields: &mut Vec<(&'static str, &'static str)>| {
        let url = fields.iter_mut().find(|(name, _)| name.ends_with("url"));
        url.unwrap().1 = value;
    };
    for order in [false, true] {
        let with = |value| {
            let mut fields = request(Version::Spdy2);
            url(value, &mut fields);
            if order {
                fields.reverse();
            }
            serve(Version::Spdy2, &fields).0
        };
        for (value, expected) in [
            ("http://other.example/x", "https://other.example/x"),
            ("http://other.example?x", "https://other.example/?x"),
        ] {
            assert_eq!(uri(&with(value)), expected);
        }
        for value in [
            "http://user@other.example/",
            "http://other.example/#x",
            "http://other.example#x",
            "http://",
            "http:/other.example/",
            "//other.example/",
            "http://a b/",
        ] {
            let victim = with(value);
            if value.starts_with("//") {
                // An unusual, but valid path.
                assert_eq!(uri(&victim), "https://example.org//other.example/");
                continue;
            }
            assert!(
                matches!(victim.events[..], [Event::Refused { .. }]),
                "{value}: {:?}",
                victim.events
            );
        }
    }
}

/// Connection-specific fields of HTTP/1.1 are ignored when they are received.
#[test]
fn fields_about_the_connection_are_ignored() {
    for version in SPDY {
        let mut fields = request(version);
        fields.extend([
            ("connection", "close"),
            ("keep-alive", "300"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip"),
            ("x-kept", "1"),
        ]);
        let (victim, _) = serve(version, &fields);
        let [Event::Opened { head, .. }] = &victim.events[..] else {
            panic!("{version}: {:?}", victim.events)
        };
        let names: Vec<_> = head.fields.keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["x-kept"], "{version}");
    }
}

/// In SPDY/2, only the place of a name makes it special: trailers may have the names of a head's
/// control fields.
#[test]
fn trailers_of_spdy_2_have_any_name() {
    let mut victim = Victim::new(Version::Spdy2, Side::Server);
    let mut peer = Peer::new(Version::Spdy2, Side::Client);
    peer.request(1, false, &[]);
    peer.headers(1, true, &[("status", "fine"), ("method", "by hand")]);
    victim.take(&mut peer);
    let Some(Event::Headers { fields, .. }) = victim.events.last() else {
        panic!("{:?}", victim.events)
    };
    assert_eq!(fields["status"], "fine");
    assert_eq!(fields["method"], "by hand");
}

/// Whatever the protocol, the user sees the same message.
#[test]
fn users_see_the_same_on_every_protocol() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let mut head = Head::request(
            Method::PUT,
            "https://example.org:8443/a/b?c=%20d".parse().unwrap(),
        );
        for (name, value) in [
            ("accept", "text/html"),
            ("accept", "text/plain"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("content-length", "3"),
            ("x-empty", ""),
            ("x-some", ""),
            ("x-some", "b"),
            ("x-some", ""),
        ] {
            let value = HeaderValue::from_static(value);
            head.fields.append(name, value);
        }
        let stream = pair
            .client
            .engine
            .open(pair.now, head, OpenOptions::default())
            .unwrap();
        pair.server.answers = false;
        pair.client.send(pair.now, stream, Body::of(3));
        pair.run();
        let seen = &pair.server.seen[&stream.id().value()];
        assert_eq!(
            seen.request.as_deref(),
            Some("PUT https://example.org:8443/a/b?c=%20d"),
            "{version}"
        );
        let fields: Vec<_> = seen
            .fields
            .iter()
            .map(|(name, values)| (&name[..], values.join("|")))
            .collect();
        let expected = [
            ("accept", "text/html|text/plain"),
            ("content-length", "3"),
            ("cookie", "a=1; b=2"),
            ("x-empty", ""),
            ("x-some", "|b|"),
        ];
        let expected = expected.map(|(name, values)| (name, values.to_owned()));
        assert_eq!(fields, expected, "{version}");
        assert_eq!(seen.body.len(), 3);
    });
}

/// A response to HEAD declares the length that GET would have, and has no content. The same holds
/// for 304. Otherwise the declared length of SPDY responses is ignored.
#[test]
fn lengths_of_responses() {
    every_version(|version| {
        for (method, status, fits) in [
            (Method::HEAD, "200", true),
            (Method::GET, "304", true),
            (Method::GET, "200", version != Version::Http2),
        ] {
            for fin in [true, false] {
                let mut victim = Victim::new(version, Side::Client);
                let uri = "https://example.org/".parse().unwrap();
                let head = Head::request(method.clone(), uri);
                victim
                    .engine
                    .open(victim.now, head, OpenOptions::without_content())
                    .unwrap();
                let mut peer = Peer::new(version, Side::Server);
                let mut fields = peer.ok().to_vec();
                fields[0].1 = status;
                fields.push(("content-length", "7"));
                peer.reply(1, fin, &fields);
                if !fin {
                    peer.data(1, b"", true);
                }
                victim.take(&mut peer);
                victim.flush();
                let resets = usize::from(!fits);
                let context = format!("{version}, {method} {status} {fin}");
                assert_eq!(victim.monitor.resets, resets, "{context}");
            }
        }
    });
}

/// The drafts' §2.3.3: four levels in SPDY/2 and eight in the others; 0 is first.
#[test]
fn levels_of_priority() {
    for version in SPDY {
        let mut victim = Victim::new(version, Side::Client);
        victim.flush();
        for urgency in 0..8 {
            let uri = "https://example.org/".parse().unwrap();
            let head = Head::request(Method::GET, uri);
            let priority = Some(Priority::new(urgency, false));
            victim
                .engine
                .open(
                    victim.now,
                    head,
                    OpenOptions::default().with(|options| {
                        options.fin = true;
                        options.priority = priority;
                    }),
                )
                .unwrap();
        }
        let sent = victim.flush();
        let levels: Vec<_> = frames(version, &sent)
            .into_iter()
            .filter_map(|frame| match frame {
                Message::SynStream { priority, .. } => Some(priority),
                _ => None,
            })
            .collect();
        let expected = match version {
            Version::Spdy2 => [0, 0, 1, 1, 2, 2, 3, 3],
            _ => [0, 1, 2, 3, 4, 5, 6, 7],
        };
        assert_eq!(levels, expected, "{version}");

        let mut server = Victim::new(version, Side::Server);
        server.take_bytes(&sent);
        let heard: Vec<_> = server
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Opened { stream, .. } => {
                    server.engine.stream(server.now, *stream).priority()
                }
                _ => None,
            })
            .map(Priority::urgency)
            .collect();
        let expected = match version {
            Version::Spdy2 => [0, 0, 2, 2, 4, 4, 6, 6],
            _ => [0, 1, 2, 3, 4, 5, 6, 7],
        };
        assert_eq!(heard, expected, "{version}");
    }
}
