//! Streams: creation, priority, half-close and close (section 2.3).
//!
//! SPDY/2 requires a peer to ignore DATA on a closed stream, and to answer
//! INVALID_STREAM on an unknown one. A peer that forgets closed streams cannot
//! distinguish them.

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let mut rows = creation(dialect);
    rows.extend(life(dialect));
    rows.extend(close(dialect));
    rows
}

fn creation(dialect: &Dialect) -> Vec<Row> {
    let get = dialect.get();
    let mut rows = vec![
        should(
            "2.3.2",
            "a client's stream has an odd id",
            [send(syn_stream(2, &get).fin()), any_error(2)],
        ),
        should(
            "2.3.2",
            "0 is not a valid stream id",
            [send(syn_stream(0, &get).fin()), any_error(0)],
        ),
        must(
            "2.3.2",
            "a lower stream id than before is a session error",
            [
                send_all([syn_stream(9, &get).fin(), syn_stream(7, &get).fin()]),
                session_error(),
            ],
        )
        .since_3(),
        should(
            "2.3.2",
            "a lower stream id than before is refused",
            [
                send_all([syn_stream(9, &get).fin(), syn_stream(7, &get).fin()]),
                any_error(7),
            ],
        )
        .in_2(),
        must(
            "2.3.2",
            "a second SYN_STREAM on an open stream is a stream error PROTOCOL_ERROR",
            [
                send_all([syn_stream(1, &dialect.post()), syn_stream(1, &get)]),
                stream_error(1, &[PROTOCOL_ERROR]),
                alive(),
            ],
        )
        .needs(Need::Upload),
        must(
            "2.3.2",
            "a stream id is not used again",
            [
                send(syn_stream(1, &get).fin()),
                response(1),
                send(syn_stream(1, &get).fin()),
                any_error(1),
            ],
        )
        .binding_since_3(dialect.version),
        must(
            "2.3.2",
            "stream ids may be left out",
            [
                send_all([1, 7, 1001].map(|id| syn_stream(id, &get).fin())),
                response(1),
                response(7),
                response(1001),
            ],
        ),
        must(
            "2.3.2",
            "the highest stream id is valid",
            [
                send(syn_stream(0x7fff_ffff, &get).fin()),
                response(0x7fff_ffff),
            ],
        ),
        must(
            "2.3.2",
            "DATA need not wait for SYN_REPLY",
            [
                send_all([syn_stream(1, &dialect.post()), data(1, b"body").fin()]),
                success(1),
            ],
        )
        .needs(Need::Upload),
        should(
            "2.3.2",
            "a server answers 32 streams at once",
            std::iter::once(send_all(
                (0..32).map(|nth| syn_stream(2 * nth + 1, &get).fin()),
            ))
            .chain((0..32).map(|nth| response(2 * nth + 1))),
        ),
        must(
            "2.3.2.1",
            "nothing is sent on a unidirectional stream",
            [
                send(syn_stream(1, &get).fin().with(flags::UNIDIRECTIONAL)),
                settle(),
                Step::Holds(Expect::Silent(1.into())),
            ],
        ),
        must(
            "2.3.2.1",
            "a unidirectional stream leaves others alone",
            [
                send_all([
                    syn_stream(1, &get).fin().with(flags::UNIDIRECTIONAL),
                    syn_stream(3, &get).fin(),
                ]),
                response(3),
                alive(),
            ],
        ),
    ];
    let lowest: u8 = if dialect.is_2() { 3 } else { 7 };
    rows.push(must(
        "2.3.3",
        "streams of every priority are answered",
        (0..=lowest)
            .map(|nth| send(syn_stream(2 * u32::from(nth) + 1, &get).fin().priority(nth)))
            .chain((0..=lowest).map(|nth| response(2 * u32::from(nth) + 1))),
    ));
    rows
}

fn life(dialect: &Dialect) -> Vec<Row> {
    let more = Block::new([("x-more", "1")]);
    vec![
        must(
            "2.3.4",
            "HEADERS may come between DATA frames",
            [
                send_all([
                    syn_stream(1, &dialect.post()),
                    data(1, b"a"),
                    headers(1, &more),
                    data(1, b"b").fin(),
                ]),
                success(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "2.3.5",
            "HEADERS with FLAG_FIN end a stream",
            [
                send_all([
                    syn_stream(1, &dialect.post()),
                    data(1, b"body"),
                    headers(1, &more).fin(),
                ]),
                success(1),
            ],
        )
        .binding_since_3(dialect.version)
        .needs(Need::Upload),
        must(
            "2.3.5",
            "SYN_STREAM with FLAG_FIN ends the client's half",
            [
                send(syn_stream(1, &dialect.get()).fin()),
                response(1),
                alive(),
            ],
        ),
    ]
}

fn close(dialect: &Dialect) -> Vec<Row> {
    let get = dialect.get();
    vec![
        must(
            "2.3.6",
            "DATA after FLAG_FIN is a stream error",
            [
                send_all([syn_stream(1, &get).fin(), data(1, b"late")]),
                // After a whole response the stream may be closed (section 2.3.7)
                // or unknown (2.2.2).
                stream_error(1, &[STREAM_ALREADY_CLOSED, PROTOCOL_ERROR, INVALID_STREAM]),
                alive(),
            ],
        )
        .since_3(),
        should(
            "2.3.6",
            "DATA after FLAG_FIN is ignored",
            [
                send_all([syn_stream(1, &get).fin(), data(1, b"late")]),
                response(1),
                settle(),
                not_reset(1),
            ],
        )
        .in_2(),
        should(
            "2.3.6",
            "HEADERS after FLAG_FIN do no harm to other streams",
            [
                send_all([
                    syn_stream(1, &get).fin(),
                    headers(1, &Block::new([("x-late", "1")])),
                    syn_stream(3, &get).fin(),
                ]),
                response(3),
                alive(),
            ],
        ),
        // The text contradicts itself: RST_STREAM by section 2.3.7, no frame by section 2.6.3.
        should(
            "2.3.7",
            "DATA after RST_STREAM is a stream error",
            [
                send_all([
                    syn_stream(1, &dialect.post()),
                    rst_stream(1, CANCEL),
                    data(1, b"late"),
                ]),
                stream_error(1, &[PROTOCOL_ERROR, INVALID_STREAM, STREAM_ALREADY_CLOSED]),
                alive(),
            ],
        )
        .needs(Need::Upload)
        .since_3(),
        should(
            "2.3.7",
            "DATA after RST_STREAM is ignored",
            [
                send_all([
                    syn_stream(1, &dialect.post()),
                    rst_stream(1, CANCEL),
                    data(1, b"late"),
                ]),
                settle(),
                not_reset(1),
            ],
        )
        .needs(Need::Upload)
        .in_2(),
        must(
            "2.3.7",
            "DATA on a stream that both sides ended is a stream error",
            [
                send(syn_stream(1, &get).fin()),
                response(1),
                settle(),
                send(data(1, b"late")),
                stream_error(1, &[PROTOCOL_ERROR, INVALID_STREAM, STREAM_ALREADY_CLOSED]),
                alive(),
            ],
        )
        .since_3(),
        should(
            "2.3.7",
            "DATA on a stream that both sides ended is ignored",
            [
                send(syn_stream(1, &get).fin()),
                response(1),
                settle(),
                send(data(1, b"late")),
                settle(),
                not_reset(1),
            ],
        )
        .in_2(),
    ]
}
