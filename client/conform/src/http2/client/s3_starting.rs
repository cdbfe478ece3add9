//! The start of a connection (RFC 9113 §3.4).

use crate::http2::prelude::*;

pub(super) fn rows() -> Vec<Row> {
    vec![
        must(
            "3.4/1",
            "the client's preface is followed by SETTINGS, the server's SETTINGS are acknowledged, and \
             requests come",
            [
                send(settings(&[])),
                expect(Expect::SettingsAcks(1)),
                await_request(),
                send(headers(REQUEST, &status("200")).end_stream()),
            ],
        )
        .bare(),
        must(
            "3.4/2",
            "another first frame than SETTINGS is a connection error PROTOCOL_ERROR",
            [
                send(ping(b"tooearly")),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        )
        .bare(),
        // An acknowledgement is a SETTINGS frame too; no text excludes it here.
        should(
            "3.4/3",
            "an acknowledgement of SETTINGS as the first frame is a connection error PROTOCOL_ERROR",
            [send(settings_ack()), connection_error(&[PROTOCOL_ERROR])],
        )
        .bare(),
        must(
            "3.4/4",
            "an answer in HTTP/1.1 ends the connection",
            [
                bytes(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
                any([
                    Expect::Closed,
                    Expect::ConnectionError(vec![PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
                ]),
            ],
        )
        .bare(),
        must(
            "3.4/5",
            "SETTINGS of the preface may be of any allowed values",
            [
                await_request(),
                alive(),
                send(headers(REQUEST, &status("200")).end_stream()),
            ],
        )
        .settings(&[
            (SettingId::HEADER_TABLE_SIZE, 0),
            (SettingId::ENABLE_PUSH, 0),
            (SettingId::MAX_CONCURRENT_STREAMS, 1),
            (SettingId::INITIAL_WINDOW_SIZE, 0x7fff_ffff),
            (SettingId::MAX_FRAME_SIZE, 0x00ff_ffff),
            (SettingId::MAX_HEADER_LIST_SIZE, 0xffff_ffff),
            (SettingId(0xfafa), 0xffff_ffff),
        ]),
    ]
}
