//! Extended CONNECT (RFC 8441) and priorities (RFC 9218), towards a server
//! under test.

use crate::http2::prelude::*;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let mut rows = extended_connect(target);
    rows.extend(priority_updates(target));
    rows.extend(urgency(target));
    rows.extend(foreign());
    rows
}

fn extended_connect(target: &Target) -> Vec<Row> {
    let Target {
        scheme, authority, ..
    } = target;
    let websocket: &[(&str, &str)] = &[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", scheme),
        (":path", "/"),
        (":authority", authority),
    ];
    let without = |name: &str| {
        let left: Vec<_> = websocket
            .iter()
            .copied()
            .filter(|(field, _)| *field != name)
            .collect();
        headers(1, &Block::of(&left))
    };
    vec![
        must(
            "8441/4/1",
            "CONNECT with :protocol is answered",
            [
                send(headers(1, &Block::of(websocket))),
                response_head(1),
                alive(),
            ],
        )
        .needs(Need::ExtendedConnect),
        must(
            "8441/4/2",
            "CONNECT with :protocol and without :scheme is malformed",
            [send(without(":scheme")), malformed(1)],
        )
        .needs(Need::ExtendedConnect),
        must(
            "8441/4/3",
            "CONNECT with :protocol and without :path is malformed",
            [send(without(":path")), malformed(1)],
        )
        .needs(Need::ExtendedConnect),
        should(
            "8441/4/4",
            ":protocol with another method than CONNECT is malformed",
            [
                send(headers(1, &get(target).field(":protocol", "websocket")).end_stream()),
                malformed(1),
            ],
        )
        .needs(Need::ExtendedConnect),
        must(
            "8441/4/5",
            "two :protocol are malformed",
            [
                send(headers(
                    1,
                    &Block::of(websocket).field(":protocol", "websocket"),
                )),
                malformed(1),
            ],
        )
        .needs(Need::ExtendedConnect),
        must(
            "8441/4/6",
            "CONNECT without :protocol stays what it was: :scheme is malformed",
            [send(without(":protocol")), malformed(1)],
        )
        .needs(Need::ExtendedConnect),
        must(
            "8441/3/1",
            ":protocol is malformed when SETTINGS_ENABLE_CONNECT_PROTOCOL was not sent",
            [send(headers(1, &Block::of(websocket))), malformed(1)],
        )
        .needs(Need::NoExtendedConnect),
        must(
            "8441/3/2",
            "SETTINGS_ENABLE_CONNECT_PROTOCOL of a client is of no consequence",
            [
                send(settings(&[(SettingId::ENABLE_CONNECT_PROTOCOL, 1)])),
                expect(Expect::SettingsAcks(2)),
                send(headers(1, &get(target)).end_stream()),
                response(1),
            ],
        ),
    ]
}

/// RFC 9218 is optional, so these cases are advice. A server without PRIORITY_UPDATE ignores the
/// frame.
fn priority_updates(target: &Target) -> Vec<Row> {
    let get = get(target);
    vec![
        must(
            "9218/7.1/1",
            "PRIORITY_UPDATE may come before its stream is opened",
            [
                send_all([priority_update(1, "u=1, i"), headers(1, &get).end_stream()]),
                response(1),
            ],
        ),
        must(
            "9218/7.1/2",
            "PRIORITY_UPDATE may come on an open stream",
            [
                send_all([
                    headers(1, &post(target)),
                    priority_update(1, "u=7"),
                    data(1, b"body").end_stream(),
                ]),
                response(1),
            ],
        ),
        must(
            "9218/7.1/3",
            "PRIORITY_UPDATE for a stream that is closed is ignored",
            [
                send(headers(1, &get).end_stream()),
                response(1),
                send(priority_update(1, "u=0")),
                alive(),
            ],
        ),
        must(
            "9218/7.1/4",
            "an empty Priority Field Value is allowed",
            [
                send_all([priority_update(1, ""), headers(1, &get).end_stream()]),
                response(1),
            ],
        ),
        should(
            "9218/7.1/5",
            "PRIORITY_UPDATE on a stream is a connection error PROTOCOL_ERROR",
            [
                send(priority_update(1, "u=0").on(1)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        should(
            "9218/7.1/6",
            "PRIORITY_UPDATE for stream 0 is a connection error PROTOCOL_ERROR",
            [
                send(priority_update(0, "u=0")),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        should(
            "9218/7.1/7",
            "PRIORITY_UPDATE shorter than 4 bytes is a connection error FRAME_SIZE_ERROR",
            [
                send(frame(Kind::PRIORITY_UPDATE, 0, 0, b"\0\0\x01")),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        should(
            "9218/7.1/8",
            "PRIORITY_UPDATE for a push that was not promised is a connection error PROTOCOL_ERROR",
            [
                send(priority_update(2, "u=0")),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "9218/5/1",
            "any priority field is accepted, valid or not",
            [
                send_all([
                    headers(1, &get.clone().field("priority", "u=0, i")).end_stream(),
                    headers(3, &get.clone().field("priority", "u=99")).end_stream(),
                    headers(5, &get.clone().field("priority", "&%$ no field")).end_stream(),
                    headers(7, &get.clone().field("priority", "")).end_stream(),
                    headers(9, &get.field("priority", "u=5;x=y, z=(1 2)")).end_stream(),
                ]),
                success(1),
                success(3),
                success(5),
                success(7),
                success(9),
            ],
        ),
        should(
            "9218/2.1/1",
            "SETTINGS_NO_RFC7540_PRIORITIES other than 0 and 1 is a connection error \
             PROTOCOL_ERROR",
            [
                send(settings(&[(SettingId::NO_RFC7540_PRIORITIES, 2)])),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "9218/2.1/2",
            "SETTINGS_NO_RFC7540_PRIORITIES in the first SETTINGS is accepted",
            [
                send(headers(1, &get_large(target)).end_stream()),
                response_head(1),
                alive(),
            ],
        )
        .settings(&[(SettingId::NO_RFC7540_PRIORITIES, 1)]),
        should(
            "9218/2.1/3",
            "SETTINGS_NO_RFC7540_PRIORITIES that changes after the first SETTINGS is a connection \
             error PROTOCOL_ERROR",
            [
                send(settings(&[(SettingId::NO_RFC7540_PRIORITIES, 1)])),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        )
        .settings(&[(SettingId::NO_RFC7540_PRIORITIES, 0)]),
    ]
}

/// Two responses wait for the connection's window; the client advertises a part
/// of it.
fn urgency(target: &Target) -> Vec<Row> {
    let large = get_large(target);
    let open = SettingId::INITIAL_WINDOW_SIZE;
    vec![
        should(
            "9218/10/1",
            "the more urgent of two responses is sent first",
            [
                send(headers(1, &large).end_stream()),
                content(1, 65_535),
                send(rst_stream(1, CANCEL)),
                send_all([
                    headers(3, &large.clone().field("priority", "u=7")).end_stream(),
                    headers(5, &large.clone().field("priority", "u=0")).end_stream(),
                ]),
                response_head(3),
                response_head(5),
                settle(),
                send(window_update(0, 16_384)),
                content(5, 16_384),
                at_most(3, 0),
            ],
        )
        .settings(&[(open, 0x00ff_ffff)])
        .needs(Need::LargeContent(65_536)),
        should(
            "9218/10/2",
            "PRIORITY_UPDATE changes which response is sent first",
            [
                send(headers(1, &large).end_stream()),
                content(1, 65_535),
                send(rst_stream(1, CANCEL)),
                send_all([
                    headers(3, &large.clone().field("priority", "u=7")).end_stream(),
                    headers(5, &large.field("priority", "u=5")).end_stream(),
                ]),
                response_head(3),
                response_head(5),
                settle(),
                send(priority_update(3, "u=0")),
                settle(),
                send(window_update(0, 16_384)),
                content(3, 16_384),
                at_most(5, 0),
            ],
        )
        .settings(&[(open, 0x00ff_ffff)])
        .needs(Need::LargeContent(65_536)),
    ]
}

/// Frames of extensions that only servers send.
fn foreign() -> Vec<Row> {
    vec![
        must(
            "7838/4/1",
            "ALTSVC from a client is ignored",
            [
                send(frame(
                    Kind::ALTSVC,
                    0,
                    0,
                    b"\0\x12http://example.comh2=\":8080\"",
                )),
                alive(),
            ],
        ),
        must(
            "8336/2.1/1",
            "ORIGIN from a client is ignored",
            [
                send(frame(Kind::ORIGIN, 0, 0, b"\0\x13https://example.com")),
                alive(),
            ],
        ),
    ]
}
