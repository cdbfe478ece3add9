//! Flow control (RFC 9113 §5.2, §6.9).

use crate::http2::prelude::*;

/// The largest window (§6.9.1).
const MAX: u32 = 0x7fff_ffff;
/// The initial size of a window.
const INITIAL: u64 = 65_535;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = frames();
    rows.extend(uploads());
    rows
}

fn frames() -> Vec<Row> {
    let ok = status("200");
    let broken = |id: &str, title: &str, frames: Vec<super::super::frame::Frame>, code| {
        must(
            id,
            title,
            [
                await_request(),
                Step::Send(frames),
                connection_error(&[code]),
            ],
        )
    };
    vec![
        broken(
            "6.9/1",
            "WINDOW_UPDATE of 0 on the connection is a connection error PROTOCOL_ERROR",
            vec![window_update(0, 0)],
            PROTOCOL_ERROR,
        ),
        must(
            "6.9/2",
            "WINDOW_UPDATE of 0 on a stream is a stream error PROTOCOL_ERROR",
            [
                await_request(),
                send(window_update(REQUEST, 0)),
                stream_error(REQUEST, &[PROTOCOL_ERROR]),
            ],
        ),
        broken(
            "6.9/3",
            "WINDOW_UPDATE of another length than 4 is a connection error FRAME_SIZE_ERROR",
            vec![frame(Kind::WINDOW_UPDATE, 0, 0, b"\0\0\x01")],
            FRAME_SIZE_ERROR,
        ),
        broken(
            "6.9.1/1",
            "WINDOW_UPDATE that takes the connection's window above 2^31-1 is a connection error \
             FLOW_CONTROL_ERROR",
            vec![window_update(0, MAX), window_update(0, MAX)],
            FLOW_CONTROL_ERROR,
        ),
        should(
            "6.9.1/2",
            "DATA beyond a window is an error FLOW_CONTROL_ERROR, unless the window was opened \
             meanwhile",
            [
                await_request(),
                send(headers(REQUEST, &ok)),
                alive(),
                Step::Overrun(REQUEST),
            ],
        ),
        // The text describes it and does not demand it.
        should(
            "6.9/4",
            "a long response that is read receives WINDOW_UPDATE",
            [
                await_request(),
                send(headers(REQUEST, &ok)),
                Step::Upload(REQUEST, 4 << 20),
            ],
        ),
        should(
            "6.9.1/3",
            "padding counts for flow control, and is released",
            [
                await_request(),
                send(headers(REQUEST, &ok)),
                padded_upload(REQUEST, 1_000),
            ],
        ),
        must(
            "6.9.2/1",
            "INITIAL_WINDOW_SIZE may be 0, and 2^31-1",
            [
                await_request(),
                send(settings(&[(SettingId::INITIAL_WINDOW_SIZE, 0)])),
                expect(Expect::SettingsAcks(2)),
                send(settings(&[(SettingId::INITIAL_WINDOW_SIZE, MAX)])),
                expect(Expect::SettingsAcks(3)),
                send(headers(REQUEST, &ok).end_stream()),
            ],
        ),
    ]
}

/// The body of the client's first request exceeds every window.
fn uploads() -> Vec<Row> {
    let upload = |id: &str, title: &str, steps: Vec<Step>| {
        let wait = [
            expect(Expect::Content(REQUEST, INITIAL)),
            settle(),
            at_most(REQUEST, INITIAL),
        ];
        must(
            id,
            title,
            await_upload().into_iter().chain(wait).chain(steps),
        )
        .needs(Need::RequestBody)
    };
    let resize = |size| send(settings(&[(SettingId::INITIAL_WINDOW_SIZE, size)]));
    let has = |bytes: u64| {
        [
            expect(Expect::Content(REQUEST, INITIAL + bytes)),
            settle(),
            at_most(REQUEST, INITIAL + bytes),
        ]
    };
    let [come, quiet, most] = has(100);
    let [resized, resized_quiet, resized_most] = has(10);
    let [left, left_quiet, left_most] = has(1);
    vec![
        upload(
            "6.9.1/4",
            "an upload obeys both windows, byte for byte",
            vec![
                send(window_update(0, 1_000)),
                settle(),
                at_most(REQUEST, INITIAL),
                send(window_update(REQUEST, 100)),
                come,
                quiet,
                most,
            ],
        ),
        upload(
            "6.9.1/5",
            "the connection's window is obeyed, however large the stream's",
            vec![
                send(window_update(REQUEST, 0x0010_0000)),
                settle(),
                at_most(REQUEST, INITIAL),
            ],
        ),
        upload(
            "6.9.2/2",
            "INITIAL_WINDOW_SIZE changes the windows of open streams",
            vec![
                send(window_update(0, 1_000)),
                resize(65_545),
                resized,
                resized_quiet,
                resized_most,
            ],
        ),
        upload(
            "6.9.2/3",
            "a window may become negative, and nothing is sent until it is positive again",
            vec![
                send(window_update(0, 1_000)),
                resize(65_000), // the window is -535
                expect(Expect::SettingsAcks(2)),
                send(window_update(REQUEST, 535)),
                settle(),
                at_most(REQUEST, INITIAL),
                send(window_update(REQUEST, 1)),
                left,
                left_quiet,
                left_most,
            ],
        ),
        upload(
            "6.9.2/4",
            "INITIAL_WINDOW_SIZE that takes a stream's window above 2^31-1 is a connection error \
             FLOW_CONTROL_ERROR",
            vec![
                send_all([
                    window_update(REQUEST, MAX),
                    settings(&[(SettingId::INITIAL_WINDOW_SIZE, 65_536)]),
                ]),
                connection_error(&[FLOW_CONTROL_ERROR]),
            ],
        ),
        upload(
            "6.9.1/6",
            "WINDOW_UPDATE that takes a stream's window above 2^31-1 is a stream error \
             FLOW_CONTROL_ERROR",
            vec![
                send_all([window_update(REQUEST, MAX), window_update(REQUEST, 1)]),
                stream_error(REQUEST, &[FLOW_CONTROL_ERROR]),
            ],
        ),
        upload(
            "8.1/1",
            "a complete response and RST_STREAM with NO_ERROR end an upload, and nothing else",
            vec![
                send_all([
                    headers(REQUEST, &status("413")).end_stream(),
                    rst_stream(REQUEST, NO_ERROR),
                    window_update(0, 65_535),
                    ping(b"question"),
                ]),
                any([Expect::PingAnswer(*b"question"), Expect::Closed]),
                Step::Holds(Expect::NoConnectionError),
                at_most(REQUEST, INITIAL),
            ],
        ),
        upload(
            "6.4/3",
            "nothing is sent on a stream after RST_STREAM",
            vec![
                send_all([
                    rst_stream(REQUEST, CANCEL),
                    window_update(REQUEST, 65_535),
                    window_update(0, 65_535),
                    ping(b"question"),
                ]),
                any([Expect::PingAnswer(*b"question"), Expect::Closed]),
                Step::Holds(Expect::NoConnectionError),
                at_most(REQUEST, INITIAL),
            ],
        ),
    ]
}
