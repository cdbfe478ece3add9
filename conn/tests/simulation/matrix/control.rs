//! Control data: pseudo-header fields, and the fields that SPDY has in place of them.

use lacewing_conn::Version;

use super::{
    BAD,
    Fate::{Reset, Seen},
    Fields, KINDS, Kind, add, control, expect, fate, set, without,
};

/// RFC 9113 §8.3: they are first, occur once, are defined, and belong to this kind of message. SPDY
/// has no order, and no repeated name (§2.6.10). SPDY/2 does not mark them.
#[test]
fn control_fields_stand_where_they_belong() {
    for kind in KINDS {
        expect(kind, Reset, Reset, "unknown", add(b":unknown", b"1"));
        expect(kind, Reset, Reset, "colons", add(b"::path", b"1"));
        expect(kind, Reset, Reset, "a colon", add(b":", b"1"));
        for version in Version::ALL {
            if !kind.exists_in(version) {
                continue;
            }
            let plain = kind.plain(version);
            for name in ["method", "scheme", "authority", "path", "status"] {
                let name = control(version, name);
                let present = plain.iter().any(|(other, _)| *other == name);
                let value = match &name[..] {
                    b":status" | b"status" => &b"200"[..],
                    b":path" | b"url" => b"/",
                    b":scheme" | b"scheme" => b"https",
                    b":method" | b"method" => b"GET",
                    _ => b"example.org",
                };
                // Among the others, so that the list has no other error.
                let mut fields = plain.clone();
                fields.insert(0, (name.clone(), value.to_vec()));
                let pushed_reply = kind == Kind::Promise && name.ends_with(b"status");
                let expected = match version {
                    Version::Http2 => Reset,
                    _ if present => Reset,
                    // A push may contain its response.
                    _ if pushed_reply => Seen,
                    // Only a field with that name.
                    Version::Spdy2 => Seen,
                    _ => Reset,
                };
                let (seen, _) = fate(version, kind, &fields);
                let name = String::from_utf8_lossy(&name);
                assert_eq!(seen, expected, "{version}, {kind:?}, {name}");
                if !present {
                    continue;
                }
                // After a regular field.
                let mut fields = plain.clone();
                fields.rotate_right(1);
                let expected = match version {
                    Version::Http2 => Reset,
                    _ => Seen,
                };
                let (seen, _) = fate(version, kind, &fields);
                assert_eq!(seen, expected, "{version}, {kind:?}, {name} behind");
            }
        }
    }
}

/// RFC 9113 §8.3.1, §8.3.2; the drafts' §3.2.1: 400, and §3.2.2.
#[test]
fn control_fields_are_there() {
    expect(Kind::Request, Reset, BAD, "no method", without("method"));
    expect(Kind::Request, Reset, BAD, "no scheme", without("scheme"));
    expect(Kind::Request, Reset, BAD, "no path", without("path"));
    expect(Kind::Response, Reset, Reset, "no status", without("status"));
    let informational = Kind::Informational;
    expect(informational, Reset, Reset, "no status", without("status"));
    // A push without a method is a GET (the drafts' §3.3.1).
    expect(Kind::Promise, Reset, Seen, "no method", without("method"));
    expect(Kind::Promise, Reset, Reset, "no path", without("path"));
}

#[test]
fn values_of_control_fields() {
    for (kind, spdy) in [(Kind::Request, BAD), (Kind::Promise, Reset)] {
        for value in [
            &b""[..],
            b"G ET",
            b" GET",
            b"GET ",
            b"GE\rT",
            b"GE\nT",
            b"GET\0",
            b"G\tT",
            b"G:T",
            b"G\xe9T",
        ] {
            let change = |version, fields: &mut Fields| {
                set("method", b"G T")(version, fields);
                let illegal = value.is_empty() || value.contains(&0);
                // It is illegal as any value of a block; another row tests that.
                if version == Version::Http2 || !illegal {
                    let name = control(version, "method");
                    fields.iter_mut().find(|field| field.0 == name).unwrap().1 = value.to_vec();
                }
            };
            expect(kind, Reset, spdy, "a method", change);
        }
        for value in [
            &b"index.html"[..],
            b"*",
            b"/a b",
            b" /",
            b"/ ",
            b"/\ta",
            b"/\r",
            b"/\n",
            b"/a\r\nb",
            b"/\x01",
            b"/\x7f",
            b"/#fragment",
            b"/?a#b",
            b"?a",
            b"#",
            b"example.org",
            b"//\x00",
        ] {
            let change = |version, fields: &mut Fields| {
                let name = control(version, "path");
                let value = match (version, value.contains(&0)) {
                    (Version::Http2, _) | (_, false) => value,
                    _ => b"/ ",
                };
                fields.iter_mut().find(|field| field.0 == name).unwrap().1 = value.to_vec();
            };
            expect(kind, Reset, spdy, "a path", change);
        }
        for value in [&b"1a"[..], b"+a", b"a b", b" a", b":", b"http://", b"\xe9"] {
            let change = |version, fields: &mut Fields| {
                let name = control(version, "scheme");
                fields.iter_mut().find(|field| field.0 == name).unwrap().1 = value.to_vec();
            };
            expect(kind, Reset, spdy, "a scheme", change);
        }
        expect(kind, Reset, spdy, "an empty path", |version, fields| {
            match version {
                Version::Http2 => set("path", b"")(version, fields),
                // Another row tests an empty value there.
                _ => set("path", b"x")(version, fields),
            }
        });
    }
    for value in [
        &b"20"[..],
        b"2000",
        b"2x0",
        b"+20",
        b"-200",
        b" 200",
        b"000",
        b"099",
        b"x",
        b"\xe9",
    ] {
        for kind in [Kind::Response, Kind::Informational] {
            let change = |version, fields: &mut Fields| {
                let name = control(version, "status");
                fields.iter_mut().find(|field| field.0 == name).unwrap().1 = value.to_vec();
            };
            expect(kind, Reset, Reset, "a status", change);
        }
    }
    // 101 belongs to HTTP/1.1, and an informational response is not the last one.
    let status = set("status", b"101");
    expect(Kind::Informational, Reset, Reset, "101", status);
    for code in [&b"100"[..], b"101", b"103", b"199"] {
        let change = |version, fields: &mut Fields| {
            let name = control(version, "status");
            fields.iter_mut().find(|field| field.0 == name).unwrap().1 = code.to_vec();
        };
        expect(Kind::Response, Reset, Reset, "no last response", change);
    }
}
