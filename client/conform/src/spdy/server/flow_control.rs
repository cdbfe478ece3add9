//! WINDOW_UPDATE and flow control (section 2.6.8).

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let mut rows = streams(dialect);
    rows.extend(updates(dialect));
    rows.extend(session(dialect));
    rows.extend(none(dialect));
    rows
}

fn streams(dialect: &Dialect) -> Vec<Row> {
    let large = syn_stream(1, &dialect.get_large()).fin();
    let session = dialect.version == crate::Version::Spdy31;
    let credit = |bytes: u32| {
        let mut frames = vec![window_update(1, bytes)];
        if session {
            frames.push(window_update(0, bytes));
        }
        Step::Send(frames)
    };
    vec![
        must(
            "2.6.8",
            "a stream's initial window is 65,536 bytes",
            [
                send(large.clone()),
                content(1, 65_536),
                settle(),
                at_most(1, 65_536),
            ],
        )
        .since_3()
        .needs(Need::LargeContent(70_000)),
        must(
            "2.6.8",
            "WINDOW_UPDATE permits as much more content as its delta",
            [
                send(large.clone()),
                content(1, 65_536),
                credit(1),
                content(1, 65_537),
                settle(),
                at_most(1, 65_537),
                credit(1_000),
                content(1, 66_537),
                settle(),
                at_most(1, 66_537),
            ],
        )
        .since_3()
        .needs(Need::LargeContent(70_000)),
        should(
            "2.6.8",
            "a stream that waits for its window does not block another",
            [
                send_all([settings(&[(0, WINDOW, 0)]), large]),
                Step::Expect(Expect::Head(1.into(), 200..=299)),
                send_all([
                    syn_stream(3, &dialect.get()).fin(),
                    window_update(3, 30_000),
                ]),
                content(3, 1),
                at_most(1, 0),
            ],
        )
        .since_3()
        .needs(Need::LargeContent(70_000))
        .needs(Need::Content(1)),
        should(
            "2.6.8",
            "DATA beyond the window of a stream is a stream error FLOW_CONTROL_ERROR",
            [
                send(syn_stream(1, &dialect.post())),
                alive(),
                Step::Overrun(1.into()),
            ],
        )
        .needs(Need::Upload)
        .since_3(),
        must(
            "2.6.8",
            match dialect.is_2() {
                true => "a body of 300,000 bytes is accepted",
                false => "a server releases credit for consumed DATA",
            },
            [
                send(syn_stream(1, &dialect.post())),
                alive(),
                Step::Upload(1.into(), 300_000),
                success(1),
            ],
        )
        .needs(Need::Upload),
    ]
}

fn updates(dialect: &Dialect) -> Vec<Row> {
    let post = syn_stream(1, &dialect.post());
    let get = syn_stream(1, &dialect.get()).fin();
    let rows = vec![
        must(
            "2.6.8",
            // 2^31 in SPDY/3, a byte less in SPDY/3.1: the frame exceeds both.
            "a window that overflows is a stream error FLOW_CONTROL_ERROR",
            [
                send_all([post.clone(), window_update(1, 0x7fff_ffff)]),
                stream_error(1, &[FLOW_CONTROL_ERROR]),
                alive(),
            ],
        )
        .needs(Need::Upload),
        should(
            "2.6.8",
            "a delta of 0 is not legal",
            [send_all([post, window_update(1, 0)]), any_error(1)],
        )
        .needs(Need::Upload),
        should(
            "2.6.8",
            "WINDOW_UPDATE shorter than 8 bytes is a session error",
            [
                send(control(Kind::WINDOW_UPDATE, b"\0\0\0\x01")),
                session_error(),
            ],
        ),
        should(
            "2.6.8",
            "WINDOW_UPDATE longer than 8 bytes is a session error",
            [
                send(control(
                    Kind::WINDOW_UPDATE,
                    b"\0\0\0\x01\0\0\0\x01\0\0\0\0",
                )),
                session_error(),
            ],
        ),
        should(
            "2.6.8",
            "WINDOW_UPDATE on a stream whose response is complete is ignored",
            [
                send(get),
                response(1),
                send(window_update(1, 100)),
                settle(),
                not_reset(1),
            ],
        ),
        should(
            "2.6.8",
            "WINDOW_UPDATE on a stream that was never opened does not end the session",
            [send(window_update(7, 100)), alive()],
        ),
    ];
    rows.into_iter().map(Row::since_3).collect()
}

fn session(dialect: &Dialect) -> Vec<Row> {
    let large = |id: i32| syn_stream(id, &dialect.get_large()).fin();
    let rows = vec![
        must(
            "2.6.8",
            "the session's window holds for all its streams together",
            [
                // WINDOW_UPDATE on stream 0 shows that the client uses the session's
                // window.
                send_all([
                    settings(&[(0, WINDOW, 1 << 20)]),
                    window_update(0, 1),
                    large(1),
                    large(3),
                ]),
                // The monitor checks both windows.
                settle(),
                settle(),
                send(window_update(0, 4_000)),
                settle(),
                alive(),
            ],
        )
        .needs(Need::LargeContent(70_000)),
        must(
            "2.6.8",
            "credit for a stream is none for the session",
            [
                send_all([large(1), window_update(1, 100_000)]),
                content(1, 65_536),
                settle(),
                at_most(1, 65_536),
                send(window_update(0, 500)),
                content(1, 66_036),
                settle(),
                at_most(1, 66_036),
            ],
        )
        .needs(Need::LargeContent(70_000)),
        must(
            "2.6.8",
            "credit for the session is none for a stream",
            [
                send_all([large(1), window_update(0, 100_000)]),
                content(1, 65_536),
                settle(),
                at_most(1, 65_536),
            ],
        )
        .needs(Need::LargeContent(70_000)),
        must(
            "2.6.8",
            "a session's window that overflows ends the session",
            // GOAWAY has no status for it.
            [
                send(window_update(0, 0x7fff_ffff)),
                Step::Expect(Expect::Closed),
            ],
        ),
        should(
            "2.6.8",
            "a delta of 0 for the session is a session error",
            [send(window_update(0, 0)), session_error()],
        ),
        should(
            "2.6.8",
            "DATA of refused or closed streams counts, and its credit is released",
            [
                send_all([syn_stream(1, &dialect.post()), rst_stream(1, CANCEL)]),
                alive(),
                send_all([data_of(1, 16_384), data_of(1, 16_384), data_of(1, 16_384)]),
                settle(),
                send(syn_stream(3, &dialect.post())),
                Step::Upload(3.into(), 60_000),
                success(3),
            ],
        )
        .needs(Need::Upload),
    ];
    rows.into_iter().map(Row::in_31).collect()
}

fn none(dialect: &Dialect) -> Vec<Row> {
    vec![
        must(
            "2.6.8",
            "a large response is sent without WINDOW_UPDATE",
            [send(syn_stream(1, &dialect.get_large()).fin()), success(1)],
        )
        .in_2()
        .needs(Need::LargeContent(70_000)),
        must(
            "2.6.8",
            "WINDOW_UPDATE is an unknown type, whatever its delta",
            [
                send_all([
                    syn_stream(1, &dialect.post()),
                    window_update(1, 0x7fff_ffff),
                    window_update(0, 0),
                    data(1, b"body").fin(),
                ]),
                response(1),
                alive(),
            ],
        )
        .in_2(),
    ]
}
