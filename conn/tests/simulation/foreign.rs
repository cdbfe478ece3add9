//! Peers that speak another protocol: the error names it.

use lacewing_conn::{
    Side, Version,
    proto::{Event, Rule},
};

use crate::{hostile::Victim, pair::every_version};

/// The first bytes of peers, and a text that the error must contain.
const BEGINNINGS: [(&[u8], &str); 10] = [
    (
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "HTTP/1.1 400 Bad Request",
    ),
    (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1"),
    // A ClientHello and an alert, both complete.
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
    (b"\x15\x03\x03\x00\x02\x02\x46", "TLS"),
    (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
    (b"220 mail.example.org ESMTP\r\n", "SMTP"),
    (b"<!DOCTYPE html>\n", "HTML"),
    (b"+OK ready\r\n", "POP3"),
    (b"welcome to the chat\r\n", "welcome to the chat"),
    (b"{\"hello\": \"world\"}", "another protocol"),
];

/// Each protocol family recognises the other.
fn others(version: Version) -> (&'static [u8], &'static str) {
    match version {
        Version::Http2 => (b"\x80\x03\x00\x04\x00\x00\x00\x04\x00\x00\x00\x00", "SPDY"),
        _ => (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", "HTTP/2"),
    }
}

#[test]
fn first_bytes_of_another_protocol_are_named() {
    every_version(|version| {
        for side in [Side::Client, Side::Server] {
            for (bytes, word) in BEGINNINGS.into_iter().chain([others(version)]) {
                for piece in [1, 3, bytes.len()] {
                    let mut victim = Victim::new(version, side);
                    victim.flush();
                    for piece in bytes.chunks(piece) {
                        victim.take_bytes(piece);
                    }
                    let what = format!("{version} {side:?} {word} by {piece}");
                    let Some(Event::Closed { error }) = victim.events.last() else {
                        panic!("{what}: {:?}", victim.events)
                    };
                    let http1 = side == Side::Client
                        && matches!(
                            bytes,
                            [b'H', b'T', b'T', b'P', ..] | [b'<', b'!' | b'h', ..]
                        );
                    let rule = if http1 {
                        Rule::AnswerInHttp1
                    } else {
                        Rule::ForeignProtocol
                    };
                    assert_eq!(error.rule(), Some(rule), "{what}: {error}");
                    let text = error.to_string();
                    // With single bytes, only a part of the line may have arrived.
                    let named = text.contains(word) || piece < 4 && text.contains("speaks");
                    assert!(named || text.contains("answers in"), "{what}: {text}");
                    assert!(!text.contains("frame of"), "{what}: {text}");
                }
            }
        }
    });
}

/// After the first frame, such bytes are only a broken frame.
#[test]
fn only_first_bytes_are_looked_at() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Client);
        let mut peer = crate::hostile::Peer::new(version, Side::Server);
        if version != Version::Http2 {
            peer.settings();
        }
        victim.take(&mut peer);
        victim.events.clear();
        victim.take_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let text = format!("{:?}", victim.events);
        assert!(!text.contains("answers in HTTP/1.1"), "{text}");
    });
}

/// The payload of a first frame in pieces is not mistaken for first bytes.
#[test]
fn a_first_frame_in_single_bytes_is_one_frame() {
    every_version(|version| {
        if version == Version::Http2 {
            // DATA cannot be first there.
            return;
        }
        let mut victim = Victim::new(version, Side::Client);
        victim.flush();
        // DATA on stream 1001, which was never opened: a stream error.
        for byte in *b"\x00\x00\x03\xe9\x00\x00\x00\x04HTTP" {
            victim.take_bytes(&[byte]);
        }
        let refused = |event: &Event| matches!(event, Event::Refused { .. });
        assert!(
            victim.events.iter().any(refused),
            "{version}: {:?}",
            victim.events
        );
        let closed = |event: &Event| matches!(event, Event::Closed { .. });
        assert!(
            !victim.events.iter().any(closed),
            "{version}: {:?}",
            victim.events
        );
    });
}
