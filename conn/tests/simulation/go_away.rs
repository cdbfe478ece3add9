//! The peer's GOAWAY: its code and its text are in the errors that it causes.

use std::{io, time::Duration};

use http::Method;
use lacewing_conn::{
    Error, Initiator, Reason, Side, Version,
    proto::{Config, Event, Head, OpenOptions, Semantics, StreamKey},
};

use crate::{
    hostile::{Peer, Victim},
    pair::every_version,
};

/// The events after a GOAWAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    End,
    Failure,
    Silence,
}

/// A side with two streams: a client's own, or a server's that the peer opened.
fn victim(version: Version, side: Side, semantics: Semantics) -> (Victim, Peer, Vec<StreamKey>) {
    let mut config = Config::new(version, side);
    // The peer need not answer anything.
    config.limits.max_silence = None;
    config.semantics = semantics;
    let mut victim = Victim::with(config);
    let peer_side = match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    };
    let mut peer = Peer::new(version, peer_side);
    peer.settings_ack();
    let mut streams = Vec::new();
    match side {
        Side::Client => {
            for _ in 0..2 {
                let uri = "https://example.org/".parse().unwrap();
                let head = Head::request(Method::GET, uri);
                streams.push(
                    victim
                        .engine
                        .open(victim.now, head, OpenOptions::without_content())
                        .unwrap(),
                );
            }
        }
        Side::Server => {
            for id in [1, 3] {
                match semantics {
                    Semantics::Http => peer.request(id, true, &[]),
                    Semantics::Raw => peer.open(id, true, &[("a", "b")]),
                }
            }
        }
    }
    victim.take(&mut peer);
    victim.flush();
    victim.engine.poll_transmit(victim.now);
    for event in victim.events.drain(..) {
        if let Event::Opened { stream, .. } = event {
            streams.push(stream);
        }
    }
    assert_eq!(streams.len(), 2, "{version}, {side:?}");
    (victim, peer, streams)
}

fn resets(victim: &Victim) -> Vec<(StreamKey, Error)> {
    let events = victim.events.iter().filter_map(|event| match event {
        Event::Reset { stream, error } => Some((*stream, error.clone())),
        _ => None,
    });
    events.collect()
}

fn closed(victim: &Victim) -> Error {
    match victim.events.last() {
        Some(Event::Closed { error }) => error.clone(),
        other => panic!("{other:?}"),
    }
}

/// The code in the error of a GOAWAY, and the reason for it.
fn code(version: Version) -> (u32, Reason) {
    match version {
        Version::Http2 => (0xb, Reason::EnhanceYourCalm),
        // SPDY/2 has none.
        Version::Spdy2 => (0, Reason::NoError),
        _ => (2, Reason::InternalError),
    }
}

fn go_on(victim: &mut Victim, then: Then) {
    match then {
        Then::End => victim.engine.handle_eof(victim.now),
        Then::Failure => victim
            .engine
            .handle_io_error(victim.now, io::ErrorKind::ConnectionReset.into()),
        Then::Silence => {
            // Another frame of the peer does not help.
            let due = victim.engine.poll_timeout().expect("a wait without end");
            assert_eq!(due, victim.now + Duration::from_secs(30));
            victim.now = due;
            victim.engine.handle_timeout(due);
        }
    }
    victim.poll();
}

#[test]
fn the_reason_outlives_the_transport() {
    every_version(|version| {
        for (side, semantics) in [
            (Side::Client, Semantics::Http),
            (Side::Server, Semantics::Http),
            (Side::Client, Semantics::Raw),
            (Side::Server, Semantics::Raw),
        ] {
            for then in [Then::End, Then::Failure, Then::Silence] {
                let (code, reason) = code(version);
                if reason == Reason::NoError {
                    continue;
                }
                let (mut victim, mut peer, streams) = victim(version, side, semantics);
                peer.go_away_for(3, code, b"too_many_pings");
                victim.take(&mut peer);
                let [
                    Event::GoAway {
                        reason: told,
                        error,
                        ..
                    },
                ] = &victim.events[..]
                else {
                    panic!("{version}: {:?}", victim.events)
                };
                assert_eq!((*told, error.reason()), (reason, reason));
                go_on(&mut victim, then);
                let errors: Vec<_> = resets(&victim)
                    .into_iter()
                    .map(|(_, error)| error)
                    .collect();
                assert_eq!(errors.len(), streams.len(), "{version}, {side:?}, {then:?}");
                for error in errors.iter().chain([&closed(&victim)]) {
                    let text = error.to_string();
                    assert_eq!(error.reason(), reason, "{version}, {then:?}: {text}");
                    assert_eq!(error.initiator(), Initiator::Peer, "{text}");
                    assert!(
                        !error.is_retryable(),
                        "{text}: they may have been processed"
                    );
                    assert!(text.contains("GOAWAY"), "{text}");
                    let said = (version == Version::Http2).then_some("too_many_pings");
                    assert_eq!(error.debug_data(), said, "{text}");
                }
            }
        }
    });
}

/// Unprocessed streams fail at once, with the reason, and may be retried elsewhere.
#[test]
fn streams_above_the_last_id_end_at_once() {
    every_version(|version| {
        for semantics in [Semantics::Http, Semantics::Raw] {
            let (code, reason) = code(version);
            let (mut victim, mut peer, streams) = victim(version, Side::Client, semantics);
            peer.go_away_for(1, code, b"too_many_pings");
            victim.take(&mut peer);
            let told = resets(&victim);
            let [(stream, error)] = &told[..] else {
                panic!("{version}: {told:?}")
            };
            assert_eq!(*stream, streams[1], "{version}");
            assert!(error.is_retryable(), "{version}: {error}");
            assert_eq!(error.initiator(), Initiator::Peer);
            let expected = match reason {
                Reason::NoError => Reason::RefusedStream,
                reason => reason,
            };
            assert_eq!(error.reason(), expected, "{version}");
            assert!(!victim.engine.is_closed(), "{version}: the other continues");
            // The other stream may end normally.
            match semantics {
                Semantics::Http => peer.reply(1, true, peer.ok()),
                Semantics::Raw => peer.reply(1, true, &[("a", "b")]),
            }
            victim.take(&mut peer);
            assert!(victim.engine.is_closed(), "{version}");
            match (reason, victim.events.last()) {
                (Reason::NoError, Some(Event::Reply { .. })) => {}
                (_, Some(Event::Closed { error })) => assert_eq!(error.reason(), reason),
                other => panic!("{version}: {other:?}"),
            }
        }
    });
}

/// The error distinguishes "the peer requires HTTP/1.1" from "the stream was refused".
#[test]
fn codes_keep_their_names() {
    for (code, reason) in [
        (0xb, Reason::EnhanceYourCalm),
        (0xc, Reason::InadequateSecurity),
        (0xd, Reason::Http11Required),
        (0x77, Reason::Unknown(0x77)),
    ] {
        let (mut victim, mut peer, _) = victim(Version::Http2, Side::Client, Semantics::Http);
        peer.go_away_for(0, code, b"");
        victim.take(&mut peer);
        for (_, error) in resets(&victim) {
            assert_eq!(error.reason(), reason);
            assert!(error.is_retryable() && error.debug_data().is_none());
        }
        assert_eq!(closed(&victim).reason(), reason);
    }
}

/// After a GOAWAY without an error, the streams have unlimited time. If the transport ends before
/// them, the error has the GOAWAY.
#[test]
fn a_graceful_one_has_no_deadline() {
    every_version(|version| {
        let (mut victim, mut peer, _) = victim(version, Side::Client, Semantics::Http);
        peer.go_away_for(3, 0, b"maintenance");
        victim.take(&mut peer);
        victim.flush();
        victim.engine.poll_transmit(victim.now);
        assert_eq!(victim.engine.poll_timeout(), None, "{version}");
        victim.engine.handle_eof(victim.now);
        victim.poll();
        let error = closed(&victim);
        assert_eq!(error.reason(), Reason::ProtocolError, "{version}");
        let text = error.to_string();
        assert!(
            text.contains("GOAWAY") && text.contains("before its streams"),
            "{text}"
        );
        if version == Version::Http2 {
            assert!(text.contains("maintenance"), "{text}");
        }
    });
}

/// The code and the text of a graceful GOAWAY are in the error of each stream that it ends.
#[test]
fn a_graceful_one_is_named_with_its_code() {
    every_version(|version| {
        for then in [Then::End, Then::Failure] {
            let (mut victim, mut peer, streams) = victim(version, Side::Client, Semantics::Http);
            peer.go_away_for(1, 0, b"maintenance");
            victim.take(&mut peer);
            go_on(&mut victim, then);
            let ends = resets(&victim);
            let [(refused, refusal), (accepted, end)] = &ends[..] else {
                panic!("{version}: {ends:?}")
            };
            assert_eq!([*accepted, *refused], streams[..], "{version}");
            for error in [refusal, end, &closed(&victim)] {
                let text = error.to_string();
                assert_eq!(error.go_away_code(), Some(Reason::NoError), "{text}");
                let expected = match version {
                    Version::Http2 => "GOAWAY NO_ERROR \"maintenance\"",
                    _ => "GOAWAY NO_ERROR",
                };
                assert!(text.contains(expected), "{version}, {then:?}: {text}");
            }
            assert!(refusal.is_retryable() && !end.is_retryable(), "{version}");
            assert_eq!(refusal.reason(), Reason::RefusedStream);
            assert!(refusal.to_string().contains("REFUSED_STREAM"), "{refusal}");
            let failed = then == Then::Failure;
            assert_eq!(end.io_error().is_some(), failed, "{version}: {end}");
            let initiator = match failed {
                true => Initiator::Io,
                false => Initiator::Peer,
            };
            assert_eq!(end.initiator(), initiator, "{version}: {end}");
        }
    });
}

/// If GOAWAY must follow the data, it does, within a bound.
#[test]
fn ours_may_follow_the_data() {
    use lacewing_conn::proto::ShutdownOrder;
    every_version(|version| {
        for ends in [true, false] {
            let mut config = Config::new(version, Side::Server);
            config.shutdown_order = ShutdownOrder::DataFirst;
            let mut victim = Victim::with(config);
            let mut peer = Peer::new(version, Side::Client);
            peer.settings_ack();
            peer.request(1, true, &[]);
            victim.take(&mut peer);
            let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
                panic!("{version}")
            };
            let reply = Head::response(http::StatusCode::OK);
            victim.stream(stream).reply(reply, false).unwrap();
            victim.engine.shutdown(victim.now);
            victim.flush();
            assert!(victim.engine.is_shutting_down());
            assert_eq!(victim.monitor.go_aways, 0, "{version}");
            if ends {
                let data = bytes::Bytes::from_static(b"the last word");
                victim.stream(stream).send_data(data, true).unwrap();
                victim.flush();
            } else {
                victim.now += Duration::from_secs(31);
                victim.engine.handle_timeout(victim.now);
                victim.flush();
            }
            assert_eq!(victim.monitor.go_aways, 1, "{version}");
            assert!(victim.engine.is_closed(), "{version}");
        }
    });
}
