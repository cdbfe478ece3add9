//! Flow control (RFC 9113 §5.2, §6.9).

use crate::http2::prelude::*;

/// The largest window (§6.9.1).
const MAX: u32 = 0x7fff_ffff;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let mut rows = frames(target);
    rows.extend(obeyed(target));
    rows.extend(initial_window(target));
    rows.extend(overflow(target));
    rows.extend(own_windows(target));
    rows
}

fn window(size: u32) -> [(SettingId, u32); 1] {
    [(SettingId::INITIAL_WINDOW_SIZE, size)]
}

fn frames(target: &Target) -> Vec<Row> {
    vec![
        must(
            "6.9/1",
            "WINDOW_UPDATE of 0 on the connection is a connection error PROTOCOL_ERROR",
            [
                send(window_update(0, 0)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "6.9/2",
            "WINDOW_UPDATE of 0 on a stream is a stream error PROTOCOL_ERROR",
            [
                send(headers(1, &get(target)).end_stream()),
                response_head(1),
                send(window_update(1, 0)),
                stream_error(1, &[PROTOCOL_ERROR]),
            ],
        )
        .settings(&window(0))
        .needs(Need::Content(1)),
        must(
            "6.9/3",
            "WINDOW_UPDATE of another length than 4 is a connection error FRAME_SIZE_ERROR",
            [
                send(frame(Kind::WINDOW_UPDATE, 0, 0, b"\0\0\x01")),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "6.9/4",
            "WINDOW_UPDATE of another length than 4 on a stream is a connection error \
             FRAME_SIZE_ERROR",
            [
                send_all([
                    headers(1, &post(target)),
                    frame(Kind::WINDOW_UPDATE, 0, 1, b"\0\0\0\0\x01"),
                ]),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        ),
        must(
            "6.9/5",
            "the reserved bit of WINDOW_UPDATE is ignored",
            [
                send(headers(1, &get(target)).end_stream()),
                response_head(1),
                send(window_update(1, 0x8000_0001)),
                content(1, 1),
                settle(),
                at_most(1, 1),
            ],
        )
        .settings(&window(0))
        .needs(Need::Content(2)),
        must(
            "6.9/6",
            "WINDOW_UPDATE on a stream that is closed is no error",
            [
                send(headers(1, &get(target)).end_stream()),
                response(1),
                send(window_update(1, 1)),
                alive(),
            ],
        ),
    ]
}

fn obeyed(target: &Target) -> Vec<Row> {
    let get = get(target);
    let large = get_large(target);
    vec![
        must(
            "6.9.1/1",
            "no DATA is sent into a closed window, but the response's head is",
            [
                send(headers(1, &get).end_stream()),
                response_head(1),
                settle(),
                at_most(1, 0),
            ],
        )
        .settings(&window(0))
        .needs(Need::Content(1)),
        must(
            "6.9.1/2",
            "a stream's window of 1 byte takes 1 byte, and each WINDOW_UPDATE as much as it says",
            [
                send(headers(1, &get).end_stream()),
                content(1, 1),
                settle(),
                at_most(1, 1),
                send(window_update(1, 2)),
                content(1, 3),
                settle(),
                at_most(1, 3),
            ],
        )
        .settings(&window(1))
        .needs(Need::Content(4)),
        must(
            "6.9.1/3",
            "the connection's window is obeyed, however large the stream's",
            [
                send(headers(1, &large).end_stream()),
                content(1, 65_535),
                settle(),
                at_most(1, 65_535),
                send(window_update(0, 1)),
                content(1, 65_536),
                settle(),
                at_most(1, 65_536),
            ],
        )
        .settings(&window(MAX))
        .needs(Need::LargeContent(65_537)),
        must(
            "6.9.1/4",
            "all streams share the connection's window",
            [
                send(headers(1, &large).end_stream()),
                content(1, 65_535),
                send(headers(3, &get).end_stream()),
                response_head(3),
                settle(),
                at_most(3, 0),
                send(rst_stream(1, CANCEL)),
                send(window_update(0, 65_535)),
                success(3),
            ],
        )
        .settings(&window(MAX))
        .needs(Need::Content(1))
        .needs(Need::LargeContent(65_537)),
        // No text obliges a server to serve requests at once.
        should(
            "6.9.1/5",
            "a stream without a window does not block another",
            [
                send(headers(1, &get).end_stream()),
                response_head(1),
                send_all([headers(3, &get).end_stream(), window_update(3, 65_535)]),
                success(3),
                at_most(1, 0),
            ],
        )
        .settings(&window(0))
        .needs(Need::Content(1)),
        must(
            "6.9.1/6",
            "the stream's window is obeyed by a long response, byte for byte",
            [
                send(headers(1, &large).end_stream()),
                content(1, 65_535),
                settle(),
                at_most(1, 65_535),
                send(window_update(0, 1_000)),
                settle(),
                at_most(1, 65_535),
                send(window_update(1, 10)),
                content(1, 65_545),
                settle(),
                at_most(1, 65_545),
            ],
        )
        .needs(Need::LargeContent(65_546)),
    ]
}

fn initial_window(target: &Target) -> Vec<Row> {
    let get = get(target);
    let resize = |size| send(settings(&window(size)));
    vec![
        must(
            "6.9.2/1",
            "INITIAL_WINDOW_SIZE changes the windows of open streams",
            [
                send(headers(1, &get).end_stream()),
                response_head(1),
                settle(),
                at_most(1, 0),
                resize(1),
                content(1, 1),
                settle(),
                at_most(1, 1),
            ],
        )
        .settings(&window(0))
        .needs(Need::Content(2)),
        must(
            "6.9.2/2",
            "a window may become negative, and nothing is sent until it is positive again",
            [
                send(headers(1, &get).end_stream()),
                content(1, 3),
                resize(1), // the window is -2
                settle(),
                at_most(1, 3),
                send(window_update(1, 2)), // 0
                settle(),
                at_most(1, 3),
                send(window_update(1, 1)),
                content(1, 4),
                settle(),
                at_most(1, 4),
            ],
        )
        .settings(&window(3))
        .needs(Need::Content(5)),
        must(
            "6.9.2/3",
            "INITIAL_WINDOW_SIZE leaves the connection's window alone",
            [
                send(headers(1, &get_large(target)).end_stream()),
                content(1, 65_535),
                resize(MAX),
                settle(),
                at_most(1, 65_535),
            ],
        )
        .needs(Need::LargeContent(65_536)),
        must(
            "6.9.2/4",
            "INITIAL_WINDOW_SIZE counts for streams that are opened later",
            [
                resize(2),
                expect(Expect::SettingsAcks(2)),
                send(headers(1, &get).end_stream()),
                content(1, 2),
                settle(),
                at_most(1, 2),
            ],
        )
        .needs(Need::Content(3)),
        must(
            "6.9.2/5",
            "credit from WINDOW_UPDATE is kept when INITIAL_WINDOW_SIZE changes",
            [
                send(headers(1, &get).end_stream()),
                response_head(1),
                resize(1),
                expect(Expect::SettingsAcks(2)),
                send(window_update(1, 1)),
                content(1, 2),
                resize(2),
                content(1, 3),
                settle(),
                at_most(1, 3),
            ],
        )
        .settings(&window(0))
        .needs(Need::Content(4)),
    ]
}

/// Stream 1 stays open; its window and the connection's are used up.
fn overflow(target: &Target) -> Vec<Row> {
    let exhausted = |id, title, steps: [Step; 2]| {
        let [first, second] = steps;
        must(
            id,
            title,
            [
                send(headers(1, &get_large(target)).end_stream()),
                content(1, 65_535),
                first,
                second,
            ],
        )
        .needs(Need::LargeContent(65_536))
    };
    vec![
        must(
            "6.9.1/7",
            "WINDOW_UPDATE that takes the connection's window above 2^31-1 is a connection error \
             FLOW_CONTROL_ERROR",
            [
                send(window_update(0, MAX)),
                connection_error(&[FLOW_CONTROL_ERROR]),
            ],
        ),
        must(
            "6.9.1/8",
            "several WINDOW_UPDATE that take it there together are the same error",
            [
                send_all([
                    window_update(0, 0x4000_0000),
                    window_update(0, 0x3fff_0000),
                    window_update(0, 2),
                ]),
                connection_error(&[FLOW_CONTROL_ERROR]),
            ],
        ),
        must(
            "6.9.1/9",
            "the connection's window may be 2^31-1",
            [send(window_update(0, MAX - 65_535)), alive()],
        ),
        exhausted(
            "6.9.1/10",
            "WINDOW_UPDATE that takes a stream's window above 2^31-1 is a stream error \
             FLOW_CONTROL_ERROR",
            [
                send_all([window_update(1, MAX), window_update(1, 1)]),
                stream_error(1, &[FLOW_CONTROL_ERROR]),
            ],
        ),
        exhausted(
            "6.9.1/11",
            "a stream's window may be 2^31-1",
            [send(window_update(1, MAX)), alive()],
        ),
        exhausted(
            "6.9.2/6",
            "INITIAL_WINDOW_SIZE that takes a stream's window above 2^31-1 is a connection error \
             FLOW_CONTROL_ERROR",
            [
                send_all([window_update(1, MAX), settings(&window(65_536))]),
                connection_error(&[FLOW_CONTROL_ERROR]),
            ],
        ),
    ]
}

/// The windows of the tested side. It may advertise credit while DATA is in
/// flight, and must then accept that DATA.
fn own_windows(target: &Target) -> Vec<Row> {
    vec![
        should(
            "6.9.1/12",
            "DATA beyond a window is an error FLOW_CONTROL_ERROR, unless the window was opened \
             meanwhile",
            [send(headers(1, &post(target))), Step::Overrun(1.into())],
        )
        .needs(Need::Upload),
        // The text describes it and does not demand it.
        should(
            "6.9/7",
            "a long upload that is read receives WINDOW_UPDATE",
            [
                send(headers(1, &post(target))),
                Step::Upload(1.into(), 256 * 1024),
                success(1),
            ],
        )
        .needs(Need::Upload),
        should(
            "6.9/8",
            "DATA on a reset stream counts for the connection's window, and is \
             released",
            [
                send(headers(1, &post(target))),
                send(data_of(1, 16_384)),
                send(rst_stream(1, CANCEL)),
                send(headers(3, &post(target))),
                Step::Upload(3.into(), 128 * 1024),
                success(3),
            ],
        )
        .needs(Need::Upload),
        should(
            "6.9.1/13",
            "padding counts for flow control, and is released",
            [
                send(headers(1, &post(target))),
                padded_upload(1, 1_000),
                success(1),
            ],
        )
        .needs(Need::Upload),
    ]
}
