//! Content that stops or arrives byte by byte, and content that may be silent.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use lacewing_conn::{
    Limits, Reason, Side, Version,
    proto::{Config, Event, ExtendedConnect, Head, OpenOptions, Pressure, Rule},
};

use super::*;
use crate::{
    hostile::ListFrame,
    pair::{Body, Pair, every_version},
};

#[test]
fn content_that_stops_ends_its_stream() {
    every_version(|version| {
        for length in [None, Some("content-length")] {
            let (mut victim, mut peer) = server(version);
            let fields: Vec<_> = length.iter().map(|name| (*name, "100000")).collect();
            peer.request(1, false, &fields);
            peer.data(1, &[1; 1000], false);
            victim.take(&mut peer);
            pass(&mut victim, SECOND * 55);
            assert_eq!(resets(&victim).len(), 0, "{version} {length:?}");
            pass(&mut victim, SECOND * 20);
            let resets = resets(&victim);
            let [(Rule::BodyStall, Reason::Cancel, text)] = &resets[..] else {
                panic!("{version} {length:?}: {resets:?}");
            };
            assert!(text.contains("body_timeout (60s)"), "{text}");
            assert_eq!(closed(&victim), None);
            assert_eq!(victim.engine.open_streams(), 0);
        }
    });
}

/// A byte from time to time is no progress if the length is declared, and under pressure.
/// pressure.
#[test]
fn content_that_drips_ends_its_stream() {
    every_version(|version| {
        for pressure in [Pressure::Normal, Pressure::High] {
            let (mut victim, mut peer) = server(version);
            victim.engine.set_pressure(pressure);
            peer.request(1, false, &[("content-length", "100000")]);
            victim.take(&mut peer);
            let bound = if pressure == Pressure::High { 1 } else { 10 };
            let mut minutes = 0;
            while resets(&victim).is_empty() && minutes <= 12 {
                for _ in 0..3 {
                    peer.data(1, &[1], false);
                    victim.take(&mut peer);
                    pass(&mut victim, SECOND * 20);
                }
                minutes += 1;
            }
            assert_eq!(resets(&victim)[0].0, Rule::BodyStall, "{version}");
            assert!(
                (bound..=bound + 1).contains(&minutes),
                "{version} {minutes}"
            );
        }
    });
}

/// 1 MB at 2 kB/s, in frames of 16 KB, and over 30 streams at once on the same path.
#[test]
fn a_slow_phone_uploads() {
    every_version(|version| {
        for streams in [1, 30] {
            let (mut victim, mut peer) = server(version);
            let all = 990_000 / streams;
            let length = all.to_string();
            for n in 0..streams {
                let id = 2 * n as u32 + 1;
                peer.request(id, false, &[("content-length", &length)]);
            }
            let mut bytes = peer.bytes.split().to_vec();
            let mut left = all;
            while left > 0 {
                let len = left.min(11_000);
                left -= len;
                for n in 0..streams {
                    peer.data(2 * n as u32 + 1, &vec![7; len], left == 0);
                }
            }
            bytes.extend_from_slice(&peer.bytes.split());
            for second in bytes.chunks(2_000) {
                victim.take_bytes(second);
                mute(&mut victim, SECOND);
            }
            assert_eq!(closed(&victim), None, "{version} {streams}");
            assert_eq!(resets(&victim), [], "{version} {streams}");
            let done = victim
                .events
                .iter()
                .filter(|event| matches!(event, Event::Data { fin: true, .. }));
            assert_eq!(done.count(), streams, "{version}");
        }
    });
}

/// The handler is busy for an hour, and the window is full.
#[test]
fn a_reader_of_ours_that_is_slow_is_not_the_peers_fault() {
    for version in [Version::Spdy3, Version::Spdy31, Version::Http2] {
        let mut pair = Pair::with(version, |side, config| {
            if side == Side::Client {
                config.limits.stall_timeout = Duration::MAX;
            }
        });
        pair.server.greedy = false;
        let stream = pair.post("/echo/", Body::of(500_000));
        pair.run();
        pair.sleep(HOUR);
        assert_eq!(pair.response(stream).reset, None, "{version}");
        pair.server.greedy = true;
        for _ in 0..20 {
            pair.server.release_all(pair.now);
            pair.run();
        }
        assert_eq!(pair.response(stream).body.len(), 500_000, "{version}");
    }
}

/// Streams whose client has nothing to send, and need not send.
#[test]
fn dialogues_may_be_silent_for_an_hour() {
    let grpc = [
        ("content-type", "application/grpc+proto"),
        ("te", "trailers"),
    ];
    let expecting = [("expect", "100-continue"), ("content-length", "10")];
    every_version(|version| {
        for (name, fields, method, reply) in [
            ("grpc before its response", &grpc[..], "POST", false),
            ("grpc after its response", &grpc[..], "POST", true),
            ("any dialogue", &[][..], "POST", true),
            ("100 Continue is expected", &expecting[..], "POST", false),
        ] {
            let fields = match fields {
                _ if version == Version::Http2 => fields,
                // SPDY has no 100 (Continue) that a client could wait for.
                [("expect", _), ..] => continue,
                _ => &fields[..fields.len().min(1)],
            };
            let (mut victim, mut peer) = server(version);
            peer.request_of(method, 1, false, fields);
            victim.take(&mut peer);
            let stream = opened(&victim)[0];
            if reply {
                let head = Head::response(StatusCode::OK);
                let now = victim.now;
                victim
                    .engine
                    .stream(now, stream)
                    .reply(head, false)
                    .unwrap();
            }
            pass(&mut victim, HOUR);
            assert_eq!(closed(&victim), None, "{version} {name}");
            assert_eq!(resets(&victim), [], "{version} {name}");
        }
    });
}

/// A client that holds back its content for 100 (Continue) need not send it after a final
/// response that is no success. A handler that echoes it would wait for ever.
#[test]
fn an_echo_of_content_that_is_held_back_ends() {
    let length = ("content-length", "10");
    every_version(|version| {
        for (status, length, ends) in [
            (StatusCode::BAD_REQUEST, Some(length), true),
            (StatusCode::BAD_REQUEST, None, true),
            (StatusCode::FOUND, None, true),
            (StatusCode::OK, Some(length), true),
            // It may be a dialogue.
            (StatusCode::OK, None, false),
        ] {
            // Without 100 (Continue), the expectation has no effect.
            let ends = ends && (version == Version::Http2 || length.is_some());
            let (mut victim, mut peer) = server(version);
            let fields: Vec<_> = [("expect", "100-continue")]
                .into_iter()
                .chain(length)
                .collect();
            peer.request(1, false, &fields);
            victim.take(&mut peer);
            if version == Version::Http2 {
                pass(&mut victim, MINUTE * 5);
            }
            let (now, stream) = (victim.now, opened(&victim)[0]);
            let mut stream = victim.engine.stream(now, stream);
            stream.reply(Head::response(status), false).unwrap();
            pass(&mut victim, SECOND * 55);
            assert_eq!(resets(&victim), [], "{version} {status}");
            pass(&mut victim, SECOND * 20);
            let rules: Vec<_> = resets(&victim).into_iter().map(|(rule, ..)| rule).collect();
            let expected: &[Rule] = if ends { &[Rule::BodyStall] } else { &[] };
            assert_eq!(rules, expected, "{version} {status} {length:?}");
            assert_eq!(closed(&victim), None, "{version} {status}");
        }
    });
}

/// Content that began after the final response is content as any other.
#[test]
fn content_that_follows_a_refusal_is_taken() {
    let (mut victim, mut peer) = server(Version::Http2);
    peer.request(1, false, &[("expect", "100-continue")]);
    victim.take(&mut peer);
    let (now, stream) = (victim.now, opened(&victim)[0]);
    let mut stream = victim.engine.stream(now, stream);
    let head = Head::response(StatusCode::BAD_REQUEST);
    stream.reply(head, false).unwrap();
    pass(&mut victim, SECOND * 30);
    peer.data(1, b"begun", false);
    victim.take(&mut peer);
    pass(&mut victim, HOUR);
    assert_eq!(resets(&victim), []);
    assert_eq!(closed(&victim), None);
}

/// Only 100 (Continue) ends the wait of a client that expects it, and a handler that reads
/// asks for it. Where there is none, and for any other expectation, content may not be late.
#[test]
fn an_expectation_that_has_no_answer_permits_no_silence() {
    every_version(|version| {
        for value in ["100-continue", "a-miracle"] {
            let (mut victim, mut peer) = server(version);
            peer.request(1, false, &[("expect", value)]);
            victim.take(&mut peer);
            pass(&mut victim, SECOND * 75);
            let waits = version == Version::Http2 && value == "100-continue";
            assert_eq!(resets(&victim).is_empty(), waits, "{version} {value}");
        }
    });
}

/// The client's side of it: a server that answers every PING, and waits for the content.
#[test]
fn a_response_to_content_that_is_held_back_ends() {
    for length in [None, Some(("content-length", "10"))] {
        let mut victim = Victim::with(Config::new(Version::Http2, Side::Client));
        let mut peer = Peer::new(Version::Http2, Side::Server);
        peer.settings_ack();
        victim.take(&mut peer);
        let mut head = Head::request(Method::POST, "http://example.org/".parse().unwrap());
        let value = HeaderValue::from_static("100-continue");
        head.fields.insert("expect", value);
        let options = OpenOptions::default();
        let key = victim.engine.open(victim.now, head, options).unwrap();
        let status = (b":status".to_vec(), b"413".to_vec());
        let fields = length.map(|(name, value)| (name.into(), value.into()));
        let list: Vec<_> = [status].into_iter().chain(fields).collect();
        peer.list(ListFrame::Reply, 1, false, &list);
        victim.take(&mut peer);
        let now = victim.now;
        victim.engine.stream(now, key).withhold();
        // A response that arrives slowly lives on.
        for _ in 0..5 {
            pass(&mut victim, SECOND * 50);
            peer.data(1, b"x", false);
            victim.take(&mut peer);
        }
        assert_eq!(resets(&victim), [], "{length:?}");
        pass(&mut victim, SECOND * 75);
        let resets = resets(&victim);
        let [(Rule::BodyStall, Reason::Cancel, text)] = &resets[..] else {
            panic!("{length:?}: {resets:?}");
        };
        assert!(text.contains("body_timeout (60s)"), "{text}");
        assert_eq!(closed(&victim), None);
    }
}

/// A client with a request, and the head of its response.
fn responding(version: Version, fields: &[(&str, &str)]) -> (Victim, Peer) {
    let mut victim = Victim::with(Config::new(version, Side::Client));
    let mut peer = Peer::new(version, Side::Server);
    peer.settings_ack();
    victim.take(&mut peer);
    let head = Head::request(Method::GET, "http://example.org/".parse().unwrap());
    let options = OpenOptions::default();
    victim.engine.open(victim.now, head, options).unwrap();
    victim.flush();
    let status: &[(&str, &str)] = match version {
        Version::Http2 => &[(":status", "200")],
        Version::Spdy2 => &[("status", "200"), ("version", "HTTP/1.1")],
        _ => &[(":status", "200"), (":version", "HTTP/1.1")],
    };
    let list = status.iter().chain(fields);
    let list: Vec<_> = list
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    peer.list(ListFrame::Reply, 1, false, &list);
    victim.take(&mut peer);
    (victim, peer)
}

/// A server that answers every PING, and sends a part of a response of declared length, or drips.
#[test]
fn a_response_of_declared_length_goes_on_or_ends() {
    const LENGTH: (&str, &str) = ("content-length", "30000");
    every_version(|version| {
        // In part, and without its end.
        for (drops, drop_len) in [(0, 0), (3, 9_999), (3, 10_000), (20, 100)] {
            let (mut victim, mut peer) = responding(version, &[LENGTH]);
            for _ in 0..drops {
                peer.data(1, &vec![b'x'; drop_len], false);
                victim.take(&mut peer);
                assert_eq!(resets(&victim), [], "{version}");
                pass(&mut victim, SECOND * 30);
            }
            pass(&mut victim, MINUTE * 11);
            let resets = resets(&victim);
            let [(Rule::BodyStall, Reason::Cancel, text)] = &resets[..] else {
                panic!("{version} {drops}: {resets:?}");
            };
            assert!(text.contains("stall_timeout (600s)"), "{text}");
            assert_eq!(closed(&victim), None);
        }
    });
}

/// Beside it: a response with pauses of minutes, a slow one, one without a length, and a reader of
/// ours that takes nothing.
#[test]
fn a_response_may_be_slow() {
    every_version(|version| {
        let (mut victim, mut peer) = responding(version, &[("content-length", "100000")]);
        for _ in 0..6 {
            pass(&mut victim, MINUTE * 9);
            peer.data(1, &[b'x'; 15_500], false);
            victim.take(&mut peer);
        }
        assert_eq!(resets(&victim), [], "{version}");
        let (mut victim, mut peer) = responding(version, &[("content-length", "1000000")]);
        for _ in 0..500 {
            pass(&mut victim, SECOND * 10);
            peer.data(1, &[b'x'; 300], false);
            victim.take(&mut peer);
        }
        assert_eq!(resets(&victim), [], "{version}");
        let (mut victim, _) = responding(version, &[]);
        pass(&mut victim, HOUR);
        assert_eq!(resets(&victim), [], "{version}");
        // SPDY/2 has no window to fill.
        if version == Version::Spdy2 {
            return;
        }
        let (mut victim, mut peer) = responding(version, &[("content-length", "100000000")]);
        for _ in 0..64 {
            peer.data(1, &[b'x'; 16_384], false);
        }
        victim.take_unread(&mut peer);
        pass(&mut victim, HOUR);
        assert_eq!(resets(&victim), [], "{version}");
        assert_eq!(closed(&victim), None);
    });
}

/// A WebSocket (RFC 8441) and any other tunnel, idle for an hour.
#[test]
fn a_tunnel_may_be_idle_for_an_hour() {
    let mut pair = Pair::with(Version::Http2, |side, config| {
        if side == Side::Server {
            config.extended_connect = ExtendedConnect::Offer;
        }
        config.limits.idle_timeout = Limits::new(side).idle_timeout;
    });
    pair.run();
    let stream = pair.try_open(Method::CONNECT, "", Some(Body::default()));
    // The helper ends empty bodies, so the test opens a tunnel by hand.
    drop(stream);
    let mut head = Head::request(Method::CONNECT, "example.org:443".parse().unwrap());
    head.fields.insert(
        HeaderName::from_static("x-tunnel"),
        HeaderValue::from_static("1"),
    );
    let options = OpenOptions::default();
    let stream = pair.client.engine.open(pair.now, head, options).unwrap();
    pair.run();
    let key = pair.server.keys[&stream.id().value()];
    let reply = Head::response(StatusCode::OK);
    let now = pair.now;
    pair.server
        .engine
        .stream(now, key)
        .reply(reply, false)
        .unwrap();
    pair.run();
    assert!(pair.server.engine.stream(now, key).is_tunnel());
    pair.sleep(HOUR);
    assert!(pair.server_stream(key).is_tunnel(), "it is there");
    assert!(pair.client.closed.is_none() && pair.server.closed.is_none());
}

/// The response of a push may pause: a client waits for it as for any other.
#[test]
fn a_client_waits_for_the_content_of_a_push() {
    // An upload that waits for its window starts the sweeps; SPDY/2 has no windows.
    for version in [Version::Http2, Version::Spdy31, Version::Spdy3] {
        let mut victim = Victim::with(Config::new(version, Side::Client).with(|config| {
            config.push = lacewing_conn::proto::ServerPush::Accept;
        }));
        let mut peer = Peer::new(version, Side::Server);
        let head = Head::request(Method::POST, "https://a/".parse().unwrap());
        let opened = victim.engine.open(victim.now, head, OpenOptions::default());
        let upload = bytes::Bytes::from(vec![7; 100_000]);
        let mut stream = victim.stream(opened.unwrap());
        stream.send_data(upload, false).unwrap();
        victim.flush();
        let fields: &[(&str, &str)] = match version {
            Version::Http2 => &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "a"),
                (":path", "/x"),
            ],
            _ => &[(":scheme", "https"), (":host", "a"), (":path", "/x")],
        };
        let list: Vec<_> = fields
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        peer.settings();
        peer.settings_ack();
        peer.list(ListFrame::Promise { parent: 1 }, 2, false, &list);
        let mut response = peer.ok().to_vec();
        response.push(("content-length", "1000"));
        if version == Version::Http2 {
            peer.reply(2, false, &response);
        } else {
            peer.headers(2, false, &response);
        }
        peer.data(2, &[1; 10], false);
        victim.take(&mut peer);
        let data = |event: &Event| matches!(event, Event::Data { .. });
        assert!(
            victim.events.iter().any(data),
            "{version}: {:?}",
            victim.events
        );
        pass(&mut victim, SECOND * 150);
        assert_eq!(resets(&victim), [], "{version}");
        assert_eq!(closed(&victim), None, "{version}");
        peer.data(2, &[1; 990], true);
        victim.take(&mut peer);
        let last = victim.events.last();
        assert!(
            matches!(last, Some(Event::Data { fin: true, .. })),
            "{version}: {last:?}"
        );
    }
}
