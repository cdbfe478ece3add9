//! Settings that a server asks its client to store; certificates that are not stored; and ids that
//! run out.

use std::num::NonZeroU16;

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode};
use lacewing_conn::{
    Reason, Side, Version,
    proto::{
        Config, Event, Head, OpenError, OpenOptions, PersistentSettings, Rule, Setting, UsageError,
    },
};
use lacewing_frames::spdy;

use crate::{
    hostile::{Peer, Victim},
    pair::{Pair, every_version},
};

const SPDY: [Version; 3] = [Version::Spdy2, Version::Spdy3, Version::Spdy31];

fn setting(id: u32, value: u32) -> Setting {
    Setting { id, value }
}

#[test]
fn persisted_settings_are_kept_and_returned() {
    for version in SPDY {
        let asked = PersistentSettings {
            forget: true,
            keep: vec![setting(4, 77), setting(5, 32)],
        };
        let mut pair = Pair::with(version, |side, config| {
            if side == Side::Server {
                config.persistent_settings = asked.clone();
            }
        });
        pair.run();
        assert_eq!(pair.client.kept, [(true, asked.keep.clone())], "{version}");
        // The client also obeys them, the later frame before the earlier.
        assert_eq!(pair.client.engine.peer_max_concurrent_streams(), 77);
        assert!(pair.client.engine.peer_settings().contains(&setting(5, 32)));
        let stats = pair.client.engine.stats();
        assert_eq!(stats.peer_settings, pair.client.engine.peer_settings());

        let returned = vec![setting(4, 1), setting(5, 32), setting(7, 9)];
        let mut pair = Pair::with(version, |side, config| {
            if side == Side::Client {
                config.returned_settings = returned.clone();
            }
        });
        pair.run();
        assert_eq!(pair.server.returned, returned, "{version}");
        // The server's own values do not bound the server: it may push.
        assert_eq!(pair.server.engine.peer_max_concurrent_streams(), 100);
        let stream = pair.get("/bytes/50000");
        pair.run();
        assert_eq!(pair.response(stream).body.len(), 50_000);
        pair.assert_quiescent();
    }
}

/// The reverse does not exist: a client requests no storage, and a server ignores such a request.
/// HTTP/2 has no such feature.
#[test]
fn clients_do_not_ask() {
    every_version(|version| {
        let mut pair = Pair::with(version, |side, config| match side {
            Side::Client => config.persistent_settings.keep.push(setting(5, 1)),
            Side::Server => config.returned_settings.push(setting(5, 1)),
        });
        pair.run();
        assert!(pair.server.kept.is_empty() && pair.client.kept.is_empty());
        assert!(pair.server.returned.is_empty() && pair.client.returned.is_empty());
    });
    // SETTINGS with CLEAR and PERSIST_VALUE, from a client of SPDY/3.
    let mut victim = Victim::new(Version::Spdy31, Side::Server);
    let mut peer = Peer::new(Version::Spdy31, Side::Client);
    peer.raw(b"\x80\x03\x00\x04\x01\x00\x00\x0c\x00\x00\x00\x01\x01\x00\x00\x05\x00\x00\x00\x07");
    victim.take(&mut peer);
    assert!(matches!(victim.events[..], [Event::PeerSettings]));
    assert_eq!(victim.engine.peer_settings(), [setting(5, 7)]);
}

/// MAX_CONCURRENT_STREAMS bounds requests and pushes, even after a change.
#[test]
fn the_peer_says_how_many_streams_it_takes() {
    every_version(|version| {
        let get = || {
            let uri = "https://example.org/".parse().unwrap();
            Head::request(Method::GET, uri)
        };
        let mut victim = Victim::new(version, Side::Client);
        let mut peer = Peer::new(version, Side::Server);
        let open = |victim: &mut Victim| {
            victim
                .engine
                .open(victim.now, get(), OpenOptions::without_content())
        };
        let say = |victim: &mut Victim, peer: &mut Peer, max| {
            peer.max_streams(max);
            victim.take(peer);
        };
        say(&mut victim, &mut peer, 2);
        let first = open(&mut victim).unwrap();
        assert!(open(&mut victim).is_ok());
        let third = open(&mut victim);
        assert!(
            matches!(third, Err(OpenError::TooManyStreams { max: 2 })),
            "{version}: {third:?}"
        );
        // Fewer than are open; the open ones continue.
        say(&mut victim, &mut peer, 1);
        assert_eq!(victim.engine.open_streams(), 2, "{version}");
        victim.flush();
        let ok = peer.ok();
        peer.reply(first.id().value(), true, ok);
        victim.take(&mut peer);
        assert!(open(&mut victim).is_err(), "{version}: one is open still");
        say(&mut victim, &mut peer, 2);
        assert!(open(&mut victim).is_ok(), "{version}");

        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.request(1, true, &[]);
        say(&mut victim, &mut peer, 1);
        let parent = victim.events.iter().find_map(|event| match event {
            Event::Opened { stream, .. } => Some(*stream),
            _ => None,
        });
        let mut push = || victim.stream(parent.unwrap()).push(get());
        assert!(push().is_ok(), "{version}");
        assert!(
            matches!(push(), Err(OpenError::TooManyStreams { max: 1 })),
            "{version}"
        );
    });
}

/// Each side sends its own settings, and none of the other side.
#[test]
fn each_side_advertises_its_own() {
    for version in SPDY {
        for side in [Side::Client, Side::Server] {
            let mut config = Config::new(version, side);
            config.limits.max_concurrent_streams = 123;
            config.limits.max_pushed_streams = 45;
            config.limits.stream_window = 99_999;
            let foreign = vec![setting(5, 1)];
            match side {
                Side::Client => config.persistent_settings.keep = foreign,
                Side::Server => config.returned_settings = foreign,
            }
            let sent = Victim::with(config).flush();
            let wire = version.spdy_frames().unwrap_or(spdy::WireVersion::V3);
            let mut bytes = BytesMut::from(&sent[..]);
            let mut entries = Vec::new();
            while let Some(frame) = spdy::Frame::decode(wire, &mut bytes, 1 << 24).unwrap() {
                if let spdy::Frame::Settings(settings) = frame {
                    assert!(!settings.clear, "{version}, {side:?}");
                    let said = settings.entries.iter();
                    entries.extend(said.map(|entry| (entry.id.0, entry.flags, entry.value)));
                }
            }
            // A client limits the number of pushes that it accepts.
            let streams = if side == Side::Client { 45 } else { 123 };
            let window = if version == Version::Spdy2 {
                0x7fff_ffff
            } else {
                99_999
            };
            let expected = [(4, 0, streams), (7, 0, window)];
            assert_eq!(entries, expected, "{version}, {side:?}");
        }
    }
}

#[test]
fn a_later_frame_overrides_and_a_second_value_does_not() {
    let mut victim = Victim::new(Version::Spdy3, Side::Server);
    let mut peer = Peer::new(Version::Spdy3, Side::Client);
    // Two values for id 1 in a frame; then another frame.
    peer.raw(b"\x80\x03\x00\x04\x00\x00\x00\x14\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x00\x0b");
    victim.take(&mut peer);
    assert_eq!(victim.engine.peer_settings(), [setting(1, 10)]);
    peer.raw(b"\x80\x03\x00\x04\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x0c");
    victim.take(&mut peer);
    assert_eq!(victim.engine.peer_settings(), [setting(1, 12)]);
}

/// SPDY/3 §2.6.9: no certificate is stored, so a request with a certificate slot lacks its
/// certificate.
#[test]
fn certificates_are_not_stored() {
    for (version, answered) in [
        (Version::Spdy2, false),
        (Version::Spdy3, true),
        (Version::Spdy31, false),
    ] {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.slot = 3;
        peer.request(1, true, &[]);
        victim.take(&mut peer);
        let refused = victim.events.iter().any(|event| {
            matches!(event, Event::Refused { error, .. }
                if error.reason() == Reason::InvalidCredentials
                    && error.rule() == Some(Rule::MissingCredential))
        });
        assert_eq!(refused, answered, "{version}");
    }
    // SPDY/3.1 has no such frame, so its contents do not matter.
    for (version, fatal) in [(Version::Spdy3, true), (Version::Spdy31, false)] {
        let mut victim = Victim::new(version, Side::Server);
        victim.take_bytes(b"\x80\x03\x00\x0a\x00\x00\x00\x06\x00\x01\xff\xff\xff\xff");
        assert_eq!(victim.engine.is_closed(), fatal, "{version}");
    }
    // CREDENTIAL itself is charged and ignored.
    let mut victim = Victim::new(Version::Spdy3, Side::Server);
    let mut peer = Peer::new(Version::Spdy3, Side::Client);
    for _ in 0..11_000 {
        peer.raw(b"\x80\x03\x00\x0a\x00\x00\x00\x06\x00\x01\x00\x00\x00\x00");
    }
    victim.take(&mut peer);
    let rule = victim.events.iter().find_map(|event| match event {
        Event::Closed { error } => error.rule(),
        _ => None,
    });
    assert_eq!(rule, Some(Rule::TooManyGlitches));
}

#[test]
fn ids_that_run_out_end_a_connection_without_an_error() {
    every_version(|version| {
        let mut pair = Pair::with(version, |side, config| {
            if side == Side::Client {
                config.first_stream = 0x7fff_fffa;
            }
        });
        pair.run();
        for _ in 0..3 {
            let opened = pair.try_open(Method::GET, "/bytes/10", None);
            assert!(opened.is_ok(), "{version}");
        }
        assert!(pair.client.engine.is_exhausted());
        let uri = "https://example.org/".parse().unwrap();
        let head = Head::request(Method::GET, uri);
        let none = pair
            .client
            .engine
            .open(pair.now, head, OpenOptions::without_content());
        assert!(matches!(none, Err(OpenError::IdsExhausted)));
        pair.run();
        // Streams in flight at the first GOAWAY are accepted if there are two GOAWAYs. Otherwise
        // they may be retried.
        assert_eq!(pair.response(0x7fff_fffb).body.len(), 10);
        for id in [0x7fff_fffd, 0x7fff_ffff] {
            match pair.client.errors.get(&id) {
                Some(error) => assert!(error.is_retryable() && version != Version::Http2),
                None => assert_eq!(pair.response(id).body.len(), 10),
            }
        }
        // The server sent GOAWAY in time, so the end is normal.
        assert_eq!(pair.client.go_away, Some(Reason::NoError), "{version}");
        assert!(pair.server.engine.is_closed());
        assert!(pair.client.closed.is_none() && pair.server.closed.is_none());
    });
    let config = Config::new(Version::Http2, Side::Server);
    assert_eq!(config.first_stream, 2);
}

/// The frames are sent where they exist, and accepted; they have no effect.
#[test]
fn credential_and_noop_are_sent_and_taken() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.run();
        let (client, server) = (&mut pair.client.engine, &mut pair.server.engine);
        let has = |there: bool| there.then_some(()).ok_or(UsageError::Unsupported);
        let slot = NonZeroU16::MIN;
        let (proof, chain) = (
            Bytes::from_static(b"proof"),
            vec![Bytes::from_static(b"DER")],
        );
        let presented = client.send_credential(slot, proof.clone(), chain.clone());
        assert_eq!(presented, has(version == Version::Spdy3), "{version}");
        let wrong = server.send_credential(slot, proof, chain);
        assert_eq!(wrong, has(false), "{version}");
        assert_eq!(client.send_noop(), has(version == Version::Spdy2));
        assert_eq!(server.send_noop(), has(version == Version::Spdy2));
        let expected: &[u8] = match version {
            Version::Spdy3 => b"\x80\x03\0\x0a\0\0\0\x12\0\x01\0\0\0\x05proof\0\0\0\x03DER",
            Version::Spdy2 => b"\x80\x02\0\x05\0\0\0\0",
            _ => b"",
        };
        assert_eq!(Buf::chunk(client.output()), expected, "{version}");
        pair.run();
        let stream = pair.get("/bytes/10");
        pair.run();
        assert_eq!(pair.response(stream).status, Some(StatusCode::OK));
        pair.assert_quiescent();
        pair.client
            .engine
            .abort(pair.now, Reason::NoError, "enough");
        assert!(pair.client.engine.send_noop().is_err(), "{version}");
    });
}
