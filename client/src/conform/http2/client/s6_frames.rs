//! Frames (RFC 9113 §6), sent by an odd server.

use lacewing_frames::http2::ErrorCode;

use crate::conform::http2::{
    block::status,
    expect::{Expect, connection_error, expect},
    frame::{REQUEST, headers, ping},
    script::{Row, alive, must, request_comes, send},
};

pub(super) fn rows() -> Vec<Row> {
    vec![
        must(
            "6.7/1",
            "PING is answered with the same payload",
            [
                request_comes(),
                send(ping(b"question")),
                expect(Expect::PingAck(*b"question")),
                send(headers(REQUEST, &status("200")).end_stream()),
            ],
        ),
        must(
            "6.7/2",
            "PING of another length than 8 is a connection error FRAME_SIZE_ERROR",
            [
                request_comes(),
                alive(),
                send(crate::conform::http2::frame::frame(
                    lacewing_frames::http2::Kind::PING,
                    0,
                    0,
                    b"seven..",
                )),
                connection_error(&[ErrorCode::FRAME_SIZE_ERROR]),
            ],
        ),
    ]
}
