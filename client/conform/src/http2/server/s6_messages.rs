//! DATA, HEADERS and CONTINUATION (RFC 9113 §6.1, §6.2, §6.10).

use crate::http2::prelude::*;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let mut rows = data_frames(target);
    rows.extend(headers_frames(target));
    rows.extend(continuation_frames(target));
    rows
}

fn data_frames(target: &Target) -> Vec<Row> {
    let open = || headers(1, &post(target));
    vec![
        must(
            "6.1/1",
            "DATA on stream 0 is a connection error PROTOCOL_ERROR",
            [send(data(0, b"test")), connection_error(&[PROTOCOL_ERROR])],
        ),
        must(
            "6.1/2",
            "DATA may be padded",
            [
                send_all([open(), data(1, b"body").padded(20).end_stream()]),
                success(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "6.1/3",
            "DATA may be nothing but padding",
            [
                send_all([
                    open(),
                    data(1, b"").padded(255),
                    data(1, b"").padded(0).end_stream(),
                ]),
                success(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "6.1/4",
            "padding as long as the payload is a connection error PROTOCOL_ERROR",
            [
                send_all([open(), data(1, b"body").padded_with(5, b"")]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.1/5",
            "padding longer than the payload is a connection error PROTOCOL_ERROR",
            [
                send_all([open(), data(1, b"").padded_with(255, b"only a few bytes")]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.1/6",
            "DATA with the flag PADDED and no padding length is an error FRAME_SIZE_ERROR (or \
             PROTOCOL_ERROR)",
            [
                send_all([open(), data(1, b"").with(flags::PADDED)]),
                stream_error(1, &[FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.1/7",
            "DATA may be empty",
            [
                send_all([
                    open(),
                    data(1, b""),
                    data(1, b"body"),
                    data(1, b"").end_stream(),
                ]),
                success(1),
            ],
        )
        .needs(Need::Upload),
    ]
}

fn headers_frames(target: &Target) -> Vec<Row> {
    let get = get(target);
    vec![
        must(
            "6.2/1",
            "HEADERS on stream 0 is a connection error PROTOCOL_ERROR",
            [
                send(headers(0, &get).end_stream()),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.2/2",
            "HEADERS may be padded",
            [send(headers(1, &get).padded(255).end_stream()), success(1)],
        ),
        must(
            "6.2/3",
            "HEADERS may have a priority",
            [
                send(headers(1, &get).prioritized(0, 15).end_stream()),
                success(1),
            ],
        ),
        must(
            "6.2/4",
            "HEADERS may have a priority that depends, exclusively, on a stream that is not there, \
             and padding",
            [
                send(
                    headers(1, &get)
                        .prioritized(0x8000_0063_u32, 255)
                        .padded(1)
                        .end_stream(),
                ),
                success(1),
            ],
        ),
        must(
            "6.2/5",
            "padding that exceeds the rest of HEADERS is a connection error PROTOCOL_ERROR",
            [
                // A long path must not make room for the padding.
                send(
                    headers(1, &Block::of(&[(":method", "GET")]))
                        .padded_with(255, b"")
                        .end_stream(),
                ),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.2/6",
            "HEADERS with the flag PADDED and no payload is a connection error FRAME_SIZE_ERROR (or \
             PROTOCOL_ERROR)",
            [
                send(headers(1, &Block::new()).with(flags::PADDED).end_stream()),
                connection_error(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.2/7",
            "HEADERS too short for its priority is a connection error FRAME_SIZE_ERROR (or \
             PROTOCOL_ERROR)",
            [
                send(
                    frame(
                        Kind::HEADERS,
                        flags::END_HEADERS | flags::PRIORITY,
                        1,
                        b"\0\0\0\0",
                    )
                    .end_stream(),
                ),
                connection_error(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.2/8",
            "DATA within a header block is a connection error PROTOCOL_ERROR",
            [
                send_all([headers(1, &get).unfinished(), data(1, b"test")]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.2/9",
            "PRIORITY within a header block is a connection error PROTOCOL_ERROR",
            [
                send_all([
                    headers(1, &get).end_stream().unfinished(),
                    priority(1, 0, 15),
                    continuation(1, b""),
                ]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.2/10",
            "PING within a header block is a connection error PROTOCOL_ERROR",
            [
                send_all([
                    headers(1, &get).end_stream().unfinished(),
                    ping(b"question"),
                    continuation(1, b""),
                ]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.2/11",
            "SETTINGS within a header block is a connection error PROTOCOL_ERROR",
            [
                send_all([
                    headers(1, &get).end_stream().unfinished(),
                    settings(&[]),
                    continuation(1, b""),
                ]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
    ]
}

/// CONTINUATION frames of 16,000 bytes in a block that never ends: 4 MB.
const ENDLESS: usize = 256;

fn continuation_frames(target: &Target) -> Vec<Row> {
    let get = get(target);
    let fill = Block::new().field("x-fill", &"x".repeat(15_900));
    let fill = fill.bytes();
    let bytes = get.bytes();
    let in_four = split(1, &get, bytes.len().div_ceil(4));
    let with_end = |mut frames: Vec<_>| {
        let first: &mut super::super::frame::Frame = match frames.first_mut() {
            Some(first) => first,
            None => return frames,
        };
        first.flags |= flags::END_STREAM;
        frames
    };
    vec![
        must(
            "6.10/1",
            "a header block may come in HEADERS and several CONTINUATION frames",
            [send_all(with_end(in_four)), success(1)],
        ),
        must(
            "6.10/2",
            "CONTINUATION may be empty",
            [
                send_all([
                    headers(1, &get).end_stream().unfinished(),
                    continuation(1, b"").unfinished(),
                    continuation(1, b""),
                ]),
                success(1),
            ],
        ),
        must(
            "6.10/3",
            "HEADERS may be empty, with everything in CONTINUATION",
            [
                send_all([
                    headers(1, &Block::new()).end_stream().unfinished(),
                    continuation(1, bytes),
                ]),
                success(1),
            ],
        ),
        must(
            "6.10/4",
            "padded HEADERS may be followed by CONTINUATION",
            [
                send_all([
                    headers(1, &Block::new())
                        .end_stream()
                        .unfinished()
                        .padded(9),
                    continuation(1, bytes),
                ]),
                success(1),
            ],
        ),
        must(
            "6.10/5",
            "CONTINUATION on stream 0 is a connection error PROTOCOL_ERROR",
            [
                send_all([
                    headers(1, &get).end_stream().unfinished(),
                    continuation(0, b""),
                ]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.10/6",
            "CONTINUATION on another stream is a connection error PROTOCOL_ERROR",
            [
                send_all([
                    headers(1, &get).end_stream().unfinished(),
                    continuation(3, b""),
                ]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.10/7",
            "CONTINUATION after END_HEADERS is a connection error PROTOCOL_ERROR",
            [
                send_all([headers(1, &post(target)), continuation(1, b"")]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.10/8",
            "CONTINUATION after a CONTINUATION with END_HEADERS is a connection error \
             PROTOCOL_ERROR",
            [
                send_all([
                    headers(1, &post(target)).unfinished(),
                    continuation(1, b""),
                    continuation(1, b""),
                ]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.10/9",
            "CONTINUATION after DATA is a connection error PROTOCOL_ERROR",
            [
                send_all([
                    headers(1, &post(target)),
                    data(1, b"test"),
                    continuation(1, b""),
                ]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        // The RFC names no limit; a server without one runs out of memory (§10.5).
        should(
            "6.10/10",
            "a header block that never ends is given up",
            std::iter::once(send(headers(1, &get).end_stream().unfinished()))
                .chain((0..ENDLESS).map(|_| send(continuation(1, fill).unfinished())))
                .chain([expect(Expect::Closed)]),
        ),
    ]
}
