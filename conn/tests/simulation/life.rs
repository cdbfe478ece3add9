//! The lifetime of connections: keep-alive, age, idle time, and header blocks that do not end.

use std::time::Duration;

use http::StatusCode;
use lacewing_conn::{
    Initiator, Side, Version,
    proto::{Config, Event, Head, Rule},
};

use crate::{
    hostile::{Peer, Victim},
    pair::{Pair, every_version},
};

const SECOND: Duration = Duration::from_secs(1);

fn closed(victim: &Victim) -> Option<Rule> {
    victim.events.iter().find_map(|event| match event {
        Event::Closed { error } => error.rule(),
        _ => None,
    })
}

/// Runs the victim's deadlines for this time, while the peer is silent.
fn wait(victim: &mut Victim, time: Duration) {
    let end = victim.now + time;
    while let Some(due) = victim.engine.poll_timeout().filter(|due| *due <= end) {
        victim.now = victim.now.max(due);
        victim.engine.handle_timeout(victim.now);
        victim.poll();
        victim.flush();
        if victim.engine.is_closed() {
            break;
        }
    }
    victim.now = end;
}

fn asks_every(version: Version, seconds: u64) -> Victim {
    let mut config = Config::new(version, Side::Server);
    config.limits.keep_alive_interval = Some(SECOND * seconds as u32);
    config.limits.keep_alive_timeout = SECOND * 5;
    let mut victim = Victim::with(config);
    let mut peer = Peer::new(version, Side::Client);
    peer.settings_ack();
    peer.request(1, true, &[]);
    victim.take(&mut peer);
    victim.flush();
    victim
}

#[test]
fn a_peer_that_is_silent_is_asked_and_then_given_up() {
    every_version(|version| {
        let mut victim = asks_every(version, 10);
        wait(&mut victim, SECOND * 9);
        assert_eq!(victim.engine.stats().pings_sent, 0);
        wait(&mut victim, SECOND * 2);
        assert_eq!(victim.engine.stats().pings_sent, 1);
        wait(&mut victim, SECOND * 3);
        assert!(!victim.engine.is_closed());
        wait(&mut victim, SECOND * 2);
        assert_eq!(closed(&victim), Some(Rule::KeepAliveTimeout), "{version}");
    });
}

#[test]
fn a_peer_that_answers_or_talks_stays() {
    every_version(|version| {
        let mut pair = Pair::with(version, |side, config| {
            if side == Side::Client {
                config.limits.keep_alive_interval = Some(SECOND * 10);
            }
        });
        let stream = pair.get("/never/");
        pair.run();
        pair.sleep(SECOND * 95);
        assert_eq!(pair.client.engine.stats().pings_sent, 9);
        assert_eq!(pair.client.engine.round_trip(), Some(Duration::ZERO));
        assert!(!pair.client.engine.is_closed());
        let key = pair.server.keys[&stream];
        let head = Head::response(StatusCode::OK);
        pair.server_stream(key).reply(head, true).unwrap();
        pair.run();
        // No stream is open: no PING is sent, and no timer is left.
        pair.sleep(SECOND * 100);
        assert_eq!(pair.client.engine.stats().pings_sent, 9);
        pair.assert_quiescent();

        // A peer that sends data but no answer is alive too.
        let mut victim = asks_every(version, 10);
        let mut peer = Peer::new(version, Side::Client);
        peer.bytes.clear();
        for _ in 0..20 {
            wait(&mut victim, SECOND * 4);
            peer.settings();
            victim.take(&mut peer);
        }
        assert_eq!(closed(&victim), None, "{version}");
    });
}

#[test]
fn an_idle_connection_is_asked_if_that_is_wanted() {
    every_version(|version| {
        let mut pair = Pair::with(version, |side, config| {
            if side == Side::Client {
                config.limits.keep_alive_interval = Some(SECOND * 10);
                config.limits.keep_alive_while_idle = true;
            }
        });
        pair.run();
        pair.sleep(SECOND * 35);
        assert_eq!(pair.client.engine.stats().pings_sent, 3);
    });
}

#[test]
fn an_old_connection_is_drained() {
    every_version(|version| {
        let mut pair = Pair::with(version, |side, config| {
            if side == Side::Server {
                config.limits.max_connection_age = Some(SECOND * 100);
            }
        });
        let stream = pair.get("/never/");
        pair.run();
        pair.sleep(SECOND * 89);
        assert!(pair.client.engine.can_open());
        pair.sleep(SECOND * 12);
        assert!(
            !pair.client.engine.can_open(),
            "{version}: GOAWAY was received"
        );
        assert!(
            !pair.server.engine.is_closed(),
            "but not before its request"
        );
        let key = pair.server.keys[&stream];
        let head = Head::response(StatusCode::OK);
        pair.server_stream(key).reply(head, true).unwrap();
        pair.run();
        assert!(pair.server.engine.is_closed());
        assert_eq!(pair.response(stream).status, Some(StatusCode::OK));
        assert!(pair.client.closed.is_none(), "a graceful end");
    });
}

#[test]
fn a_connection_without_streams_is_let_go() {
    every_version(|version| {
        let mut pair = Pair::with(version, |side, config| {
            if side == Side::Server {
                config.limits.idle_timeout = Some(SECOND * 60);
            }
        });
        pair.run();
        pair.sleep(SECOND * 50);
        let stream = pair.get("/never/");
        pair.run();
        pair.sleep(SECOND * 300);
        assert!(pair.client.engine.can_open(), "a stream is open");
        let key = pair.server.keys[&stream];
        let head = Head::response(StatusCode::OK);
        pair.server_stream(key).reply(head, true).unwrap();
        pair.run();
        pair.sleep(SECOND * 59);
        assert!(pair.client.engine.can_open());
        // A PING does not keep the connection open.
        pair.client.engine.ping(pair.now);
        pair.run();
        pair.sleep(SECOND * 2);
        assert!(pair.server.engine.is_closed(), "{version}");
        assert!(pair.server.closed.is_none(), "a graceful end");
    });
}

/// A slow CONTINUATION flood: the end of the header block is never sent.
#[test]
fn a_header_block_has_to_end_in_time() {
    let mut victim = Victim::new(Version::Http2, Side::Server);
    let mut peer = Peer::new(Version::Http2, Side::Client);
    peer.settings_ack();
    victim.take(&mut peer);
    // HEADERS without END_HEADERS, then a CONTINUATION from time to time.
    peer.raw(b"\x00\x00\x01\x01\x01\x00\x00\x00\x01\x82");
    for _ in 0..4 {
        victim.take(&mut peer);
        wait(&mut victim, SECOND * 2);
        peer.raw(b"\x00\x00\x00\x09\x00\x00\x00\x00\x01");
    }
    assert_eq!(closed(&victim), None);
    wait(&mut victim, SECOND * 3);
    assert_eq!(closed(&victim), Some(Rule::HeadersTimeout));
    let blamed = victim.events.iter().any(
        |event| matches!(event, Event::Closed { error } if error.initiator() == Initiator::Library),
    );
    assert!(blamed);

    // A block that ends in time is a request, and leaves no timer.
    let mut victim = Victim::new(Version::Http2, Side::Server);
    let mut peer = Peer::new(Version::Http2, Side::Client);
    peer.settings_ack();
    peer.raw(b"\x00\x00\x02\x01\x01\x00\x00\x00\x01\x82\x87");
    victim.take(&mut peer);
    wait(&mut victim, SECOND * 5);
    peer.raw(b"\x00\x00\x01\x09\x04\x00\x00\x00\x01\x84");
    victim.take(&mut peer);
    assert!(matches!(victim.events.last(), Some(Event::Opened { .. })));
    victim.flush();
    victim.flush();
    assert_eq!(victim.engine.poll_timeout(), None);
}
