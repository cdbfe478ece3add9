//! Streams, their states, ids and number, and errors (RFC 9113 §5).

use crate::http2::prelude::*;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let mut rows = idle(target);
    rows.extend(half_closed(target));
    rows.extend(closed(target));
    rows.extend(ids(target));
    rows.extend(concurrency(target));
    rows.extend(errors(target));
    rows
}

fn idle(target: &Target) -> Vec<Row> {
    vec![
        must(
            "5.1/1",
            "idle: DATA is a connection error PROTOCOL_ERROR (or STREAM_CLOSED, §6.1)",
            [
                send(data(1, b"test").end_stream()),
                connection_error(&[PROTOCOL_ERROR, STREAM_CLOSED]),
            ],
        ),
        must(
            "5.1/2",
            "idle: RST_STREAM is a connection error PROTOCOL_ERROR",
            [
                send(rst_stream(1, CANCEL)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "5.1/3",
            "idle: WINDOW_UPDATE is a connection error PROTOCOL_ERROR",
            [
                send(window_update(1, 100)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "5.1/4",
            "idle: CONTINUATION is a connection error PROTOCOL_ERROR",
            [
                send(continuation(1, get(target).bytes())),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "5.1/5",
            "idle: PRIORITY is allowed, and leaves the stream idle",
            [
                send(priority(1, 0, 255)),
                alive(),
                send(headers(1, &get(target)).end_stream()),
                response(1),
            ],
        ),
        must(
            "5.1/6",
            "idle above an open stream: DATA is a connection error PROTOCOL_ERROR (or STREAM_CLOSED)",
            [
                send_all([headers(1, &post(target)), data(3, b"test")]),
                connection_error(&[PROTOCOL_ERROR, STREAM_CLOSED]),
            ],
        ),
    ]
}

/// A stream whose window is closed, so that the server cannot send its response.
fn half_closed(target: &Target) -> Vec<Row> {
    let window_closed = [(SettingId::INITIAL_WINDOW_SIZE, 0)];
    let held = |id, title, steps: [Step; 2]| {
        let [first, second] = steps;
        must(
            id,
            title,
            [
                send(headers(1, &get(target)).end_stream()),
                response_head(1),
                first,
                second,
            ],
        )
        .settings(&window_closed)
        .needs(Need::Content(1))
    };
    vec![
        held(
            "5.1/7",
            "half-closed (remote): DATA is a stream error STREAM_CLOSED",
            [
                send(data(1, b"test").end_stream()),
                stream_error(1, &[STREAM_CLOSED]),
            ],
        ),
        held(
            "5.1/8",
            "half-closed (remote): HEADERS is a stream error STREAM_CLOSED",
            [
                send(headers(1, &Block::of(&[("x-trailer", "1")])).end_stream()),
                stream_error(1, &[STREAM_CLOSED]),
            ],
        ),
        held(
            "5.1/9",
            "half-closed (remote): CONTINUATION is a connection error PROTOCOL_ERROR",
            [
                send(continuation(1, b"")),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        held(
            "5.1/10",
            "half-closed (remote): WINDOW_UPDATE and PRIORITY are allowed",
            [
                send_all([priority(1, 0, 1), window_update(1, 0x00ff_ffff)]),
                success(1),
            ],
        ),
        held(
            "5.1/11",
            "half-closed (remote): RST_STREAM is allowed",
            [send(rst_stream(1, CANCEL)), alive()],
        ),
        held(
            "5.1/12",
            "half-closed (remote): empty DATA is a stream error STREAM_CLOSED",
            [
                send(data(1, b"").end_stream()),
                stream_error(1, &[STREAM_CLOSED]),
            ],
        ),
    ]
}

fn closed(target: &Target) -> Vec<Row> {
    // The tested side may forget a closed stream at any time. It may ignore later
    // frames on it, or report an error, with the right code.
    let tolerated = |frame_after| {
        [
            send_all([frame_after, ping(b"tolerant")]),
            any([
                Expect::PingAnswer(*b"tolerant"),
                Expect::StreamError(1.into(), vec![STREAM_CLOSED]),
                Expect::ConnectionError(vec![STREAM_CLOSED, PROTOCOL_ERROR]),
            ]),
        ]
    };
    let after_response = |steps: [Step; 2]| {
        let [first, second] = steps;
        [
            send(headers(1, &get(target)).end_stream()),
            response(1),
            first,
            second,
        ]
    };
    let after_reset = |steps: [Step; 2]| {
        let [first, second] = steps;
        [
            send_all([headers(1, &post(target)), rst_stream(1, CANCEL)]),
            first,
            second,
        ]
    };
    let trailers = Block::of(&[("x-trailer", "1")]);
    vec![
        must(
            "5.1/13",
            "closed by END_STREAM: DATA is an error STREAM_CLOSED or PROTOCOL_ERROR, or is ignored",
            after_response(tolerated(data(1, b"test").end_stream())),
        ),
        // §5.1.1 forbids the reuse of an id; §5.1 permits a peer to ignore frames
        // on a closed stream.
        should(
            "5.1/14",
            "closed by END_STREAM: HEADERS is an error STREAM_CLOSED or PROTOCOL_ERROR",
            after_response([
                send(headers(1, &get(target)).end_stream()),
                any([
                    Expect::StreamError(1.into(), vec![STREAM_CLOSED]),
                    Expect::ConnectionError(vec![STREAM_CLOSED, PROTOCOL_ERROR]),
                ]),
            ]),
        ),
        must(
            "5.1/15",
            "closed by END_STREAM: CONTINUATION is a connection error PROTOCOL_ERROR",
            after_response([
                send(continuation(1, b"")),
                connection_error(&[PROTOCOL_ERROR]),
            ]),
        ),
        must(
            "5.1/16",
            "closed by END_STREAM: PRIORITY is allowed",
            after_response([send(priority(1, 0, 15)), alive()]),
        ),
        must(
            "5.1/17",
            "closed by END_STREAM: RST_STREAM may still come",
            after_response([send(rst_stream(1, CANCEL)), alive()]),
        ),
        must(
            "5.1/18",
            "closed by RST_STREAM: DATA is an error STREAM_CLOSED or PROTOCOL_ERROR, or is ignored",
            after_reset(tolerated(data(1, b"test").end_stream())),
        ),
        must(
            "5.1/19",
            "closed by RST_STREAM: HEADERS is an error STREAM_CLOSED or PROTOCOL_ERROR, or is \
             ignored",
            after_reset(tolerated(headers(1, &trailers).end_stream())),
        ),
        must(
            "5.1/20",
            "closed by RST_STREAM: CONTINUATION is a connection error PROTOCOL_ERROR",
            after_reset([
                send(continuation(1, b"")),
                connection_error(&[PROTOCOL_ERROR]),
            ]),
        ),
        must(
            "5.1/21",
            "closed by RST_STREAM: PRIORITY is allowed",
            after_reset([send(priority(1, 0, 15)), alive()]),
        ),
        // Whoever receives RST_STREAM may treat these as STREAM_CLOSED.
        should(
            "5.1/22",
            "closed by RST_STREAM: WINDOW_UPDATE and another RST_STREAM are ignored",
            after_reset([
                send_all([window_update(1, 1), rst_stream(1, NO_ERROR)]),
                alive(),
            ]),
        ),
    ]
}

fn ids(target: &Target) -> Vec<Row> {
    let get = get(target);
    vec![
        must(
            "5.1.1/1",
            "a stream id that is even is a connection error PROTOCOL_ERROR",
            [
                send(headers(2, &get).end_stream()),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "5.1.1/2",
            "a stream id below an earlier one is a connection error PROTOCOL_ERROR",
            [
                send(headers(5, &get).end_stream()),
                response(5),
                send(headers(3, &get).end_stream()),
                connection_error(&[PROTOCOL_ERROR, STREAM_CLOSED]),
            ],
        ),
        must(
            "5.1.1/3",
            "stream ids may be skipped",
            [
                send_all([
                    headers(7, &get).end_stream(),
                    headers(101, &get).end_stream(),
                ]),
                response(7),
                response(101),
            ],
        ),
        must(
            "5.1.1/4",
            "the highest stream id is a stream id",
            [
                send(headers(0x7fff_ffff, &get).end_stream()),
                response(0x7fff_ffff),
            ],
        ),
        must(
            "5.1.1/5",
            "skipped streams are closed: DATA on one is an error, or is ignored",
            [
                send(headers(5, &get).end_stream()),
                response(5),
                send_all([data(3, b"test"), ping(b"tolerant")]),
                any([
                    Expect::PingAnswer(*b"tolerant"),
                    Expect::StreamError(3.into(), vec![STREAM_CLOSED]),
                    Expect::ConnectionError(vec![STREAM_CLOSED, PROTOCOL_ERROR]),
                ]),
            ],
        ),
    ]
}

fn concurrency(target: &Target) -> Vec<Row> {
    let limit = target
        .abilities
        .max_concurrent_streams
        .unwrap_or(100)
        .min(1_000);
    let stream = |number: u32| number.saturating_mul(2).saturating_add(1);
    let most: Vec<_> = (0..limit)
        .map(|number| headers(stream(number), &get(target)).end_stream())
        .collect();
    let mut more = most.clone();
    more.push(headers(stream(limit), &get(target)).end_stream());
    // Responses that cannot be sent keep their streams open.
    let window_closed = [(SettingId::INITIAL_WINDOW_SIZE, 0)];
    let all = settings(&[(SettingId::INITIAL_WINDOW_SIZE, 65_535)]);
    let last = Id::Number(stream(limit.saturating_sub(1)));
    vec![
        must(
            "5.1.2/1",
            "a stream above SETTINGS_MAX_CONCURRENT_STREAMS is a stream error PROTOCOL_ERROR or \
             REFUSED_STREAM",
            [
                send_all(more.clone()),
                stream_error(stream(limit), &[PROTOCOL_ERROR, REFUSED_STREAM]),
            ],
        )
        .settings(&window_closed)
        .needs(Need::Content(1))
        .needs(Need::StreamLimit(1_000)),
        must(
            "5.1.2/3",
            "streams that are over do not count: one after the other, there may be any number",
            // The bodies share the window.
            std::iter::once(send(window_update(0_u32, 1 << 30))).chain((0..150_u32).flat_map(
                |number| {
                    let stream = number.saturating_mul(2).saturating_add(1);
                    [
                        send(headers(stream, &get(target)).end_stream()),
                        // A server may end a connection after any number of requests.
                        any([
                            Expect::Response(stream.into(), 200..=599),
                            Expect::GoAway(NO_ERROR),
                        ]),
                    ]
                },
            )),
        )
        .needs(Need::StreamLimit(140)),
        should(
            "5.1.2/2",
            "as many streams as SETTINGS_MAX_CONCURRENT_STREAMS are served at once",
            [
                // The bodies share the window.
                send(window_update(0_u32, 1 << 30)),
                send_all(most),
                settle(),
                send(all),
                success(1),
                success(last),
            ],
        )
        .settings(&window_closed)
        .needs(Need::Content(1))
        .needs(Need::StreamLimit(1_000)),
    ]
}

fn errors(target: &Target) -> Vec<Row> {
    let get = get(target);
    vec![
        should(
            "5.3/1",
            "a stream that depends on itself is a stream error PROTOCOL_ERROR (RFC 7540), or is \
             ignored",
            [
                send_all([
                    headers(1, &get).prioritized(1, 15).end_stream(),
                    ping(b"tolerant"),
                ]),
                any([
                    Expect::PingAnswer(*b"tolerant"),
                    Expect::StreamError(1.into(), vec![PROTOCOL_ERROR]),
                ]),
            ],
        ),
        must(
            "5.4.1/1",
            "the connection is closed after a connection error",
            [send(ping(b"question").on(1)), expect(Expect::Closed)],
        ),
        should(
            "5.4.1/2",
            "a connection error is reported by GOAWAY",
            [
                send(ping(b"question").on(1)),
                expect(Expect::GoAway(PROTOCOL_ERROR)),
            ],
        ),
        must(
            "5.4.1/3",
            "an error after a complete response is a connection error",
            [
                send(headers(1, &get).end_stream()),
                response(1),
                send(ping(b"question").on(1)),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "5.4.2/1",
            "RST_STREAM is not answered by RST_STREAM",
            [
                send(headers(1, &get).end_stream()),
                response_head(1),
                send(rst_stream(1, CANCEL)),
                settle(),
                not_reset(1),
            ],
        )
        .settings(&[(SettingId::INITIAL_WINDOW_SIZE, 0)])
        .needs(Need::Content(1)),
        should(
            "5.4.2/2",
            "a stream error leaves other streams alone",
            [
                send_all([
                    headers(1, &Block::of(&[(":method", "GET")])).end_stream(),
                    headers(3, &get).end_stream(),
                ]),
                malformed(1),
                response(3),
                alive(),
            ],
        ),
        must(
            "5.5/1",
            "a frame of unknown type on a stream that is closed is ignored",
            [
                send(headers(1, &get).end_stream()),
                response(1),
                send(frame(Kind(0xf0), 0xff, 1, b"whatever")),
                alive(),
            ],
        ),
    ]
}
