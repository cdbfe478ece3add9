//! Extended CONNECT (RFC 8441), priorities (RFC 9218), ALTSVC (RFC 7838) and
//! ORIGIN (RFC 8336), towards a client under test.

use crate::http2::prelude::*;

pub(super) fn rows() -> Vec<Row> {
    let ok = status("200");
    let ignored = |id: &str, title: &str, frames: Vec<super::super::frame::Frame>| {
        must(
            id,
            title,
            [
                await_request(),
                Step::Send(frames),
                alive(),
                send(headers(REQUEST, &ok).end_stream()),
            ],
        )
    };
    vec![
        should(
            "8441/3/1",
            "SETTINGS_ENABLE_CONNECT_PROTOCOL other than 0 and 1 is a connection error \
             PROTOCOL_ERROR",
            [
                await_request(),
                send(settings(&[(SettingId::ENABLE_CONNECT_PROTOCOL, 2)])),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        ignored(
            "8441/3/2",
            "SETTINGS_ENABLE_CONNECT_PROTOCOL may be 1",
            vec![settings(&[(SettingId::ENABLE_CONNECT_PROTOCOL, 1)])],
        ),
        should(
            "9218/7.1/1",
            "PRIORITY_UPDATE from a server is a connection error PROTOCOL_ERROR",
            [
                await_request(),
                send(priority_update(REQUEST, "u=0")),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        should(
            "9218/2.1/1",
            "SETTINGS_NO_RFC7540_PRIORITIES other than 0 and 1 is a connection error \
             PROTOCOL_ERROR",
            [
                await_request(),
                send(settings(&[(SettingId::NO_RFC7540_PRIORITIES, 2)])),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        ignored(
            "7838/4/1",
            "ALTSVC is accepted on the connection and on a stream",
            vec![
                frame(Kind::ALTSVC, 0, 0, b"\0\x10http://localhosth2=\":8080\""),
                frame(Kind::ALTSVC, 0, REQUEST, b"\0\0h2=\":8080\""),
            ],
        ),
        ignored(
            "7838/4/2",
            "ALTSVC that makes no sense is ignored",
            vec![
                frame(Kind::ALTSVC, 0, 0, b"\0\0h2=\":8080\""),
                frame(
                    Kind::ALTSVC,
                    0,
                    REQUEST,
                    b"\0\x10http://localhosth2=\":8080\"",
                ),
            ],
        ),
        ignored(
            "8336/2/1",
            "ORIGIN is accepted",
            vec![frame(Kind::ORIGIN, 0, 0, b"\0\x10http://localhost")],
        ),
        ignored(
            "8336/2.1/1",
            "ORIGIN on a stream, or with flags, is ignored",
            vec![
                frame(Kind::ORIGIN, 0, REQUEST, b"\0\x10http://localhost"),
                frame(Kind::ORIGIN, 0x0f, 0, b"\0\x10http://localhost"),
            ],
        ),
    ]
}
