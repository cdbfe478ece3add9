//! The memory that a connection reports, and the streams that it ends when memory is scarce.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use lacewing_conn::{
    Side, Version,
    proto::{Config, Event, Head, Rule, StreamKey},
};

use crate::{
    hostile::{Peer, Victim},
    pair::{Pair, every_version},
};

fn opened(victim: &mut Victim) -> Vec<StreamKey> {
    let events = victim.events.drain(..).filter_map(|event| match event {
        Event::Opened { stream, .. } => Some(stream),
        _ => None,
    });
    events.collect()
}

fn server(version: Version) -> (Victim, Peer) {
    let mut victim = Victim::with(Config::new(version, Side::Server).with(|config| {
        config.limits.idle_timeout = None;
        config.limits.max_silence = None;
    }));
    let mut peer = Peer::new(version, Side::Client);
    peer.initial_window(0);
    victim.grant(&mut peer);
    victim.events.clear();
    (victim, peer)
}

/// Asserts that `after` exceeds `before` by about `bytes`.
fn assert_grew(before: usize, after: usize, bytes: usize, what: &str) {
    let grew = after.saturating_sub(before);
    assert!(
        (bytes..bytes + bytes / 2 + 2_000).contains(&grew),
        "{what}: {grew} for {bytes}"
    );
}

#[test]
fn everything_that_a_connection_holds_is_in_its_figure() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version);
        let empty = victim.engine.held_bytes();
        assert!(empty < 64 << 10, "{version}: {empty}");

        // Header lists, with the memory that they take once built.
        let names: Vec<_> = (0..200).map(|n| format!("x-{n:03}")).collect();
        let fields: Vec<_> = names.iter().map(|name| (&name[..], "v")).collect();
        for n in 0..10 {
            peer.request(1 + 2 * n, false, &fields);
        }
        victim.take(&mut peer);
        let streams = opened(&mut victim);
        let with_lists = victim.engine.held_bytes();
        assert!(with_lists > empty + 10 * 200 * 110, "{version}");

        // Content that the user has not taken: only its own bytes.
        let taken = victim.engine.stats().buffered_bytes;
        assert_eq!(taken, 0, "{version}: the victim takes all");

        // A response that waits for a window, and its trailers.
        let mut trailers = HeaderMap::new();
        let value = HeaderValue::from_str(&"t".repeat(10_000)).unwrap();
        trailers.insert("x-long", value);
        let mut sizes = Vec::new();
        for &key in &streams {
            let before = victim.engine.held_bytes();
            let mut stream = victim.stream(key);
            let head = Head::response(StatusCode::OK);
            stream.reply(head, false).unwrap();
            let data = Bytes::from(vec![7; 100_000]);
            stream.send_data(data, false).unwrap();
            stream.send_trailers(trailers.clone()).unwrap();
            sizes.push((before, victim.engine.held_bytes()));
        }
        for (before, after) in sizes {
            assert_grew(before, after, 110_000, "a response that waits");
        }

        // All of it is freed with its streams.
        for key in streams {
            victim.stream(key).reset(lacewing_conn::Reason::Cancel);
        }
        victim.flush();
        let left = victim.engine.held_bytes();
        assert!(left < empty + (96 << 10), "{version}: {left} of {empty}");
    });
}

#[test]
fn data_that_is_sent_is_held_no_longer() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version);
        peer.request(1, true, &[]);
        victim.take(&mut peer);
        let streams = opened(&mut victim);
        let before = victim.engine.held_bytes();
        let mut stream = victim.stream(streams[0]);
        stream.reply(Head::response(StatusCode::OK), false).unwrap();
        stream
            .send_data(Bytes::from(vec![7; 60_000]), false)
            .unwrap();
        assert!(victim.engine.held_bytes() >= before + 60_000, "{version}");
        peer.window_update(1, 60_000);
        victim.grant(&mut peer);
        victim.flush();
        let after = victim.engine.held_bytes();
        // The first header list created a compression context.
        assert!(after < before + 30_000, "{version}: {after} of {before}");
    });
}

#[test]
fn the_costliest_stream_that_stands_still_is_shed() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version);
        assert_eq!(victim.engine.shed(victim.now, "max_memory"), None);
        for n in 0..3 {
            peer.request(1 + 2 * n, true, &[]);
        }
        victim.take(&mut peer);
        let streams = opened(&mut victim);
        // Without windows, the transport accepts nothing.
        for (key, len) in streams.iter().zip([400_000, 900_000, 500_000]) {
            let mut stream = victim.stream(*key);
            stream.reply(Head::response(StatusCode::OK), false).unwrap();
            stream.send_data(Bytes::from(vec![7; len]), true).unwrap();
        }
        let _ = victim.engine.poll_transmit(victim.now);
        let before = victim.engine.held_bytes();
        let freed = victim.engine.shed(victim.now, "max_memory").unwrap();
        assert!(freed > 800_000, "{version}: {freed}");
        assert_eq!(victim.engine.held_bytes(), before - freed, "{version}");

        victim.poll();
        let [Event::Reset { stream, error }] = &victim.events[..] else {
            panic!("{version}: {:?}", victim.events);
        };
        assert_eq!(*stream, streams[1], "{version}");
        assert_eq!(error.rule(), Some(Rule::OverBudget), "{version}");
        assert!(error.to_string().contains("max_memory"), "{error}");

        victim.events.clear();
        assert!(victim.engine.shed(victim.now, "max_memory").is_some());
        assert!(victim.engine.shed(victim.now, "max_memory").is_some());
        assert_eq!(victim.engine.shed(victim.now, "max_memory"), None);
        victim.poll();
        assert_eq!(victim.events.len(), 2, "{version}");
        assert!(!victim.engine.is_closed(), "{version}");

        // Other streams of the connection continue.
        peer.request(7, true, &[]);
        victim.take(&mut peer);
        victim
            .events
            .retain(|event| matches!(event, Event::Opened { .. }));
        assert_eq!(opened(&mut victim).len(), 1, "{version}");
    });
}

/// A stream that is closed in both halves holds content that the user has not read. The peer is
/// done with it, and gets no RST_STREAM.
#[test]
fn a_closed_stream_is_shed_without_a_reset() {
    every_version(|version| {
        // The protocol's own.
        let window: u16 = u16::MAX;
        let extra = usize::from(version != Version::Http2);
        let window = usize::from(window) + extra;
        let mut victim = Victim::with(Config::new(version, Side::Server).with(|config| {
            config.limits.idle_timeout = None;
            config.limits.max_silence = None;
            config.limits.stream_window = window as u32;
            config.limits.max_stream_window = window as u32;
            // Where there are no windows, the stream waits for its user here.
            config.limits.max_buffered_bytes = window - 1;
        }));
        let mut peer = Peer::new(version, Side::Client);
        peer.request_of("POST", 1, false, &[]);
        let content = vec![7; window];
        for (n, piece) in content.chunks(16 << 10).enumerate() {
            peer.data(1, piece, n == 3);
        }
        victim.take_unread(&mut peer);
        let stream = opened(&mut victim)[0];
        let mut handle = victim.stream(stream);
        handle.reply(Head::response(StatusCode::OK), true).unwrap();
        victim.flush();
        assert_eq!(victim.engine.open_streams(), 1, "{version}");
        let before = victim.engine.held_bytes();
        let freed = victim.engine.shed(victim.now, "max_memory");
        assert!(
            freed.is_some_and(|freed| freed > window / 2),
            "{version}: {freed:?}"
        );
        assert!(
            victim.engine.held_bytes() <= before - window / 2,
            "{version}"
        );
        victim.flush();
        assert_eq!(victim.monitor.resets, 0, "{version}");
        victim.poll();
        let [
            Event::Reset {
                stream: ended,
                error,
            },
        ] = &victim.events[..]
        else {
            panic!("{version}: {:?}", victim.events);
        };
        assert_eq!(*ended, stream, "{version}");
        assert!(error.to_string().contains("max_memory"), "{error}");
        assert_eq!(victim.engine.open_streams(), 0, "{version}");
    });
}

#[test]
fn streams_that_move_are_not_shed() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version);
        peer.initial_window(1 << 20);
        victim.grant(&mut peer);
        peer.request(1, false, &[]);
        peer.data(1, &[7; 1000], false);
        victim.take(&mut peer);
        victim
            .events
            .retain(|event| matches!(event, Event::Opened { .. }));
        let streams = opened(&mut victim);
        let mut stream = victim.stream(streams[0]);
        stream.reply(Head::response(StatusCode::OK), false).unwrap();
        stream.offer();
        assert_eq!(victim.engine.shed(victim.now, "max_memory"), None);
    });
}

/// The last output may wait for the transport for long. Nothing is decoded or encoded meanwhile.
#[test]
fn a_connection_that_has_ended_holds_no_state_of_header_compression() {
    let ends: [fn(&mut Victim); 3] = [
        |victim| {
            victim
                .engine
                .end_over_budget(victim.now, "max_memory".into())
        },
        |victim| victim.engine.handle_eof(victim.now),
        |victim| {
            victim.engine.shutdown(victim.now);
            victim.flush();
            victim.now += Duration::from_secs(5);
            victim.engine.handle_timeout(victim.now);
        },
    ];
    for end in ends {
        every_version(|version| {
            let (mut victim, mut peer) = server(version);
            let empty = victim.engine.held_bytes();
            let names: Vec<_> = (0..50).map(|n| format!("x-{n:03}")).collect();
            let fields: Vec<_> = names.iter().map(|name| (&name[..], "some value")).collect();
            peer.request(1, true, &fields);
            victim.take(&mut peer);
            let stream = opened(&mut victim)[0];
            let mut head = Head::response(StatusCode::OK);
            for name in names {
                let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
                head.fields
                    .insert(name, HeaderValue::from_static("a value"));
            }
            victim.stream(stream).reply(head, true).unwrap();
            victim.flush();
            let before = victim.engine.held_bytes();
            assert!(before > empty + 10_000, "{version}: {before} of {empty}");
            end(&mut victim);
            victim.poll();
            assert!(victim.engine.is_closed(), "{version}");
            victim.flush();
            let left = victim.engine.held_bytes();
            // The tables of streams stay.
            assert!(left < empty + 4_000, "{version}: {left} of {empty}");
            // The figures of the connection outlast it.
            assert!(
                victim.engine.stats().headers_received.plain > 500,
                "{version}"
            );
        });
    }
}

/// What header compression can make again is freed while streams are open, at both ends and at any
/// time. Both ends stay in step.
#[test]
fn a_connection_shrinks_and_its_header_lists_stay_in_step() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let open = pair.get("/never/");
        for n in 0..40 {
            let stream = pair.get(&format!("/bytes/{n}"));
            pair.run();
            assert_eq!(pair.response(stream).body.len(), n, "{version}");
            if n % 3 > 0 {
                continue;
            }
            for end in [&mut pair.client, &mut pair.server] {
                let before = end.engine.held_bytes();
                let freed = end.engine.shrink();
                assert_eq!(end.engine.held_bytes(), before - freed, "{version}");
                if version != Version::Http2 {
                    assert!(freed > 48 << 10, "{version}: {freed}");
                }
                assert_eq!(end.engine.shrink(), 0, "{version}");
            }
        }
        assert!(!pair.response(open).ended);
        pair.assert_alive();
    });
}
