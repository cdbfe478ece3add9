//! The start of a connection (RFC 9113 §3.4).

use crate::http2::prelude::*;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    vec![
        must(
            "3.4/1",
            "the server's first frame is SETTINGS, and the client's SETTINGS are acknowledged",
            [
                bytes(PREFACE),
                send(settings(&[])),
                expect(Expect::SettingsAcks(1)),
                alive(),
            ],
        )
        .bare(),
        must(
            "3.4/2",
            "frames may follow the client's preface at once",
            [
                bytes(PREFACE),
                send_all([settings(&[]), headers(1, &get(target)).end_stream()]),
                response(1),
            ],
        )
        .bare(),
        must(
            "3.4/3",
            "another preface than the client's ends the connection",
            [
                bytes(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
                send(settings(&[])),
                // §3.4 permits to omit GOAWAY here.
                any([
                    Expect::Closed,
                    Expect::ConnectionError(vec![PROTOCOL_ERROR]),
                ]),
            ],
        )
        .bare(),
        must(
            "3.4/4",
            "a preface followed by another frame than SETTINGS is a connection error PROTOCOL_ERROR",
            [
                bytes(PREFACE),
                send(ping(b"tooearly")),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        )
        .bare(),
        // An acknowledgement is a SETTINGS frame too; no text excludes it here.
        should(
            "3.4/5",
            "a preface followed by an acknowledgement of SETTINGS is a connection error \
             PROTOCOL_ERROR",
            [
                bytes(PREFACE),
                send(settings_ack()),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        )
        .bare(),
        must(
            "3.4/6",
            "a preface followed by HEADERS is a connection error PROTOCOL_ERROR",
            [
                bytes(PREFACE),
                send(headers(1, &get(target)).end_stream()),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        )
        .bare(),
        must(
            "3.4/7",
            "SETTINGS of the preface may be of any allowed values",
            [
                send(headers(1, &get(target)).end_stream()),
                response(1),
            ],
        )
        .settings(&[
            (SettingId::HEADER_TABLE_SIZE, 0),
            (SettingId::ENABLE_PUSH, 0),
            (SettingId::MAX_CONCURRENT_STREAMS, 0),
            (SettingId::INITIAL_WINDOW_SIZE, 0x7fff_ffff),
            (SettingId::MAX_FRAME_SIZE, 0x00ff_ffff),
            (SettingId::MAX_HEADER_LIST_SIZE, 0xffff_ffff),
        ]),
        should(
            "3.4/8",
            "a preface that is cut off by the end of the transport ends the connection",
            [
                bytes(b"PRI * HTTP/2.0\r\n\r\nSM"),
                Step::Finish,
                expect(Expect::Closed),
            ],
        )
        .bare(),
        // No text obliges a server to answer before; a client need not wait with its requests.
        should(
            "6.5.3/5",
            "requests are answered before the server's SETTINGS are acknowledged",
            [
                withhold_ack(),
                bytes(PREFACE),
                send_all([settings(&[]), headers(1, &get(target)).end_stream()]),
                response(1),
                send(settings_ack()),
                alive(),
            ],
        )
        .bare(),
    ]
}
