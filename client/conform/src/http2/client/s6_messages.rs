//! DATA, HEADERS and CONTINUATION (RFC 9113 §6.1, §6.2, §6.10).

use crate::http2::prelude::*;

pub(super) fn rows() -> Vec<Row> {
    let ok = status("200");
    let broken =
        |id: &str, title: &str, frames: Vec<super::super::frame::Frame>, codes: &[ErrorCode]| {
            must(
                id,
                title,
                [await_request(), Step::Send(frames), connection_error(codes)],
            )
        };
    let taken = |id: &str, title: &str, frames: Vec<super::super::frame::Frame>| {
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
    };
    let in_pieces = split(REQUEST, &ok.clone().field("x-more", "to cut"), 7);
    vec![
        broken(
            "6.1/1",
            "DATA on stream 0 is a connection error PROTOCOL_ERROR",
            vec![data(0, b"test")],
            &[PROTOCOL_ERROR],
        ),
        broken(
            "6.1/2",
            "padding as long as the payload is a connection error PROTOCOL_ERROR",
            vec![
                headers(REQUEST, &ok),
                data(REQUEST, b"body").padded_with(5, b""),
            ],
            &[PROTOCOL_ERROR],
        ),
        taken(
            "6.1/3",
            "DATA may be padded, and may be nothing but padding",
            vec![
                headers(REQUEST, &ok),
                data(REQUEST, b"content").padded(255),
                data(REQUEST, b"").padded(0),
                data(REQUEST, b"").padded(255),
            ],
        ),
        must(
            "6.1/4",
            "DATA with the flag PADDED and no padding length is an error FRAME_SIZE_ERROR (or \
             PROTOCOL_ERROR)",
            [
                await_request(),
                send_all([
                    headers(REQUEST, &ok),
                    data(REQUEST, b"").with(flags::PADDED),
                ]),
                stream_error(REQUEST, &[FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
            ],
        ),
        taken(
            "6.2/1",
            "HEADERS may be padded and have a priority",
            vec![headers(REQUEST, &ok).prioritized(0, 15).padded(255)],
        ),
        broken(
            "6.2/2",
            "padding that exceeds the rest of HEADERS is a connection error PROTOCOL_ERROR",
            vec![headers(REQUEST, &ok).padded_with(255, b"")],
            &[PROTOCOL_ERROR],
        ),
        broken(
            "6.2/3",
            "HEADERS too short for its priority is a connection error FRAME_SIZE_ERROR (or \
             PROTOCOL_ERROR)",
            vec![frame(
                Kind::HEADERS,
                flags::END_HEADERS | flags::PRIORITY,
                REQUEST,
                b"\0\0\0",
            )],
            &[FRAME_SIZE_ERROR, PROTOCOL_ERROR],
        ),
        broken(
            "6.2/4",
            "DATA within a header block is a connection error PROTOCOL_ERROR",
            vec![headers(REQUEST, &ok).unfinished(), data(REQUEST, b"test")],
            &[PROTOCOL_ERROR],
        ),
        taken(
            "6.10/1",
            "a header block may come in HEADERS and several CONTINUATION frames",
            in_pieces,
        ),
        taken(
            "6.10/2",
            "HEADERS and CONTINUATION may be empty",
            vec![
                headers(REQUEST, &Block::new()).unfinished(),
                continuation(REQUEST, b"").unfinished(),
                continuation(REQUEST, ok.bytes()).unfinished(),
                continuation(REQUEST, b""),
            ],
        ),
        broken(
            "6.10/3",
            "CONTINUATION without HEADERS is a connection error PROTOCOL_ERROR",
            vec![continuation(REQUEST, ok.bytes())],
            &[PROTOCOL_ERROR],
        ),
        broken(
            "6.10/4",
            "CONTINUATION after END_HEADERS is a connection error PROTOCOL_ERROR",
            vec![headers(REQUEST, &ok), continuation(REQUEST, b"")],
            &[PROTOCOL_ERROR],
        ),
        broken(
            "6.10/5",
            "CONTINUATION on another stream is a connection error PROTOCOL_ERROR",
            vec![
                headers(REQUEST, &ok).unfinished(),
                continuation(REQUEST.plus(2), b""),
            ],
            &[PROTOCOL_ERROR],
        ),
        broken(
            "6.10/6",
            "CONTINUATION on stream 0 is a connection error PROTOCOL_ERROR",
            vec![headers(REQUEST, &ok).unfinished(), continuation(0, b"")],
            &[PROTOCOL_ERROR],
        ),
        broken(
            "6.10/7",
            "PING within a header block is a connection error PROTOCOL_ERROR",
            vec![headers(REQUEST, &ok).unfinished(), ping(b"question")],
            &[PROTOCOL_ERROR],
        ),
    ]
}
