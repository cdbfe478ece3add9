//! WINDOW_UPDATE and flow control (section 2.6.8).

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let ok = dialect.reply("200");
    let is_31 = dialect.version == crate::Version::Spdy31;
    let upload = |steps: Vec<Step>| {
        [await_request(), settle(), Step::Body]
            .into_iter()
            .chain(steps)
            .collect::<Vec<Step>>()
    };
    let credit = |bytes: u32| {
        let mut frames = vec![window_update(REQUEST, bytes)];
        if is_31 {
            frames.push(window_update(0, bytes));
        }
        Step::Send(frames)
    };
    vec![
        must(
            "2.6.8",
            "a stream's initial window is 65,536 bytes",
            upload(vec![
                content(REQUEST, 65_536),
                settle(),
                at_most(REQUEST, 65_536),
            ]),
        )
        .since_3()
        .needs(Need::RequestBody),
        must(
            "2.6.8",
            "WINDOW_UPDATE permits as much more of a body as its delta",
            upload(vec![
                content(REQUEST, 65_536),
                credit(1_000),
                content(REQUEST, 66_536),
                settle(),
                at_most(REQUEST, 66_536),
            ]),
        )
        .since_3()
        .needs(Need::RequestBody),
        should(
            "2.6.8",
            "INITIAL_WINDOW_SIZE opens the windows of streams that are open",
            upload(vec![
                content(REQUEST, 65_536),
                send(settings(&[(0, WINDOW, 70_000)])),
                content(REQUEST, 70_000),
                settle(),
                at_most(REQUEST, 70_000),
            ]),
        )
        .in_3()
        .needs(Need::RequestBody),
        must(
            "2.6.8",
            "INITIAL_WINDOW_SIZE never changes the session's window",
            upload(vec![
                content(REQUEST, 65_536),
                send(settings(&[(0, WINDOW, 100_000)])),
                settle(),
                at_most(REQUEST, 65_536),
                send(window_update(0, 1_000)),
                content(REQUEST, 66_536),
                settle(),
                at_most(REQUEST, 66_536),
            ]),
        )
        .in_31()
        .needs(Need::RequestBody),
        must(
            "2.6.8",
            "INITIAL_WINDOW_SIZE may take a window below zero",
            upload(vec![
                content(REQUEST, 65_536),
                send(settings(&[(0, WINDOW, 10)])),
                credit(65_526),
                settle(),
                at_most(REQUEST, 65_536),
                credit(7),
                content(REQUEST, 65_543),
                settle(),
                at_most(REQUEST, 65_543),
            ]),
        )
        .since_3()
        .needs(Need::RequestBody),
        must(
            "2.6.8",
            "a body is sent without WINDOW_UPDATE",
            upload(vec![Step::Expect(Expect::Ended(REQUEST))]),
        )
        .in_2()
        .needs(Need::RequestBody),
        must(
            "2.6.8",
            "a window that overflows is a stream error FLOW_CONTROL_ERROR",
            upload(vec![
                send(window_update(REQUEST, 0x7fff_ffff)),
                send(window_update(REQUEST, 0x7fff_ffff)),
                stream_error(REQUEST, &[FLOW_CONTROL_ERROR]),
                alive(),
            ]),
        )
        .since_3()
        .needs(Need::RequestBody),
        must(
            "2.6.8",
            "a session's window that overflows ends the session",
            // GOAWAY has no status for it.
            [
                await_request(),
                send_all([window_update(0, 0x7fff_ffff), window_update(0, 0x7fff_ffff)]),
                Step::Expect(Expect::Closed),
            ],
        )
        .in_31(),
        must(
            "2.6.8",
            "WINDOW_UPDATE is an unknown type",
            [
                await_request(),
                send(window_update(REQUEST, 0)),
                alive(),
                not_reset(REQUEST),
            ],
        )
        .in_2(),
        should(
            "2.6.8",
            "WINDOW_UPDATE of another length is a session error",
            [
                await_request(),
                send(control(Kind::WINDOW_UPDATE, b"\0\0\0\x01")),
                session_error(),
            ],
        )
        .since_3(),
        must(
            "2.6.8",
            match dialect.is_2() {
                true => "a response of 400,000 bytes is accepted",
                false => "a client releases credit for consumed DATA",
            },
            [
                await_request(),
                send(syn_reply(REQUEST, &ok)),
                Step::Upload(REQUEST, 400_000),
                alive(),
                not_reset(REQUEST),
            ],
        ),
    ]
}
