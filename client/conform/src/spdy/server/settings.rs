//! SETTINGS (section 2.6.4).

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let mut rows = layouts(dialect);
    rows.extend(meaning(dialect));
    rows.extend(windows(dialect));
    rows.push(
        must(
            "2.6.4",
            "SETTINGS of a server have each id once, and none as PERSISTED",
            [
                send(syn_stream(1, &dialect.get()).fin()),
                response(1),
                alive(),
            ],
        )
        .habits("2.6.4"),
    );
    rows
}

fn layouts(dialect: &Dialect) -> Vec<Row> {
    let one = (0, STREAMS, 10);
    vec![
        must(
            "2.6.4",
            "SETTINGS with no entries are valid",
            [send(settings(&[])), alive()],
        ),
        should(
            "2.6.4",
            "SETTINGS with fewer entries than they declare are a session error",
            [send(settings_counting(3, &[one])), session_error()],
        ),
        should(
            "2.6.4",
            "SETTINGS that declare 2^32 - 1 entries are a session error",
            [send(settings_counting(u32::MAX, &[one])), session_error()],
        ),
        should(
            "2.6.4",
            "SETTINGS whose declared entries overflow to their true length are a session error",
            [
                send(settings_counting(0x2000_0001, &[one])),
                session_error(),
            ],
        ),
        should(
            "2.6.4",
            "SETTINGS with more entries than they declare are a session error",
            [send(settings_counting(0, &[one])), session_error()],
        ),
        should(
            "2.6.4",
            "SETTINGS too short for their count are a session error",
            [send(control(Kind::SETTINGS, b"\0\0")), session_error()],
        ),
        must(
            "2.6.4",
            "SETTINGS may come at any time, and often",
            [
                send_all([
                    settings(&[one]),
                    syn_stream(1, &dialect.post()),
                    settings(&[one]),
                    data(1, b"body"),
                    settings(&[(0, STREAMS, 100)]),
                    data(1, b"").fin(),
                ]),
                response(1),
            ],
        ),
    ]
}

fn meaning(dialect: &Dialect) -> Vec<Row> {
    // The eighth, of SPDY/3 alone, is for clients.
    let ids = 1..=7;
    let get = syn_stream(1, &dialect.get()).fin();
    vec![
        should(
            "2.6.4",
            "unknown ids are ignored",
            [
                send_all([
                    settings(&[(0, SettingId(99), 1), (0, SettingId(0xff_ffff), 2)]),
                    get.clone(),
                ]),
                response(1),
                alive(),
            ],
        ),
        must(
            "2.6.4",
            "every id that a client may send is accepted",
            [
                send_all([
                    settings(
                        &ids.map(|id| (0, SettingId(id), 100_000))
                            .collect::<Vec<_>>(),
                    ),
                    get.clone(),
                ]),
                response(1),
            ],
        ),
        must(
            "2.6.4",
            "PERSIST_VALUE from a client is ignored",
            [
                send_all([
                    settings(&[(flags::PERSIST_VALUE, STREAMS, 10)]),
                    get.clone(),
                ]),
                response(1),
                alive(),
            ],
        ),
        must(
            "2.6.4",
            "values that a client returns as PERSISTED are accepted",
            [
                send_all([settings(&[(flags::PERSISTED, STREAMS, 10)]), get.clone()]),
                response(1),
                alive(),
            ],
        ),
        must(
            "2.6.4",
            "CLEAR_SETTINGS from a client is ignored",
            [
                send_all([settings(&[]).with(flags::CLEAR_SETTINGS), get]),
                response(1),
                alive(),
            ],
        ),
        must(
            "2.6.4",
            "INITIAL_WINDOW_SIZE means nothing where there is no flow control",
            [
                send_all([
                    settings(&[(0, WINDOW, 0)]),
                    syn_stream(1, &dialect.get()).fin(),
                ]),
                response(1),
            ],
        )
        .in_2()
        .needs(Need::Content(1)),
    ]
}

fn windows(dialect: &Dialect) -> Vec<Row> {
    let large = syn_stream(1, &dialect.get_large()).fin();
    // Opens the session's window, so that only the stream's counts.
    let room = || {
        let more = if dialect.version == crate::Version::Spdy31 {
            vec![window_update(0, 1 << 20)]
        } else {
            Vec::new()
        };
        Step::Send(more)
    };
    let rows = vec![
        must(
            "2.6.4",
            "INITIAL_WINDOW_SIZE holds for later streams",
            [
                room(),
                send_all([settings(&[(0, WINDOW, 10)]), large.clone()]),
                content(1, 10),
                settle(),
                at_most(1, 10),
            ],
        ),
        must(
            "2.6.4",
            "of values of the same id, the first counts",
            [
                room(),
                send_all([
                    settings(&[(0, WINDOW, 10), (0, WINDOW, 5_000)]),
                    large.clone(),
                ]),
                content(1, 10),
                settle(),
                at_most(1, 10),
            ],
        ),
        must(
            "2.6.4",
            "the latest SETTINGS override earlier ones",
            [
                room(),
                send_all([
                    settings(&[(0, WINDOW, 5_000)]),
                    settings(&[(0, WINDOW, 10)]),
                    large.clone(),
                ]),
                content(1, 10),
                settle(),
                at_most(1, 10),
            ],
        ),
        must(
            "2.6.4",
            "the value is in force with any flags of its entry",
            [
                room(),
                send_all([
                    settings(&[(flags::PERSIST_VALUE, WINDOW, 10)]),
                    large.clone(),
                ]),
                content(1, 10),
                settle(),
                at_most(1, 10),
            ],
        ),
        must(
            "2.6.4",
            "INITIAL_WINDOW_SIZE opens the windows of streams that are open",
            [
                room(),
                send_all([settings(&[(0, WINDOW, 0)]), large.clone()]),
                Step::Expect(Expect::Head(1.into(), 200..=299)),
                settle(),
                at_most(1, 0),
                send(settings(&[(0, WINDOW, 1_000)])),
                content(1, 1_000),
                settle(),
                at_most(1, 1_000),
            ],
        )
        .binding_in_31(dialect.version),
        must(
            "2.6.4",
            "INITIAL_WINDOW_SIZE may take a window below zero",
            [
                room(),
                send(large.clone()),
                content(1, 65_536),
                // Now at 0; then 65,526 below it.
                send_all([settings(&[(0, WINDOW, 10)]), window_update(1, 65_526)]),
                settle(),
                at_most(1, 65_536),
                send(window_update(1, 7)),
                content(1, 65_543),
                settle(),
                at_most(1, 65_543),
            ],
        ),
        should(
            "2.6.4",
            "INITIAL_WINDOW_SIZE above 2^31 - 1 does no harm",
            [
                send(settings(&[(0, WINDOW, 0xffff_ffff)])),
                send(syn_stream(1, &dialect.get()).fin()),
                any([
                    Expect::Response(1.into(), 200..=599),
                    Expect::Reset(1.into()),
                    Expect::SESSION_ERROR,
                ]),
            ],
        ),
    ];
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|row| row.since_3().needs(Need::LargeContent(70_000)))
        .collect();
    rows.push(
        must(
            "2.6.4",
            "INITIAL_WINDOW_SIZE never changes the session's window",
            [
                // WINDOW_UPDATE on stream 0 shows that the client uses the session's
                // window.
                send_all([
                    settings(&[(0, WINDOW, 1 << 20)]),
                    window_update(0, 1),
                    large,
                ]),
                content(1, 65_537),
                settle(),
                at_most(1, 65_537),
            ],
        )
        .in_31()
        .needs(Need::LargeContent(70_000)),
    );
    rows
}
