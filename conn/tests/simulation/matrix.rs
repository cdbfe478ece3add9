//! The header validation matrix. It has every way in which a header list can be malformed, in every
//! kind of message, on every protocol and on both sides. No user receives a malformed message (RFC
//! 9113 §8.1.1, §8.2, §8.3; the SPDY drafts' §2.6.10, §3.2).

use lacewing_conn::{
    Side, Version,
    proto::{Config, Event, Head, HeaderCompression, OpenOptions, ServerPush},
};

use crate::{
    hostile::{ListFrame, Peer, Victim},
    pair::every_version,
};

mod control;
mod lengths;
mod targets;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A kind of message, which determines its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    RequestTrailers,
    Response,
    Informational,
    ResponseTrailers,
    Promise,
}

const KINDS: [Kind; 6] = [
    Kind::Request,
    Kind::RequestTrailers,
    Kind::Response,
    Kind::Informational,
    Kind::ResponseTrailers,
    Kind::Promise,
];

/// The outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The user receives it.
    Seen,
    /// RST_STREAM with PROTOCOL_ERROR, and the user receives nothing.
    Reset,
    /// This status, and the user receives nothing.
    Answered(&'static str),
}

use Fate::{Answered, Reset, Seen};

const BAD: Fate = Answered("400");

impl Kind {
    fn receiver(self) -> Side {
        match self {
            Self::Request | Self::RequestTrailers => Side::Server,
            _ => Side::Client,
        }
    }

    /// SPDY has no frame for informational responses.
    fn exists_in(self, version: Version) -> bool {
        self != Self::Informational || version == Version::Http2
    }

    fn is_trailers(self) -> bool {
        matches!(self, Self::RequestTrailers | Self::ResponseTrailers)
    }

    /// A valid message of this kind.
    fn plain(self, version: Version) -> Fields {
        let named = |fields: &[(&str, &str)]| -> Fields {
            fields
                .iter()
                .map(|(name, value)| (control(version, name), value.as_bytes().to_vec()))
                .collect()
        };
        let spdy = version != Version::Http2;
        let mut fields = match self {
            Self::Request => named(&[
                ("method", "GET"),
                ("scheme", "https"),
                ("authority", "example.org"),
                ("path", "/"),
            ]),
            Self::Promise => {
                let path = match version {
                    Version::Spdy2 => "https://example.org/",
                    _ => "/",
                };
                named(&[
                    ("method", "GET"),
                    ("scheme", "https"),
                    ("authority", "example.org"),
                    ("path", path),
                ])
            }
            Self::Response => named(&[("status", "200")]),
            Self::Informational => named(&[("status", "103")]),
            Self::RequestTrailers | Self::ResponseTrailers => Fields::new(),
        };
        if spdy && !self.is_trailers() {
            fields.extend(named(&[("version", "HTTP/1.1")]));
        }
        fields.push((b"x-regular".to_vec(), b"1".to_vec()));
        fields
    }
}

/// The name of a control field.
fn control(version: Version, name: &str) -> Vec<u8> {
    match (version, name) {
        (Version::Http2, name) => format!(":{name}"),
        (Version::Spdy2, "authority") => "host".to_owned(),
        (Version::Spdy2, "path") => "url".to_owned(),
        (Version::Spdy2, name) => name.to_owned(),
        (_, "authority") => ":host".to_owned(),
        (_, name) => format!(":{name}"),
    }
    .into_bytes()
}

/// Sends a message of this kind to a victim, and returns its outcome.
fn fate(version: Version, kind: Kind, fields: &Fields) -> (Fate, Victim) {
    let side = kind.receiver();
    let mut config = Config::new(version, side);
    config.push = ServerPush::Accept;
    // Makes an answer readable in the bytes.
    config.header_compression = HeaderCompression::Stored;
    let mut victim = Victim::with(config);
    let mut peer = Peer::new(
        version,
        match side {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        },
    );
    if side == Side::Client {
        let uri = "https://example.org/".parse().unwrap();
        let head = Head::request(http::Method::GET, uri);
        victim
            .engine
            .open(victim.now, head, OpenOptions::without_content())
            .unwrap();
    }
    match kind {
        Kind::RequestTrailers => peer.request(1, false, &[]),
        Kind::ResponseTrailers => {
            let ok = peer.ok();
            peer.reply(1, false, ok);
        }
        _ => {}
    }
    victim.take(&mut peer);
    victim.flush();
    victim.events.clear();
    let (frame, id, fin) = match kind {
        Kind::Request => (ListFrame::Open, 1, true),
        Kind::Response => (ListFrame::Reply, 1, true),
        Kind::Informational => (ListFrame::Reply, 1, false),
        Kind::RequestTrailers | Kind::ResponseTrailers => (ListFrame::More, 1, true),
        Kind::Promise => (ListFrame::Promise { parent: 1 }, 2, false),
    };
    peer.list(frame, id, fin, fields);
    victim.take(&mut peer);
    let sent = victim.flush();
    let told = victim.events.iter().any(|event| {
        matches!(
            event,
            Event::Opened { .. }
                | Event::Reply { .. }
                | Event::Informational { .. }
                | Event::Headers { .. }
                | Event::Promised { .. }
        )
    });
    assert!(!victim.engine.is_closed(), "{version} {kind:?} {fields:?}");
    let reset = victim.monitor.resets == 1;
    let fate = match (told, reset) {
        (true, false) => Seen,
        (false, true) => {
            assert_eq!(victim.monitor.code, Some(1), "PROTOCOL_ERROR");
            Reset
        }
        (false, false) => Answered(status_in(&sent)),
        (true, true) => panic!("{version} {kind:?} {fields:?}: seen, and reset"),
    };
    // The next message is processed: the compression states agree.
    if side == Side::Server {
        peer.request(3, true, &[("x-next", "1")]);
        victim.take(&mut peer);
        let next = victim.events.last();
        assert!(
            matches!(next, Some(Event::Opened { .. })),
            "{version} {kind:?} {fields:?}: the next is {next:?}"
        );
    }
    (fate, victim)
}

/// HPACK has an index for 400 and a string for 414; SPDY has text.
fn status_in(sent: &[u8]) -> &'static str {
    for text in ["400", "414"] {
        if sent.windows(3).any(|bytes| bytes == text.as_bytes()) {
            return text;
        }
    }
    if sent.get(9) == Some(&0x8c) {
        return "400";
    }
    panic!("no answer in {sent:?}")
}

/// Expects the same result for SPDY/2 as for the other versions of SPDY.
fn expect(kind: Kind, http2: Fate, spdy: Fate, why: &str, change: impl Fn(Version, &mut Fields)) {
    every_version(|version| {
        if !kind.exists_in(version) {
            return;
        }
        let mut fields = kind.plain(version);
        change(version, &mut fields);
        let expected = match version {
            Version::Http2 => http2,
            _ => spdy,
        };
        let (fate, _) = fate(version, kind, &fields);
        assert_eq!(fate, expected, "{version}, {kind:?}: {why}: {fields:?}");
    });
}

fn add(name: &[u8], value: &[u8]) -> impl Fn(Version, &mut Fields) {
    move |_, fields| fields.push((name.to_vec(), value.to_vec()))
}

fn set(name: &'static str, value: &'static [u8]) -> impl Fn(Version, &mut Fields) {
    move |version, fields| {
        let name = control(version, name);
        let field = fields.iter_mut().find(|(other, _)| *other == name);
        field.unwrap().1 = value.to_vec();
    }
}

fn without(name: &'static str) -> impl Fn(Version, &mut Fields) {
    move |version, fields| {
        let name = control(version, name);
        fields.retain(|(other, _)| *other != name);
    }
}

#[test]
fn plain_messages_are_seen() {
    for kind in KINDS {
        expect(kind, Seen, Seen, "nothing", |_, _| {});
    }
}

/// RFC 9113 §8.2.1: lower-case tokens. Each byte, first and in the middle.
#[test]
fn names() {
    for kind in KINDS {
        expect(kind, Reset, Reset, "an empty name", add(b"", b"1"));
        for byte in 0..=255_u8 {
            let token = byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || b"!#$%&'*+-.^_`|~".contains(&byte);
            if token {
                continue;
            }
            for name in [[b'x', byte, b'y'], [byte, b'x', b'y'], [b'x', b'y', byte]] {
                expect(kind, Reset, Reset, "a name", add(&name, b"1"));
            }
        }
        // The parser treats long names differently.
        for (byte, fate) in [(b'y', Seen), (b'Y', Reset), (b' ', Reset), (0xff, Reset)] {
            let mut name = vec![b'x'; 100];
            name.push(byte);
            expect(kind, fate, fate, "a long name", add(&name, b"1"));
        }
    }
}

/// RFC 9113 §8.2.1. Over SPDY, NUL separates values (§2.6.10), and no value is empty. Whitespace
/// around values is that of HTTP/1.1, and does not count.
#[test]
fn values() {
    for kind in KINDS {
        for (value, http2, spdy) in [
            (&b"a\0b"[..], Reset, Seen),
            (b"a\0\0b", Reset, Reset),
            (b"\0a", Reset, Reset),
            (b"a\0", Reset, Reset),
            (b"a\rb", Reset, Reset),
            (b"a\nb", Reset, Reset),
            (b"\ra", Reset, Reset),
            (b"\na", Reset, Reset),
            (b"a\r", Reset, Reset),
            (b"a\n", Reset, Reset),
            (b"a\r\n", Reset, Reset),
            (b"a\r\n b", Reset, Reset),
            (b"a\x01b", Reset, Reset),
            (b"a\x7f", Reset, Reset),
            (b"a\x0b", Reset, Reset),
            (b"a\x0c", Reset, Reset),
            (b" a", Reset, Seen),
            (b"a ", Reset, Seen),
            (b"\ta", Reset, Seen),
            (b"a\t", Reset, Seen),
            (b"a\tb c", Seen, Seen),
            (b"\xe9\xff", Seen, Seen),
        ] {
            expect(kind, http2, spdy, "a value", add(b"x", value));
        }
        // SPDY/2 has no empty value: it is malformed like an empty name.
        for version in Version::ALL {
            if !kind.exists_in(version) {
                continue;
            }
            let mut fields = kind.plain(version);
            fields.push((b"x".to_vec(), Vec::new()));
            let expected = if version == Version::Spdy2 {
                Reset
            } else {
                Seen
            };
            let (fate, _) = fate(version, kind, &fields);
            assert_eq!(fate, expected, "{version}, {kind:?}: an empty value");
        }
    }
}

/// Whitespace around a value is removed.
#[test]
fn blanks_around_values_are_not_handed_on() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        let mut fields = Kind::Request.plain(version);
        fields.push((b"x".to_vec(), b" \ta b\t \0 c".to_vec()));
        let (_, victim) = fate(version, Kind::Request, &fields);
        let Some(Event::Opened { head, .. }) = victim.events.first() else {
            panic!("{version}: {:?}", victim.events)
        };
        let values: Vec<_> = head.fields.get_all("x").iter().collect();
        assert_eq!(values, ["a b", "c"], "{version}");
    }
}

/// RFC 9113 §8.2.2. The SPDY drafts: "not valid, ignored when present".
#[test]
fn fields_of_the_connection() {
    for kind in KINDS {
        for name in [
            "connection",
            "proxy-connection",
            "keep-alive",
            "transfer-encoding",
            "upgrade",
        ] {
            expect(kind, Reset, Seen, name, add(name.as_bytes(), b"x"));
        }
        for value in ["gzip", "trailers, gzip", "trailers;q=1", ""] {
            let change = |version, fields: &mut Fields| {
                // SPDY/2 has no empty value.
                if !(value.is_empty() && version == Version::Spdy2) {
                    add(b"te", value.as_bytes())(version, fields);
                }
            };
            expect(kind, Reset, Seen, "te", change);
        }
        expect(kind, Seen, Seen, "te", add(b"te", b"trailers"));
    }
}
