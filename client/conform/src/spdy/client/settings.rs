//! SETTINGS (section 2.6.4).

use crate::spdy::prelude::*;

pub(super) fn rows(_dialect: &Dialect) -> Vec<Row> {
    let one = (0, STREAMS, 100);
    let limited = |first: &[(u8, SettingId, u32)]| {
        [
            await_request(),
            send(settings(first)),
            settle(),
            Step::AnswerAll,
            settle(),
            no_request_since_mark(),
        ]
    };
    vec![
        should(
            "2.6.4",
            "SETTINGS with no entries and with unknown ids are accepted",
            [
                await_request(),
                send_all([settings(&[]), settings(&[(0, SettingId(99), 1)])]),
                alive(),
                not_reset(REQUEST),
            ],
        ),
        should(
            "2.6.4",
            "SETTINGS with fewer entries than they declare are a session error",
            [
                await_request(),
                send(settings_counting(3, &[one])),
                session_error(),
            ],
        ),
        should(
            "2.6.4",
            "SETTINGS that declare 2^32 - 1 entries are a session error",
            [
                await_request(),
                send(settings_counting(u32::MAX, &[one])),
                session_error(),
            ],
        ),
        // No text obliges a client to obey MAX_CONCURRENT_STREAMS. If it waits, the number of its
        // streams shows the value that it uses.
        should(
            "2.6.4",
            "MAX_CONCURRENT_STREAMS is obeyed",
            limited(&[(0, STREAMS, 0)]),
        ),
        should(
            "2.6.4",
            "of values of the same id, the first counts",
            limited(&[(0, STREAMS, 0), (0, STREAMS, 100)]),
        ),
        should(
            "2.6.4",
            "a value that is to be kept counts at once",
            limited(&[(flags::PERSIST_VALUE, STREAMS, 0)]),
        ),
        should(
            "2.6.4",
            "the latest SETTINGS override earlier ones",
            [
                await_request(),
                send(settings(&[(0, STREAMS, 0)])),
                settle(),
                Step::AnswerAll,
                settle(),
                no_request_since_mark(),
                send(settings(&[(0, STREAMS, 100)])),
                Step::Another,
            ],
        ),
        must(
            "2.6.4",
            "CLEAR_SETTINGS clears the persisted settings alone",
            [
                await_request(),
                send(
                    settings(&[(flags::PERSIST_VALUE, SettingId(1), 7)])
                        .with(flags::CLEAR_SETTINGS),
                ),
                alive(),
                not_reset(REQUEST),
            ],
        ),
        must(
            "2.6.4",
            "SETTINGS of a client have each id once, and none as PERSIST_VALUE",
            [await_request(), alive()],
        )
        .habits("2.6.4"),
    ]
}
