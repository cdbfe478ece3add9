//! Peers that speak something else: what their first bytes are, and what to do.

use crate::proto::{Rule, Side, Version};

/// Bytes of a first line that are shown.
const SHOWN: usize = 64;

/// Bytes that suffice to recognise each of [`BEGINNINGS`].
const ENOUGH: usize = 4;

/// Bytes that distinguish HTTP/2's first frame from SPDY's.
const FRAME: usize = 8;

/// The protocol of a peer's first bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// Perhaps of the protocol that is spoken here.
    Ours,
    /// Too few to decide.
    Short,
    /// Of another one.
    Foreign(Foreign),
}

/// Another protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// The rule that its first bytes break.
    pub(crate) rule: Rule,
    pub(crate) text: String,
}

/// First bytes with which neither HTTP/2 nor SPDY begins. In both they would be a frame of
/// megabytes, or of a stream with an absurd number.
const BEGINNINGS: [(&[u8; ENOUGH], Kind); 20] = [
    (b"HTTP", Kind::Http1Response),
    (b"GET ", Kind::Http1Request),
    (b"HEAD", Kind::Http1Request),
    (b"POST", Kind::Http1Request),
    (b"PUT ", Kind::Http1Request),
    (b"DELE", Kind::Http1Request),
    (b"OPTI", Kind::Http1Request),
    (b"CONN", Kind::Http1Request),
    (b"PATC", Kind::Http1Request),
    (b"SSH-", Kind::Named("SSH")),
    (b"220 ", Kind::Named("SMTP or FTP")),
    (b"220-", Kind::Named("SMTP or FTP")),
    (b"421 ", Kind::Named("SMTP or FTP")),
    (b"+OK ", Kind::Named("POP3")),
    (b"* OK", Kind::Named("IMAP")),
    (b"RFB ", Kind::Named("VNC")),
    (b"-ERR", Kind::Named("Redis or POP3")),
    (b"<!DO", Kind::Html),
    (b"<htm", Kind::Html),
    (b"<?xm", Kind::Named("XML without HTTP")),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http1Request,
    Http1Response,
    /// As in HTTP/0.9: some servers of HTTP/1.1 answer so what they do not understand.
    Html,
    Named(&'static str),
}

impl Beginning {
    fn other(text: String) -> Self {
        let rule = Rule::ForeignProtocol;
        Self::Foreign(Foreign { rule, text })
    }
}

impl Kind {
    fn rule(self, side: Side) -> Rule {
        match (self, side) {
            (Self::Http1Response | Self::Html, Side::Client) => Rule::AnswerInHttp1,
            _ => Rule::ForeignProtocol,
        }
    }
}

/// Looks at the first bytes of the peer of a side that speaks `version`.
pub(crate) fn look(bytes: &[u8], version: Version, side: Side) -> Beginning {
    let http2 = version == Version::Http2;
    match *bytes {
        [] | [0x15 | 0x16] | [0x15 | 0x16, 3] => return Beginning::Short,
        [0x15 | 0x16, 3, 0..=4, ..] => return Beginning::other(tls(bytes, side)),
        [0x80, 2 | 3, 0, ..] if http2 => {
            let peer = peer(side);
            return Beginning::other(format!(
                "the {peer} speaks SPDY, not {version}: agree on one protocol"
            ));
        }
        _ => {}
    }
    if !http2 && (bytes.starts_with(b"PRI ") || is_http2_settings(bytes)) {
        let peer = peer(side);
        return Beginning::other(format!(
            "the {peer} speaks HTTP/2, not {version}: agree on one protocol"
        ));
    }
    let head = bytes.get(..ENOUGH).unwrap_or(bytes);
    // All of these stand in the table by the same bytes.
    let found = BEGINNINGS.iter().find(|(start, _)| start.starts_with(head));
    match found {
        Some(_) if bytes.len() < ENOUGH => Beginning::Short,
        Some((_, kind)) => Beginning::Foreign(Foreign {
            rule: kind.rule(side),
            text: describe(*kind, bytes, version, side),
        }),
        None => Beginning::Ours,
    }
}

/// Describes first bytes that are no frame of any of the protocols, and that are
/// not known.
/// HTTP/2's frame would have 64 KiB or more, SPDY's would be DATA of a stream of
/// an absurd number.
pub(crate) fn unknown(bytes: &[u8], version: Version, side: Side) -> Option<String> {
    let first = *bytes.first()?;
    let absurd = match version {
        Version::Http2 => {
            first != 0 && !(side == Side::Server && bytes.starts_with(b"PRI * HTTP/2"))
        }
        Version::Spdy2 | Version::Spdy3 | Version::Spdy31 => matches!(first, 1..=0x7f),
    };
    absurd.then(|| format!(
        "the first bytes of the {}, {}, are not {version}: it speaks another protocol here; check \
         the port",
        peer(side),
        first_line(bytes)
    ))
}

fn describe(kind: Kind, bytes: &[u8], version: Version, side: Side) -> String {
    let line = first_line(bytes);
    match (kind, side) {
        (Kind::Http1Response, Side::Client) => format!(
            "the server answers in HTTP/1.1, {line}, and does not speak {version} here: use a \
             client of HTTP/1.1, or the URL or port at which it speaks {version} (over TLS, https)"
        ),
        (Kind::Http1Request, Side::Server) => format!(
            "the client speaks HTTP/1.1, {line}, not {version}: make it speak \
             {version}, or serve HTTP/1.1 here"
        ),
        (Kind::Http1Response | Kind::Http1Request, _) => {
            let peer = peer(side);
            format!("the {peer} speaks HTTP/1.1, {line}, not {version}: check who is there")
        }
        (Kind::Html | Kind::Named(_), _) => {
            let peer = peer(side);
            let name = match kind {
                Kind::Named(name) => name,
                _ => "HTML without HTTP",
            };
            format!("the {peer} speaks {name}, {line}, not {version}: check the port")
        }
    }
}

fn tls(bytes: &[u8], side: Side) -> String {
    let what = if bytes.first() == Some(&0x15) {
        "an alert"
    } else {
        "a handshake"
    };
    match side {
        Side::Client => format!(
            "the server speaks TLS on this port (it sent {what}): begin the URL with https, or \
             use its port without TLS"
        ),
        Side::Server => format!(
            "the client speaks TLS where none is expected (it sent {what}): begin the URL with \
             http, or use the port with TLS"
        ),
    }
}

/// SETTINGS on stream 0, which every HTTP/2 server says first.
fn is_http2_settings(bytes: &[u8]) -> bool {
    bytes
        .get(..FRAME)
        .is_some_and(|head| matches!(head, [0, 0, _, 4, 0, 0, 0, 0]))
}

fn peer(side: Side) -> &'static str {
    match side {
        Side::Client => "server",
        Side::Server => "client",
    }
}

/// The bytes before the line's end, escaped and in quotes.
fn first_line(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let line = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
    let line = line.get(..SHOWN).unwrap_or(line);
    format!("\"{}\"", line.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDES: [Side; 2] = [Side::Client, Side::Server];

    #[test]
    fn every_protocol_is_recognised_from_split_input() {
        for version in Version::ALL {
            for side in SIDES {
                for (start, _) in BEGINNINGS {
                    let bytes = [start, &b"more\r\nlines"[..]].concat();
                    for length in 0..bytes.len() {
                        let seen = look(&bytes[..length], version, side);
                        let short = length < ENOUGH;
                        assert_eq!(short, seen == Beginning::Short, "{start:?} {length}");
                        assert_eq!(!short, matches!(seen, Beginning::Foreign(_)));
                    }
                }
            }
        }
    }

    #[test]
    fn first_bytes_of_ours_are_never_foreign() {
        let spdy: [&[u8]; 2] = [b"\x80\x02\x00\x01\0\0\0\x08", b"\x80\x03\x00\x04\0\0\0\x0c"];
        for side in SIDES {
            for length in 0..8 {
                for bytes in [&b"PRI * HTTP/2.0\r\n"[..], b"\0\0\x24\x04\0\0\0\0\0"] {
                    let seen = look(&bytes[..length], Version::Http2, side);
                    assert!(!matches!(seen, Beginning::Foreign(_)), "{bytes:?}");
                }
                for bytes in spdy {
                    let seen = look(&bytes[..length], Version::Spdy31, side);
                    assert!(!matches!(seen, Beginning::Foreign(_)), "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn the_two_families_know_each_other() {
        let report = |bytes: &[u8], version| match look(bytes, version, Side::Client) {
            Beginning::Foreign(foreign) => foreign.text,
            other => panic!("{other:?}"),
        };
        assert!(report(b"\x80\x03\0\x04", Version::Http2).contains("SPDY"));
        for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
            assert!(report(b"\0\0\x06\x04\0\0\0\0\0", version).contains("HTTP/2"));
            assert!(report(b"PRI * HTTP/2.0\r\n", version).contains("HTTP/2"));
        }
    }
}
