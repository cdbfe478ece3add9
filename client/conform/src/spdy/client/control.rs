//! SYN_REPLY, RST_STREAM, PING, GOAWAY and HEADERS (sections 2.6.2, 2.6.3,
//! 2.6.5 to 2.6.7).

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let mut rows = replies(dialect);
    rows.extend(resets());
    rows.extend(pings());
    rows.extend(goaways(dialect));
    rows.extend(header_frames(dialect));
    rows
}

fn replies(dialect: &Dialect) -> Vec<Row> {
    let ok = dialect.reply("200");
    let twice = |code| {
        [
            await_request(),
            send_all([syn_reply(REQUEST, &ok), syn_reply(REQUEST, &ok)]),
            stream_error(REQUEST, &[code]),
            alive(),
        ]
    };
    vec![
        must(
            "2.6.2",
            "a second SYN_REPLY is a stream error STREAM_IN_USE",
            twice(STREAM_IN_USE),
        )
        .since_3(),
        must(
            "2.6.2",
            "a second SYN_REPLY is a stream error PROTOCOL_ERROR",
            twice(PROTOCOL_ERROR),
        )
        .in_2(),
        should(
            "2.6.2",
            "SYN_REPLY on a stream that was never opened is a stream error INVALID_STREAM",
            [
                await_request(),
                send(syn_reply(1001, &ok)),
                stream_error(1001, &[INVALID_STREAM]),
                alive(),
            ],
        ),
        should(
            "2.6.2",
            "SYN_REPLY too short for its stream is a session error",
            [
                await_request(),
                send(control(Kind::SYN_REPLY, b"\0\0\0")),
                session_error(),
            ],
        ),
    ]
}

fn resets() -> Vec<Row> {
    vec![
        must(
            "2.6.3",
            "RST_STREAM ends a request, and is not answered by RST_STREAM",
            [
                await_request(),
                send(rst_stream(REQUEST, ErrorCode::INTERNAL_ERROR)),
                settle(),
                not_reset(REQUEST),
            ],
        ),
        should(
            "2.6.3",
            "RST_STREAM of another length is a session error",
            [
                await_request(),
                send(control(Kind::RST_STREAM, b"\0\0\0\x01\0\0")),
                session_error(),
            ],
        ),
        // A client may retry, and may do so elsewhere.
        should(
            "2.6.3",
            "after REFUSED_STREAM the client continues on the same session",
            [
                await_request(),
                Step::Mark,
                send(rst_stream(REQUEST, REFUSED_STREAM)),
                Step::Another,
                alive(),
            ],
        ),
        must(
            "2.6.3",
            "nothing is sent on a stream after its RST_STREAM",
            [
                await_request(),
                Step::Body,
                send(rst_stream(REQUEST, CANCEL)),
                settle(),
                not_reset(REQUEST),
                send(settings(&[(0, WINDOW, 200_000)])),
                settle(),
                at_most(REQUEST, 65_536),
            ],
        )
        .since_3()
        .needs(Need::RequestBody),
    ]
}

fn pings() -> Vec<Row> {
    vec![
        should(
            "2.6.5",
            "PING is answered",
            [send(ping(2)), Step::Expect(Expect::PingAnswer(2))],
        ),
        should(
            "2.6.5",
            "each of several PINGs is answered",
            [
                send_all([2, 4, 6].map(ping)),
                Step::Expect(Expect::PingAnswer(2)),
                Step::Expect(Expect::PingAnswer(4)),
                Step::Expect(Expect::PingAnswer(6)),
            ],
        ),
        must(
            "2.6.5",
            "PING with an odd id, which the client did not send, is ignored",
            [
                await_request(),
                send(ping(2_000_001)),
                settle(),
                Step::Holds(Expect::NoPingAnswer(2_000_001)),
            ],
        ),
        should(
            "2.6.5",
            "PING longer than 4 bytes is a session error",
            [send(control(Kind::PING, b"\0\0\0\x02\0")), session_error()],
        ),
    ]
}

fn goaways(dialect: &Dialect) -> Vec<Row> {
    let ok = dialect.reply("200");
    vec![
        must(
            "2.6.6",
            "after GOAWAY no stream is opened",
            [
                await_request(),
                send(go_away(REQUEST.plus(100), OK)),
                // The client has processed it.
                alive(),
                Step::Mark,
                send(syn_reply(REQUEST, &ok).fin()),
                settle(),
                no_request_since_mark(),
            ],
        ),
        should(
            "2.6.6",
            "a request up to the last good stream continues",
            [
                await_request(),
                settle(),
                send(go_away(REQUEST.plus(100), OK)),
                settle(),
                send(syn_reply(REQUEST, &ok)),
                settle(),
                not_reset(REQUEST),
            ],
        ),
        should(
            "2.6.6",
            "GOAWAY of another length is a session error",
            [
                await_request(),
                send(control(Kind::GOAWAY, b"\0\0\0")),
                session_error(),
            ],
        ),
    ]
}

fn header_frames(dialect: &Dialect) -> Vec<Row> {
    let ok = dialect.reply("200");
    let more = Block::new([("x-more", "1")]);
    vec![
        should(
            "2.6.7",
            "HEADERS on a stream that was never opened are refused",
            [await_request(), send(headers(1001, &more)), any_error(1001)],
        ),
        must(
            "2.6.7",
            "HEADERS may follow SYN_REPLY",
            [
                await_request(),
                send_all([
                    syn_reply(REQUEST, &ok),
                    headers(REQUEST, &more),
                    data(REQUEST, b"hello").fin(),
                ]),
                alive(),
                not_reset(REQUEST),
            ],
        ),
    ]
}
