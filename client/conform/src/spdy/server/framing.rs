//! Frames (sections 2.2.1, 2.2.2) and errors (2.4).
//!
//! A server may detect the version from the first frame. Where the tested frame
//! does not show the version, SETTINGS precede it.

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let mut rows = control_frames(dialect);
    rows.extend(data_frames(dialect));
    rows.extend(errors(dialect));
    rows
}

fn control_frames(dialect: &Dialect) -> Vec<Row> {
    let get = syn_stream(1, &dialect.get()).fin();
    vec![
        must(
            "2.2.1",
            "a control frame of an unknown type is ignored",
            [
                send_all([control(Kind(0xff), b"abcd"), get.clone()]),
                response(1),
                alive(),
            ],
        )
        .binding_in_2(dialect.version),
        must(
            "2.2.1",
            "an empty control frame of an unknown type is ignored",
            [
                send_all([control(Kind(0), b""), control(Kind(0x7fff), b"")]),
                alive(),
            ],
        )
        .binding_in_2(dialect.version),
        must(
            "2.2.1",
            "a control frame of 8192 bytes is accepted, of any type",
            [send(control(Kind(0x100), &[0; 8192])), alive()],
        )
        .binding_in_2(dialect.version),
        must(
            "2.2.1",
            "SYN_STREAM of about 8192 bytes is accepted",
            [
                send(syn_stream(1, &dialect.get().and("x-fill", vec![b'x'; 7_800])).fin()),
                response(1),
            ],
        )
        .binding_since_3(dialect.version),
        must(
            "2.2.1",
            "SYN_STREAM of another version is refused with UNSUPPORTED_VERSION",
            [
                send_all([
                    settings(&[]),
                    syn_stream(1, &dialect.get()).fin().version(1),
                ]),
                any([
                    Expect::StreamError(1.into(), vec![UNSUPPORTED_VERSION]),
                    Expect::SESSION_ERROR,
                ]),
            ],
        )
        .binding_in_2(dialect.version),
        must(
            "2.2.1",
            "control frames of another version, SYN_STREAM aside, are ignored",
            [
                send_all([settings(&[]), ping(77).version(9), settings(&[]).version(1)]),
                settle(),
                Step::Holds(Expect::NoPingAnswer(77)),
            ],
        )
        .in_2(),
        should(
            "2.2.1",
            "reserved bits of SYN_STREAM are ignored",
            [send(get.reserved_bits()), response(1)],
        ),
        must(
            "2.2.1",
            "NOOP is ignored",
            [
                send_all([control(Kind::NOOP, b""), control(Kind::NOOP, b"")]),
                alive(),
            ],
        )
        .in_2(),
        should(
            "2.2.1",
            "type 5, SPDY/2's NOOP, is an unknown type",
            [send(control(Kind::NOOP, b"")), alive()],
        )
        .since_3(),
    ]
}

fn data_frames(dialect: &Dialect) -> Vec<Row> {
    let post = syn_stream(1, &dialect.post());
    vec![
        must(
            "2.2.2",
            "DATA on a stream that was never opened is a stream error INVALID_STREAM",
            [
                send_all([settings(&[]), data(5, b"x")]),
                stream_error(5, &[INVALID_STREAM]),
                alive(),
            ],
        ),
        must(
            "2.2.2",
            "DATA on a stream of the server's that was never opened is a stream error INVALID_STREAM",
            [
                send_all([settings(&[]), data(2, b"x")]),
                stream_error(2, &[INVALID_STREAM]),
                alive(),
            ],
        ),
        should(
            "2.2.2",
            "DATA on stream 0 is refused",
            [send_all([settings(&[]), data(0, b"x")]), any_error(0)],
        ),
        must(
            "2.2.2",
            "a DATA frame without content may end a stream",
            [send_all([post.clone(), data(1, b"").fin()]), response(1)],
        ),
        must(
            "2.2.2",
            "DATA frames without content are valid in the middle of a body",
            [
                send_all([
                    post.clone(),
                    data(1, b""),
                    data(1, b"a"),
                    data(1, b""),
                    data(1, b"b").fin(),
                ]),
                success(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "2.2.2",
            "a body may come in many frames",
            std::iter::once(send(post.clone()))
                .chain((0..200).map(|_| send(data(1, b"x"))))
                .chain([send(data(1, b"").fin()), success(1)]),
        )
        .needs(Need::Upload),
        // FRAME_TOO_LARGE exists for all frames, and only control frames have a least size.
        should(
            "2.2.2",
            "one DATA frame of 32 KiB is accepted",
            [send_all([post, data_of(1, 32_768).fin()]), success(1)],
        )
        .needs(Need::Upload),
    ]
}

fn errors(dialect: &Dialect) -> Vec<Row> {
    let get = dialect.get();
    let garbage = Block::on_wire(&[0xff; 32]);
    vec![
        must(
            "2.4.1",
            "a block that does not inflate is a session error",
            [send(syn_stream(1, &garbage).fin()), session_error()],
        )
        .binding_since_3(dialect.version),
        must(
            "2.4.1",
            "GOAWAY of a session error names no stream that was not sent",
            [
                send(syn_stream(1, &get).fin()),
                response(1),
                send(syn_stream(3, &garbage).fin()),
                session_error(),
                Step::Holds(Expect::LastStream(3)),
            ],
        )
        .binding_since_3(dialect.version),
        should(
            "2.4.1",
            "the block of a stream that is refused is inflated",
            [
                send_all([
                    syn_stream(1, &dialect.post()),
                    syn_stream(1, &get.clone().and("x-lost", "0123456789abcdef")).fin(),
                ]),
                send(syn_stream(3, &get.clone().and("x-lost", "0123456789abcdef")).fin()),
                response(3),
            ],
        )
        .needs(Need::Upload)
        .compressed(Compression::Zlib(9)),
        should(
            "2.4.1",
            "the block of HEADERS on no stream is inflated",
            [
                send_all([
                    headers(7, &Block::new([("x-lost", "0123456789abcdef")])),
                    syn_stream(9, &get.clone().and("x-lost", "0123456789abcdef")).fin(),
                ]),
                response(9),
            ],
        )
        .compressed(Compression::Zlib(9)),
        must(
            "2.4.2",
            "a stream error leaves other streams alone",
            [
                // An empty name is a stream error (section 2.6.10).
                send_all([
                    syn_stream(1, &dialect.post()),
                    syn_stream(3, &get.clone().and("", "x")).fin(),
                    data(1, b"body").fin(),
                ]),
                response(1),
                alive(),
            ],
        ),
        must(
            "2.4.2",
            "RST_STREAM on a stream that was never opened is not answered by RST_STREAM",
            [
                send_all([rst_stream(7, CANCEL), ping(1)]),
                // A session error is right as well.
                any([Expect::PingAnswer(1), Expect::SESSION_ERROR]),
                Step::Holds(Expect::NoReset(7.into())),
            ],
        ),
        must(
            "2.4.2",
            "RST_STREAM on a stream that is over is not answered by RST_STREAM",
            [
                send(syn_stream(1, &get).fin()),
                response(1),
                send(rst_stream(1, CANCEL)),
                settle(),
                not_reset(1),
            ],
        ),
        must(
            "2.4.2",
            "a second RST_STREAM is not answered by RST_STREAM",
            [
                send_all([
                    syn_stream(1, &dialect.post()),
                    rst_stream(1, CANCEL),
                    rst_stream(1, CANCEL),
                ]),
                settle(),
                not_reset(1),
            ],
        )
        .needs(Need::Upload),
    ]
}
