//! Exchanges of messages (RFC 9113 §8.1), CONNECT (§8.5).

use crate::http2::prelude::*;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let mut rows = framing(target);
    rows.extend(lengths(target));
    rows.extend(late(target));
    rows.extend(methods(target));
    rows.extend(connect(target));
    rows
}

/// Errors after a response that may already be complete: an early response must not hide them. To
/// stop the upload, a server sends RST_STREAM with NO_ERROR.
fn late(target: &Target) -> Vec<Row> {
    let late = |id, title, block: &Block, error: Vec<super::super::frame::Frame>| {
        must(
            id,
            title,
            [
                send(headers(1, block)),
                settle(),
                Step::Send(error),
                malformed_late(1),
            ],
        )
        .needs(Need::Upload)
    };
    let post = post(target);
    let sized = post.clone().field("content-length", "10");
    vec![
        late(
            "8.1/12",
            "a second HEADERS without END_STREAM is malformed, though it follows the head",
            &post,
            vec![
                data(1, b"body"),
                headers(1, &trailers(&[("x-trailer", "1")])),
            ],
        ),
        late(
            "8.1/13",
            "a pseudo-header field in trailers is malformed, though it follows the head",
            &post,
            vec![headers(1, &trailers(&[(":path", "/")])).end_stream()],
        ),
        late(
            "8.1.1/14",
            "DATA longer than content-length is malformed, though it follows the head",
            &sized,
            vec![data(1, b"more than ten bytes")],
        ),
        late(
            "8.1.1/15",
            "DATA shorter than content-length is malformed, though it follows the head",
            &sized,
            vec![data(1, b"short").end_stream()],
        ),
    ]
}

fn trailers(fields: &[(&str, &str)]) -> Block {
    Block::of(fields)
}

fn framing(target: &Target) -> Vec<Row> {
    let open = || headers(1, &post(target));
    let body = || data(1, b"body");
    vec![
        must(
            "8.1/1",
            "a request is HEADERS, DATA, and nothing else",
            [send_all([open(), body().end_stream()]), success(1)],
        )
        .needs(Need::Upload),
        must(
            "8.1/2",
            "trailers may end a request",
            [
                send_all([
                    open(),
                    body(),
                    headers(1, &trailers(&[("x-trailer", "1")])).end_stream(),
                ]),
                success(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "8.1/3",
            "trailers may follow the head at once",
            [
                send_all([
                    open(),
                    headers(1, &trailers(&[("x-trailer", "1")])).end_stream(),
                ]),
                success(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "8.1/4",
            "a second HEADERS without END_STREAM is malformed",
            [
                send_all([open(), body(), headers(1, &trailers(&[("x-trailer", "1")]))]),
                malformed_late(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "8.1/5",
            "a pseudo-header field in trailers is malformed",
            [
                send_all([
                    open(),
                    body(),
                    headers(1, &trailers(&[(":method", "POST"), ("x-trailer", "1")])).end_stream(),
                ]),
                malformed_late(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "8.1/6",
            "a pseudo-header field behind others in trailers is malformed",
            [
                send_all([
                    open(),
                    body(),
                    headers(1, &trailers(&[("x-trailer", "1"), (":status", "200")])).end_stream(),
                ]),
                malformed_late(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "8.1/7",
            "a field name in upper case in trailers is malformed",
            [
                send_all([
                    open(),
                    body(),
                    headers(1, &trailers(&[("X-Trailer", "1")])).end_stream(),
                ]),
                malformed_late(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "8.1/8",
            "a connection-specific field in trailers is malformed",
            [
                send_all([
                    open(),
                    body(),
                    headers(1, &trailers(&[("connection", "close")])).end_stream(),
                ]),
                malformed_late(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "8.1/9",
            "DATA after trailers is an error STREAM_CLOSED or PROTOCOL_ERROR, or is ignored once the \
             stream is closed",
            [
                send_all([
                    open(),
                    headers(1, &trailers(&[("x-trailer", "1")])).end_stream(),
                    body(),
                    ping(b"tolerant"),
                ]),
                any([
                    Expect::PingAnswer(*b"tolerant"),
                    Expect::StreamError(1.into(), vec![STREAM_CLOSED]),
                    Expect::ConnectionError(vec![STREAM_CLOSED, PROTOCOL_ERROR]),
                ]),
            ],
        ),
        should(
            "8.1/10",
            "the order of requests is not that of responses: a request that waits for its body does \
             not hold up another",
            [
                send_all([open(), headers(3, &get(target)).end_stream()]),
                success(3),
                send(body().end_stream()),
                response(1),
            ],
        ),
        must(
            "8.1/11",
            "an error in a request is reported after a complete response",
            [
                send(open()),
                settle(),
                send(headers(1, &trailers(&[("X-Upper", "1")])).end_stream()),
                malformed_late(1),
            ],
        )
        .needs(Need::Upload),
    ]
}

fn lengths(target: &Target) -> Vec<Row> {
    let open = |length| headers(1, &post(target).field("content-length", length));
    let upload = |id, title, frames: Vec<super::super::frame::Frame>| {
        must(id, title, [send_all(frames), malformed_late(1)]).needs(Need::Upload)
    };
    vec![
        upload(
            "8.1.1/1",
            "DATA shorter than content-length is malformed",
            vec![open("10"), data(1, b"body").end_stream()],
        ),
        upload(
            "8.1.1/2",
            "DATA longer than content-length is malformed",
            vec![open("1"), data(1, b"body").end_stream()],
        ),
        upload(
            "8.1.1/3",
            "several DATA longer than content-length together are malformed",
            vec![open("5"), data(1, b"body"), data(1, b"body")],
        ),
        upload(
            "8.1.1/4",
            "DATA when content-length is 0 is malformed",
            vec![open("0"), data(1, b"x").end_stream()],
        ),
        must(
            "8.1.1/5",
            "a content-length without any DATA is malformed",
            [send(open("4").end_stream()), malformed(1)],
        )
        .needs(Need::Upload),
        upload(
            "8.1.1/6",
            "trailers before content-length is reached are malformed",
            vec![
                open("10"),
                data(1, b"body"),
                headers(1, &trailers(&[("x-trailer", "1")])).end_stream(),
            ],
        ),
        must(
            "8.1.1/7",
            "padding does not count for content-length",
            [
                send_all([open("4"), data(1, b"body").padded(100).end_stream()]),
                success(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "8.1.1/8",
            "a content-length of 0 fits a request without DATA",
            [send(open("0").end_stream()), success(1)],
        )
        .needs(Need::Upload),
        must(
            "8.1.1/9",
            "DATA of content-length in several frames, some empty, is allowed",
            [
                send_all([
                    open("8"),
                    data(1, b"body"),
                    data(1, b""),
                    data(1, b"body"),
                    data(1, b"").end_stream(),
                ]),
                success(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "8.1.1/10",
            "contradicting content-length fields are malformed",
            [
                send_all([
                    headers(
                        1,
                        &post(target)
                            .field("content-length", "4")
                            .field("content-length", "5"),
                    ),
                    data(1, b"body").end_stream(),
                ]),
                malformed_late(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "8.1.1/11",
            "a content-length that is no number is malformed",
            [
                send_all([open("four"), data(1, b"body").end_stream()]),
                malformed_late(1),
            ],
        )
        .needs(Need::Upload),
        // The sign breaks the field's own syntax only (§8.2.1).
        should(
            "8.1.1/12",
            "a content-length with a sign is malformed",
            [
                send_all([open("+4"), data(1, b"body").end_stream()]),
                malformed_late(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "8.1.1/13",
            "a content-length above 64 bits is malformed",
            [
                send_all([open("18446744073709551620"), data(1, b"body").end_stream()]),
                malformed_late(1),
            ],
        )
        .needs(Need::Upload),
    ]
}

fn methods(target: &Target) -> Vec<Row> {
    let with = |method, path| request(target, method, path);
    vec![
        must(
            "9110/9.3.2/1",
            "the response to HEAD has no content, with any content-length",
            [
                send(headers(1, &with("HEAD", &target.path)).end_stream()),
                response(1),
                at_most(1, 0),
                alive(),
            ],
        ),
        should(
            "9110/9.1/1",
            "an unknown method is answered",
            [
                send(headers(1, &with("LACEWING", &target.path)).end_stream()),
                response(1),
            ],
        ),
        must(
            "8.3.1/28",
            "OPTIONS * is answered",
            [
                send(headers(1, &with("OPTIONS", "*")).end_stream()),
                response(1),
            ],
        ),
        should(
            "9110/10.1.1/1",
            "a request that expects 100-continue is answered before its body is sent",
            [
                send(headers(1, &post(target).field("expect", "100-continue"))),
                any([
                    Expect::Informational(1.into(), 100),
                    Expect::Head(1.into(), 200..=599),
                ]),
                send(data(1, b"body").end_stream()),
                response(1),
            ],
        )
        .needs(Need::Upload),
        should(
            "9110/9.3.1/1",
            "GET may have content",
            [
                send_all([headers(1, &get(target)), data(1, b"body").end_stream()]),
                response(1),
            ],
        ),
    ]
}

fn connect(target: &Target) -> Vec<Row> {
    let authority = target.authority.as_str();
    let refused = |id, title, fields: &[(&str, &str)]| {
        must(
            id,
            title,
            [send(headers(1, &Block::of(fields))), malformed(1)],
        )
    };
    vec![
        refused(
            "8.5/1",
            "CONNECT with :scheme is malformed",
            &[
                (":method", "CONNECT"),
                (":scheme", &target.scheme),
                (":authority", authority),
            ],
        ),
        refused(
            "8.5/2",
            "CONNECT with :path is malformed",
            &[
                (":method", "CONNECT"),
                (":path", "/"),
                (":authority", authority),
            ],
        ),
        refused(
            "8.5/3",
            "CONNECT without :authority is malformed",
            &[(":method", "CONNECT")],
        ),
        must(
            "8.5/4",
            "CONNECT, welcome or not, leaves the connection and other requests alone",
            [
                send_all([
                    headers(
                        1,
                        &Block::of(&[(":method", "CONNECT"), (":authority", "localhost:1")]),
                    ),
                    headers(3, &get(target)).end_stream(),
                ]),
                success(3),
                alive(),
            ],
        ),
    ]
}
