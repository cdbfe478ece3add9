//! Frame format, frame size, header blocks (RFC 9113 §4).

use crate::http2::prelude::*;

/// A frame type that no specification defines.
const UNKNOWN: Kind = Kind(0xfa);
/// The largest frame that the cases send.
const AFFORDABLE: u32 = 1 << 20;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let mut rows = format(target);
    rows.extend(size(target));
    rows.extend(header_blocks(target));
    rows
}

fn format(target: &Target) -> Vec<Row> {
    vec![
        must(
            "4.1/1",
            "a frame of unknown type on the connection is ignored",
            [send(frame(UNKNOWN, 0xff, 0, b"whatever")), alive()],
        ),
        must(
            "4.1/2",
            "a frame of unknown type on an idle stream is ignored, and opens nothing",
            [
                send(frame(UNKNOWN, 0, 1, b"whatever")),
                alive(),
                send(headers(1, &get(target)).end_stream()),
                response(1),
            ],
        ),
        must(
            "4.1/3",
            "a frame of unknown type on an open stream is ignored",
            [
                send_all([
                    headers(1, &post(target)),
                    frame(UNKNOWN, flags::END_STREAM, 1, b"whatever"),
                    data(1, b"body").end_stream(),
                ]),
                response(1),
            ],
        ),
        must(
            "4.1/4",
            "undefined flags of PING are ignored",
            [
                send(ping(b"question").with(0xfe)),
                expect(Expect::PingAnswer(*b"question")),
            ],
        ),
        must(
            "4.1/5",
            "undefined flags of HEADERS and DATA are ignored",
            [
                send_all([
                    headers(1, &post(target)).with(0xd2),
                    data(1, b"body").with(0xf6).end_stream(),
                ]),
                response(1),
            ],
        ),
        must(
            "4.1/6",
            "undefined flags of SETTINGS are ignored",
            [
                send(settings(&[]).with(0xfe)),
                expect(Expect::SettingsAcks(2)),
                alive(),
            ],
        ),
        must(
            "4.1/7",
            "undefined flags of RST_STREAM, PRIORITY and WINDOW_UPDATE are ignored",
            [
                send_all([
                    headers(1, &post(target)),
                    priority(1, 0, 15).with(0xff),
                    window_update(1, 1).with(0xff),
                    window_update(0, 1).with(0xff),
                    rst_stream(1, CANCEL).with(0xff),
                ]),
                alive(),
            ],
        ),
        must(
            "4.1/8",
            "the reserved bit before a stream id is ignored",
            [
                send(headers(1, &get(target)).end_stream().with_reserved_bit()),
                response(1),
                send(ping(b"question").with_reserved_bit()),
                expect(Expect::PingAnswer(*b"question")),
            ],
        ),
        must(
            "4.1/9",
            "a frame of unknown type as long as allowed is ignored",
            [send(frame(UNKNOWN, 0, 0, &[0; 16_384])), alive()],
        ),
    ]
}

fn size(target: &Target) -> Vec<Row> {
    // A server may permit the largest possible frames.
    let most = target.abilities.max_frame_size.min(AFFORDABLE);
    let beyond = vec![0; usize::try_from(most).unwrap_or(16_384).saturating_add(1)];
    let beyond_text = "x".repeat(beyond.len());
    let long_field = "x".repeat(12_000);
    vec![
        must(
            "4.2/1",
            "DATA of 2^14 bytes is accepted",
            [
                send_all([headers(1, &post(target)), data_of(1, 16_384).end_stream()]),
                success(1),
            ],
        )
        .needs(Need::Upload),
        must(
            "4.2/2",
            "DATA above SETTINGS_MAX_FRAME_SIZE is an error FRAME_SIZE_ERROR",
            [
                send(headers(1, &post(target))),
                too_long(data(1, b"")),
                stream_error(1, &[FRAME_SIZE_ERROR]),
            ],
        )
        .needs(Need::FrameSize(AFFORDABLE)),
        must(
            "4.2/3",
            "HEADERS above SETTINGS_MAX_FRAME_SIZE is a connection error FRAME_SIZE_ERROR",
            [
                send(frame(Kind::HEADERS, flags::END_HEADERS, 1, &beyond).end_stream()),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        )
        .needs(Need::FrameSize(AFFORDABLE)),
        must(
            "4.2/4",
            "CONTINUATION above SETTINGS_MAX_FRAME_SIZE is a connection error FRAME_SIZE_ERROR",
            [
                send_all([
                    headers(1, &get(target)).end_stream().unfinished(),
                    continuation(1, Block::new().field("x-long", &beyond_text).bytes()),
                ]),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        )
        .needs(Need::FrameSize(AFFORDABLE)),
        must(
            "4.2/5",
            "SETTINGS above SETTINGS_MAX_FRAME_SIZE is a connection error FRAME_SIZE_ERROR",
            [
                send(frame(Kind::SETTINGS, 0, 0, &beyond)),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        )
        .needs(Need::FrameSize(AFFORDABLE)),
        must(
            "4.2/6",
            "a frame of unknown type above SETTINGS_MAX_FRAME_SIZE is an error FRAME_SIZE_ERROR",
            [
                send(frame(UNKNOWN, 0, 0, &beyond)),
                connection_error(&[FRAME_SIZE_ERROR]),
            ],
        )
        .needs(Need::FrameSize(AFFORDABLE)),
        should(
            "4.2/7",
            "the declared length counts, before the frame arrives",
            [
                send(data(1, b"").of_length(most.saturating_add(1))),
                stream_error(1, &[FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
            ],
        )
        .needs(Need::FrameSize(AFFORDABLE)),
        must(
            "4.2/8",
            "HEADERS of 12 KiB is no error in itself",
            [
                send(headers(1, &get(target).field("x-long", &long_field)).end_stream()),
                // A limit on the size of fields is allowed, and its error is open
                // (§10.5.1).
                any([
                    Expect::Response(1.into(), 200..=599),
                    Expect::Reset(1.into()),
                    Expect::ConnectionError(vec![ENHANCE_YOUR_CALM]),
                ]),
            ],
        ),
    ]
}

fn header_blocks(target: &Target) -> Vec<Row> {
    let get = get(target);
    vec![
        must(
            "4.3/1",
            "a header block that does not decode is a connection error COMPRESSION_ERROR",
            [
                send(frame(
                    Kind::HEADERS,
                    flags::END_HEADERS | flags::END_STREAM,
                    1,
                    // A literal with an index beyond the tables.
                    &[0x7f, 0xff, 0x7f, 0x00],
                )),
                connection_error(&[COMPRESSION_ERROR]),
            ],
        ),
        must(
            "4.3/2",
            "a frame of unknown type within a header block is a connection error PROTOCOL_ERROR",
            [
                send_all([
                    headers(1, &get).end_stream().unfinished(),
                    frame(UNKNOWN, 0, 1, b"whatever"),
                    continuation(1, b""),
                ]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "4.3/3",
            "HEADERS of another stream within a header block is a connection error PROTOCOL_ERROR",
            [
                send_all([
                    headers(1, &get).end_stream().unfinished(),
                    headers(3, &get).end_stream(),
                ]),
                connection_error(&[PROTOCOL_ERROR]),
            ],
        ),
        must(
            "4.3/4",
            "a header block of a refused stream is decompressed all the same",
            [
                // Both blocks fill the table; the first request is malformed.
                send_all([
                    headers(
                        1,
                        &Block::of(&[(":method", "GET")]).indexed_field("x-first", "1"),
                    )
                    .end_stream(),
                    headers(3, &get.clone().indexed_field("x-second", "2")).end_stream(),
                    headers(5, &get.clone().entry(62).entry(63)).end_stream(),
                ]),
                malformed(1),
                // A peer may treat a stream error as a connection error (§5.4.1).
                any([
                    Expect::Response(5.into(), 200..=599),
                    Expect::ConnectionError(vec![PROTOCOL_ERROR]),
                ]),
            ],
        )
        .needs(Need::HeaderTable(128)),
        must(
            "4.3/5",
            "a header block on a stream that was reset by us is decompressed all the same",
            [
                send_all([
                    headers(1, &post(target)),
                    rst_stream(1, CANCEL),
                    headers(3, &get.clone().indexed_field("x-second", "2")).end_stream(),
                    headers(5, &get.entry(62)).end_stream(),
                ]),
                response(3),
                response(5),
            ],
        )
        .needs(Need::HeaderTable(128)),
    ]
}
