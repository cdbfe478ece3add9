//! Streams on which only one side sends.

use lacewing_conn::{
    Side, Version,
    proto::{Config, Event, Semantics},
};

use crate::hostile::{Peer, Victim};

/// SPDY/3 §2.3.2.1: such a stream permits no answer, not even 400.
#[test]
fn a_unidirectional_request_is_reset_and_not_answered() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        // By the flag, or by the associated stream.
        for (lacking, parent) in [(true, 0), (false, 0), (true, 9), (false, 9)] {
            let mut victim = Victim::new(version, Side::Server);
            let mut peer = Peer::new(version, Side::Client);
            victim.flush();
            let length = [("content-length", "3")];
            if lacking {
                peer.associated((1, parent), parent == 0, true, &length);
            } else {
                let colon = if version == Version::Spdy2 { "" } else { ":" };
                let url = if version == Version::Spdy2 {
                    "url"
                } else {
                    ":path"
                };
                let names = ["method", "scheme", "host", "version"];
                let names = names.map(|name| format!("{colon}{name}"));
                let mut fields = vec![
                    (&names[0][..], "POST"),
                    (&names[1], "https"),
                    (&names[2], "example.org"),
                    (&names[3], "HTTP/1.1"),
                    (url, "/"),
                ];
                fields.extend(length);
                peer.associated((1, parent), parent == 0, true, &fields);
            }
            victim.take(&mut peer);
            // Only RST_STREAM.
            let sent = victim.flush();
            let kind = |sent: &[u8]| u16::from_be_bytes([sent[2], sent[3]]);
            assert_eq!((sent.len(), kind(&sent)), (16, 3), "{version}, {lacking}");
            assert_eq!(victim.monitor.code, Some(1), "{version}, {lacking}");
        }
    }
}

/// The same for 431, if the header list is too long.
#[test]
fn a_unidirectional_request_that_is_too_long_is_reset() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        let mut config = Config::new(version, Side::Server);
        config.limits.max_header_fields = 3;
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        victim.flush();
        let fields = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
        peer.associated((1, 0), true, true, &fields);
        victim.take(&mut peer);
        let sent = victim.flush();
        assert_eq!((sent.len(), sent[3]), (16, 3), "{version}: RST_STREAM");
    }
}

/// On raw connections only the flag makes a stream unidirectional: spdystream answers streams with
/// an associated stream.
#[test]
fn raw_streams_that_belong_to_others_have_two_directions() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        let mut config = Config::new(version, Side::Server);
        config.semantics = Semantics::Raw;
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        for (id, parent, flag) in [(1, 0, false), (3, 1, false), (5, 1, true), (7, 0, true)] {
            peer.associated((id, parent), flag, false, &[("x", "y")]);
            victim.take(&mut peer);
            let Some(Event::Opened { unidirectional, .. }) = victim.events.pop() else {
                panic!("{version}: stream {id}")
            };
            assert_eq!(unidirectional, flag, "{version}: stream {id}");
        }
    }
}
