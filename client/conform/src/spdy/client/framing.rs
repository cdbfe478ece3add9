//! Frames, streams and errors (sections 2.2 to 2.4).

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let ok = dialect.reply("200");
    let after_fin = |codes: &[ErrorCode]| {
        [
            await_request(),
            send_all([syn_reply(REQUEST, &ok).fin(), data(REQUEST, b"late")]),
            stream_error(REQUEST, codes),
            alive(),
        ]
    };
    vec![
        must(
            "2.2.1",
            "control frames of unknown types are ignored",
            [
                await_request(),
                send_all([control(Kind(0xff), b"abcd"), control(Kind(0), b"")]),
                alive(),
                not_reset(REQUEST),
            ],
        )
        .binding_in_2(dialect.version),
        must(
            "2.2.1",
            "control frames of another version are ignored",
            [
                await_request(),
                send_all([ping(78).version(9), settings(&[]).version(1)]),
                settle(),
                Step::Holds(Expect::NoPingAnswer(78)),
            ],
        )
        .in_2(),
        must(
            "2.2.1",
            "SYN_REPLY of about 8192 bytes is accepted",
            [
                await_request(),
                send(syn_reply(REQUEST, &ok.clone().and("x-fill", vec![b'x'; 7_800])).fin()),
                alive(),
                not_reset(REQUEST),
            ],
        )
        .binding_since_3(dialect.version),
        must(
            "2.2.1",
            "NOOP is ignored, as what it is or as an unknown type",
            [await_request(), send(control(Kind::NOOP, b"")), alive()],
        )
        .binding_in_2(dialect.version),
        must(
            "2.2.2",
            "DATA on a stream that was never opened is a stream error INVALID_STREAM",
            [
                await_request(),
                send(data(1001, b"x")),
                stream_error(1001, &[INVALID_STREAM]),
                alive(),
            ],
        ),
        must(
            "2.2.2",
            "DATA before SYN_REPLY is a stream error PROTOCOL_ERROR",
            [
                await_request(),
                send(data(REQUEST, b"x")),
                stream_error(REQUEST, &[PROTOCOL_ERROR]),
                alive(),
            ],
        )
        .since_3(),
        must(
            "2.2.2",
            "DATA before SYN_REPLY is a session error",
            [await_request(), send(data(REQUEST, b"x")), session_error()],
        )
        .in_2(),
        must(
            "2.2.2",
            "DATA frames without content are valid",
            [
                await_request(),
                send_all([
                    syn_reply(REQUEST, &ok),
                    data(REQUEST, b""),
                    data(REQUEST, b"a"),
                    data(REQUEST, b"").fin(),
                ]),
                alive(),
                not_reset(REQUEST),
            ],
        ),
        must(
            "2.3.2",
            "requests after an answer have higher odd ids",
            [
                await_request(),
                Step::AnswerAll,
                Step::Another,
                Step::AnswerAll,
                Step::Another,
                alive(),
            ],
        ),
        should(
            "2.3.2",
            "a server's stream has an even id",
            [
                await_request(),
                send(push(1001, REQUEST, &dialect.pushed("localhost"))),
                any_error(1001),
            ],
        ),
        must(
            "2.3.5",
            "HEADERS with FLAG_FIN end a response",
            [
                await_request(),
                send_all([
                    syn_reply(REQUEST, &ok),
                    data(REQUEST, b"hello"),
                    headers(REQUEST, &Block::new([("x-more", "1")])).fin(),
                ]),
                alive(),
                not_reset(REQUEST),
            ],
        )
        .binding_since_3(dialect.version),
        must(
            "2.3.6",
            "DATA after FLAG_FIN is a stream error",
            after_fin(&[STREAM_ALREADY_CLOSED, PROTOCOL_ERROR, INVALID_STREAM]),
        )
        .since_3(),
        should(
            "2.3.6",
            "DATA after FLAG_FIN is ignored",
            [
                await_request(),
                send_all([syn_reply(REQUEST, &ok).fin(), data(REQUEST, b"late")]),
                settle(),
                not_reset(REQUEST),
            ],
        )
        .in_2(),
        must(
            "2.4.1",
            "a block that does not inflate is a session error",
            [
                await_request(),
                send(syn_reply(REQUEST, &Block::on_wire(&[0xff; 32]))),
                session_error(),
            ],
        )
        .binding_since_3(dialect.version),
        should(
            "2.4.1",
            "the block of a reply that is refused is inflated",
            [
                await_request(),
                send_all([
                    syn_reply(1001, &ok.clone().and("x-lost", "0123456789abcdef")),
                    syn_reply(REQUEST, &ok.clone().and("x-lost", "0123456789abcdef")).fin(),
                ]),
                stream_error(1001, &[INVALID_STREAM]),
                alive(),
                not_reset(REQUEST),
            ],
        )
        .compressed(Compression::Zlib(9)),
        must(
            "2.4.2",
            "a stream error leaves the session alone",
            [
                await_request(),
                Step::Mark,
                // An empty name is a stream error (section 2.6.10).
                send(syn_reply(REQUEST, &ok.clone().and("", "x")).fin()),
                Step::Another,
                alive(),
            ],
        ),
        must(
            "2.4.2",
            "RST_STREAM on a stream that was never opened is not answered by RST_STREAM",
            [
                await_request(),
                send_all([rst_stream(1001, CANCEL), ping(2)]),
                // A session error is right as well.
                any([Expect::PingAnswer(2), Expect::SESSION_ERROR]),
                Step::Holds(Expect::NoReset(1001.into())),
            ],
        ),
    ]
}
