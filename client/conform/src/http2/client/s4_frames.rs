//! Frame format, frame size, header blocks (RFC 9113 §4).

use crate::http2::prelude::*;

/// A frame type that no specification defines.
const UNKNOWN: Kind = Kind(0xfa);

pub(super) fn rows() -> Vec<Row> {
    let ok = status("200");
    vec![
        must(
            "4.1/1",
            "frames of unknown type are ignored, on any stream",
            [
                await_request(),
                send_all([
                    frame(UNKNOWN, 0xff, 0, b"whatever"),
                    frame(UNKNOWN, 0xff, REQUEST, b"whatever"),
                    frame(UNKNOWN, 0xff, 2, b"whatever"),
                ]),
                alive(),
                send(headers(REQUEST, &ok).end_stream()),
            ],
        ),
        must(
            "4.1/2",
            "undefined flags are ignored",
            [
                await_request(),
                send_all([
                    headers(REQUEST, &ok).with(0xd2),
                    data(REQUEST, b"content").with(0xf6),
                    settings(&[]).with(0xfe),
                ]),
                expect(Expect::SettingsAcks(2)),
                alive(),
                not_reset(REQUEST),
                send(data(REQUEST, b"").end_stream()),
            ],
        ),
        must(
            "4.1/3",
            "the reserved bit before a stream id is ignored",
            [
                await_request(),
                send_all([
                    headers(REQUEST, &ok).with_reserved_bit(),
                    ping(b"question").with_reserved_bit(),
                ]),
                expect(Expect::PingAnswer(*b"question")),
                not_reset(REQUEST),
                send(data(REQUEST, b"").end_stream()),
            ],
        ),
        must(
            "4.2/1",
            "DATA of 2^14 bytes is accepted",
            [
                await_request(),
                send_all([headers(REQUEST, &ok), data_of(REQUEST, 16_384)]),
                alive(),
                not_reset(REQUEST),
                send(data(REQUEST, b"").end_stream()),
            ],
        ),
        must(
            "4.2/2",
            "DATA above SETTINGS_MAX_FRAME_SIZE is an error FRAME_SIZE_ERROR",
            [
                await_request(),
                send(headers(REQUEST, &ok)),
                too_long(data(REQUEST, b"")),
                stream_error(REQUEST, &[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "4.2/3",
            "HEADERS above SETTINGS_MAX_FRAME_SIZE is a connection error FRAME_SIZE_ERROR",
            [
                await_request(),
                too_long(headers(REQUEST, &ok)),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "4.2/4",
            "a frame of unknown type above SETTINGS_MAX_FRAME_SIZE is an error FRAME_SIZE_ERROR",
            [
                await_request(),
                too_long(frame(UNKNOWN, 0, 0, b"")),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "4.3/1",
            "a header block that does not decode is a connection error COMPRESSION_ERROR",
            [
                await_request(),
                send(headers(
                    REQUEST,
                    &Block::new().raw(&[0x7f, 0xff, 0x7f, 0x00]),
                )),
                connection_error(&[COMPRESSION_ERROR]),
            ],
        ),
        must(
            "4.3/2",
            "another frame within a header block is a connection error PROTOCOL_ERROR",
            [
                await_request(),
                send_all([
                    headers(REQUEST, &ok).unfinished(),
                    frame(UNKNOWN, 0, REQUEST, b"whatever"),
                    continuation(REQUEST, b""),
                ]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        should(
            "4.3/3",
            "a header block of a stream that the client reset is decompressed all the same",
            [
                requests(2),
                // The first response is malformed; its block fills the table.
                send_all([
                    headers(REQUEST, &Block::new().indexed_field("x-first", "1")),
                    headers(REQUEST, &Block::new().indexed_field("x-second", "2")).end_stream(),
                    headers(SECOND_REQUEST, &ok.clone().entry(62).entry(63)),
                ]),
                alive(),
                not_reset(SECOND_REQUEST),
                send(data(SECOND_REQUEST, b"").end_stream()),
            ],
        ),
    ]
}
