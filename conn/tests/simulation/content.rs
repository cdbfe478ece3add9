//! Messages without content, and content that the specification excludes: every status and method
//! with such a rule in RFC 9110 (§6.4.1, §8.6, §9.3, §15). On all four protocols, received and
//! sent.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header::CONTENT_LENGTH};
use lacewing_conn::{
    Initiator, Side, Version,
    proto::{
        Config, Event, Head, HeaderCompression, OpenError, OpenOptions, StreamKey, UsageError,
    },
};

use crate::{
    hostile::{Peer, Victim},
    pair::{Pair, every_version},
};

/// The frames after the head of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// The declared amount of content, or any amount without a declaration.
    Content,
    /// No content.
    Nothing,
    /// The bytes of a tunnel.
    Tunnel,
}

use After::{Content, Nothing, Tunnel};

fn exchanges() -> Vec<(Method, u16, After)> {
    let mut exchanges = Vec::new();
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
    ];
    for method in methods {
        for status in [200, 202, 206, 300, 400, 404, 500] {
            exchanges.push((method.clone(), status, Content));
        }
        for status in [204, 205, 304] {
            exchanges.push((method.clone(), status, Nothing));
        }
    }
    for status in [200, 204, 205, 206, 304, 404, 500] {
        exchanges.push((Method::HEAD, status, Nothing));
    }
    for status in [200, 201, 204, 205, 206, 299] {
        exchanges.push((Method::CONNECT, status, Tunnel));
    }
    for status in [300, 403, 407, 502] {
        exchanges.push((Method::CONNECT, status, Content));
    }
    exchanges.push((Method::CONNECT, 304, Nothing));
    exchanges
}

fn request(method: &Method) -> Head {
    let uri = match *method {
        Method::CONNECT => "example.org:443",
        _ => "https://example.org/",
    };
    Head::request(method.clone(), uri.parse().unwrap())
}

/// A client whose request of this method is open, and its server.
fn client(version: Version, method: &Method) -> (Victim, Peer, StreamKey) {
    let mut victim = Victim::new(version, Side::Client);
    let fin = *method != Method::CONNECT;
    let head = request(method);
    let stream = victim
        .engine
        .open(
            victim.now,
            head,
            OpenOptions::default().with(|options| options.fin = fin),
        )
        .unwrap();
    victim.flush();
    (victim, Peer::new(version, Side::Server), stream)
}

fn reply(peer: &mut Peer, status: u16, fin: bool, extra: &[(&str, &str)]) {
    let status = status.to_string();
    let mut fields = peer.ok().to_vec();
    fields[0].1 = &status;
    fields.extend(extra);
    peer.reply(1, fin, &fields);
}

fn data(victim: &Victim) -> usize {
    let pieces = victim.events.iter().filter_map(|event| match event {
        Event::Data { data, .. } => Some(data.len()),
        _ => None,
    });
    pieces.sum()
}

#[test]
fn no_content_reaches_the_user_where_there_is_none() {
    every_version(|version| {
        for (method, status, after) in exchanges() {
            let context = format!("{version}, {method} {status}");
            let (mut victim, mut peer, stream) = client(version, &method);
            reply(&mut peer, status, false, &[]);
            victim.take(&mut peer);
            assert_eq!(victim.stream(stream).has_content(), after != Nothing);
            peer.data(1, b"seven b", false);
            victim.take(&mut peer);
            victim.flush();
            let refused = after == Nothing;
            assert_eq!(victim.monitor.resets, usize::from(refused), "{context}");
            assert_eq!(data(&victim), if refused { 0 } else { 7 }, "{context}");
            if refused {
                assert_eq!(victim.monitor.code, Some(1), "{context}");
                let Some(Event::Reset { error, .. }) = victim.events.last() else {
                    panic!("{context}: {:?}", victim.events)
                };
                assert!(error.to_string().contains("content"), "{error}");
            }
            assert!(!victim.engine.is_closed(), "{context}");

            // An end in a frame of its own is no content.
            let (mut victim, mut peer, _) = client(version, &method);
            reply(&mut peer, status, false, &[]);
            peer.data(1, b"", true);
            victim.take(&mut peer);
            victim.flush();
            assert_eq!(victim.monitor.resets, 0, "{context}");
            let last = victim.events.last();
            assert!(
                matches!(last, Some(Event::Data { fin: true, .. })),
                "{context}: {last:?}"
            );
        }
    });
}

#[test]
fn a_length_says_nothing_where_there_is_no_content() {
    every_version(|version| {
        let length = [("content-length", "7")];
        for (method, status, after) in exchanges() {
            let context = format!("{version}, {method} {status}");
            // RFC 9110 §15.3.6: 205 has content of length zero.
            let reset = version == Version::Http2 && (after == Content || status == 205);
            let reset = reset && method != Method::HEAD && after != Tunnel;
            for fin in [true, false] {
                let (mut victim, mut peer, _) = client(version, &method);
                reply(&mut peer, status, fin, &length);
                if !fin {
                    peer.data(1, b"", true);
                }
                victim.take(&mut peer);
                victim.flush();
                assert_eq!(victim.monitor.resets, usize::from(reset), "{context}");
                let seen = victim.events.iter().find_map(|event| match event {
                    Event::Reply { head, .. } => Some(head.fields.contains_key(CONTENT_LENGTH)),
                    _ => None,
                });
                // The length must not apply to a tunnel.
                let expected = match reset && (fin || status == 205) {
                    true => None,
                    false => Some(after != Tunnel),
                };
                assert_eq!(seen, expected, "{context}");
            }
        }
    });
}

/// Any 2xx to CONNECT opens a tunnel, with bytes in both directions.
#[test]
fn tunnels_are_opened_by_any_success() {
    every_version(|version| {
        for status in [200, 204, 205, 299] {
            let mut pair = Pair::new(version);
            pair.server.answers = false;
            let head = request(&Method::CONNECT);
            let opened = pair
                .client
                .engine
                .open(pair.now, head, OpenOptions::default());
            let stream = opened.unwrap();
            pair.run();
            let id = stream.id().value();
            let at_server = pair.server.keys[&id];
            let mut head = Head::response(StatusCode::from_u16(status).unwrap());
            head.fields
                .insert(CONTENT_LENGTH, HeaderValue::from_static("3"));
            pair.server_stream(at_server).reply(head, false).unwrap();
            let bytes = Bytes::from_static(b"of a tunnel");
            let server = &mut pair.server.engine;
            server
                .stream(pair.now, at_server)
                .send_data(bytes.clone(), false)
                .unwrap();
            pair.run();
            let client = &mut pair.client.engine;
            client
                .stream(pair.now, stream)
                .send_data(bytes.clone(), true)
                .unwrap();
            pair.run();
            let seen = &pair.client.seen[&id];
            assert_eq!(seen.body, bytes, "{version}, {status}");
            assert!(!seen.ended && seen.reset.is_none());
            assert!(!seen.fields.contains_key("content-length"));
            let seen = &pair.server.seen[&id];
            assert_eq!(seen.body, bytes, "{version}, {status}");
            assert!(seen.ended && seen.reset.is_none());
        }
    });
}

/// The engine does not send contradictory messages of a server's user.
#[test]
fn responses_of_ours_have_no_content_where_there_is_none() {
    every_version(|version| {
        for (method, status, after) in exchanges() {
            let context = format!("{version}, {method} {status}");
            let mut pair = Pair::new(version);
            pair.server.answers = false;
            let fin = method != Method::CONNECT;
            let head = request(&method);
            let opened = pair.client.engine.open(
                pair.now,
                head,
                OpenOptions::default().with(|options| options.fin = fin),
            );
            let id = opened.unwrap().id().value();
            pair.run();
            let stream = pair.server.keys[&id];
            let mut head = Head::response(StatusCode::from_u16(status).unwrap());
            head.fields
                .insert(CONTENT_LENGTH, HeaderValue::from_static("1"));
            let server = &mut pair.server.engine;
            server.stream(pair.now, stream).reply(head, false).unwrap();
            let sent = server
                .stream(pair.now, stream)
                .send_data(Bytes::from_static(b"x"), false);
            if after == Nothing {
                assert_eq!(sent, Err(UsageError::ContentForbidden), "{context}");
                let trailers = server
                    .stream(pair.now, stream)
                    .send_trailers(http::HeaderMap::new());
                assert_eq!(trailers, Err(UsageError::ContentForbidden), "{context}");
            } else {
                assert_eq!(sent, Ok(()), "{context}");
            }
            server
                .stream(pair.now, stream)
                .send_data(Bytes::new(), true)
                .unwrap();
            pair.run();
            let seen = &pair.client.seen[&id];
            assert!(seen.ended && seen.reset.is_none(), "{context}: {seen:?}");
            assert_eq!(seen.status.unwrap().as_u16(), status);
            let kept = after != Tunnel && status != 204 && status != 205;
            let length = seen.fields.contains_key("content-length");
            assert_eq!(length, kept, "{context}");
        }
    });
}

#[test]
fn informational_responses_have_no_length() {
    let mut server = Victim::new(Version::Http2, Side::Server);
    let mut peer = Peer::new(Version::Http2, Side::Client);
    peer.request(1, true, &[]);
    server.take(&mut peer);
    let Some(Event::Opened { stream, .. }) = server.events.pop() else {
        panic!("no request")
    };
    let mut head = Head::response(StatusCode::EARLY_HINTS);
    let length = HeaderValue::from_static("1");
    head.fields.insert(CONTENT_LENGTH, length);
    server
        .engine
        .stream(server.now, stream)
        .inform(head)
        .unwrap();
    let (mut client, _, _) = client(Version::Http2, &Method::GET);
    client.take_bytes(&server.flush());
    let Some(Event::Informational { head, .. }) = client.events.last() else {
        panic!("{:?}", client.events)
    };
    assert!(head.fields.is_empty(), "{:?}", head.fields);
}

/// RFC 9110 §9.3.8.
#[test]
fn trace_has_no_content() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Client);
        let refused =
            victim
                .engine
                .open(victim.now, request(&Method::TRACE), OpenOptions::default());
        assert!(matches!(
            refused,
            Err(OpenError::Usage(UsageError::ContentForbidden))
        ));
        let head = request(&Method::TRACE);
        victim
            .engine
            .open(victim.now, head, OpenOptions::without_content())
            .unwrap();

        for (extra, data) in [(&[("content-length", "1")][..], None), (&[], Some(b"x"))] {
            let mut victim = Victim::new(version, Side::Server);
            let mut peer = Peer::new(version, Side::Client);
            peer.request_of("TRACE", 1, data.is_none(), extra);
            if let Some(data) = data {
                peer.data(1, data, true);
            }
            victim.take(&mut peer);
            victim.flush();
            assert_eq!(super::content::data(&victim), 0);
            let resets = usize::from(version == Version::Http2);
            assert_eq!(victim.monitor.resets, resets, "{version}");
            let last = victim.events.last();
            assert!(
                matches!(last, Some(Event::Refused { .. } | Event::Reset { .. })),
                "{version}: {last:?}"
            );
        }
    });
}

/// GET, HEAD, DELETE and OPTIONS may have content, although it has no meaning.
#[test]
fn content_without_a_meaning_is_handed_on() {
    every_version(|version| {
        for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
            let mut victim = Victim::new(version, Side::Server);
            let mut peer = Peer::new(version, Side::Client);
            peer.request_of(method, 1, false, &[("content-length", "1")]);
            peer.data(1, b"x", true);
            victim.take(&mut peer);
            assert_eq!(data(&victim), 1, "{version}, {method}");
        }
    });
}

/// The drafts' §3.2.1: 400 if DATA and content-length differ, before the response has begun. RFC
/// 9113 §8.1.1: a stream error.
#[test]
fn a_body_of_another_length_is_answered_over_spdy() {
    every_version(|version| {
        for (name, ends, misbehave) in [
            ("more", false, (&b"four"[..], false)),
            ("more, with the end", true, (b"four", true)),
            ("less", true, (b"x", true)),
            ("trailers early", true, (b"", true)),
        ] {
            for begun in [false, true] {
                let context = format!("{version}, {name}, begun: {begun}");
                let mut config = Config::new(version, Side::Server);
                config.header_compression = HeaderCompression::Stored;
                let mut victim = Victim::with(config);
                let mut peer = Peer::new(version, Side::Client);
                peer.request(1, false, &[("content-length", "3")]);
                victim.take(&mut peer);
                let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
                    panic!("no request")
                };
                victim.stream(stream).retain();
                if begun {
                    let head = Head::response(StatusCode::OK);
                    victim.stream(stream).reply(head, false).unwrap();
                }
                victim.flush();
                let (data, fin) = misbehave;
                if data.is_empty() {
                    peer.headers(1, fin, &[("x-trailer", "1")]);
                } else {
                    peer.data(1, data, fin);
                }
                victim.take(&mut peer);
                let sent = victim.flush();
                let answered = version != Version::Http2 && !begun;
                assert_eq!(victim.monitor.resets, usize::from(!answered), "{context}");
                let told = sent.windows(3).any(|bytes| bytes == b"400");
                assert_eq!(told, answered, "{context}");
                let Some(Event::Reset {
                    stream: ended,
                    error,
                }) = victim.events.last()
                else {
                    panic!("{context}: {:?}", victim.events)
                };
                assert_eq!(*ended, stream);
                assert_eq!(error.initiator(), Initiator::Library);
                assert!(error.to_string().contains("content-length"), "{error}");
                // The stream counts until the handler ends, and no longer.
                let response = Head::response(StatusCode::OK);
                assert!(victim.stream(stream).reply(response, true).is_err());
                let handlers = victim.engine.stats();
                let counted = handlers.open_streams + handlers.detached_handlers as usize;
                assert_eq!(counted, 1, "{context}");
                victim.stream(stream).finish();
                if answered && !ends {
                    // The engine discards the rest of the body.
                    peer.data(1, &[0; 1000], true);
                    victim.take(&mut peer);
                }
                let stats = victim.engine.stats();
                assert_eq!(
                    (stats.open_streams, stats.detached_handlers),
                    (0, 0),
                    "{context}"
                );
                assert_eq!(stats.buffered_bytes, 0, "{context}");
                victim.flush();
                assert_eq!(victim.monitor.resets, usize::from(!answered), "{context}");
            }
        }
    });
}

/// A content-length that is no number is not sent. One that is repeated is sent once.
#[test]
fn lengths_of_ours_are_numbers() {
    every_version(|version| {
        for lengths in [&["x"][..], &[""], &["+1"], &["1", "2"], &["1, 1"]] {
            let mut victim = Victim::new(version, Side::Client);
            let mut head = request(&Method::POST);
            for length in lengths {
                head.fields
                    .append(CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            let opened = victim
                .engine
                .open(victim.now, head.clone(), OpenOptions::default());
            assert!(
                matches!(opened, Err(OpenError::Usage(UsageError::InvalidLength))),
                "{version}: {lengths:?}"
            );
            let mut victim = Victim::new(version, Side::Server);
            let mut peer = Peer::new(version, Side::Client);
            peer.request(1, true, &[]);
            victim.take(&mut peer);
            let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
                panic!("no request")
            };
            let response = Head {
                fields: head.fields,
                ..Head::response(StatusCode::OK)
            };
            let refused = victim.stream(stream).reply(response, false);
            assert_eq!(refused, Err(UsageError::InvalidLength), "{version}");
            // The handler may still answer.
            let sorry = Head::response(StatusCode::INTERNAL_SERVER_ERROR);
            victim.stream(stream).reply(sorry, true).unwrap();
        }
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        let mut head = request(&Method::POST);
        for _ in 0..2 {
            head.fields
                .append(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let id = pair.request(head);
        assert_eq!(pair.server.seen[&id].fields["content-length"], ["0"]);
    });
}

/// RFC 9110 §6.5.1: no trailer may declare the length of the message.
#[test]
fn trailers_of_ours_have_no_length() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        let opened =
            pair.client
                .engine
                .open(pair.now, request(&Method::POST), OpenOptions::default());
        let stream = opened.unwrap();
        let mut trailers = http::HeaderMap::new();
        trailers.insert(CONTENT_LENGTH, HeaderValue::from_static("1"));
        trailers.insert("x-checksum", HeaderValue::from_static("1"));
        let client = &mut pair.client.engine;
        client
            .stream(pair.now, stream)
            .send_trailers(trailers)
            .unwrap();
        pair.run();
        let seen = &pair.server.seen[&stream.id().value()];
        assert!(seen.reset.is_none() && seen.ended, "{version}: {seen:?}");
        let names: Vec<_> = seen.trailers.keys().collect();
        assert_eq!(names, ["x-checksum"], "{version}");
    });
}
