//! Silent peers, and idle connections.

use bytes::{Buf, Bytes};
use http::{Method, StatusCode};
use lacewing_conn::{
    Reason, Side, Version,
    proto::{Config, Event, Head, OpenOptions, Rule, Semantics, StreamKey, Transmit},
};

use super::*;
use crate::{
    hostile::{Peer, Victim},
    pair::{every_version, timer_after_a_pause},
};

fn client(version: Version) -> (Victim, Peer) {
    let mut victim = Victim::with(Config::new(version, Side::Client));
    let mut peer = Peer::new(version, Side::Server);
    peer.settings_ack();
    victim.take(&mut peer);
    ask(&mut victim).unwrap();
    (victim, peer)
}

fn ask(victim: &mut Victim) -> Option<StreamKey> {
    let head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
    let options = OpenOptions::without_content();
    let stream = victim.engine.open(victim.now, head, options).ok();
    victim.flush();
    stream
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

/// Each request is cancelled after a time that is shorter than what keep-alive waits for.
#[test]
fn a_dead_server_is_noticed_by_requests_that_time_out_one_after_another() {
    every_version(|version| {
        let mut victim = Victim::with(Config::new(version, Side::Client));
        let mut peer = Peer::new(version, Side::Server);
        peer.settings_ack();
        victim.take(&mut peer);
        for _ in 0..12 {
            let Some(stream) = ask(&mut victim) else {
                break;
            };
            mute(&mut victim, SECOND * 4);
            let now = victim.now;
            victim.engine.stream(now, stream).reset(Reason::Cancel);
            mute(&mut victim, SECOND);
        }
        assert_eq!(closed(&victim), Some(Rule::KeepAliveTimeout), "{version}");
    });
}

/// They go on after the PING, more than 1 kB of them a second, and none of them puts off the end.
#[test]
fn a_dead_server_is_noticed_whatever_is_still_sent_to_it() {
    every_version(|version| {
        let (mut victim, _) = client(version);
        let mut state = 1_u32;
        for _ in 0..180 {
            // No table and no zlib makes it shorter than half.
            let token = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b'a' + (state >> 28) as u8)
            });
            let token: String = token.take(2400).collect();
            let mut head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
            head.fields.insert("token", token.parse().unwrap());
            let options = OpenOptions::without_content();
            let Ok(stream) = victim.engine.open(victim.now, head, options) else {
                break;
            };
            mute(&mut victim, SECOND);
            let now = victim.now;
            victim.engine.stream(now, stream).reset(Reason::Cancel);
        }
        assert_eq!(closed(&victim), Some(Rule::KeepAliveTimeout), "{version}");
    });
}

/// The server answers PINGs, and is silent otherwise. The client sends few PINGs: servers of gRPC
/// treat a third PING within five minutes as a flood.
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
        let timer = timer_after_a_pause(&mut victim.engine, victim.now);
        assert_eq!(timer, None, "{version}: a timer is left");
    });
}

/// An upload fills the path: the answer to a PING waits behind it.
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
        // The transport has accepted all of it, and the peer has received nothing.
        mute(&mut victim, SECOND * 70);
        assert_eq!(closed(&victim), None, "{version}");
        mute(&mut victim, MINUTE * 2);
        assert_eq!(closed(&victim), Some(Rule::KeepAliveTimeout), "{version}");
    });
}

/// Server-sent events, one each 30 s, for an hour; and a dead client.
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
        for _ in 0..180 {
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

/// Streams without HTTP have no such bounds. Neither does a paused tunnel.
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
