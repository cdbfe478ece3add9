//! PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY (RFC 9113 §6.3 to §6.8).

use crate::http2::prelude::*;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = settings_frames();
    rows.extend(frames());
    rows.extend(goaways());
    rows
}

fn broken(id: &str, title: &str, frame: super::super::frame::Frame, codes: &[ErrorCode]) -> Row {
    must(
        id,
        title,
        [await_request(), send(frame), connection_error(codes)],
    )
}

fn settings_frames() -> Vec<Row> {
    let ok = status("200");
    let value =
        |id, title, setting, value, code| broken(id, title, settings(&[(setting, value)]), &[code]);
    vec![
        broken(
            "6.5/1",
            "an acknowledgement with a payload is a connection error FRAME_SIZE_ERROR",
            settings(&[(SettingId::MAX_CONCURRENT_STREAMS, 1)]).with(flags::ACK),
            &[FRAME_SIZE_ERROR],
        ),
        broken(
            "6.5/2",
            "SETTINGS on a stream is a connection error PROTOCOL_ERROR",
            settings(&[]).on(REQUEST),
            &[PROTOCOL_ERROR],
        ),
        broken(
            "6.5/3",
            "SETTINGS of a length that is no multiple of 6 is a connection error FRAME_SIZE_ERROR",
            frame(Kind::SETTINGS, 0, 0, b"\0\x03\0"),
            &[FRAME_SIZE_ERROR],
        ),
        value(
            "6.5.2/1",
            "ENABLE_PUSH of 1 from a server is a connection error PROTOCOL_ERROR",
            SettingId::ENABLE_PUSH,
            1,
            PROTOCOL_ERROR,
        ),
        value(
            "6.5.2/2",
            "ENABLE_PUSH other than 0 and 1 is a connection error PROTOCOL_ERROR",
            SettingId::ENABLE_PUSH,
            2,
            PROTOCOL_ERROR,
        ),
        value(
            "6.5.2/3",
            "INITIAL_WINDOW_SIZE above 2^31-1 is a connection error FLOW_CONTROL_ERROR",
            SettingId::INITIAL_WINDOW_SIZE,
            0x8000_0000,
            FLOW_CONTROL_ERROR,
        ),
        value(
            "6.5.2/4",
            "MAX_FRAME_SIZE below 2^14 is a connection error PROTOCOL_ERROR",
            SettingId::MAX_FRAME_SIZE,
            16_383,
            PROTOCOL_ERROR,
        ),
        value(
            "6.5.2/5",
            "MAX_FRAME_SIZE above 2^24-1 is a connection error PROTOCOL_ERROR",
            SettingId::MAX_FRAME_SIZE,
            0x0100_0000,
            PROTOCOL_ERROR,
        ),
        must(
            "6.5.2/6",
            "HEADER_TABLE_SIZE is obeyed however often it changes",
            [
                requests(2),
                send_all([
                    settings(&[(SettingId::HEADER_TABLE_SIZE, 0)]),
                    settings(&[(SettingId::HEADER_TABLE_SIZE, 4_096)]),
                    settings(&[(SettingId::HEADER_TABLE_SIZE, 50)]),
                ]),
                expect(Expect::SettingsAcks(4)),
                send_all([
                    headers(REQUEST, &ok).end_stream(),
                    headers(SECOND_REQUEST, &ok).end_stream(),
                ]),
                // The scripted peer's decoder requires the size update.
                requests(4),
            ],
        ),
        must(
            "6.5.2/7",
            "ENABLE_PUSH of 0 from a server, and unknown settings, are allowed",
            [
                await_request(),
                send(settings(&[
                    (SettingId::ENABLE_PUSH, 0),
                    (SettingId(0xfafa), 0xffff_ffff),
                ])),
                expect(Expect::SettingsAcks(2)),
                send(headers(REQUEST, &ok).end_stream()),
            ],
        ),
        must(
            "6.5.3/1",
            "every SETTINGS is acknowledged",
            [
                await_request(),
                send_all([settings(&[]), settings(&[]), settings(&[])]),
                expect(Expect::SettingsAcks(4)),
                send(headers(REQUEST, &ok).end_stream()),
            ],
        ),
        must(
            "6.5.3/2",
            "a forbidden value is an error, even if an allowed one follows",
            [
                await_request(),
                send(settings(&[
                    (SettingId::MAX_FRAME_SIZE, 0),
                    (SettingId::MAX_FRAME_SIZE, 16_384),
                ])),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
    ]
}

fn frames() -> Vec<Row> {
    let ok = status("200");
    vec![
        broken(
            "6.3/1",
            "PRIORITY on stream 0 is a connection error PROTOCOL_ERROR",
            priority(0, 0, 15),
            &[PROTOCOL_ERROR],
        ),
        must(
            "6.3/2",
            "PRIORITY of another length than 5 is a stream error FRAME_SIZE_ERROR",
            [
                await_request(),
                send(frame(Kind::PRIORITY, 0, REQUEST, b"\0\0\0\0")),
                stream_error(REQUEST, &[FRAME_SIZE_ERROR]),
            ],
        ),
        broken(
            "6.4/1",
            "RST_STREAM on stream 0 is a connection error PROTOCOL_ERROR",
            rst_stream(0, CANCEL),
            &[PROTOCOL_ERROR],
        ),
        broken(
            "6.4/2",
            "RST_STREAM of another length than 4 is a connection error FRAME_SIZE_ERROR",
            frame(Kind::RST_STREAM, 0, REQUEST, b"\0\0\x08"),
            &[FRAME_SIZE_ERROR],
        ),
        must(
            "6.7/1",
            "PING is answered with the same payload",
            [
                await_request(),
                send(ping(b"\x00\x01\x80\xfe\xff\x7f\r\n")),
                expect(Expect::PingAnswer(*b"\x00\x01\x80\xfe\xff\x7f\r\n")),
                send(headers(REQUEST, &ok).end_stream()),
            ],
        ),
        broken(
            "6.7/2",
            "PING of another length than 8 is a connection error FRAME_SIZE_ERROR",
            frame(Kind::PING, 0, 0, b"seven.."),
            &[FRAME_SIZE_ERROR],
        ),
        broken(
            "6.7/3",
            "PING on a stream is a connection error PROTOCOL_ERROR",
            ping(b"question").on(REQUEST),
            &[PROTOCOL_ERROR],
        ),
        must(
            "6.7/4",
            "an acknowledgement of PING is not answered",
            [
                await_request(),
                send_all([ping_ack(b"unasked!"), ping(b"question")]),
                any([Expect::PingAnswer(*b"question"), Expect::Closed]),
                Step::Holds(Expect::NoPingAnswer(*b"unasked!")),
                send(headers(REQUEST, &ok).end_stream()),
            ],
        ),
        must(
            "7/1",
            "RST_STREAM with an unknown error code is nothing special",
            [
                requests(2),
                send(rst_stream(REQUEST, ErrorCode(0xfeed_beef))),
                alive(),
                send(headers(SECOND_REQUEST, &ok).end_stream()),
            ],
        ),
    ]
}

fn goaways() -> Vec<Row> {
    let ok = status("200");
    vec![
        broken(
            "6.8/1",
            "GOAWAY on a stream is a connection error PROTOCOL_ERROR",
            go_away(REQUEST, NO_ERROR).on(REQUEST),
            &[PROTOCOL_ERROR],
        ),
        broken(
            "6.8/2",
            "GOAWAY shorter than 8 bytes is a connection error FRAME_SIZE_ERROR",
            frame(Kind::GOAWAY, 0, 0, b"\0\0\0\0\0\0\0"),
            &[FRAME_SIZE_ERROR],
        ),
        must(
            "6.8/3",
            "after GOAWAY no request is made, and those before it go on",
            [
                await_request(),
                send(go_away(0x7fff_ffff, NO_ERROR)),
                alive(),
                Step::Mark,
                send(headers(REQUEST, &ok)),
                alive(),
                not_reset(REQUEST),
                send_all([data(REQUEST, b"content").end_stream(), ping(b"question")]),
                any([Expect::PingAnswer(*b"question"), Expect::Closed]),
                no_request_since_mark(),
            ],
        ),
        must(
            "6.8/4",
            "GOAWAY may come twice, the second time with a lower last stream",
            [
                await_request(),
                send_all([go_away(0x7fff_ffff, NO_ERROR), go_away(REQUEST, NO_ERROR)]),
                alive(),
                not_reset(REQUEST),
                send(headers(REQUEST, &ok).end_stream()),
            ],
        ),
        must(
            "6.8/5",
            "GOAWAY with debug data and an unknown error code is nothing special",
            [
                await_request(),
                send_all([
                    frame(
                        Kind::GOAWAY,
                        0,
                        0,
                        b"\x7f\xff\xff\xff\xfe\xed\xbe\xef any debug data\xff\0",
                    ),
                    ping(b"question"),
                ]),
                any([Expect::PingAnswer(*b"question"), Expect::Closed]),
                Step::Mark,
                send(ping(b"another!")),
                any([Expect::PingAnswer(*b"another!"), Expect::Closed]),
                Step::Holds(Expect::NoConnectionError),
                no_request_since_mark(),
            ],
        ),
    ]
}
