//! Server push (sections 3.3 and 3.3.2).

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let pushed = dialect.pushed("localhost");
    let even = 1000;
    let url = match dialect.is_2() {
        true => "url",
        false => ":path",
    };
    vec![
        must(
            "3.3.2",
            "a push with no associated stream is a session error",
            [
                await_request(),
                send(push(even, 0, &pushed)),
                session_error(),
            ],
        )
        .since_3(),
        must(
            "3.3.2",
            "a push with no associated stream is a stream error INVALID_STREAM",
            [
                await_request(),
                send(push(even, 0, &pushed)),
                stream_error(even, &[INVALID_STREAM]),
                alive(),
            ],
        )
        .in_2(),
        must(
            "3.3.2",
            format!("a push without {url} is a stream error"),
            [
                await_request(),
                send(push(even, REQUEST, &pushed.clone().without(url))),
                // A client that refuses all pushes need not check it.
                stream_error(even, &[PROTOCOL_ERROR, REFUSED_STREAM, CANCEL]),
                alive(),
            ],
        ),
        must(
            "3.3",
            "a push for another origin is refused",
            [
                await_request(),
                send(push(even, REQUEST, &dialect.pushed("elsewhere.example"))),
                any_error(even),
            ],
        )
        .binding_since_3(dialect.version),
        should(
            "3.3",
            "a push on a stream that was never opened is refused",
            [
                await_request(),
                send(push(even, 1001, &pushed)),
                any_error(even),
            ],
        ),
        must(
            "3.3",
            "a push leaves its request alone",
            [
                await_request(),
                send_all([
                    push(even, REQUEST, &pushed),
                    data(even, b"pushed").fin(),
                    syn_reply(REQUEST, &dialect.reply("200")).fin(),
                ]),
                alive(),
                not_reset(REQUEST),
            ],
        ),
        should(
            "3.3.2",
            "a pushed stream with a lower id than before is refused",
            [
                await_request(),
                send_all([
                    push(even, REQUEST, &pushed),
                    push(even - 2, REQUEST, &pushed),
                ]),
                any_error(even - 2),
            ],
        ),
    ]
}
