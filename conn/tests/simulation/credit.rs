//! Windows: the effect of SETTINGS on them. The credit of a byte is never lost, whatever happens to
//! the byte.

use std::time::Instant;

use bytes::Bytes;
use http::{Method, StatusCode};
use lacewing_conn::{
    Reason, Side, Version,
    proto::{Config, Engine, Event, Head, OpenOptions, Rule, StreamKey, VersionSource},
};

use crate::{
    hostile::{Peer, Victim},
    monitor::Monitor,
    pair::{Body, Pair, every_version},
};

/// The initial windows of a stream and of the connection.
fn initial(version: Version) -> Option<usize> {
    match version {
        Version::Spdy2 => None,
        Version::Spdy3 | Version::Spdy31 => Some(65_536),
        Version::Http2 => Some(65_535),
    }
}

fn has_connection_window(version: Version) -> bool {
    matches!(version, Version::Spdy31 | Version::Http2)
}

/// A server with open responses of any length.
fn serving(version: Version, streams: u32) -> (Victim, Peer, Vec<StreamKey>) {
    let mut victim = Victim::new(version, Side::Server);
    let mut peer = Peer::new(version, Side::Client);
    for count in 0..streams {
        peer.request(2 * count + 1, true, &[]);
    }
    victim.grant(&mut peer);
    let keys: Vec<_> = victim
        .events
        .drain(..)
        .filter_map(|event| match event {
            Event::Opened { stream, .. } => Some(stream),
            _ => None,
        })
        .collect();
    for key in &keys {
        let ok = Head::response(StatusCode::OK);
        victim.stream(*key).reply(ok, false).unwrap();
        victim.stream(*key).offer();
    }
    (victim, peer, keys)
}

/// The bytes of DATA that the victim has sent so far.
fn sent(victim: &mut Victim) -> usize {
    victim.flush();
    victim.engine.stats().data_sent as usize
}

/// SPDY/3 §2.6.4, SPDY/3.1 §2.6.8, RFC 9113 §6.9.2: the windows of open streams change too, even
/// below zero.
#[test]
fn open_streams_move_with_the_initial_window() {
    for version in [Version::Spdy3, Version::Spdy31, Version::Http2] {
        let start = initial(version).unwrap();
        let (mut victim, mut peer, _) = serving(version, 1);
        if has_connection_window(version) {
            peer.window_update(0, 1 << 24);
        }
        victim.grant(&mut peer);
        assert_eq!(sent(&mut victim), start, "{version}");
        // The draft's own example: 48 KiB below zero.
        peer.initial_window(16_384);
        victim.grant(&mut peer);
        assert_eq!(sent(&mut victim), start, "{version}: nothing more");
        let below = (start - 16_384) as u32;
        peer.window_update(1, below);
        victim.grant(&mut peer);
        assert_eq!(sent(&mut victim), start, "{version}: zero is not enough");
        peer.window_update(1, 1_000);
        victim.grant(&mut peer);
        assert_eq!(sent(&mut victim), start + 1_000, "{version}");
        peer.initial_window(16_384 + 500);
        victim.grant(&mut peer);
        assert_eq!(
            sent(&mut victim),
            start + 1_500,
            "{version}: and positive again"
        );
        // A new stream starts with the current setting.
        peer.request(3, true, &[]);
        victim.grant(&mut peer);
        let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
            panic!("{version}: no request")
        };
        let ok = Head::response(StatusCode::OK);
        victim.stream(stream).reply(ok, false).unwrap();
        victim.stream(stream).offer();
        assert_eq!(sent(&mut victim), start + 1_500 + 16_884, "{version}");
    }
}

/// Only WINDOW_UPDATE changes the connection's window.
#[test]
fn the_initial_window_is_not_the_connections() {
    for version in [Version::Spdy31, Version::Http2] {
        let start = initial(version).unwrap();
        for size in [0, 1_000, 1 << 20] {
            let (mut victim, mut peer, _) = serving(version, 2);
            peer.initial_window(size);
            peer.initial_window(1 << 20);
            victim.grant(&mut peer);
            assert_eq!(sent(&mut victim), start, "{version}, {size}");
            peer.window_update(0, 7);
            victim.grant(&mut peer);
            assert_eq!(sent(&mut victim), start + 7, "{version}, {size}");
        }
    }
    // Without a connection window, streams do not share. SPDY/2 has no window.
    let (mut victim, mut peer, _) = serving(Version::Spdy3, 2);
    peer.initial_window(100_000);
    victim.grant(&mut peer);
    assert_eq!(sent(&mut victim), 200_000);
    let (mut victim, mut peer, keys) = serving(Version::Spdy2, 1);
    peer.initial_window(0);
    victim.take(&mut peer);
    let data = Bytes::from(vec![0; 100_000]);
    victim.stream(keys[0]).send_data(data, true).unwrap();
    assert_eq!(sent(&mut victim), 100_000);
}

#[test]
fn initial_windows_that_overflow_are_errors() {
    for version in [Version::Spdy3, Version::Spdy31, Version::Http2] {
        for (credit, size) in [(None, 0x8000_0000), (Some(0x7fff_0000 - 1), 0x7fff_ffff)] {
            let (mut victim, mut peer, _) = serving(version, 1);
            // The window is used up: the credit alone does not overflow it.
            if has_connection_window(version) {
                peer.window_update(0, 1 << 20);
            }
            victim.grant(&mut peer);
            sent(&mut victim);
            if let Some(credit) = credit {
                peer.window_update(1, credit);
            }
            peer.initial_window(size);
            victim.take(&mut peer);
            assert!(victim.engine.is_closed(), "{version}, {size}");
        }
    }
}

/// SPDY/3.1 §2.6.8: an empty frame needs no window.
#[test]
fn a_body_ends_without_a_window() {
    every_version(|version| {
        let (mut victim, _, keys) = serving(version, 1);
        let len = initial(version).unwrap_or(10_000);
        let body = Bytes::from(vec![0; len]);
        victim.stream(keys[0]).send_data(body, false).unwrap();
        while victim.engine.poll_transmit(victim.now) == lacewing_conn::proto::Transmit::Write {
            victim.flush();
        }
        victim.flush();
        let end = Bytes::new();
        victim.stream(keys[0]).send_data(end, true).unwrap();
        let sent = victim.flush();
        let expected: &[u8] = match version {
            Version::Http2 => &[0, 0, 0, 0, 1, 0, 0, 0, 1],
            _ => &[0, 0, 0, 1, 1, 0, 0, 0],
        };
        assert_eq!(sent, expected, "{version}: an empty frame with its end");
        assert_eq!(victim.engine.open_streams(), 0, "{version}");
    });
}

/// The credit of bytes that no user receives is returned too, whichever rule discards them.
#[test]
fn credit_of_discarded_content_is_returned() {
    const PIECE: usize = 3_000;
    type Discard = fn(&mut Victim, &mut Peer, u32);
    let ways: [(&str, bool, Discard); 8] = [
        ("on a stream that was never opened", false, |_, peer, id| {
            peer.data(id, &[7; PIECE], false);
        }),
        ("on a stream that the peer reset", true, |_, peer, id| {
            peer.request(id, false, &[]);
            peer.reset(id);
            peer.data(id, &[7; PIECE], false);
        }),
        ("on a stream that we reset", true, |victim, peer, id| {
            peer.request(id, false, &[]);
            victim.take(peer);
            let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
                panic!("no request")
            };
            victim.stream(stream).reset(Reason::Cancel);
            peer.data(id, &[7; PIECE], false);
        }),
        ("on a stream that is refused", true, |_, peer, id| {
            for more in 0..3 {
                peer.request(id + 2 * more, false, &[]);
            }
            peer.data(id + 4, &[7; PIECE], false);
            for more in 0..2 {
                peer.reset(id + 2 * more);
            }
        }),
        ("after the end", true, |_, peer, id| {
            peer.request(id, true, &[]);
            peer.data(id, &[7; PIECE], false);
            peer.reset(id);
        }),
        ("over the content-length", true, |_, peer, id| {
            peer.request(id, false, &[("content-length", "1")]);
            peer.data(id, &[7; PIECE], true);
        }),
        ("of a malformed request", true, |_, peer, id| {
            peer.request(id, false, &[("X-UPPER", "1")]);
            peer.data(id, &[7; PIECE], false);
        }),
        ("without a reader", true, |victim, peer, id| {
            peer.request(id, false, &[]);
            victim.take(peer);
            let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
                panic!("no request")
            };
            victim.stream(stream).abandon();
            peer.data(id, &[7; PIECE], true);
            victim.take(peer);
            let ok = Head::response(StatusCode::OK);
            victim.stream(stream).reply(ok, true).unwrap();
        }),
    ];
    for version in [Version::Spdy31, Version::Http2] {
        for (name, in_http2, discard) in ways {
            if version == Version::Http2 && !in_http2 {
                continue;
            }
            let mut config = Config::new(version, Side::Server);
            config.limits.connection_window = 65_536;
            config.limits.max_connection_window = 0;
            config.limits.max_concurrent_streams = 2;
            let mut victim = Victim::with(config);
            let mut peer = Peer::new(version, Side::Client);
            for count in 0..40 {
                discard(&mut victim, &mut peer, 6 * count + 1);
                victim.take(&mut peer);
                victim.flush();
                let context = format!("{version}, {name}, {count}");
                assert!(!victim.engine.is_closed(), "{context}: {:?}", victim.events);
                let stats = victim.engine.stats();
                assert_eq!(stats.open_streams, 0, "{context}");
                assert_eq!(stats.receive_credit, 65_536, "{context}");
            }
            // More bytes than the window were transferred.
            assert!(victim.engine.stats().data_received > 65_536);
        }
    }
}

/// A body without a reader is larger than its stream's window. The window still opens again and
/// again.
#[test]
fn a_stream_without_a_reader_gets_credit() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let stream = pair.post("/never/", Body::of(1 << 20));
        pair.server.greedy = false;
        pair.run();
        let key = pair.server.keys[&stream];
        pair.server_stream(key).abandon();
        pair.run();
        let ok = Head::response(StatusCode::OK);
        pair.server_stream(key).reply(ok, true).unwrap();
        pair.run();
        let seen = pair.response(stream);
        assert!(!seen.stopped, "{version}: all of it was sent before");
        assert_eq!(seen.status, Some(StatusCode::OK), "{version}");
        pair.server.release_all(pair.now);
        pair.assert_quiescent();
    });
}

/// Trailers of a request without a reader cause no event.
#[test]
fn trailers_without_a_reader_cause_no_event() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.request(1, false, &[]);
        victim.take(&mut peer);
        let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
            panic!("no request")
        };
        victim.stream(stream).abandon();
        victim.events.clear();
        peer.data(1, b"body", false);
        peer.headers(1, true, &[("x-trailer", "1")]);
        victim.take(&mut peer);
        assert!(victim.events.is_empty(), "{version}: {:?}", victim.events);
    });
}

/// WINDOW_UPDATE is sent where it exists: for streams from SPDY/3 on, for the connection from
/// SPDY/3.1 on.
#[test]
fn credit_uses_the_frames_of_the_version() {
    for (version, streams, connection) in [
        (Version::Spdy2, false, false),
        (Version::Spdy3, true, false),
        (Version::Spdy31, true, true),
    ] {
        let mut victim = Victim::new(version, Side::Client);
        let uri = "https://example.org/".parse().unwrap();
        let head = Head::request(Method::GET, uri);
        victim
            .engine
            .open(victim.now, head, OpenOptions::without_content())
            .unwrap();
        let mut peer = Peer::new(version, Side::Server);
        peer.reply(1, false, peer.ok());
        let mut updates = [false; 2];
        for _ in 0..400 {
            peer.data(1, &[7; 10_000], false);
            victim.take(&mut peer);
            let bytes = victim.flush();
            let mut rest = &bytes[..];
            while let [_, _, _, kind, _, _, _, len, payload @ ..] = rest {
                if *kind == 9 {
                    updates[usize::from(payload[..4] == [0; 4])] = true;
                }
                rest = &payload[usize::from(*len)..];
            }
            victim.events.clear();
        }
        assert_eq!(updates, [streams, connection], "{version}");
        assert!(!victim.engine.is_closed(), "{version}");
    }
}

/// Six frames of 10,000 bytes, and a last one.
fn send_unread(peer: &mut Peer, last: usize) {
    for len in [10_000; 6].into_iter().chain([last]).filter(|len| *len > 0) {
        peer.data(1, &vec![7; len], false);
    }
}

/// A server with a connection window of 64 KiB, and an upload without a reader. Returns the result.
fn unread_upload(version: Version, last: usize) -> (Victim, Peer, Vec<Event>) {
    let mut config = Config::new(version, Side::Server);
    config.limits.connection_window = 65_536;
    config.limits.max_connection_window = 0;
    config.limits.max_buffered_bytes = 0;
    config.limits.stream_window = 66_000;
    let mut victim = Victim::with(config);
    let mut peer = Peer::new(version, Side::Client);
    peer.request(1, false, &[]);
    send_unread(&mut peer, last);
    let mut input = peer.bytes.split();
    let events = std::iter::from_fn(|| victim.engine.poll_event(victim.now, &mut input));
    let events = events.collect();
    (victim, peer, events)
}

/// DATA beyond the connection's window ends the connection, if the protocol has that window.
///
/// OkHttp 2, as client and as server, adds the change of a stream's initial window to the
/// connection's window. The change is from 64 KiB to 66,000 bytes here.
#[test]
fn data_over_the_connections_window_is_an_error() {
    every_version(|version| {
        let rule = |events: &[Event]| {
            events.iter().find_map(|event| match event {
                Event::Closed { error } => error.rule(),
                _ => None,
            })
        };
        let exceeded = has_connection_window(version).then_some(Rule::ConnectionWindowExceeded);
        for (last, expected) in [(6_000, None), (6_002, exceeded)] {
            let (_, _, events) = unread_upload(version, last);
            assert_eq!(rule(&events), expected, "upload, {version}: {last}");
            let events = unread_download(version, last);
            assert_eq!(rule(&events), expected, "download, {version}: {last}");
        }
    });
}

/// A client with the windows of [`unread_upload`], and a response without a reader.
fn unread_download(version: Version, last: usize) -> Vec<Event> {
    let mut config = Config::new(version, Side::Client);
    config.limits.connection_window = 65_536;
    config.limits.max_connection_window = 0;
    config.limits.max_buffered_bytes = 0;
    config.limits.stream_window = 66_000;
    let mut victim = Victim::with(config);
    let head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
    let options = OpenOptions::default().with(|options| options.fin = true);
    let now = victim.now;
    victim.engine.open(now, head, options).unwrap();
    victim.flush();
    let mut peer = Peer::new(version, Side::Server);
    let ok = peer.ok().to_vec();
    peer.reply(1, false, &ok);
    send_unread(&mut peer, last);
    let mut input = peer.bytes.split();
    std::iter::from_fn(|| victim.engine.poll_event(now, &mut input)).collect()
}

/// If a stream ends early, the credit of its buffered bytes is returned with it.
#[test]
fn credit_of_a_reset_stream_is_returned() {
    for version in [Version::Spdy31, Version::Http2] {
        for by_peer in [true, false] {
            // Almost the window.
            let (mut victim, mut peer, events) = unread_upload(version, 0);
            let stream = events.iter().find_map(|event| match event {
                Event::Opened { stream, .. } => Some(*stream),
                _ => None,
            });
            assert!(!victim.engine.is_closed(), "{version}");
            let credit = victim.engine.stats().receive_credit;
            assert!(credit < 65_536, "{version}: {credit} while all is buffered");
            if by_peer {
                peer.reset(1);
                victim.take(&mut peer);
            } else {
                let stream = stream.unwrap();
                victim.stream(stream).reset(Reason::Cancel);
            }
            let credit = victim.engine.stats().receive_credit;
            assert_eq!(credit, 65_536, "{version}, by the peer: {by_peer}");
        }
    }
}

/// Short data does not keep its read buffer alive. The driver sets the length, and such data is
/// copied once.
#[test]
fn data_is_copied_below_a_length_of_the_drivers_choice() {
    every_version(|version| {
        for (copy_below, len, copied) in [
            (None, 1_000, true),
            (None, 1_024, false),
            (Some(4_096), 4_000, true),
            (Some(4_096), 4_096, false),
            (Some(1), 10, false),
        ] {
            let mut engine = Engine::new(Config::new(version, Side::Server), Instant::now(), 1);
            if let Some(copy_below) = copy_below {
                engine.set_copy_below(copy_below);
            }
            let mut peer = Peer::new(version, Side::Client);
            peer.request(1, false, &[]);
            peer.data(1, &vec![7; len], false);
            let mut input = peer.bytes.split();
            let range = input.as_ptr_range();
            let mut seen = false;
            while let Some(event) = engine.poll_event(Instant::now(), &mut input) {
                if let Event::Data { data, .. } = event {
                    assert_eq!(data.len(), len, "{version}");
                    assert_eq!(range.contains(&data.as_ptr()), !copied, "{version}, {len}");
                    seen = true;
                }
            }
            assert!(seen, "{version}");
        }
    });
}

/// SPDY/3.1 from first bytes: a window of the connection that was used up, and taken for one that the
/// peer does not know. The peer's first grant shows that it counts. What went beyond the window has to
/// be granted before more is sent: a peer may end the connection over what exceeds it.
#[test]
fn a_connection_window_that_the_peer_grants_late_binds_again() {
    let mut victim = Victim::with(Config::new(Version::Spdy31, Side::Server).with(|config| {
        config.version_source = VersionSource::FirstBytes;
        config.limits.idle_timeout = None;
        config.limits.max_silence = None;
    }));
    // The monitor holds it to the windows of streams, until the connection's is known.
    victim.monitor = Monitor::new(Version::Spdy3, Side::Server);
    let mut peer = Peer::new(Version::Spdy31, Side::Client);
    peer.initial_window(300_000);
    peer.request(1, true, &[]);
    victim.grant(&mut peer);
    let opened = victim.events.iter().find_map(|event| match event {
        Event::Opened { stream, .. } => Some(*stream),
        _ => None,
    });
    let key = opened.unwrap();
    let mut stream = victim.stream(key);
    stream.reply(Head::response(StatusCode::OK), false).unwrap();
    let body = Bytes::from(vec![7; 900_000]);
    stream.send_data(body, false).unwrap();
    while !victim.flush().is_empty() {}
    assert_eq!(victim.engine.stats().data_sent, 300_000);
    let mut grant = |stream, increment| {
        peer.window_update(stream, increment);
        victim.grant(&mut peer);
        while !victim.flush().is_empty() {}
        let stats = victim.engine.stats();
        (stats.data_sent, stats.send_window)
    };
    // The window of the stream does not matter while that of the connection is 234,464 bytes below 0.
    assert_eq!(grant(0, 200_000), (300_000, 0));
    assert_eq!(grant(1, 600_000), (300_000, 0));
    assert_eq!(grant(0, 34_464), (300_000, 0));
    assert_eq!(grant(0, 20_000), (320_000, 0));
    assert_eq!(grant(0, 580_000), (900_000, 0));
    assert_eq!(grant(0, 1_000), (900_000, 1_000));
}
