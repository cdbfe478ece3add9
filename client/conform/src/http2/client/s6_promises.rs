//! PUSH_PROMISE and pushes (RFC 9113 §6.6, §8.4).

use crate::http2::prelude::*;

/// The authority of a pushed request must be that of the client's request.
const FOREIGN: &str = "elsewhere.example";

pub(super) fn rows() -> Vec<Row> {
    let promise = |method: &str| {
        Block::of(&[
            (":method", method),
            (":scheme", "http"),
            (":path", "/pushed"),
            (":authority", "localhost"),
        ])
    };
    let get = promise("GET");
    let not_allowed = |id: &str, title: &str, frame| {
        must(
            id,
            title,
            [
                await_request(),
                push_forbidden(),
                send(frame),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        )
        .needs(Need::NoPush)
    };
    let broken = |id: &str, title: &str, frames: Vec<super::super::frame::Frame>| {
        must(
            id,
            title,
            [
                await_request(),
                push_allowed(),
                Step::Send(frames),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        )
        .needs(Need::Push)
    };
    let refused = |id: &str, title: &str, block: &Block| {
        must(
            id,
            title,
            [
                await_request(),
                push_allowed(),
                send(push_promise(REQUEST, 2, block)),
                stream_error(2, &[PROTOCOL_ERROR]),
            ],
        )
        .needs(Need::Push)
    };
    vec![
        not_allowed(
            "6.6/1",
            "PUSH_PROMISE when ENABLE_PUSH is 0 is a connection error PROTOCOL_ERROR",
            push_promise(REQUEST, 2, &get),
        ),
        not_allowed(
            "6.6/2",
            "PUSH_PROMISE on stream 0 is a connection error PROTOCOL_ERROR",
            push_promise(0, 2, &get),
        ),
        must(
            "6.6/3",
            "a push is accepted, or refused, and the connection goes on",
            [
                await_request(),
                push_allowed(),
                send(push_promise(REQUEST, 2, &get)),
                alive(),
                send_all([headers(2, &status("200")), data(2, b"content").end_stream()]),
                alive(),
                send(headers(REQUEST, &status("200")).end_stream()),
            ],
        )
        .needs(Need::Push),
        broken(
            "6.6/4",
            "a promised stream id that is odd is a connection error PROTOCOL_ERROR",
            vec![push_promise(REQUEST, 3, &get)],
        ),
        broken(
            "6.6/5",
            "the promised stream id 0 is a connection error PROTOCOL_ERROR",
            vec![push_promise(REQUEST, 0, &get)],
        ),
        broken(
            "6.6/6",
            "a promised stream id below an earlier one is a connection error PROTOCOL_ERROR",
            vec![
                push_promise(REQUEST, 4, &get),
                push_promise(REQUEST, 2, &get),
            ],
        ),
        broken(
            "6.6/7",
            "a stream that is promised twice is a connection error PROTOCOL_ERROR",
            vec![
                push_promise(REQUEST, 2, &get),
                push_promise(REQUEST, 2, &get),
            ],
        ),
        broken(
            "6.6/8",
            "PUSH_PROMISE on a stream that the client never opened is a connection error \
             PROTOCOL_ERROR",
            vec![push_promise(REQUEST.plus(100), 2, &get)],
        ),
        broken(
            "6.6/9",
            "another frame within the header block of PUSH_PROMISE is a connection error \
             PROTOCOL_ERROR",
            vec![
                push_promise(REQUEST, 2, &get).unfinished(),
                ping(b"question"),
            ],
        ),
        broken(
            "6.6/10",
            "padding that exceeds the rest of PUSH_PROMISE is a connection error PROTOCOL_ERROR",
            vec![push_promise(REQUEST, 2, &get).padded_with(255, b"")],
        ),
        must(
            "6.6/11",
            "PUSH_PROMISE may be padded and go on in CONTINUATION",
            [
                await_request(),
                push_allowed(),
                send_all([
                    push_promise(REQUEST, 2, &Block::new())
                        .unfinished()
                        .padded(9),
                    continuation(2_u32, b"").on(REQUEST).unfinished(),
                    continuation(REQUEST, get.bytes()),
                ]),
                alive(),
                send(headers(REQUEST, &status("200")).end_stream()),
            ],
        )
        .needs(Need::Push),
        must(
            "6.6/12",
            "PUSH_PROMISE too short for its promised stream is a connection error FRAME_SIZE_ERROR",
            [
                await_request(),
                push_allowed(),
                send(frame(
                    Kind::PUSH_PROMISE,
                    flags::END_HEADERS,
                    REQUEST,
                    b"\0\0\x02",
                )),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        )
        .needs(Need::Push),
        must(
            "5.1/12",
            "reserved (remote): DATA is a connection error PROTOCOL_ERROR",
            [
                await_request(),
                push_allowed(),
                send_all([push_promise(REQUEST, 2, &get), data(2, b"content")]),
                any([
                    Expect::ConnectionError(vec![PROTOCOL_ERROR]),
                    // The client may have refused it meanwhile.
                    Expect::Reset(2.into()),
                ]),
            ],
        )
        .needs(Need::Push),
        must(
            "5.1/13",
            "reserved (remote): WINDOW_UPDATE is a connection error PROTOCOL_ERROR",
            [
                await_request(),
                push_allowed(),
                send_all([push_promise(REQUEST, 2, &get), window_update(2, 1)]),
                any([
                    Expect::ConnectionError(vec![PROTOCOL_ERROR]),
                    Expect::Reset(2.into()),
                ]),
            ],
        )
        .needs(Need::Push),
        refused(
            "8.4.1/1",
            "a promised POST is a stream error PROTOCOL_ERROR",
            &promise("POST"),
        ),
        refused(
            "8.4.1/2",
            "a promise without :path is a stream error PROTOCOL_ERROR",
            &Block::of(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "localhost"),
            ]),
        ),
        refused(
            "8.4.1/3",
            "a promise without :method is a stream error PROTOCOL_ERROR",
            &Block::of(&[
                (":scheme", "http"),
                (":path", "/pushed"),
                (":authority", "localhost"),
            ]),
        ),
        refused(
            "8.4.1/4",
            "a promise with a field name in upper case is a stream error PROTOCOL_ERROR",
            &get.clone().field("X-Upper", "1"),
        ),
        refused(
            "8.4/1",
            "a promise with content is a stream error PROTOCOL_ERROR",
            &get.clone().field("content-length", "5"),
        ),
        refused(
            "8.4/2",
            "a promise for another server is a stream error PROTOCOL_ERROR",
            &Block::of(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/pushed"),
                (":authority", FOREIGN),
            ]),
        ),
    ]
}
