//! Requests and responses (section 3.2).

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let ok = dialect.reply("200");
    let without = |name: &str| {
        let name = dialect.name(name);
        must(
            "3.2.2",
            format!("a reply without {name} is a stream error PROTOCOL_ERROR"),
            [
                await_request(),
                send(syn_reply(REQUEST, &dialect.reply("200").without(&name)).fin()),
                stream_error(REQUEST, &[PROTOCOL_ERROR]),
                alive(),
            ],
        )
    };
    let taken = |frames: Vec<_>| {
        [
            await_request(),
            Step::Send(frames),
            alive(),
            not_reset(REQUEST),
        ]
    };
    vec![
        without("status"),
        without("version"),
        must(
            "3.2.2",
            "a status may have words behind its number",
            taken(vec![syn_reply(REQUEST, &dialect.reply("200 OK")).fin()]),
        ),
        must(
            "3.2.2",
            "content-length larger than the body is ignored",
            taken(vec![
                syn_reply(REQUEST, &ok.clone().and("content-length", "100")),
                data(REQUEST, b"hello").fin(),
            ]),
        )
        .since_3(),
        must(
            "3.2.2",
            "content-length smaller than the body is ignored",
            taken(vec![
                syn_reply(REQUEST, &ok.clone().and("content-length", "2")),
                data(REQUEST, b"hello").fin(),
            ]),
        )
        .since_3(),
        must(
            "3.2.2",
            "a response may be complete before its request",
            [
                await_request(),
                Step::Body,
                send(syn_reply(REQUEST, &ok).fin()),
                alive(),
            ],
        )
        .needs(Need::RequestBody),
        must(
            "3.2.1",
            "a request has no connection-specific header field",
            [await_request()],
        )
        .habits("3.2"),
    ]
}
