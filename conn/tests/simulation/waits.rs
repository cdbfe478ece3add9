//! Waits that end: frames that drip, content that stops, data that is not taken,
//! peers that say nothing. And beside each the honest peer that does something
//! similar, and lives.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use lacewing_conn::{
    Limits, Reason, Side, Version,
    proto::{Config, Event, Head, OpenOptions, Pressure, Rule, Semantics, StreamKey, Transmit},
};

use crate::{
    hostile::{Peer, Victim},
    pair::{Body, Pair, every_version},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A server with the defaults, SETTINGS acknowledged.
fn server(version: Version) -> (Victim, Peer) {
    server_with(version, |_| {})
}

fn server_with(version: Version, change: impl FnOnce(&mut Config)) -> (Victim, Peer) {
    let mut config = Config::new(version, Side::Server);
    change(&mut config);
    let mut victim = Victim::with(config);
    let mut peer = Peer::new(version, Side::Client);
    peer.settings_ack();
    victim.take(&mut peer);
    victim.flush();
    (victim, peer)
}

/// Lets time pass for a victim whose transport takes everything, and that hears
/// nothing but the answers to its PINGs.
fn pass(victim: &mut Victim, time: Duration) {
    let end = victim.now + time;
    let written = drain(victim);
    answer_pings(victim, &written);
    while let Some(due) = victim.engine.poll_timeout().filter(|due| *due <= end) {
        victim.now = victim.now.max(due);
        victim.engine.handle_timeout(victim.now);
        victim.poll();
        let written = drain(victim);
        answer_pings(victim, &written);
        if victim.engine.is_closed() {
            break;
        }
    }
    victim.now = end;
}

/// Writes out what is in the output, and asks no source.
fn drain(victim: &mut Victim) -> Bytes {
    victim.engine.poll_transmit(victim.now);
    let len = victim.engine.output().remaining();
    victim.engine.output().copy_to_bytes(len)
}

fn answer_pings(victim: &mut Victim, written: &[u8]) {
    let version = victim.engine.version();
    let mut answers = Vec::new();
    if version == Version::Http2 {
        for at in 0..written.len() {
            let ping = written.get(at..at + 17);
            if let Some(ping) = ping.filter(|ping| ping.starts_with(&[0, 0, 8, 6, 0, 0, 0, 0, 0])) {
                answers.extend_from_slice(ping);
                let flags = answers.len() - 17 + 4;
                answers[flags] = 1;
            }
        }
    } else {
        let two = if version == Version::Spdy2 { 2 } else { 3 };
        for at in 0..written.len() {
            let ping = written.get(at..at + 12);
            let head = [0x80, two, 0, 6, 0, 0, 0, 4];
            if let Some(ping) = ping.filter(|ping| ping.starts_with(&head)) {
                answers.extend_from_slice(ping);
            }
        }
    }
    if !answers.is_empty() {
        victim.take_bytes(&answers);
    }
}

fn closed(victim: &Victim) -> Option<Rule> {
    victim.events.iter().find_map(|event| match event {
        Event::Closed { error } => error.rule(),
        _ => None,
    })
}

/// The rules by which streams ended, with the words of the last.
fn resets(victim: &Victim) -> Vec<(Rule, Reason, String)> {
    let resets = victim.events.iter().filter_map(|event| match event {
        Event::Reset { error, .. } => Some((error.rule()?, error.reason(), error.to_string())),
        _ => None,
    });
    resets.collect()
}

fn opened(victim: &Victim) -> Vec<StreamKey> {
    let opened = victim.events.iter().filter_map(|event| match event {
        Event::Opened { stream, .. } => Some(*stream),
        _ => None,
    });
    opened.collect()
}

/// Replies, and has data without end.
fn reply_endlessly(victim: &mut Victim, stream: StreamKey) {
    let now = victim.now;
    let mut stream = victim.engine.stream(now, stream);
    stream.reply(Head::response(StatusCode::OK), false).unwrap();
    stream.offer();
}

/// Cuts what the windows let through, and has more.
fn pump(victim: &mut Victim) -> usize {
    let mut sent = 0;
    loop {
        match victim.engine.poll_transmit(victim.now) {
            Transmit::Pull { stream, max } => {
                let data = Bytes::from(vec![0; max.min(16_000)]);
                sent += data.len();
                let now = victim.now;
                victim
                    .engine
                    .stream(now, stream)
                    .send_data(data, false)
                    .unwrap();
            }
            Transmit::Write => {}
            Transmit::Idle => break,
        }
        let len = victim.engine.output().remaining();
        victim.engine.output().advance(len);
    }
    let len = victim.engine.output().remaining();
    victim.engine.output().advance(len);
    sent
}

/// The start of a frame that promises more: a DATA frame or a header list.
fn begun(peer: &mut Peer, data: bool) -> Vec<u8> {
    let before = peer.bytes.len();
    if data {
        peer.data(1, &[7; 16_000], true);
    } else {
        let long = "v".repeat(4_000);
        let id = if peer.side == Side::Client { 3 } else { 1 };
        if peer.side == Side::Client {
            peer.request(id, true, &[("x-long", &long)]);
        } else {
            let fields: Vec<_> = peer
                .ok()
                .iter()
                .chain(&[("x-long", &*long)])
                .copied()
                .collect();
            peer.reply(id, true, &fields);
        }
    }
    peer.bytes.split_off(before).to_vec()
}

/// Both sides with stream 1 open, about to receive the frame that drips.
fn frame_victim(version: Version, side: Side, data: bool) -> (Victim, Vec<u8>) {
    let mut victim = Victim::new(version, side);
    let peer_side = match side {
        Side::Server => Side::Client,
        Side::Client => Side::Server,
    };
    let mut peer = Peer::new(version, peer_side);
    peer.settings_ack();
    if side == Side::Server {
        peer.request(1, !data, &[]);
    } else {
        let head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
        let options = OpenOptions::without_content();
        victim.engine.open(victim.now, head, options).unwrap();
        victim.flush();
        if data {
            let ok = peer.ok();
            peer.reply(1, false, ok);
        }
        peer.settings();
    }
    victim.take(&mut peer);
    drain(&mut victim);
    let frame = begun(&mut peer, data);
    (victim, frame)
}

#[test]
fn a_frame_that_drips_ends_the_connection() {
    every_version(|version| {
        for side in [Side::Server, Side::Client] {
            for data in [false, true] {
                let what = format!("{version} {side:?} data: {data}");
                // Half of it and nothing more; one byte a second.
                for drip in [false, true] {
                    let (mut victim, frame) = frame_victim(version, side, data);
                    let (half, rest) = frame.split_at(frame.len() / 2);
                    victim.take_bytes(half);
                    let mut rest = rest.iter();
                    for _ in 0..29 {
                        pass(&mut victim, SECOND);
                        if drip {
                            victim.take_bytes(&[*rest.next().unwrap()]);
                        }
                        assert_eq!(closed(&victim), None, "{what}");
                    }
                    pass(&mut victim, SECOND * 2);
                    assert_eq!(closed(&victim), Some(Rule::FrameTimeout), "{what}");
                    let Some(Event::Closed { error }) = victim.events.last() else {
                        panic!("{what}: {:?}", victim.events);
                    };
                    let text = error.to_string();
                    assert!(text.contains("frame_timeout (30s)"), "{text}");
                }
            }
        }
    });
}

/// 16 KB at 2 kB/s, at 300 B/s, and with a pause of 25 s.
#[test]
fn a_frame_on_a_slow_path_is_received() {
    every_version(|version| {
        for side in [Side::Server, Side::Client] {
            for data in [false, true] {
                for (piece, every) in [(2_000, 1), (300, 1), (12_500, 25)] {
                    let (mut victim, frame) = frame_victim(version, side, data);
                    for piece in frame.chunks(piece) {
                        pass(&mut victim, SECOND * every);
                        victim.take_bytes(piece);
                    }
                    assert_eq!(closed(&victim), None, "{version} {side:?} {data}");
                    let arrived = victim.events.iter().any(|event| {
                        matches!(
                            event,
                            Event::Data { fin: true, .. }
                                | Event::Opened { fin: true, .. }
                                | Event::Reply { fin: true, .. }
                        )
                    });
                    assert!(arrived, "{version} {side:?} {data}");
                }
            }
        }
    });
}

/// The deadline was missed by us: what the peer sent meanwhile is read first.
#[test]
fn our_own_lateness_is_not_the_peers() {
    every_version(|version| {
        let (mut victim, frame) = frame_victim(version, Side::Server, true);
        let (half, rest) = frame.split_at(frame.len() / 2);
        victim.take_bytes(half);
        victim.now += MINUTE * 10;
        victim.engine.handle_timeout(victim.now);
        victim.take_bytes(rest);
        pass(&mut victim, MINUTE);
        assert_eq!(closed(&victim), None, "{version}");
        assert_eq!(resets(&victim).len(), 0, "{version}");
    });
}

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

/// A byte now and then is no progress where the length is declared, and under
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

/// 1 MB at 2 kB/s, in frames of 16 KB, and by 30 streams at once on the same path.
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

/// The handler has other things to do for an hour, and the window is full.
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

/// Streams whose client has nothing to say, and need not.
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
            let fields = if version == Version::Http2 {
                fields
            } else {
                &fields[..fields.len().min(1)]
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

/// A WebSocket (RFC 8441) and any other tunnel, idle for an hour.
#[test]
fn a_tunnel_may_be_idle_for_an_hour() {
    let mut pair = Pair::with(Version::Http2, |side, config| {
        config.extended_connect = side == Side::Server;
        config.limits.idle_timeout = Limits::new(side).idle_timeout;
    });
    pair.run();
    let stream = pair.try_open(Method::CONNECT, "", Some(Body::default()));
    // The helper ends bodies that are empty: a tunnel is opened by hand.
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
    assert!(
        pair.server.engine.stream(pair.now, key).is_tunnel(),
        "it is there"
    );
    assert!(pair.client.closed.is_none() && pair.server.closed.is_none());
}

#[test]
fn a_player_that_is_paused_for_five_minutes_goes_on() {
    for version in [Version::Spdy3, Version::Spdy31, Version::Http2] {
        let (mut victim, mut peer) = server(version);
        peer.request(1, true, &[]);
        victim.take(&mut peer);
        let stream = opened(&victim)[0];
        reply_endlessly(&mut victim, stream);
        assert!(pump(&mut victim) > 60_000, "{version}");
        for _ in 0..3 {
            pass(&mut victim, MINUTE * 5);
            peer.window_update(1, 30_000);
            if version != Version::Spdy3 {
                peer.window_update(0, 30_000);
            }
            victim.take(&mut peer);
            assert_eq!(pump(&mut victim), 30_000, "{version}");
        }
        assert_eq!(resets(&victim), [], "{version}");
        assert_eq!(closed(&victim), None, "{version}");
    }
}

/// Slow reading by windows: 0 for ever, or one byte each five seconds.
#[test]
fn data_that_is_not_taken_ends_its_stream() {
    for version in [Version::Spdy3, Version::Spdy31, Version::Http2] {
        for (streams, drip, bound) in [
            (1, false, 600),
            (1, true, 600),
            (40, false, 60),
            (40, true, 60),
        ] {
            let what = format!("{version} {streams} {drip}");
            let (mut victim, mut peer) = server(version);
            peer.initial_window(0);
            if version == Version::Http2 {
                peer.settings_ack();
            }
            peer.bytes.clear();
            peer.initial_window(0);
            for n in 0..streams {
                peer.request(2 * n + 1, true, &[]);
            }
            victim.take(&mut peer);
            for stream in opened(&victim) {
                reply_endlessly(&mut victim, stream);
            }
            pump(&mut victim);
            let mut seconds = 0;
            while resets(&victim).is_empty() && seconds < 1000 {
                pass(&mut victim, SECOND * 5);
                seconds += 5;
                for n in (0..streams).filter(|_| drip) {
                    peer.window_update(2 * n + 1, 1);
                }
                victim.take(&mut peer);
                pump(&mut victim);
            }
            let within = (bound..=bound + 20).contains(&seconds);
            assert!(within, "{what}: after {seconds} s");
            let resets = resets(&victim);
            assert_eq!(resets.len(), streams as usize, "{what}");
            let (rule, reason, text) = &resets[0];
            assert_eq!(
                (*rule, *reason),
                (Rule::SendStall, Reason::Cancel),
                "{what}"
            );
            assert!(text.contains("stall_timeout"), "{text}");
            assert_eq!(closed(&victim), None, "{what}");
        }
    }
}

/// The process is short of something: one stream is enough.
#[test]
fn under_pressure_one_stalled_stream_ends() {
    for version in [Version::Spdy3, Version::Spdy31, Version::Http2] {
        let (mut victim, mut peer) = server(version);
        victim.engine.set_pressure(Pressure::High);
        peer.request(1, true, &[]);
        victim.take(&mut peer);
        let stream = opened(&victim)[0];
        reply_endlessly(&mut victim, stream);
        pump(&mut victim);
        pass(&mut victim, SECOND * 75);
        let connection = closed(&victim) == Some(Rule::ConnectionStall);
        let stream = resets(&victim)
            .iter()
            .any(|reset| reset.0 == Rule::SendStall);
        assert!(connection || stream, "{version}: {:?}", victim.events);
    }
}

/// The connection's window stays empty: it is the connection that ends.
#[test]
fn an_exhausted_connection_window_ends_the_connection() {
    for version in [Version::Spdy31, Version::Http2] {
        for (streams, bound) in [(2, 600), (40, 60)] {
            let (mut victim, mut peer) = server(version);
            peer.initial_window(1 << 20);
            for n in 0..streams {
                peer.request(2 * n + 1, true, &[]);
            }
            victim.take(&mut peer);
            for stream in opened(&victim) {
                reply_endlessly(&mut victim, stream);
            }
            pump(&mut victim);
            let mut seconds = 0;
            while closed(&victim).is_none() && seconds < 1000 {
                pass(&mut victim, SECOND * 5);
                seconds += 5;
                if closed(&victim).is_none() {
                    peer.window_update(0, 1);
                    victim.take(&mut peer);
                    pump(&mut victim);
                }
            }
            assert_eq!(closed(&victim), Some(Rule::ConnectionStall), "{version}");
            let within = (bound..=bound + 25).contains(&seconds);
            assert!(within, "{version} {streams}: after {seconds} s");
            assert_eq!(victim.engine.open_streams(), 0);
        }
    }
}

/// 1 KiB of TCP each ten seconds does not hold a response; 2 kB/s does.
#[test]
fn a_transport_that_takes_too_little_is_given_up() {
    every_version(|version| {
        for (piece, every, lives) in [
            (1024, 10, false),
            (1, 1, false),
            (2_000, 1, true),
            (20_000, 25, true),
        ] {
            let (mut victim, mut peer) = server(version);
            peer.initial_window(1 << 20);
            peer.request(1, true, &[]);
            victim.take(&mut peer);
            let stream = opened(&victim)[0];
            victim.flush();
            let now = victim.now;
            let mut handle = victim.engine.stream(now, stream);
            handle.reply(Head::response(StatusCode::OK), false).unwrap();
            handle
                .send_data(Bytes::from(vec![0; 60_000]), false)
                .unwrap();
            let mut seconds = 0;
            while closed(&victim).is_none() && seconds < 200 {
                victim.engine.poll_transmit(victim.now);
                let end = victim.now + SECOND * every;
                while let Some(due) = victim.engine.poll_timeout().filter(|due| *due <= end) {
                    victim.now = due;
                    victim.engine.handle_timeout(due);
                    victim.poll();
                }
                victim.now = end;
                seconds += every;
                // The peer has something to say all the time.
                peer.settings();
                victim.take(&mut peer);
                let len = victim.engine.output().remaining().min(piece);
                victim.engine.output().advance(len);
            }
            let expected = (!lives).then_some(Rule::WriteStall);
            assert_eq!(
                closed(&victim),
                expected,
                "{version} {piece} each {every} s"
            );
        }
    });
}

fn client(version: Version) -> (Victim, Peer) {
    let mut victim = Victim::with(Config::new(version, Side::Client));
    let mut peer = Peer::new(version, Side::Server);
    peer.settings_ack();
    victim.take(&mut peer);
    let head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
    let options = OpenOptions::without_content();
    victim.engine.open(victim.now, head, options).unwrap();
    victim.flush();
    (victim, peer)
}

/// Without a word of the peer, answers to PINGs included.
fn mute(victim: &mut Victim, time: Duration) {
    let end = victim.now + time;
    drain(victim);
    while let Some(due) = victim.engine.poll_timeout().filter(|due| *due <= end) {
        victim.now = victim.now.max(due);
        victim.engine.handle_timeout(victim.now);
        victim.poll();
        drain(victim);
        if victim.engine.is_closed() {
            break;
        }
    }
    victim.now = end;
}

#[test]
fn a_server_that_is_mute_is_noticed_within_a_minute() {
    every_version(|version| {
        for go_away in [false, true] {
            let (mut victim, mut peer) = client(version);
            if go_away {
                peer.go_away(1);
                victim.take(&mut peer);
            }
            mute(&mut victim, MINUTE);
            let rule = closed(&victim);
            assert_eq!(rule, Some(Rule::KeepAliveTimeout), "{version} {go_away}");
            let stream = victim
                .events
                .iter()
                .any(|event| matches!(event, Event::Reset { .. }));
            assert!(stream, "{version}: the request learns of it");
        }
    });
}

/// The server answers PINGs, and has nothing else to say. It is asked seldom:
/// servers of gRPC take a third PING within five minutes for a flood.
#[test]
fn a_long_poll_of_an_hour_lives() {
    every_version(|version| {
        let (mut victim, mut peer) = client(version);
        pass(&mut victim, HOUR);
        assert_eq!(closed(&victim), None, "{version}");
        let pings = victim.engine.stats().pings_sent;
        assert!((8..=11).contains(&pings), "{version}: {pings}");
        let ok = peer.ok();
        peer.reply(1, true, ok);
        victim.take(&mut peer);
        assert!(matches!(victim.events.last(), Some(Event::Reply { .. })));
        assert_eq!(
            victim.engine.poll_timeout(),
            None,
            "{version}: a timer is left"
        );
    });
}

/// An upload fills the path: the answer to a PING stands behind it.
#[test]
fn an_answer_behind_an_upload_is_waited_for() {
    every_version(|version| {
        let mut victim = Victim::with(Config::new(version, Side::Client));
        let mut peer = Peer::new(version, Side::Server);
        peer.settings_ack();
        victim.take(&mut peer);
        let head = Head::request(Method::PUT, "https://example.org/".parse().unwrap());
        let options = OpenOptions::default();
        let stream = victim.engine.open(victim.now, head, options).unwrap();
        let now = victim.now;
        let data = Bytes::from(vec![0; 60_000]);
        victim
            .engine
            .stream(now, stream)
            .send_data(data, true)
            .unwrap();
        victim.flush();
        // The transport has all of it, and the peer nothing yet.
        mute(&mut victim, SECOND * 70);
        assert_eq!(closed(&victim), None, "{version}");
        mute(&mut victim, MINUTE * 2);
        assert_eq!(closed(&victim), Some(Rule::KeepAliveTimeout), "{version}");
    });
}

/// Server-sent events, one each 30 s, for an hour; and a dead listener.
#[test]
fn events_are_sent_for_an_hour() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version);
        peer.request(1, true, &[]);
        victim.take(&mut peer);
        let stream = opened(&victim)[0];
        let now = victim.now;
        let head = Head::response(StatusCode::OK);
        victim
            .engine
            .stream(now, stream)
            .reply(head, false)
            .unwrap();
        for _ in 0..120 {
            let now = victim.now;
            let event = Bytes::from_static(b"data: tick\n\n");
            victim
                .engine
                .stream(now, stream)
                .send_data(event, false)
                .unwrap();
            let written = drain(&mut victim);
            answer_pings(&mut victim, &written);
            pass(&mut victim, SECOND * 30);
        }
        assert_eq!(closed(&victim), None, "{version}");
        assert_eq!(resets(&victim), [], "{version}");
        mute(&mut victim, MINUTE * 10);
        assert_eq!(closed(&victim), Some(Rule::KeepAliveTimeout), "{version}");
    });
}

#[test]
fn an_idle_connection_is_let_go_by_its_server() {
    every_version(|version| {
        let (mut victim, _) = server(version);
        pass(&mut victim, SECOND * 179);
        assert!(!victim.engine.is_shutting_down(), "{version}");
        pass(&mut victim, SECOND * 10);
        assert!(victim.engine.is_closed(), "{version}");
        let error = victim
            .events
            .iter()
            .any(|event| matches!(event, Event::Closed { .. }));
        assert!(!error, "{version}: a graceful end");
    });
}

/// Streams without HTTP have no such bounds, nor has a tunnel that is paused.
#[test]
fn raw_streams_stand_still_for_as_long_as_they_like() {
    every_version(|version| {
        let (mut victim, mut peer) = server_with(version, |config| {
            config.semantics = Semantics::Raw;
            config.limits.idle_timeout = None;
        });
        for n in 0..40 {
            peer.open(2 * n + 1, false, &[("streamtype", "data")]);
        }
        victim.take(&mut peer);
        for stream in opened(&victim) {
            let now = victim.now;
            let mut stream = victim.engine.stream(now, stream);
            stream.reply(Head::default(), false).unwrap();
            let data = Bytes::from(vec![0; 70_000]);
            stream.send_data(data, false).unwrap();
        }
        while victim.engine.poll_transmit(victim.now) == Transmit::Write {
            let len = victim.engine.output().remaining();
            victim.engine.output().advance(len);
        }
        let len = victim.engine.output().remaining();
        victim.engine.output().advance(len);
        pass(&mut victim, HOUR);
        assert_eq!(closed(&victim), None, "{version}");
        assert_eq!(resets(&victim), [], "{version}");
        assert_eq!(
            victim.engine.open_streams(),
            40,
            "{:?}",
            victim.events.last()
        );
    });
}
