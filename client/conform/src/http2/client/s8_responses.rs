//! Responses (RFC 9113 §8): malformed and well-formed ones.

use crate::http2::prelude::*;

use super::super::frame::Frame;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = framing();
    rows.extend(fields());
    rows.extend(control_data());
    rows
}

/// The stream is still open after these, so that its reset can be seen.
fn refused(id: impl Into<String>, title: &str, frames: Vec<Frame>) -> Row {
    must(
        id,
        title,
        [
            await_request(),
            Step::Send(frames),
            stream_error(REQUEST, &[PROTOCOL_ERROR]),
        ],
    )
}

/// The response is still incomplete after these.
fn taken(id: impl Into<String>, title: &str, frames: Vec<Frame>) -> Row {
    must(
        id,
        title,
        [
            await_request(),
            Step::Send(frames),
            alive(),
            not_reset(REQUEST),
            send(data(REQUEST, b"").end_stream()),
        ],
    )
}

fn head(fields: &[(&str, &str)]) -> Frame {
    headers(REQUEST, &status("200").and(&Block::of(fields)))
}

fn framing() -> Vec<Row> {
    let body = || data(REQUEST, b"content");
    let trailers = |fields: &[(&str, &str)]| headers(REQUEST, &Block::of(fields));
    vec![
        refused(
            "8.1/2",
            "DATA before the response's head is malformed",
            vec![body()],
        ),
        refused(
            "8.1/3",
            "a second HEADERS without END_STREAM is malformed",
            vec![head(&[]), body(), trailers(&[("x-trailer", "1")])],
        ),
        refused(
            "8.1/4",
            "an informational response with END_STREAM is malformed",
            vec![headers(REQUEST, &status("103")).end_stream()],
        ),
        taken(
            "8.1/5",
            "informational responses may precede the final one",
            vec![
                headers(REQUEST, &status("100")),
                headers(
                    REQUEST,
                    &status("103").field("link", "</style.css>; rel=preload"),
                ),
                headers(REQUEST, &status("103")),
                head(&[]),
            ],
        ),
        refused(
            "8.1/6",
            "DATA after nothing but an informational response is malformed",
            vec![headers(REQUEST, &status("103")), body()],
        ),
        refused(
            "8.1/7",
            "an informational response after the final one is malformed",
            vec![head(&[]), headers(REQUEST, &status("103"))],
        ),
        must(
            "8.1/8",
            "trailers may end a response",
            [
                requests(2),
                send_all([
                    head(&[]),
                    body(),
                    trailers(&[("x-trailer", "1")]).end_stream(),
                ]),
                alive(),
                not_reset(REQUEST),
                send(headers(SECOND_REQUEST, &status("200")).end_stream()),
            ],
        ),
        refused(
            "8.6/1",
            "101 is malformed",
            vec![headers(
                REQUEST,
                &status("101").field("x-protocol", "websocket"),
            )],
        )
        .advised(),
        refused(
            "8.1.1/1",
            "DATA longer than content-length is malformed",
            vec![head(&[("content-length", "3")]), body()],
        ),
        refused(
            "8.1.1/2",
            "contradicting content-length fields are malformed",
            vec![head(&[("content-length", "7"), ("content-length", "8")])],
        )
        .advised(),
        refused(
            "8.1.1/3",
            "a content-length that is no number is malformed",
            vec![head(&[("content-length", "seven")])],
        )
        .advised(),
        taken(
            "8.1.1/4",
            "padding does not count for content-length",
            vec![
                head(&[("content-length", "7")]),
                body().padded(200),
                data(REQUEST, b"").padded(9),
            ],
        ),
    ]
}

fn fields() -> Vec<Row> {
    let named =
        |name: &[u8], value: &[u8]| vec![headers(REQUEST, &status("200").octets(name, value))];
    let bad: [(&[u8], &[u8], &str); 15] = [
        (b"X-Upper", b"1", "a field name in upper case"),
        (b"", b"1", "an empty field name"),
        (b"x y", b"1", "a field name with a space"),
        (b"x:y", b"1", "a field name with a colon"),
        (b"x\0", b"1", "a field name with NUL"),
        (b"x\n", b"1", "a field name with LF"),
        (b"x\x7f", b"1", "a field name with DEL"),
        (b"x\xff", b"1", "a field name with 0xff"),
        (b"x", b"a\0b", "a value with NUL"),
        (b"x", b"a\nb", "a value with LF"),
        (b"x", b"a\rb", "a value with CR"),
        (b"x", b" a", "a value that begins with a space"),
        (b"x", b"a ", "a value that ends with a space"),
        (b"x", b"\ta", "a value that begins with a tab"),
        (b"x", b"a\t", "a value that ends with a tab"),
    ];
    let mut rows: Vec<Row> = (1..)
        .zip(bad)
        .map(|(number, (name, value, what))| {
            let row = refused(format!("8.2.1/{number}"), what, named(name, value));
            // The minimal validation (§8.2.1) does not include it.
            if name.is_empty() { row.advised() } else { row }
        })
        .collect();
    rows.push(taken(
        "8.2.1/16",
        "any token as a name, and an empty value, are allowed",
        vec![headers(
            REQUEST,
            &status("200")
                .field("x!#$%&'*+-.^_`|~09az", "1")
                .field("x-empty", "")
                .field("x-inner", "a \t b"),
        )],
    ));
    rows.push(
        taken(
            "8.2.1/17",
            "a value with bytes above 0x7f is allowed",
            named(b"x-latin", b"caf\xe9 \xff"),
        )
        .advised(),
    );
    let specific = [
        ("connection", "close"),
        ("proxy-connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
    ];
    rows.extend((1..).zip(specific).map(|(number, (name, value))| {
        refused(
            format!("8.2.2/{number}"),
            name,
            vec![head(&[(name, value)])],
        )
    }));
    rows
}

fn control_data() -> Vec<Row> {
    let of = |fields: &[(&str, &str)]| vec![headers(REQUEST, &Block::of(fields))];
    vec![
        refused("8.3.2/1", "no :status", of(&[("x-field", "1")])),
        refused(
            "8.3.2/2",
            "two :status",
            of(&[(":status", "200"), (":status", "200")]),
        ),
        refused("8.3.2/3", "no field at all", of(&[])),
        refused("8.3.2/4", "a :status of letters", of(&[(":status", "two")])),
        refused(
            "8.3.2/5",
            "a :status of two digits",
            of(&[(":status", "20")]),
        ),
        refused(
            "8.3.2/6",
            "a :status of four digits",
            of(&[(":status", "2000")]),
        ),
        refused("8.3.2/7", "an empty :status", of(&[(":status", "")])),
        refused(
            "8.3.2/8",
            "a :status with a reason",
            of(&[(":status", "200 OK")]),
        ),
        refused(
            "8.3/1",
            "a pseudo-header field of requests",
            of(&[(":status", "200"), (":path", "/")]),
        ),
        refused(
            "8.3/2",
            "an unknown pseudo-header field",
            of(&[(":status", "200"), (":test", "1")]),
        ),
        refused(
            "8.3/3",
            ":status behind a regular field",
            of(&[("x-field", "1"), (":status", "200")]),
        ),
        taken(
            "8.3.2/9",
            "an unregistered :status is valid",
            of(&[(":status", "299")]),
        ),
    ]
}
