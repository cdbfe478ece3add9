//! Content-length, in heads and in trailers.

use lacewing_conn::{Version, proto::Event};

use super::{
    BAD,
    Fate::{Reset, Seen},
    Fields, Kind, add, expect, fate,
};

/// RFC 9110 §8.6, RFC 9113 §8.1.1; the drafts' §3.2.1: 400, and §3.2.2: it is ignored in responses.
#[test]
fn lengths() {
    for values in [
        &["+1"][..],
        &["-1"],
        &["1x"],
        &["0x1"],
        &["1.0"],
        &["1, 1"],
        &["99999999999999999999"],
        &["0", "1"],
        &["1", "0"],
    ] {
        let change = |version, fields: &mut Fields| {
            if version == Version::Http2 {
                for value in values {
                    add(b"content-length", value.as_bytes())(version, fields);
                }
            } else {
                add(b"content-length", values.join("\0").as_bytes())(version, fields);
            }
        };
        expect(Kind::Request, Reset, BAD, "a length", change);
        expect(Kind::Response, Reset, Seen, "a length", change);
        expect(Kind::Informational, Reset, Seen, "a length", change);
        expect(Kind::Promise, Reset, Seen, "a length", change);
    }
    // These messages end with their head.
    let some = || add(b"content-length", b"1");
    expect(Kind::Request, Reset, BAD, "more than comes", some());
    expect(Kind::Response, Reset, Seen, "more than comes", some());
    expect(Kind::Promise, Reset, Seen, "a body", some());
    for length in [&b"0"[..], b"1", b"x"] {
        let length = || add(b"content-length", length);
        expect(Kind::RequestTrailers, Reset, Reset, "framing", length());
        expect(Kind::ResponseTrailers, Reset, Seen, "framing", length());
    }
    // The same value twice counts as one (RFC 9110 §8.6).
    for version in Version::ALL {
        let mut fields = Kind::Request.plain(version);
        if version == Version::Http2 {
            for _ in 0..2 {
                add(b"content-length", b"0")(version, &mut fields);
            }
        } else {
            add(b"content-length", b"0\x000")(version, &mut fields);
        }
        let (seen, victim) = fate(version, Kind::Request, &fields);
        assert_eq!(seen, Seen, "{version}");
        let Some(Event::Opened { head, .. }) = victim.events.first() else {
            panic!("{version}: {:?}", victim.events)
        };
        assert_eq!(head.fields.get_all("content-length").iter().count(), 1);
    }
}
