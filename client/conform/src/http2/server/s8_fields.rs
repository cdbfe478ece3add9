//! Fields and control data (RFC 9113 §8.2, §8.3): malformed requests.

use crate::http2::prelude::*;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let mut rows = names(target);
    rows.extend(field_values(target));
    rows.extend(connection_specific(target));
    rows.extend(cookies(target));
    rows.extend(pseudo(target));
    rows.extend(pseudo_values(target));
    rows
}

fn refused(id: impl Into<String>, title: impl Into<String>, block: &Block) -> Row {
    must(
        id,
        title,
        [send(headers(1, block).end_stream()), malformed(1)],
    )
}

fn taken(id: impl Into<String>, title: impl Into<String>, block: &Block) -> Row {
    must(
        id,
        title,
        [send(headers(1, block).end_stream()), success(1)],
    )
}

fn names(target: &Target) -> Vec<Row> {
    let named = |name: &[u8]| get(target).octets(name, b"value");
    let mut rows = vec![
        refused("8.2.1/1", "a field name in upper case", &named(b"X-Upper")),
        refused(
            "8.2.1/2",
            "a field name with one upper-case letter",
            &named(b"x-uppeR"),
        ),
        refused("8.2.1/3", "an empty field name", &named(b"")).advised(),
        refused(
            "8.2.1/4",
            "a field name with a colon behind its first byte",
            &named(b"x:y"),
        ),
    ];
    // §8.2.1: 0x00-0x20, 0x41-0x5a, 0x7f-0xff.
    let bytes = [
        (0x00_u8, "NUL"),
        (0x09, "a tab"),
        (0x0a, "LF"),
        (0x0d, "CR"),
        (0x20, "a space"),
        (0x1f, "a control character"),
        (0x7f, "DEL"),
        (0x80, "0x80"),
        (0xff, "0xff"),
    ];
    for (number, (byte, what)) in (5..).zip(bytes) {
        rows.push(refused(
            format!("8.2.1/{number}"),
            format!("a field name with {what}"),
            &named(&[b'x', byte, b'y']),
        ));
    }
    rows
}

fn field_values(target: &Target) -> Vec<Row> {
    let valued = |value: &[u8]| get(target).octets(b"x-value", value);
    let bad: [(&[u8], &str); 9] = [
        (b"a\0b", "a value with NUL"),
        (b"a\nb", "a value with LF"),
        (b"a\rb", "a value with CR"),
        (
            b"a\r\nb: c",
            "a value with CR LF and what looks like a field",
        ),
        (b" a", "a value that begins with a space"),
        (b"\ta", "a value that begins with a tab"),
        (b"a ", "a value that ends with a space"),
        (b"a\t", "a value that ends with a tab"),
        (b"\0", "a value that is NUL"),
    ];
    let mut rows: Vec<Row> = (14..)
        .zip(bad)
        .map(|(number, (value, what))| refused(format!("8.2.1/{number}"), what, &valued(value)))
        .collect();
    rows.push(taken("8.2.1/23", "an empty value is fine", &valued(b"")));
    rows.push(taken(
        "8.2.1/24",
        "a value with spaces and tabs inside is allowed",
        &valued(b"a \t b"),
    ));
    rows.push(
        taken(
            "8.2.1/25",
            "a value with bytes above 0x7f is allowed",
            &valued(b"caf\xc3\xa9 \xff"),
        )
        .advised(),
    );
    rows.push(taken(
        "8.2.1/26",
        "a name of all characters of a token is allowed",
        &get(target).field("x!#$%&'*+-.^_`|~09az", "1"),
    ));
    rows
}

fn connection_specific(target: &Target) -> Vec<Row> {
    let with = |name: &str, value: &str| get(target).field(name, value);
    vec![
        refused("8.2.2/1", "connection", &with("connection", "close")),
        refused(
            "8.2.2/2",
            "proxy-connection",
            &with("proxy-connection", "keep-alive"),
        ),
        refused("8.2.2/3", "keep-alive", &with("keep-alive", "timeout=5")),
        refused(
            "8.2.2/4",
            "transfer-encoding",
            &with("transfer-encoding", "chunked"),
        ),
        refused("8.2.2/5", "upgrade", &with("upgrade", "websocket")),
        refused("8.2.2/6", "te that is not trailers", &with("te", "gzip")),
        refused(
            "8.2.2/7",
            "te with more than trailers",
            &with("te", "trailers, deflate;q=0.5"),
        ),
        taken("8.2.2/8", "te: trailers is fine", &with("te", "trailers")),
        refused(
            "8.2.2/9",
            "connection that names a field",
            &with("connection", "x-hop").field("x-hop", "1"),
        ),
    ]
}

fn cookies(target: &Target) -> Vec<Row> {
    let crumbs = get(target)
        .field("cookie", "a=1")
        .field("cookie", "b=2")
        .field("cookie", "c=3");
    vec![taken("8.2.3/1", "cookie may come in crumbs", &crumbs)]
}

fn pseudo(target: &Target) -> Vec<Row> {
    let Target {
        scheme,
        authority,
        path,
        ..
    } = target;
    let fields = |fields: &[(&str, &str)]| Block::of(fields);
    let get = get(target);
    vec![
        refused(
            "8.3/1",
            "an unknown pseudo-header field",
            &get.clone().field(":test", "1"),
        ),
        refused(
            "8.3/2",
            "an unknown pseudo-header field before the others",
            &fields(&[(":test", "1")]).and(&get),
        ),
        refused(
            "8.3/3",
            "a pseudo-header field of responses",
            &get.clone().field(":status", "200"),
        ),
        refused(
            "8.3/4",
            "a pseudo-header field behind a regular field",
            &fields(&[
                (":method", "GET"),
                (":scheme", scheme),
                (":authority", authority),
                ("x-regular", "1"),
                (":path", path),
            ]),
        ),
        refused(
            "8.3/5",
            "a regular field in front of all pseudo-header fields",
            &fields(&[("x-regular", "1")]).and(&get),
        ),
        refused(
            "8.3/6",
            "a field that is only a colon",
            &get.clone().field(":", "1"),
        ),
        taken(
            "8.3/7",
            "pseudo-header fields may come in any order",
            &fields(&[
                (":path", path),
                (":authority", authority),
                (":scheme", scheme),
                (":method", "GET"),
            ]),
        ),
        refused(
            "8.3.1/1",
            "no :method",
            &fields(&[
                (":scheme", scheme),
                (":path", path),
                (":authority", authority),
            ]),
        ),
        refused(
            "8.3.1/2",
            "no :scheme",
            &fields(&[
                (":method", "GET"),
                (":path", path),
                (":authority", authority),
            ]),
        ),
        refused(
            "8.3.1/3",
            "no :path",
            &fields(&[
                (":method", "GET"),
                (":scheme", scheme),
                (":authority", authority),
            ]),
        ),
        refused(
            "8.3.1/4",
            "two :method",
            &fields(&[(":method", "GET")]).and(&get),
        ),
        refused(
            "8.3.1/5",
            "two :scheme",
            &fields(&[(":scheme", scheme)]).and(&get),
        ),
        refused(
            "8.3.1/6",
            "two :path",
            &fields(&[(":path", path)]).and(&get),
        ),
        refused(
            "8.3.1/7",
            "two :authority",
            &fields(&[(":authority", authority)]).and(&get),
        ),
        refused("8.3.1/8", "no field at all", &Block::new()),
        refused(
            "8.3.1/9",
            "two :method that contradict",
            &get.clone().field(":method", "POST"),
        ),
        taken(
            "8.3.1/10",
            "host instead of :authority is allowed",
            &fields(&[
                (":method", "GET"),
                (":scheme", scheme),
                (":path", path),
                ("host", authority),
            ]),
        ),
        taken(
            "8.3.1/11",
            "host beside the same :authority is allowed",
            &get.clone().field("host", authority),
        ),
        refused(
            "8.3.1/12",
            "host that differs from :authority",
            &get.field("host", "elsewhere.example"),
        )
        .advised(),
    ]
}

fn pseudo_values(target: &Target) -> Vec<Row> {
    let Target {
        scheme,
        authority,
        path,
        ..
    } = target;
    let of = |method: &str, scheme: &str, path: &[u8], authority: &str| {
        Block::new()
            .field(":method", method)
            .field(":scheme", scheme)
            .octets(b":path", path)
            .field(":authority", authority)
    };
    // RFC 9113 limits the authority for senders. Only RFC 9110 §4.2.4 and §7.2
    // require a recipient to reject it.
    let advised = |id, title, authority| {
        let block = of("GET", scheme, path.as_bytes(), authority);
        should(
            id,
            title,
            [send(headers(1, &block).end_stream()), malformed(1)],
        )
    };
    let paths: [(&[u8], &str); 6] = [
        (b"", "an empty :path"),
        (b"*", "a :path of * on another method than OPTIONS"),
        (b"index.html", "a :path without a slash in front"),
        (b"/a b", "a :path with a space"),
        (b"/a\r\nb", "a :path with CR LF"),
        (b"/a\0b", "a :path with NUL"),
    ];
    let mut rows: Vec<Row> = (13..)
        .zip(paths)
        .map(|(number, (path, what))| {
            let block = of("GET", scheme, path, authority);
            refused(format!("8.3.1/{number}"), what, &block)
        })
        .collect();
    let path = path.as_bytes();
    rows.extend([
        refused(
            "8.3.1/19",
            "an empty :method",
            &of("", scheme, path, authority),
        ),
        refused(
            "8.3.1/20",
            "a :method with a space",
            &of("GET /x", scheme, path, authority),
        ),
        refused(
            "8.3.1/21",
            "a :method with CR LF",
            &of("GET\r\nx", scheme, path, authority),
        ),
        refused(
            "8.3.1/22",
            "an empty :scheme",
            &of("GET", "", path, authority),
        ),
        refused(
            "8.3.1/23",
            "a :scheme with a colon",
            &of("GET", "http:", path, authority),
        ),
        advised(
            "8.3.1/24",
            "an :authority with user information",
            "user:secret@localhost",
        ),
        advised("8.3.1/25", "an :authority with a space", "local host"),
        advised("8.3.1/26", "an :authority with a slash", "localhost/path"),
        taken(
            "8.3.1/27",
            "a :path with a query is allowed",
            &of("GET", scheme, &[path, b"?a=b&c=%20"].concat(), authority),
        ),
    ]);
    rows
}
