//! RFC 8441, RFC 9218, RFC 8336 and RFC 7838; CONNECT; the upgrade from HTTP/1.1; and the
//! statistics of connections.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use lacewing_conn::{
    Reason, Side, Version,
    proto::{
        AlternativeFor, Config, ConnectProtocol, Control, Engine, Event, ExtendedConnect, Head,
        OpenError, OpenOptions, Priority, Rule, ServerPush, StreamId, UsageError,
    },
};

use crate::{
    hostile::{Peer, Victim},
    pair::{Body, Pair, content, every_version},
};

fn connect(protocol: Option<&'static str>) -> Head {
    let uri = match protocol {
        Some(_) => "https://example.org/chat",
        None => "example.org:443",
    };
    Head {
        control: Control::Request {
            method: Method::CONNECT,
            uri: uri.parse().unwrap(),
            protocol: protocol.map(ConnectProtocol::from_static),
        },
        fields: HeaderMap::new(),
    }
}

/// The reason of the only reset among the victim's events, and its rule.
fn reset_of(victim: &Victim) -> Option<(Reason, Option<Rule>)> {
    victim.events.iter().find_map(|event| match event {
        Event::Reset { error, .. } | Event::Refused { error, .. } => {
            Some((error.reason(), error.rule()))
        }
        _ => None,
    })
}

#[test]
fn extended_connect_is_used_only_where_it_is_offered() {
    let mut pair = Pair::with(Version::Http2, |_, config| {
        config.extended_connect = ExtendedConnect::Offer;
    });
    let early =
        pair.client
            .engine
            .open(pair.now, connect(Some("websocket")), OpenOptions::default());
    assert!(matches!(early, Err(OpenError::ExtendedConnectDisabled)));
    pair.run();
    assert!(pair.client.engine.peer_allows_extended_connect());
    let head = connect(Some("websocket"));
    let stream = pair
        .client
        .engine
        .open(pair.now, head, OpenOptions::default())
        .unwrap();
    pair.run();
    let key = pair.server.keys[&stream.id().value()];
    let ok = Head::response(StatusCode::OK);
    pair.server_stream(key).reply(ok, false).unwrap();
    pair.server.send(pair.now, key, Body::of(1000));
    pair.run();
    assert_eq!(pair.response(1).body, content(1000));

    let mut pair = Pair::new(Version::Http2);
    pair.run();
    let refused =
        pair.client
            .engine
            .open(pair.now, connect(Some("websocket")), OpenOptions::default());
    assert!(matches!(refused, Err(OpenError::ExtendedConnectDisabled)));

    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        let mut pair = Pair::new(version);
        pair.run();
        let refused =
            pair.client
                .engine
                .open(pair.now, connect(Some("websocket")), OpenOptions::default());
        let unsupported = OpenError::Usage(UsageError::Unsupported).to_string();
        assert_eq!(refused.unwrap_err().to_string(), unsupported);
    }
}

#[test]
fn a_protocol_that_was_not_offered_is_malformed() {
    let extended = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":authority", "example.org"),
        (":path", "/"),
    ];
    for (offer, expected) in [
        (ExtendedConnect::Off, true),
        (ExtendedConnect::Offer, false),
    ] {
        let mut config = Config::new(Version::Http2, Side::Server);
        config.extended_connect = offer;
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(Version::Http2, Side::Client);
        peer.open(1, false, &extended);
        victim.take(&mut peer);
        let malformed = Some((Reason::ProtocolError, Some(Rule::InvalidPseudoField)));
        assert_eq!(reset_of(&victim) == malformed, expected);
    }
    // RFC 8441 §4: only with CONNECT.
    let mut config = Config::new(Version::Http2, Side::Server);
    config.extended_connect = ExtendedConnect::Offer;
    let mut victim = Victim::with(config);
    let mut peer = Peer::new(Version::Http2, Side::Client);
    peer.request(1, false, &[]);
    let mut fields = extended;
    fields[0].1 = "GET";
    peer.open(3, false, &fields);
    victim.take(&mut peer);
    assert!(reset_of(&victim).is_some());
}

#[test]
fn a_tunnel_carries_data_and_nothing_else() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        let stream = pair
            .client
            .engine
            .open(pair.now, connect(None), OpenOptions::default())
            .unwrap();
        pair.run();
        let key = pair.server.keys[&1];
        let mut ok = Head::response(StatusCode::OK);
        // RFC 9110 §9.3.6: it has no meaning in a 2xx response to CONNECT.
        ok.fields.insert("content-length", 5.into());
        pair.server_stream(key).reply(ok, false).unwrap();
        pair.client.send(pair.now, stream, Body::of(300_000));
        pair.server.send(pair.now, key, Body::of(200_000));
        pair.run();
        assert_eq!(pair.response(1).body, content(200_000), "{version}");
        assert_eq!(pair.server.seen[&1].body, content(300_000));
        pair.assert_quiescent();

        // HEADERS are illegal there, from either side.
        let mut victim = Victim::new(version, Side::Client);
        let mut peer = Peer::new(version, Side::Server);
        victim.take(&mut peer);
        let key = victim
            .engine
            .open(victim.now, connect(None), OpenOptions::default())
            .unwrap();
        peer.reply(1, false, peer.ok());
        victim.take(&mut peer);
        let trailers = victim.stream(key).send_trailers(HeaderMap::new());
        assert_eq!(trailers, Err(UsageError::Unsupported));
        peer.headers(1, true, &[("x-checksum", "1")]);
        victim.take(&mut peer);
        let expected = Some((Reason::ProtocolError, Some(Rule::HeadersInTunnel)));
        assert_eq!(reset_of(&victim), expected, "{version}");
    });
}

#[test]
fn a_refused_tunnel_is_an_ordinary_response() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        pair.client
            .engine
            .open(pair.now, connect(None), OpenOptions::without_content())
            .unwrap();
        pair.run();
        let key = pair.server.keys[&1];
        let forbidden = Head::response(StatusCode::FORBIDDEN);
        pair.server_stream(key).reply(forbidden, false).unwrap();
        pair.server
            .send(pair.now, key, Body::of(100).with_trailers());
        pair.run();
        let seen = pair.response(1);
        assert_eq!(seen.status, Some(StatusCode::FORBIDDEN));
        assert_eq!(seen.trailers["x-checksum"], ["0123"]);
        pair.assert_quiescent();
    });
}

#[test]
fn priorities_are_heard_before_during_and_over() {
    let mut pair = Pair::new(Version::Http2);
    pair.run();
    let first = pair.get("/never/");
    let client_key = pair.client.keys[&first];
    pair.run();
    let server_key = pair.server.keys[&first];
    assert_eq!(
        pair.server_stream(server_key).priority(),
        Some(Priority::default())
    );
    // The client changes the priority.
    let urgent = Priority::new(0, true);
    pair.client_stream(client_key).prioritize(urgent);
    pair.run();
    assert_eq!(pair.server_stream(server_key).priority(), Some(urgent));
    // From then on, the server's own value applies.
    let late = Priority::new(7, false);
    pair.server_stream(server_key).prioritize(late);
    pair.client_stream(client_key)
        .prioritize(Priority::new(1, false));
    pair.run();
    assert_eq!(pair.server_stream(server_key).priority(), Some(late));
}

#[test]
fn a_priority_may_precede_its_stream() {
    let update = |id: u8| {
        let mut frame = b"\x00\x00\x07\x10\x00\x00\x00\x00\x00\x00\x00\x00".to_vec();
        frame.extend_from_slice(&[id]);
        frame.extend_from_slice(b"u=6");
        frame
    };
    let mut config = Config::new(Version::Http2, Side::Server);
    config.limits.max_early_priorities = 2;
    let mut victim = Victim::with(config);
    let mut peer = Peer::new(Version::Http2, Side::Client);
    for id in [1, 3, 5] {
        peer.raw(&update(id));
    }
    for id in [1, 3, 5] {
        peer.request(id, true, &[("priority", "u=1")]);
    }
    victim.take(&mut peer);
    let urgencies: Vec<_> = victim
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Opened { stream, .. } => victim.engine.stream(victim.now, *stream).priority(),
            _ => None,
        })
        .map(Priority::urgency)
        .collect();
    // The first one was dropped: the bound is two.
    assert_eq!(urgencies, [1, 6, 6]);

    // RFC 9218 §7.1: not for a push that was never promised.
    peer.raw(&update(2));
    victim.take(&mut peer);
    assert!(victim.engine.is_closed());

    // A server must not send it.
    let mut victim = Victim::new(Version::Http2, Side::Client);
    let mut peer = Peer::new(Version::Http2, Side::Server);
    peer.raw(&update(1));
    victim.take(&mut peer);
    assert!(victim.engine.is_closed());
}

#[test]
fn origins_and_alternatives_reach_the_client() {
    let mut pair = Pair::new(Version::Http2);
    pair.get("/never/");
    pair.run();
    let key = pair.server.keys[&1];
    let engine = &mut pair.server.engine;
    let origins = [
        Bytes::from_static(b"https://example.org"),
        Bytes::from_static(b"https://example.com"),
    ];
    engine.send_origins(&origins).unwrap();
    let whose = AlternativeFor::Origin(Bytes::from_static(b"https://example.org"));
    engine
        .send_alternative(&whose, b"h2=\"other:443\"")
        .unwrap();
    engine
        .send_alternative(&AlternativeFor::Stream(key), b"clear")
        .unwrap();
    let too_long = vec![b'x'; 20_000];
    let refused = engine.send_alternative(&whose, &too_long);
    assert_eq!(refused, Err(UsageError::TooLarge));
    pair.run();
    assert_eq!(pair.client.origins, origins);
    let expected = [
        (
            Some(Bytes::from_static(b"https://example.org")),
            None,
            Bytes::from_static(b"h2=\"other:443\""),
        ),
        (None, Some(1), Bytes::from_static(b"clear")),
    ];
    assert_eq!(pair.client.alternatives, expected);

    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.run();
        let client = pair.client.engine.send_origins(&origins);
        assert_eq!(client, Err(UsageError::Unsupported));
        if version != Version::Http2 {
            let server = pair.server.engine.send_origins(&origins);
            assert_eq!(server, Err(UsageError::Unsupported));
        }
    });
}

#[test]
fn an_upgraded_request_is_stream_one() {
    let mut pair = Pair::with(Version::Http2, |_, config| {
        config.limits.stream_window = 77_777;
    });
    let mut config = Config::new(Version::Http2, Side::Client);
    config.limits.stream_window = 77_777;
    let settings = Engine::upgrade_settings(&config);
    let uri: http::Uri = "http://example.org/bytes/50000".parse().unwrap();
    let head = Head::request(Method::GET, uri);
    let stream = pair.client.engine.upgrade_client(pair.now, &head).unwrap();
    assert_eq!(stream.id(), StreamId::new(1));
    pair.server
        .engine
        .upgrade_server(pair.now, head, &settings)
        .unwrap();
    pair.run();
    let seen = pair.response(1);
    assert_eq!(seen.status, Some(StatusCode::OK));
    assert_eq!(seen.body, content(50_000));
    let next = pair.get("/bytes/10");
    assert_eq!(next, 3);
    pair.run();
    pair.assert_quiescent();
    assert!(
        pair.client
            .engine
            .upgrade_client(pair.now, &Head::default())
            .is_none()
    );
}

/// As for every stream that lived for a second: its end cost the peer as much as us.
#[test]
fn an_upgraded_request_that_is_cancelled_late_is_not_charged_as_a_reset() {
    let mut config = Config::new(Version::Http2, Side::Server);
    config.limits.resets = lacewing_conn::proto::Rate {
        burst: 0,
        per_second: 0,
    };
    let mut victim = Victim::with(config);
    let uri = "http://example.org/".parse().unwrap();
    let head = Head::request(Method::GET, uri);
    victim.engine.upgrade_server(victim.now, head, b"").unwrap();
    let mut peer = Peer::new(Version::Http2, Side::Client);
    victim.take(&mut peer);
    victim.now += std::time::Duration::from_secs(2);
    peer.reset(1);
    victim.take(&mut peer);
    assert!(matches!(victim.events.last(), Some(Event::Reset { .. })));
    assert!(!victim.engine.is_closed());
}

#[test]
fn the_settings_of_an_upgrade_are_checked() {
    let uri: http::Uri = "http://example.org/".parse().unwrap();
    let cases: [(&[u8], bool); 4] = [
        (b"", true),
        (b"\x00\x04\x00\x01\x00\x00", true),
        (b"\x00\x04\x00\x01\x00", false),
        // A window above 2^31-1.
        (b"\x00\x04\x80\x00\x00\x00", false),
    ];
    for (settings, good) in cases {
        let mut victim = Victim::new(Version::Http2, Side::Server);
        let head = Head::request(Method::GET, uri.clone());
        let upgraded = victim.engine.upgrade_server(victim.now, head, settings);
        assert_eq!(upgraded.is_ok(), good, "{settings:?}");
    }
}

#[test]
fn only_plain_requests_are_promised() {
    let mut pair = Pair::with(Version::Http2, |side, config| {
        if side == Side::Client {
            config.push = ServerPush::Accept;
        }
    });
    pair.get("/never/");
    pair.run();
    let key = pair.server.keys[&1];
    let promise = |method, uri: &str, length: Option<u64>| {
        let mut head = Head::request(method, uri.parse().unwrap());
        if let Some(length) = length {
            head.fields.insert("content-length", length.into());
        }
        head
    };
    for bad in [
        promise(Method::POST, "https://example.org/", None),
        promise(Method::GET, "/no-authority", None),
        promise(Method::GET, "https://example.org/", Some(3)),
    ] {
        let refused = pair.server_stream(key).push(bad).unwrap_err();
        assert!(matches!(refused, OpenError::Usage(UsageError::NotPushable)));
    }
    let good = promise(Method::HEAD, "https://example.org/", Some(0));
    assert!(pair.server_stream(key).push(good).is_ok());
}

#[test]
fn statistics_count_stalls_bytes_and_resets() {
    every_version(|version| {
        let mut pair = Pair::with(version, |side, config| {
            config.limits.max_stream_window = 0;
            if side == Side::Client {
                config.limits.stream_window = 70_000;
            }
        });
        pair.client.greedy = false;
        let stream = pair.get("/bytes/200000");
        pair.run();
        let stats = pair.server.engine.stats();
        let windows = version != Version::Spdy2;
        assert_eq!(stats.stalls.stream_window > 0, windows, "{version}");
        pair.client.greedy = true;
        for _ in 0..100 {
            pair.client.release_all(pair.now);
            pair.run();
        }
        assert_eq!(pair.response(stream).body.len(), 200_000);
        let (server, client) = (pair.server.engine.stats(), pair.client.engine.stats());
        assert_eq!(server.data_sent, 200_000);
        assert_eq!(client.data_received, 200_000);
        let (sent, received) = (client.headers_sent, server.headers_received);
        assert_eq!(sent.plain, received.plain, "{version}");
        assert!(received.compressed > 0 && sent.compressed >= received.compressed);
        assert!(sent.ratio().unwrap() > 0.0);

        let stream = pair.get("/never/");
        pair.run();
        let key = pair.client.keys[&stream];
        pair.client_stream(key).reset(Reason::Cancel);
        pair.run();
        let (server, client) = (pair.server.engine.stats(), pair.client.engine.stats());
        assert_eq!(client.resets_sent.of(Reason::Cancel), 1);
        assert_eq!(server.resets_received.of(Reason::Cancel), 1);
        assert_eq!(server.resets_received.total(), 1);
    });
}

/// The error names the limit, its value and the remedy.
#[test]
fn header_limits_name_themselves() {
    every_version(|version| {
        let many: Vec<_> = (0..20).map(|_| ("x-many", "1")).collect();
        let large = "x".repeat(3_000);
        let huge = "x".repeat(20_000);
        for (fields, limit) in [
            (
                vec![("x-huge", huge.as_str())],
                "max_header_list_size (2000 bytes)",
            ),
            (many, "max_header_fields (12 fields)"),
            (
                vec![("x-large", large.as_str())],
                "max_header_list_size (2000 bytes)",
            ),
        ] {
            for side in [Side::Server, Side::Client] {
                let mut config = Config::new(version, side);
                config.limits.max_header_fields = 12;
                config.limits.max_header_list_size = 2_000;
                let mut victim = Victim::with(config);
                let other = match side {
                    Side::Server => Side::Client,
                    Side::Client => Side::Server,
                };
                let mut peer = Peer::new(version, other);
                victim.take(&mut peer);
                if side == Side::Server {
                    peer.request(1, true, &fields);
                } else {
                    let uri = "https://example.org/".parse().unwrap();
                    let head = Head::request(Method::GET, uri);
                    victim
                        .engine
                        .open(victim.now, head, OpenOptions::without_content())
                        .unwrap();
                    let fields: Vec<_> = peer.ok().iter().chain(&fields).copied().collect();
                    peer.reply(1, true, &fields);
                }
                victim.take(&mut peer);
                let text = victim.events.iter().find_map(|event| match event {
                    Event::Reset { error, .. }
                    | Event::Refused { error, .. }
                    | Event::Closed { error } => Some(error.to_string()),
                    _ => None,
                });
                let text = text.unwrap_or_default();
                assert!(
                    text.contains(limit),
                    "{version}, {side:?}: {text} {:?}",
                    victim.events
                );
            }
        }
    });
}

/// Repeated fields of a request take almost no bytes. A value that is marked as sensitive is never
/// matched, in any protocol.
#[test]
fn repeated_fields_are_short_unless_they_are_sensitive() {
    every_version(|version| {
        let cost = |sensitive: bool| {
            let mut pair = Pair::new(version);
            pair.run();
            let mut costs = Vec::new();
            for _ in 0..3 {
                let before = pair.client.engine.stats().headers_sent.compressed;
                let uri = "https://example.org/bytes/1".parse().unwrap();
                let mut head = Head::request(Method::GET, uri);
                let token = "b7f0d1c4a9e2".repeat(20);
                let mut token = http::HeaderValue::try_from(token).unwrap();
                token.set_sensitive(sensitive);
                head.fields.insert("x-token", token);
                let opened =
                    pair.client
                        .engine
                        .open(pair.now, head, OpenOptions::without_content());
                opened.unwrap();
                pair.run();
                costs.push(pair.client.engine.stats().headers_sent.compressed - before);
            }
            costs
        };
        let (plain, sensitive) = (cost(false), cost(true));
        assert!(plain[2] < 60, "{version}: {plain:?}");
        assert!(sensitive[2] > 140, "{version}: {sensitive:?}");
    });
}

/// RFC 9113 §5.1, reserved (remote): HEADERS, RST_STREAM and nothing else.
#[test]
fn a_promised_stream_gets_its_response_first() {
    let promise = |block: &[u8]| {
        let mut frame = vec![0, 0, block.len() as u8 + 4, 5, 4, 0, 0, 0, 1, 0, 0, 0, 2];
        frame.extend_from_slice(block);
        frame
    };
    // :method GET, :scheme https, :path /, :authority a
    let whole = b"\x82\x87\x84\x41\x01a";
    let misbehaviours: [(&[u8], bool); 4] = [
        (
            b"\x00\x00\x04\x08\x00\x00\x00\x00\x02\x00\x00\x00\x01",
            true,
        ),
        (b"\x00\x00\x01\x00\x00\x00\x00\x00\x02x", true),
        (
            b"\x00\x00\x04\x03\x00\x00\x00\x00\x02\x00\x00\x00\x08",
            false,
        ),
        (
            b"\x00\x00\x05\x02\x00\x00\x00\x00\x02\x00\x00\x00\x00\x10",
            false,
        ),
    ];
    for (frame, fatal) in misbehaviours {
        let mut config = Config::new(Version::Http2, Side::Client);
        config.push = ServerPush::Accept;
        let mut victim = Victim::with(config);
        let uri = "https://example.org/".parse().unwrap();
        let head = Head::request(Method::GET, uri);
        victim
            .engine
            .open(victim.now, head, OpenOptions::without_content())
            .unwrap();
        let mut peer = Peer::new(Version::Http2, Side::Server);
        peer.raw(&promise(whole));
        peer.raw(frame);
        victim.take(&mut peer);
        assert_eq!(victim.engine.is_closed(), fatal, "{frame:?}");
    }
    // A promise without a method is no request (§8.4.1).
    let mut config = Config::new(Version::Http2, Side::Client);
    config.push = ServerPush::Accept;
    let mut victim = Victim::with(config);
    let uri = "https://example.org/".parse().unwrap();
    let head = Head::request(Method::GET, uri);
    victim
        .engine
        .open(victim.now, head, OpenOptions::without_content())
        .unwrap();
    let mut peer = Peer::new(Version::Http2, Side::Server);
    peer.raw(&promise(&whole[1..]));
    victim.take(&mut peer);
    let expected = (Reason::ProtocolError, Some(Rule::MissingPseudoField));
    assert_eq!(reset_of(&victim), Some(expected));
}
