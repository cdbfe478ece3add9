//! Streams, their states, ids and number, and errors (RFC 9113 §5).

use crate::http2::prelude::*;

pub(super) fn rows() -> Vec<Row> {
    let ok = status("200");
    let idle_with = |id: &str, title: &str, frame, codes: &[ErrorCode]| {
        must(
            id,
            title,
            [await_request(), send(frame), connection_error(codes)],
        )
    };
    let idle = |id, title, frame| idle_with(id, title, frame, &[PROTOCOL_ERROR]);
    // §6.1 names another code for DATA.
    let idle_data =
        |id, title, frame| idle_with(id, title, frame, &[PROTOCOL_ERROR, STREAM_CLOSED]);
    // A stream with the client's parity that the client has not opened.
    let never_asked = REQUEST.plus(100);
    let closed = |frame_after| {
        [
            await_request(),
            send(headers(REQUEST, &ok).end_stream()),
            send_all([frame_after, ping(b"tolerant")]),
            any([
                Expect::PingAnswer(*b"tolerant"),
                Expect::StreamError(REQUEST, vec![STREAM_CLOSED]),
                Expect::ConnectionError(vec![STREAM_CLOSED, PROTOCOL_ERROR]),
                // A client with its whole response may close the connection.
                Expect::GoAway(NO_ERROR),
            ]),
        ]
    };
    vec![
        idle(
            "5.1/1",
            "idle: HEADERS on a stream that was not promised is a connection error PROTOCOL_ERROR",
            headers(2, &ok),
        ),
        idle_data(
            "5.1/2",
            "idle: DATA on a stream that was not promised is a connection error PROTOCOL_ERROR (or \
             STREAM_CLOSED)",
            data(2, b"test"),
        ),
        idle(
            "5.1/3",
            "idle: HEADERS on a stream that the client never opened is a connection error \
             PROTOCOL_ERROR",
            headers(never_asked, &ok),
        ),
        idle_data(
            "5.1/4",
            "idle: DATA on a stream that the client never opened is a connection error \
             PROTOCOL_ERROR (or STREAM_CLOSED)",
            data(never_asked, b"test"),
        ),
        idle(
            "5.1/5",
            "idle: RST_STREAM is a connection error PROTOCOL_ERROR",
            rst_stream(never_asked, CANCEL),
        ),
        idle(
            "5.1/6",
            "idle: WINDOW_UPDATE is a connection error PROTOCOL_ERROR",
            window_update(never_asked, 1),
        ),
        idle(
            "5.1/7",
            "idle: CONTINUATION is a connection error PROTOCOL_ERROR",
            continuation(never_asked, b""),
        ),
        must(
            "5.1/8",
            "idle: PRIORITY is allowed",
            [
                await_request(),
                send_all([priority(never_asked, 0, 15), priority(2, 0, 15)]),
                alive(),
                send(headers(REQUEST, &ok).end_stream()),
            ],
        ),
        must(
            "5.1/9",
            "closed: DATA is an error STREAM_CLOSED or PROTOCOL_ERROR, or is ignored",
            closed(data(REQUEST, b"test")),
        ),
        must(
            "5.1/10",
            "closed: HEADERS is an error STREAM_CLOSED or PROTOCOL_ERROR, or is ignored",
            closed(headers(REQUEST, &ok)),
        ),
        must(
            "5.1/11",
            "closed: RST_STREAM, WINDOW_UPDATE and PRIORITY may still come",
            [
                requests(2),
                send_all([
                    headers(REQUEST, &ok).end_stream(),
                    // §6.9 permits it after END_STREAM, and not after RST_STREAM.
                    window_update(REQUEST, 1),
                    priority(REQUEST, 0, 15),
                    rst_stream(REQUEST, NO_ERROR),
                ]),
                alive(),
                send(headers(SECOND_REQUEST, &ok).end_stream()),
            ],
        ),
        must(
            "5.1.1/1",
            "requests have ids that are odd, and higher each time",
            [
                requests(2),
                send_all([
                    headers(REQUEST, &ok).end_stream(),
                    headers(SECOND_REQUEST, &ok).end_stream(),
                ]),
                requests(4),
            ],
        ),
        must(
            "5.1.1/2",
            "HEADERS on stream 0 is a connection error PROTOCOL_ERROR",
            [
                await_request(),
                send(headers(0, &ok)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "5.1.2/1",
            "no more requests at once than SETTINGS_MAX_CONCURRENT_STREAMS",
            [
                // The client may have sent these before it received SETTINGS.
                await_request(),
                settle(),
                Step::AnswerAll,
                Step::Another,
                settle(),
                Step::Holds(Expect::AtMostSinceMark(1)),
                Step::AnswerAll,
                Step::Another,
                settle(),
                Step::Holds(Expect::AtMostSinceMark(1)),
            ],
        )
        .settings(&[(SettingId::MAX_CONCURRENT_STREAMS, 1)]),
        must(
            "5.1.2/2",
            "a limit that is lowered to 0 keeps new requests back, and leaves open ones alone",
            [
                await_request(),
                send(settings(&[(SettingId::MAX_CONCURRENT_STREAMS, 0)])),
                expect(Expect::SettingsAcks(2)),
                Step::Mark,
                send(headers(REQUEST, &ok).end_stream()),
                settle(),
                no_request_since_mark(),
            ],
        ),
        must(
            "5.4.1/1",
            "the connection is closed after a connection error",
            [
                await_request(),
                send(ping(b"question").on(REQUEST)),
                expect(Expect::Closed),
            ],
        ),
        should(
            "5.4.1/2",
            "a connection error is reported by GOAWAY",
            [
                await_request(),
                send(ping(b"question").on(REQUEST)),
                expect(Expect::GoAway(PROTOCOL_ERROR)),
            ],
        ),
        must(
            "5.4.2/1",
            "RST_STREAM is not answered by RST_STREAM",
            [
                requests(2),
                send(rst_stream(REQUEST, CANCEL)),
                settle(),
                not_reset(REQUEST),
            ],
        ),
        should(
            "5.4.2/2",
            "a stream error leaves other streams alone",
            [
                requests(2),
                send(headers(REQUEST, &Block::of(&[("x-no", "status")]))),
                stream_error(REQUEST, &[PROTOCOL_ERROR]),
                send(headers(SECOND_REQUEST, &ok)),
                alive(),
                not_reset(SECOND_REQUEST),
                send(data(SECOND_REQUEST, b"").end_stream()),
            ],
        ),
    ]
}
