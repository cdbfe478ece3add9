//! Targets: authorities, hosts and paths.

use lacewing_conn::{
    Side, Version,
    proto::{Config, Event, HeaderCompression},
};

use super::{
    BAD,
    Fate::{Reset, Seen},
    Fields, Kind, control, expect, fate, set, status_in, without,
};
use crate::{
    hostile::{ListFrame, Peer, Victim},
    pair::every_version,
};

/// RFC 3986 §3.2 without user information (RFC 9113 §8.3.1).
#[test]
fn authorities() {
    let authority = |kind: Kind, value: &'static str, http2, spdy| {
        let change = |version, fields: &mut Fields| {
            // An absolute URL has its own authority, which takes precedence.
            if version == Version::Spdy2 {
                let name = control(version, "path");
                let url = format!("https://{value}/");
                fields.iter_mut().find(|field| field.0 == name).unwrap().1 = url.into_bytes();
            } else {
                let name = control(version, "authority");
                fields.iter_mut().find(|field| field.0 == name).unwrap().1 =
                    value.as_bytes().to_vec();
            }
        };
        expect(kind, http2, spdy, value, change);
        if kind == Kind::Request && !value.is_empty() {
            let change = |version, fields: &mut Fields| {
                let name = control(version, "authority");
                fields.iter_mut().find(|field| field.0 == name).unwrap().1 =
                    value.as_bytes().to_vec();
            };
            expect(kind, http2, spdy, value, change);
        }
    };
    for (kind, spdy) in [(Kind::Request, BAD), (Kind::Promise, Reset)] {
        for bad in [
            "user@example.org",
            "user:secret@example.org",
            "@example.org",
            "example.org:x",
            "example.org:65536",
            "example.org:80:80",
            ":80",
            "::1",
            "[::1",
            "[::g]",
            "[::1]x",
            "a b",
            "a%2",
            "a%zz",
            "a\"b",
            "a<b>",
            "a\\b",
            "\u{e9}",
        ] {
            authority(kind, bad, Reset, spdy);
        }
        for good in [
            "example.org:8443",
            "EXAMPLE.ORG",
            "example.org:",
            "[::1]:443",
            "[v1.a:b]",
            "%2Frun%2Fsock.sock",
            "a%41b:80",
            "a_b!$&'()*+,;=~",
            "127.0.0.1",
        ] {
            authority(kind, good, Seen, Seen);
        }
    }
}

/// RFC 9113 §8.3.1: `host` must be equal to the authority.
#[test]
fn hosts() {
    for (values, http2, spdy) in [
        (&["example.org"][..], Seen, Seen),
        (&["EXAMPLE.org"], Seen, Seen),
        (&["example.org:443"], Seen, Seen),
        (&["example.org:"], Seen, Seen),
        (&["%65xample.org"], Seen, Seen),
        (&["example.org:80"], Reset, BAD),
        (&["other.example"], Reset, BAD),
        (&["user@example.org"], Reset, BAD),
        (&["example.org", "other.example"], Reset, BAD),
        (&["example.org", "example.org"], Reset, BAD),
        (&["other.example", "example.org"], Reset, BAD),
        (&["example.org, other.example"], Reset, BAD),
        (&["a b"], Reset, BAD),
    ] {
        for version in Version::ALL {
            // There, the host beside the URL is the control field itself.
            if version == Version::Spdy2 {
                continue;
            }
            let mut fields = Kind::Request.plain(version);
            if version == Version::Http2 {
                for value in values {
                    fields.push((b"host".to_vec(), value.as_bytes().to_vec()));
                }
            } else {
                fields.push((b"host".to_vec(), values.join("\0").into_bytes()));
            }
            let expected = if version == Version::Http2 {
                http2
            } else {
                spdy
            };
            let (seen, victim) = fate(version, Kind::Request, &fields);
            assert_eq!(seen, expected, "{version}: {values:?}");
            let Some(Event::Opened { head, .. }) = victim.events.first() else {
                continue;
            };
            let host: Vec<_> = head.fields.get_all("host").iter().collect();
            if expected == Seen {
                assert_eq!(host, ["example.org"], "{version}: {values:?}");
            }
        }
    }
}

/// RFC 9113 §8.5, RFC 8441 §3. Over SPDY the authority is in the place of a path.
#[test]
fn connect() {
    let kind = Kind::Request;
    let connect = |keep: &'static [&'static str]| {
        move |version: Version, fields: &mut Fields| {
            set("method", b"CONNECT")(version, fields);
            if version == Version::Http2 {
                set("authority", b"example.org:443")(version, fields);
                for name in ["scheme", "authority", "path"] {
                    if !keep.contains(&name) {
                        without(name)(version, fields);
                    }
                }
            } else {
                set("path", b"example.org:443")(version, fields);
            }
        }
    };
    expect(kind, Seen, Seen, "CONNECT", connect(&["authority"]));
    expect(kind, Reset, Seen, "a path", connect(&["authority", "path"]));
    expect(
        kind,
        Reset,
        Seen,
        "a scheme",
        connect(&["authority", "scheme"]),
    );
    expect(kind, Reset, Seen, "no authority", connect(&[]));
    let protocol = |version: Version, fields: &mut Fields| {
        set("method", b"CONNECT")(version, fields);
        fields.insert(0, (b":protocol".to_vec(), b"websocket".to_vec()));
    };
    // Not before we advertised support for it.
    for version in Version::ALL {
        let mut fields = kind.plain(version);
        protocol(version, &mut fields);
        let (seen, _) = fate(version, kind, &fields);
        assert_eq!(seen, Reset, "{version}: :protocol");
    }
    expect(kind, Reset, Reset, "without CONNECT", |_, fields| {
        fields.insert(0, (b":protocol".to_vec(), b"websocket".to_vec()));
    });
    // No port to connect to: there is no default port (RFC 9110 §9.3.6).
    for value in [&b"example.org"[..], b"example.org:"] {
        expect(kind, BAD, BAD, "no port", move |version, fields| {
            connect(&["authority"])(version, fields);
            let name = match version {
                Version::Http2 => "authority",
                _ => "path",
            };
            set(name, value)(version, fields);
        });
    }
    // A target that may be a path is answered.
    expect(kind, BAD, BAD, "a socket", |version, fields| {
        connect(&["authority"])(version, fields);
        let name = match version {
            Version::Http2 => "authority",
            _ => "path",
        };
        set(name, b"%2Frun%2Fsock:1")(version, fields);
    });
}

/// Paths that other servers accept: if a URI can carry them, they are accepted here too. Otherwise
/// the engine answers them.
#[test]
fn paths_of_odd_bytes() {
    let odd = b"\"<>|\\^`{}";
    let mut paths: Vec<Vec<u8>> = odd.iter().map(|byte| vec![b'/', *byte]).collect();
    paths.extend(odd.iter().map(|byte| vec![b'/', b'?', *byte]));
    paths.extend(["/\u{e9}", "/?\u{4e2d}"].map(|path| path.as_bytes().to_vec()));
    paths.extend([b"/\xe9".to_vec(), b"/?\xff".to_vec()]);
    for path in paths {
        let fits = http::uri::PathAndQuery::try_from(&path[..]).is_ok();
        let expected = if fits { Seen } else { BAD };
        let change = |version, fields: &mut Fields| {
            let name = control(version, "path");
            fields.iter_mut().find(|field| field.0 == name).unwrap().1 = path.clone();
        };
        expect(Kind::Request, expected, expected, "an odd path", change);
    }
    // Another broken rule makes the request malformed.
    expect(Kind::Request, Reset, Reset, "both", |version, fields| {
        let name = control(version, "path");
        fields.iter_mut().find(|field| field.0 == name).unwrap().1 = b"/\xff".to_vec();
        fields.push((b"X".to_vec(), b"1".to_vec()));
    });
}

/// A path may be longer than a URI permits: 414.
#[test]
fn a_path_that_is_too_long_is_answered() {
    every_version(|version| {
        let mut config = Config::new(version, Side::Server);
        config.header_compression = HeaderCompression::Stored;
        config.limits.max_header_list_size = 200_000;
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        let mut fields = Kind::Request.plain(version);
        let name = control(version, "path");
        let mut path = vec![b'a'; 65_535];
        path[0] = b'/';
        if version == Version::Spdy2 {
            // Its lengths have 16 bits, so no longer path exists.
            path.truncate(65_534);
        }
        fields.iter_mut().find(|field| field.0 == name).unwrap().1 = path;
        peer.list(ListFrame::Open, 1, true, &fields);
        victim.take(&mut peer);
        let sent = victim.flush();
        if version == Version::Spdy2 {
            assert!(matches!(victim.events[..], [Event::Opened { .. }]));
            return;
        }
        assert_eq!(victim.monitor.resets, 0, "{version}");
        assert!(matches!(victim.events.last(), Some(Event::Refused { .. })));
        assert_eq!(status_in(&sent), "414", "{version}");
    });
}
