//! PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY (RFC 9113 §6.3 to
//! §6.8) and error codes (§7).

use crate::http2::prelude::*;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let mut rows = priority_frames(target);
    rows.extend(resets(target));
    rows.extend(settings_frames(target));
    rows.extend(values(target));
    rows.extend(promises(target));
    rows.extend(pings(target));
    rows.extend(goaways(target));
    rows
}

fn priority_frames(target: &Target) -> Vec<Row> {
    vec![
        must(
            "6.3/1",
            "PRIORITY on stream 0 is a connection error PROTOCOL_ERROR",
            [
                send(priority(0, 0, 15)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.3/2",
            "PRIORITY of another length than 5 is a stream error FRAME_SIZE_ERROR",
            [
                send_all([
                    headers(1, &post(target)),
                    frame(Kind::PRIORITY, 0, 1, b"\0\0\0\0"),
                ]),
                stream_error(1, &[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "6.3/4",
            "PRIORITY of another length than 5 is an error, when a response is complete already",
            [
                send(headers(1, &post(target))),
                settle(),
                send(frame(Kind::PRIORITY, 0, 1, b"\0\0\0\0\0\0")),
                stream_error(1, &[FRAME_SIZE_ERROR]),
            ],
        )
        .needs(Need::Upload),
        must(
            "6.3/3",
            "PRIORITY on an open stream is accepted, and changes nothing else",
            [
                send_all([
                    headers(1, &post(target)),
                    priority(1, 0x8000_0005, 255),
                    data(1, b"body").end_stream(),
                ]),
                response(1),
            ],
        ),
    ]
}

fn resets(target: &Target) -> Vec<Row> {
    let get = get(target);
    vec![
        must(
            "6.4/1",
            "RST_STREAM on stream 0 is a connection error PROTOCOL_ERROR",
            [
                send(rst_stream(0, CANCEL)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.4/2",
            "RST_STREAM shorter than 4 bytes is a connection error FRAME_SIZE_ERROR",
            [
                send_all([
                    headers(1, &post(target)),
                    frame(Kind::RST_STREAM, 0, 1, b"\0\0\x08"),
                ]),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "6.4/3",
            "RST_STREAM longer than 4 bytes is a connection error FRAME_SIZE_ERROR",
            [
                send_all([
                    headers(1, &post(target)),
                    frame(Kind::RST_STREAM, 0, 1, b"\0\0\0\0\x08"),
                ]),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "6.4/4",
            "nothing is sent on a stream after its RST_STREAM",
            [
                send(headers(1, &get).end_stream()),
                response_head(1),
                send(rst_stream(1, CANCEL)),
                alive(),
                send(settings(&[(SettingId::INITIAL_WINDOW_SIZE, 65_535)])),
                settle(),
                at_most(1, 0),
            ],
        )
        .settings(&[(SettingId::INITIAL_WINDOW_SIZE, 0)])
        .needs(Need::Content(1)),
        must(
            "6.4/5",
            "RST_STREAM of one stream leaves the others alone",
            [
                send_all([
                    headers(1, &post(target)),
                    headers(3, &get).end_stream(),
                    rst_stream(1, CANCEL),
                ]),
                success(3),
            ],
        ),
        must(
            "7/1",
            "RST_STREAM with an unknown error code is nothing special",
            [
                send_all([
                    headers(1, &post(target)),
                    rst_stream(1, ErrorCode(0xfeed_beef)),
                    headers(3, &get).end_stream(),
                ]),
                success(3),
            ],
        ),
    ]
}

fn settings_frames(target: &Target) -> Vec<Row> {
    let get = get(target);
    vec![
        must(
            "6.5/1",
            "an acknowledgement with a payload is a connection error FRAME_SIZE_ERROR",
            [
                send(settings(&[(SettingId::ENABLE_PUSH, 0)]).with(flags::ACK)),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "6.5/2",
            "SETTINGS on a stream is a connection error PROTOCOL_ERROR",
            [
                send(settings(&[]).on(1)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.5/3",
            "SETTINGS of a length that is no multiple of 6 is a connection error FRAME_SIZE_ERROR",
            [
                send(frame(Kind::SETTINGS, 0, 0, b"\0\x03\0")),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "6.5/4",
            "SETTINGS on a stream that is open is a connection error PROTOCOL_ERROR",
            [
                send_all([headers(1, &post(target)), settings(&[]).on(1)]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.5.3/1",
            "every SETTINGS is acknowledged",
            [
                send_all([
                    settings(&[]),
                    settings(&[(SettingId::MAX_CONCURRENT_STREAMS, 7)]),
                    settings(&[]),
                ]),
                expect(Expect::SettingsAcks(4)),
            ],
        ),
        must(
            "6.5.3/2",
            "entries are processed in their order, the last of an id counts",
            [
                send(settings(&[
                    (SettingId::INITIAL_WINDOW_SIZE, 100),
                    (SettingId::INITIAL_WINDOW_SIZE, 1),
                ])),
                expect(Expect::SettingsAcks(2)),
                send(headers(1, &get).end_stream()),
                content(1, 1),
                settle(),
                at_most(1, 1),
            ],
        )
        .needs(Need::Content(2)),
        must(
            "6.5.3/3",
            "a forbidden value is an error, even if an allowed one follows",
            [
                send(settings(&[
                    (SettingId::ENABLE_PUSH, 2),
                    (SettingId::ENABLE_PUSH, 0),
                ])),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.5.3/4",
            "SETTINGS are acknowledged while a request is open",
            [
                send_all([headers(1, &post(target)), settings(&[])]),
                expect(Expect::SettingsAcks(2)),
            ],
        ),
    ]
}

fn values(target: &Target) -> Vec<Row> {
    let refused = |id, title, setting, value, code| {
        must(
            id,
            title,
            [
                send(settings(&[(setting, value)])),
                connection_error(&[code]),
            ],
        )
    };
    let taken = |id, title, setting, value| {
        must(
            id,
            title,
            [
                send(settings(&[(setting, value)])),
                expect(Expect::SettingsAcks(2)),
                send(headers(1, &get(target)).end_stream()),
                response(1),
            ],
        )
    };
    vec![
        refused(
            "6.5.2/1",
            "ENABLE_PUSH other than 0 and 1 is a connection error PROTOCOL_ERROR",
            SettingId::ENABLE_PUSH,
            2,
            PROTOCOL_ERROR,
        ),
        refused(
            "6.5.2/2",
            "INITIAL_WINDOW_SIZE above 2^31-1 is a connection error FLOW_CONTROL_ERROR",
            SettingId::INITIAL_WINDOW_SIZE,
            0x8000_0000,
            FLOW_CONTROL_ERROR,
        ),
        refused(
            "6.5.2/3",
            "MAX_FRAME_SIZE below 2^14 is a connection error PROTOCOL_ERROR",
            SettingId::MAX_FRAME_SIZE,
            16_383,
            PROTOCOL_ERROR,
        ),
        refused(
            "6.5.2/4",
            "MAX_FRAME_SIZE above 2^24-1 is a connection error PROTOCOL_ERROR",
            SettingId::MAX_FRAME_SIZE,
            0x0100_0000,
            PROTOCOL_ERROR,
        ),
        refused(
            "6.5.2/5",
            "MAX_FRAME_SIZE of 0 is a connection error PROTOCOL_ERROR",
            SettingId::MAX_FRAME_SIZE,
            0,
            PROTOCOL_ERROR,
        ),
        taken(
            "6.5.2/6",
            "an unknown setting is ignored",
            SettingId(0xfafa),
            0xffff_ffff,
        ),
        taken(
            "6.5.2/7",
            "HEADER_TABLE_SIZE of 0 is obeyed",
            SettingId::HEADER_TABLE_SIZE,
            0,
        ),
        taken(
            "6.5.2/8",
            "HEADER_TABLE_SIZE of 2^32-1 is accepted",
            SettingId::HEADER_TABLE_SIZE,
            0xffff_ffff,
        ),
        taken(
            "6.5.2/9",
            "MAX_CONCURRENT_STREAMS of 0 does not keep requests from being answered",
            SettingId::MAX_CONCURRENT_STREAMS,
            0,
        ),
        taken(
            "6.5.2/10",
            "MAX_FRAME_SIZE of 2^24-1 is accepted",
            SettingId::MAX_FRAME_SIZE,
            0x00ff_ffff,
        ),
        must(
            "6.5.2/11",
            "frames are never longer than MAX_FRAME_SIZE",
            [
                send(headers(1, &get_large(target)).end_stream()),
                content(1, 65_535),
                alive(),
            ],
        )
        .needs(Need::LargeContent(65_535)),
        must(
            "6.5.2/12",
            "HEADER_TABLE_SIZE is obeyed however often it changes",
            [
                send(headers(1, &get(target)).end_stream()),
                response(1),
                send_all([
                    settings(&[(SettingId::HEADER_TABLE_SIZE, 0)]),
                    settings(&[(SettingId::HEADER_TABLE_SIZE, 4_096)]),
                    settings(&[(SettingId::HEADER_TABLE_SIZE, 50)]),
                ]),
                expect(Expect::SettingsAcks(4)),
                send(headers(3, &get(target)).end_stream()),
                response(3),
                send(headers(5, &get(target)).end_stream()),
                response(5),
            ],
        ),
    ]
}

fn promises(target: &Target) -> Vec<Row> {
    let get = get(target);
    vec![
        must(
            "8.4/1",
            "PUSH_PROMISE from a client is a connection error PROTOCOL_ERROR",
            [
                send_all([headers(1, &post(target)), push_promise(1, 2, &get)]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.6/1",
            "PUSH_PROMISE on stream 0 is a connection error PROTOCOL_ERROR",
            [
                send(push_promise(0, 2, &get)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.6/2",
            "PUSH_PROMISE on an idle stream is a connection error PROTOCOL_ERROR",
            [
                send(push_promise(1, 2, &get)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
    ]
}

fn pings(target: &Target) -> Vec<Row> {
    vec![
        must(
            "6.7/1",
            "PING is answered with the same payload",
            [
                send(ping(b"\x00\x01\x80\xfe\xff\x7f\r\n")),
                expect(Expect::PingAnswer(*b"\x00\x01\x80\xfe\xff\x7f\r\n")),
            ],
        ),
        must(
            "6.7/2",
            "an acknowledgement of PING is not answered",
            [
                send_all([ping_ack(b"unasked!"), ping(b"question")]),
                // The RFC does not state whether an unrequested acknowledgement is an error.
                any([Expect::PingAnswer(*b"question"), Expect::Closed]),
                Step::Holds(Expect::NoPingAnswer(*b"unasked!")),
            ],
        ),
        must(
            "6.7/3",
            "PING on a stream is a connection error PROTOCOL_ERROR",
            [
                send_all([headers(1, &post(target)), ping(b"question").on(1)]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.7/4",
            "PING shorter than 8 bytes is a connection error FRAME_SIZE_ERROR",
            [
                send(frame(Kind::PING, 0, 0, b"seven..")),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "6.7/5",
            "PING longer than 8 bytes is a connection error FRAME_SIZE_ERROR",
            [
                send(frame(Kind::PING, 0, 0, b"nine.....")),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "6.7/6",
            "PING is answered while a response waits for windows",
            [
                send(headers(1, &get(target)).end_stream()),
                alive(),
                send(ping(b"question")),
                expect(Expect::PingAnswer(*b"question")),
            ],
        )
        .settings(&[(SettingId::INITIAL_WINDOW_SIZE, 0)]),
    ]
}

fn goaways(target: &Target) -> Vec<Row> {
    vec![
        must(
            "6.8/1",
            "GOAWAY on a stream is a connection error PROTOCOL_ERROR",
            [
                send(go_away(0, NO_ERROR).on(1)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.8/2",
            "GOAWAY shorter than 8 bytes is a connection error FRAME_SIZE_ERROR",
            [
                send(frame(Kind::GOAWAY, 0, 0, b"\0\0\0\0\0\0\0")),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        should(
            "6.8/3",
            "requests made before a client's GOAWAY are answered",
            [
                send_all([headers(1, &get(target)).end_stream(), go_away(0, NO_ERROR)]),
                success(1),
            ],
        ),
        should(
            "6.8/4",
            "a response that waits for windows at GOAWAY is completed",
            [
                send(headers(1, &get(target)).end_stream()),
                response_head(1),
                send(go_away(0, NO_ERROR)),
                send(settings(&[(SettingId::INITIAL_WINDOW_SIZE, 65_535)])),
                success(1),
            ],
        )
        .settings(&[(SettingId::INITIAL_WINDOW_SIZE, 0)])
        .needs(Need::Content(1)),
        should(
            "6.8/5",
            "GOAWAY may have debug data of any bytes",
            [
                send_all([
                    headers(1, &get(target)).end_stream(),
                    frame(Kind::GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\0any debug data\xff\0"),
                ]),
                success(1),
            ],
        ),
    ]
}
