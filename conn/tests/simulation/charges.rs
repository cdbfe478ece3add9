//! Charges: floods pay them, and honest traffic never does.

use std::time::Duration;

use http::Method;
use lacewing_conn::{
    Side, Version,
    proto::{Config, Event, Head, OpenOptions, Rule, ServerPush, StreamKey},
};

use crate::{
    hostile::{ListFrame, Peer, Victim},
    pair::every_version,
};

fn closed_by(victim: &Victim) -> Option<Rule> {
    victim.events.iter().find_map(|event| match event {
        Event::Closed { error } => error.rule(),
        _ => None,
    })
}

/// The streams that were opened since the last call. All other events are dropped.
fn opened(victim: &mut Victim) -> Vec<StreamKey> {
    let events = victim.events.drain(..).filter_map(|event| match event {
        Event::Opened { stream, .. } => Some(stream),
        _ => None,
    });
    events.collect()
}

fn server(version: Version) -> (Victim, Peer) {
    let mut victim = Victim::with(Config::new(version, Side::Server));
    let mut peer = Peer::new(version, Side::Client);
    if version == Version::Http2 {
        peer.settings_ack();
    }
    victim.take(&mut peer);
    victim.flush();
    (victim, peer)
}

/// A client with one open request.
fn client(version: Version) -> (Victim, Peer) {
    let mut config = Config::new(version, Side::Client);
    config.push = ServerPush::Accept;
    let mut victim = Victim::with(config);
    let head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
    let options = OpenOptions::without_content();
    victim.engine.open(victim.now, head, options).unwrap();
    let mut peer = Peer::new(version, Side::Server);
    peer.settings();
    victim.take(&mut peer);
    victim.flush();
    (victim, peer)
}

/// A push of `id` for stream 1.
fn promise(peer: &mut Peer, id: u32) {
    let fields: &[(&str, &str)] = match peer.version {
        Version::Http2 => {
            let fields = [
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "example.org"),
                (":path", "/style.css"),
            ];
            let list = fields.map(|(name, value)| (name.into(), value.into()));
            return peer.list(ListFrame::Promise { parent: 1 }, id, false, &list);
        }
        Version::Spdy2 => &[("url", "https://example.org/style.css")],
        _ => &[
            (":scheme", "https"),
            (":host", "example.org"),
            (":path", "/style.css"),
        ],
    };
    peer.associated((id, 1), true, false, fields);
}

/// A user leaves a page and loads the next one: all streams are cancelled, and as many are opened,
/// in one flight.
#[test]
fn streams_behind_cancelled_ones_wait_for_their_handlers() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version);
        let mut id = 1;
        for _ in 0..20 {
            for n in 0..100 {
                peer.request(id + 2 * n, true, &[]);
            }
            victim.take(&mut peer);
            let before = opened(&mut victim);
            assert_eq!(before.len(), 100, "{version}");
            for stream in &before {
                victim.stream(*stream).retain();
            }
            victim.now += Duration::from_secs(2);
            for n in 0..100 {
                peer.reset(id + 2 * n);
            }
            for n in 100..200 {
                peer.request(id + 2 * n, true, &[]);
            }
            id += 400;
            victim.take(&mut peer);
            let live = victim.engine.stats();
            assert!(
                live.open_streams + live.detached_handlers as usize <= 100,
                "{version}"
            );
            // The handlers notice it one by one.
            let mut after = opened(&mut victim);
            for stream in before {
                victim.stream(stream).finish();
                victim.poll();
                after.extend(opened(&mut victim));
            }
            victim.flush();
            assert_eq!(after.len(), 100, "{version}: all are served");
            assert_eq!(victim.monitor.resets, 0, "{version}");
            for stream in after {
                peer.reset(stream.id().value());
            }
            victim.now += Duration::from_secs(2);
            victim.take(&mut peer);
            victim.events.clear();
            assert!(!victim.engine.is_closed(), "{version}");
        }
    });
}

#[test]
fn stuck_handlers_delay_new_streams_briefly() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version);
        for n in 0..100 {
            peer.request(1 + 2 * n, true, &[]);
        }
        victim.take(&mut peer);
        let stuck = opened(&mut victim);
        for stream in &stuck {
            victim.stream(*stream).retain();
            peer.reset(stream.id().value());
        }
        for n in 100..103 {
            peer.request(1 + 2 * n, true, &[]);
        }
        victim.take(&mut peer);
        assert!(!victim.engine.wants_input(), "{version}");
        // No stream is open: SPDY's codec rests before.
        let rested = victim.now + Duration::from_millis(100);
        victim.engine.handle_timeout(rested);
        let due = victim.engine.poll_timeout().unwrap();
        assert_eq!(due, victim.now + Duration::from_secs(1), "{version}");
        victim.now = due;
        victim.engine.handle_timeout(due);
        victim.poll();
        victim.flush();
        // The first delay has passed. Nothing else waits for the same handlers.
        assert_eq!(victim.monitor.resets, 3, "{version}");
        assert!(victim.engine.wants_input());
        assert_eq!(opened(&mut victim), []);
        for stream in stuck {
            victim.stream(stream).finish();
        }
        peer.request(1001, true, &[]);
        victim.take(&mut peer);
        assert_eq!(opened(&mut victim).len(), 1, "{version}");
    });
}

/// A photo grid or a map: requests that are cancelled at once, a hundred per second, for a long
/// time.
#[test]
fn a_hundred_cancels_a_second_are_honest() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version);
        for n in 0..60 * 100 {
            peer.request(1 + 2 * n, true, &[]);
            peer.reset(1 + 2 * n);
            victim.take(&mut peer);
            victim.flush();
            victim.events.clear();
            victim.now += Duration::from_millis(10);
        }
        assert!(!victim.engine.is_closed(), "{version}");
    });
}

/// Calls with a deadline that all expire.
#[test]
fn cancels_after_a_second_are_not_charged() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version);
        let mut id = 1;
        for _ in 0..100 {
            for n in 0..90 {
                peer.request(id + 2 * n, true, &[]);
            }
            victim.take(&mut peer);
            assert_eq!(opened(&mut victim).len(), 90, "{version}");
            victim.now += Duration::from_millis(1200);
            for n in 0..90 {
                peer.reset(id + 2 * n);
            }
            victim.take(&mut peer);
            victim.flush();
            id += 180;
        }
        assert!(!victim.engine.is_closed(), "{version}");
    });
}

/// Before a client has our SETTINGS, it knows no limit.
#[test]
fn streams_opened_before_our_settings_are_refused_without_a_charge() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        for n in 0..400 {
            peer.request(1 + 2 * n, true, &[]);
        }
        victim.take(&mut peer);
        assert_eq!(opened(&mut victim).len(), 100, "{version}");
        victim.flush();
        assert_eq!(victim.monitor.resets, 300, "{version}");
        assert!(!victim.engine.is_closed(), "{version}");
        if version == Version::Http2 {
            peer.settings_ack();
        }
        victim.now += Duration::from_secs(10);
        // The client now knows the limit.
        for n in 400..1000 {
            peer.request(1 + 2 * n, true, &[]);
        }
        victim.take(&mut peer);
        assert_eq!(closed_by(&victim), Some(Rule::TooManyResets), "{version}");
    });
}

#[test]
fn a_pause_does_not_raise_the_burst_of_resets() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version);
        victim.now += Duration::from_secs(600);
        let mut count = 0;
        while !victim.engine.is_closed() && count < 1000 {
            peer.request(2 * count + 1, true, &[]);
            peer.reset(2 * count + 1);
            victim.take(&mut peer);
            count += 1;
        }
        assert!((200..=201).contains(&count), "{version}: {count}");
    });
}

/// Every frame that a peer may send at any time, and that has no effect.
#[test]
fn frames_of_no_use_are_charged_on_both_sides() {
    type Flood = (&'static str, fn(&mut Peer, u32));
    let floods: [Flood; 4] = [
        ("GOAWAY", |peer, _| peer.go_away(0x7fff_ffff)),
        ("WINDOW_UPDATE", |peer, _| peer.window_update(1, 1)),
        ("PONG", |peer, n| match peer.http2() {
            true => peer.raw(b"\0\0\x08\x06\x01\0\0\0\0unwanted"),
            false => {
                // An answer has the parity of the side that it answers.
                let id = 2 * n + u32::from(peer.side == Side::Server);
                let number = if peer.version == Version::Spdy2 { 2 } else { 3 };
                let head = [0x80, number, 0, 6, 0, 0, 0, 4];
                peer.raw(&[&head[..], &id.to_be_bytes()].concat());
            }
        }),
        ("empty DATA", |peer, _| peer.data(1, b"", false)),
    ];
    every_version(|version| {
        for (name, send) in floods {
            for side in [Side::Server, Side::Client] {
                if name == "WINDOW_UPDATE" && version == Version::Spdy2 {
                    continue;
                }
                let (mut victim, mut peer) = match side {
                    Side::Server => server(version),
                    Side::Client => client(version),
                };
                if side == Side::Server {
                    peer.request(1, false, &[]);
                } else {
                    peer.reply(1, false, peer.ok());
                }
                victim.take(&mut peer);
                let mut count = 0;
                while !victim.engine.is_closed() && count < 20_000 {
                    send(&mut peer, count);
                    count += 1;
                    if count % 100 == 0 {
                        victim.take(&mut peer);
                        victim.flush();
                    }
                }
                let what = format!("{version} {side:?} {name}: {count}");
                assert_eq!(closed_by(&victim), Some(Rule::TooManyGlitches), "{what}");
                assert!((10_000..=11_200).contains(&count), "{what}");
            }
        }
    });
}

#[test]
fn small_data_that_is_late_is_charged_and_long_data_is_not() {
    every_version(|version| {
        for (len, closed) in [(1, true), (1024, false)] {
            let (mut victim, mut peer) = server(version);
            peer.request(1, false, &[]);
            victim.take(&mut peer);
            let [stream] = opened(&mut victim)[..] else {
                panic!("{version}")
            };
            let reason = lacewing_conn::Reason::Cancel;
            victim.stream(stream).reset(reason);
            for _ in 0..200 {
                for _ in 0..100 {
                    peer.data(1, &vec![7; len], false);
                }
                victim.take(&mut peer);
                victim.flush();
            }
            let expected = closed.then_some(Rule::TooManyGlitches);
            assert_eq!(closed_by(&victim), expected, "{version} {len}");
        }
    });
}

#[test]
fn a_client_bears_no_flood_of_interim_responses_or_pushes() {
    let (mut victim, mut peer) = client(Version::Http2);
    let mut count = 0;
    while !victim.engine.is_closed() && count < 20_000 {
        peer.headers(1, false, &[(":status", "103")]);
        victim.take(&mut peer);
        victim
            .events
            .retain(|event| matches!(event, Event::Closed { .. }));
        count += 1;
    }
    assert_eq!(closed_by(&victim), Some(Rule::TooManyGlitches), "{count}");

    every_version(|version| {
        let (mut victim, mut peer) = client(version);
        let mut id = 2;
        while !victim.engine.is_closed() && id < 100_000 {
            promise(&mut peer, id);
            victim.take(&mut peer);
            let promised = victim.events.drain(..).find_map(|event| match event {
                Event::Promised { stream, .. } => Some(stream),
                _ => None,
            });
            if let Some(stream) = promised {
                // The user does the same with frames of no use.
                let reason = lacewing_conn::Reason::Cancel;
                victim.stream(stream).reset(reason);
            }
            victim.flush();
            id += 2;
        }
        assert!(victim.engine.is_closed(), "{version}: {id}");
        assert!(id < 30_000, "{version}: {id}");
    });
}

/// Responses that break a rule by a list behind their head, of a client that asks again each time.
#[test]
fn a_client_bears_no_flood_of_broken_responses() {
    every_version(|version| {
        let (mut victim, mut peer) = client(version);
        let mut id = 1;
        while !victim.engine.is_closed() && id < 2_000 {
            peer.reply(id, false, peer.ok());
            for _ in 0..3 {
                peer.headers(id, false, &[("x-a", "b")]);
            }
            victim.take(&mut peer);
            victim.flush();
            victim.now += Duration::from_millis(2);
            id += 2;
            let head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
            let _ = victim
                .engine
                .open(victim.now, head, OpenOptions::without_content());
        }
        assert_eq!(closed_by(&victim), Some(Rule::TooManyResets), "{version}");
    });
}

/// A list within our SETTINGS is accepted in frames of half the smallest size.
#[test]
fn as_many_continuations_as_our_own_limit_needs() {
    let (mut victim, mut peer) = client(Version::Http2);
    let long = "v".repeat(20_000);
    let names: Vec<_> = (0..12).map(|n| format!("x-{n}")).collect();
    let mut fields = vec![(":status", "200")];
    fields.extend(names.iter().map(|name| (&name[..], &long[..])));
    peer.headers(1, true, &fields);
    victim.take(&mut peer);
    assert!(
        victim
            .events
            .iter()
            .any(|event| matches!(event, Event::Reply { .. })),
        "{:?}",
        closed_by(&victim)
    );
}
