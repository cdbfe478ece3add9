//! What a GOAWAY with an error says, and what follows when the peer then closes
//! the connection, or says nothing more.

use std::time::Duration;

use http::Method;
use lacewing_conn::{
    Error, Initiator, Limits, Reason, Side, Version,
    proto::{Event, Head, StreamKey},
};

use crate::{
    hostile::{Peer, Victim},
    pair::every_version,
};

/// The code that the peers here give, and how it reads. SPDY/2 has none.
fn code(version: Version) -> (u8, Reason) {
    match version {
        Version::Http2 => (0x0b, Reason::EnhanceYourCalm),
        Version::Spdy2 => (0, Reason::NoError),
        Version::Spdy3 | Version::Spdy31 => (1, Reason::ProtocolError),
    }
}

/// GOAWAY with an error, and over HTTP/2 with a word.
fn go_away(version: Version, last: u8) -> Vec<u8> {
    let (code, _) = code(version);
    match version {
        Version::Http2 => {
            let mut frame = vec![0, 0, 22, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, code];
            frame.extend_from_slice(b"too_many_pings");
            frame
        }
        Version::Spdy2 => vec![0x80, 2, 0, 7, 0, 0, 0, 4, 0, 0, 0, last],
        Version::Spdy3 | Version::Spdy31 => {
            vec![0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, last, 0, 0, 0, code]
        }
    }
}

/// A client with two requests that wait for their answers.
fn client(version: Version) -> (Victim, [StreamKey; 2]) {
    let mut victim = Victim::new(version, Side::Client);
    let mut peer = Peer::new(version, Side::Server);
    if version == Version::Http2 {
        // The acknowledgement of our SETTINGS, which is waited for.
        peer.raw(&[0, 0, 0, 4, 1, 0, 0, 0, 0]);
    }
    victim.flush();
    victim.take(&mut peer);
    let streams = [(); 2].map(|()| {
        let uri = "https://example.org/".parse().unwrap();
        let head = Head::request(Method::GET, uri);
        victim.engine.open(victim.now, head, true, None).unwrap()
    });
    victim.flush();
    victim.events.clear();
    (victim, streams)
}

fn resets(victim: &Victim) -> Vec<(StreamKey, &Error)> {
    let of = |event| match event {
        &Event::Reset { stream, ref error } => Some((stream, error)),
        _ => None,
    };
    victim.events.iter().filter_map(of).collect()
}

fn closed(victim: &Victim) -> Option<&Error> {
    victim.events.iter().find_map(|event| match event {
        Event::Closed { error } => Some(error),
        _ => None,
    })
}

/// The error names the peer's code, and over HTTP/2 its words.
fn is_told(version: Version, error: &Error) {
    let (_, reason) = code(version);
    assert_eq!(error.initiator(), Initiator::Peer, "{version}: {error}");
    assert_eq!(error.reason(), reason, "{version}: {error}");
    let told = error.to_string().contains("too_many_pings");
    assert_eq!(told, version == Version::Http2, "{version}: {error}");
}

#[test]
fn streams_above_the_last_fail_at_once_with_the_reason() {
    every_version(|version| {
        let (mut victim, streams) = client(version);
        victim.take_bytes(&go_away(version, 1));
        let resets = resets(&victim);
        let [(stream, error)] = resets[..] else {
            panic!("{version}: {resets:?}")
        };
        assert_eq!(stream, streams[1], "{version}");
        assert!(
            error.is_retryable() && error.is_connection(),
            "{version}: {error}"
        );
        if version == Version::Spdy2 {
            assert_eq!(error.reason(), Reason::RefusedStream);
        } else {
            is_told(version, error);
        }
    });
}

#[test]
fn a_close_after_it_is_explained_by_it() {
    every_version(|version| {
        for how in ["end", "failure"] {
            let (mut victim, streams) = client(version);
            victim.take_bytes(&go_away(version, 1));
            victim.events.clear();
            match how {
                "end" => victim.engine.handle_eof(victim.now),
                _ => {
                    let error = std::io::ErrorKind::ConnectionReset.into();
                    victim.engine.handle_io_error(error);
                }
            }
            victim.take_bytes(&[]);
            let resets = resets(&victim);
            let [(stream, error)] = resets[..] else {
                panic!("{version}: {resets:?}")
            };
            assert_eq!(stream, streams[0], "{version}");
            // It may have been processed.
            assert!(!error.is_retryable(), "{version}: {error}");
            if version != Version::Spdy2 {
                is_told(version, error);
                is_told(version, closed(&victim).unwrap());
            }
        }
    });
}

#[test]
fn silence_after_it_ends_at_the_drain_limit() {
    for version in [Version::Http2, Version::Spdy3, Version::Spdy31] {
        let (mut victim, streams) = client(version);
        victim.take_bytes(&go_away(version, 1));
        victim.events.clear();
        let limit = Limits::new(Side::Client).drain_timeout;
        victim.now += limit - Duration::from_millis(1);
        victim.engine.handle_timeout(victim.now);
        victim.take_bytes(&[]);
        assert!(resets(&victim).is_empty(), "{version}");
        victim.now += Duration::from_millis(1);
        assert!(victim.engine.poll_timeout().unwrap() <= victim.now);
        victim.engine.handle_timeout(victim.now);
        victim.take_bytes(&[]);
        assert!(victim.engine.is_closed(), "{version}");
        let resets = resets(&victim);
        let [(stream, error)] = resets[..] else {
            panic!("{version}: {resets:?}")
        };
        assert_eq!(stream, streams[0], "{version}");
        is_told(version, error);
        is_told(version, closed(&victim).unwrap());
    }
}

/// Without streams the connection is over at once, and says why.
#[test]
fn a_connection_without_streams_ends_with_the_reason() {
    for version in [Version::Http2, Version::Spdy3, Version::Spdy31] {
        for side in [Side::Client, Side::Server] {
            let mut victim = Victim::new(version, side);
            let peer_side = match side {
                Side::Client => Side::Server,
                Side::Server => Side::Client,
            };
            let mut peer = Peer::new(version, peer_side);
            victim.take(&mut peer);
            victim.events.clear();
            victim.take_bytes(&go_away(version, 0));
            assert!(victim.engine.is_closed(), "{version}");
            is_told(version, closed(&victim).unwrap());
        }
    }
}

/// Whoever ends in good order may take any time for what it took.
#[test]
fn an_orderly_end_sets_no_limit() {
    every_version(|version| {
        let (mut victim, _) = client(version);
        let mut peer = Peer::new(version, Side::Server);
        peer.bytes.clear();
        peer.go_away(1);
        victim.take(&mut peer);
        victim.events.clear();
        victim.now += Limits::new(Side::Client).drain_timeout * 10;
        victim.engine.handle_timeout(victim.now);
        victim.take_bytes(&[]);
        assert!(!victim.engine.is_closed(), "{version}");
        assert!(resets(&victim).is_empty(), "{version}");
    });
}
