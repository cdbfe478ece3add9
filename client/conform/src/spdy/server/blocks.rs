//! Name/value header blocks and their compression (section 2.6.10).

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let mut rows = wrong_pairs(dialect);
    rows.extend(right_pairs(dialect));
    rows.extend(counts(dialect));
    rows.extend(compression(dialect));
    rows.extend(broken_streams(dialect));
    rows.extend(bombs(dialect));
    rows
}

fn asks(block: &Block) -> Step {
    send(syn_stream(1, block).fin())
}

fn wrong_pairs(dialect: &Dialect) -> Vec<Row> {
    let get = dialect.get();
    let wrong = |block: &Block| [asks(block), stream_error(1, &[PROTOCOL_ERROR]), alive()];
    vec![
        must(
            "2.6.10",
            "an empty name is a stream error PROTOCOL_ERROR",
            wrong(&get.clone().and("", "x")),
        ),
        must(
            "2.6.10",
            "an empty value is a stream error PROTOCOL_ERROR",
            wrong(&get.clone().and("x-empty", "")),
        )
        .in_2(),
        must(
            "2.6.10",
            "two NULs in a row are a stream error PROTOCOL_ERROR",
            wrong(&get.clone().and("x-two", "a\0\0b")),
        ),
        must(
            "2.6.10",
            "a value that starts with NUL is a stream error PROTOCOL_ERROR",
            wrong(&get.clone().and("x-start", "\0a")),
        )
        .since_3(),
        must(
            "2.6.10",
            "a value that ends with NUL is a stream error PROTOCOL_ERROR",
            wrong(&get.clone().and("x-end", "a\0")),
        )
        .since_3(),
        should(
            "2.6.10",
            "an upper-case letter in a name is refused",
            [asks(&get.clone().and("X-Upper", "x")), refused(1)],
        ),
        should(
            "2.6.10",
            "a name that occurs twice is refused",
            [
                asks(&get.clone().and("x-two", "a").and("x-two", "b")),
                refused(1),
            ],
        ),
        should(
            "2.6.10",
            "a pseudo-header that occurs twice is refused",
            [
                asks(&get.clone().and(dialect.name("path"), "/other")),
                refused(1),
            ],
        ),
        should(
            "2.6.10",
            "a line break in a value is refused",
            [
                asks(&get.clone().and("x-break", "a\r\nx-smuggled: b")),
                refused(1),
            ],
        ),
        should(
            "2.6.10",
            "a line break in a name is refused",
            [asks(&get.and("x-a\r\nx-b", "c")), refused(1)],
        ),
    ]
}

fn right_pairs(dialect: &Dialect) -> Vec<Row> {
    let get = dialect.get();
    vec![
        must(
            "2.6.10",
            "an empty value is legal",
            [asks(&get.clone().and("x-empty", "")), response(1)],
        )
        .since_3(),
        must(
            "2.6.10",
            "values of one name are joined by NUL",
            [
                asks(&get.clone().and("accept", "text/html\0text/plain")),
                response(1),
            ],
        ),
        must(
            "2.6.10",
            "pairs may come in any order",
            [
                asks(&get.clone().and("accept", "*/*").reversed()),
                response(1),
            ],
        ),
        must(
            "2.6.10",
            "fifty pairs are accepted",
            [
                asks(&(0..50).fold(get, |block, nth| block.and(format!("x-{nth}"), "v"))),
                response(1),
            ],
        )
        .binding_since_3(dialect.version),
    ]
}

fn counts(dialect: &Dialect) -> Vec<Row> {
    let get = dialect.get();
    let refused_anyhow = |block: &Block| [asks(block), refused(1)];
    let lengths: [&[u8]; 2] = match dialect.is_2() {
        true => [b"\0\x01\xff\xffab", b"\0\x01\0\x01a\xff\xffb"],
        false => [
            b"\0\0\0\x01\xff\xff\xff\xffab",
            b"\0\0\0\x01\0\0\0\x01a\x7f\xff\xff\xffb",
        ],
    };
    let [long_name, long_value] = lengths.map(|plain| {
        let layout = layout(dialect.version);
        let mut wire = zlib_head(Some(dictionary(layout)));
        store(&mut wire, plain, usize::MAX);
        Block::on_wire(&wire)
    });
    let more = get.len().saturating_add(1);
    vec![
        should(
            "2.6.10",
            "a block with fewer pairs than it declares is refused",
            refused_anyhow(&get.clone().counting(more)),
        ),
        should(
            "2.6.10",
            "a block that declares as many pairs as it can is refused",
            refused_anyhow(&get.clone().counting(u32::MAX)),
        ),
        should(
            "2.6.10",
            "a name that reaches past the block is refused",
            refused_anyhow(&long_name),
        ),
        should(
            "2.6.10",
            "a value that reaches past the block is refused",
            refused_anyhow(&long_value),
        ),
        should(
            "2.6.10",
            "bytes behind the last pair are refused",
            refused_anyhow(&get.trailed_by(b"\0\0\0")),
        ),
    ]
}

fn compression(dialect: &Dialect) -> Vec<Row> {
    let get = dialect.get();
    let other = match dialect.is_2() {
        true => dictionary(layout(crate::Version::Spdy3)),
        false => dictionary(layout(crate::Version::Spdy2)),
    };
    let mut wrong = zlib_head(Some(other));
    store(&mut wrong, &get.plain(layout(dialect.version)), usize::MAX);
    let three = |compression| {
        let block = get
            .clone()
            .and("user-agent", "Mozilla/5.0")
            .and("accept-encoding", "gzip,deflate");
        must(
            "2.6.10.1",
            format!("blocks of a compressor are inflated, over several requests ({compression:?})"),
            [
                send_all([1, 3, 5].map(|id| syn_stream(id, &block).fin())),
                response(1),
                response(3),
                response(5),
            ],
        )
        .compressed(compression)
    };
    let far = |id: u32| {
        let fill: String = (0..7_000_u32)
            .map(|n| char::from(b'a' + u8::try_from(n * (n + id) % 26).unwrap_or(0)))
            .collect();
        syn_stream(id, &get.clone().and("x-fill", fill)).fin()
    };
    vec![
        must(
            "2.6.10.1",
            "the other version's dictionary is a session error",
            [asks(&Block::on_wire(&wrong)), session_error()],
        )
        .binding_since_3(dialect.version),
        must(
            "2.6.10.1",
            "a zlib stream may have stored blocks of one byte",
            [asks(&get.clone().chunked(1)), response(1)],
        ),
        three(Compression::Zlib(1)),
        three(Compression::Zlib(6)),
        three(Compression::Zlib(9)),
        three(Compression::WholeField),
        must(
            "2.6.10.1",
            "the compressor's window reaches over 32 KiB of earlier blocks",
            [1, 3, 5, 7, 9, 11]
                .into_iter()
                .flat_map(|id: u32| [send(far(id)), response(id)]),
        )
        .compressed(Compression::Zlib(9)),
    ]
}

fn broken_streams(dialect: &Dialect) -> Vec<Row> {
    let layout = layout(dialect.version);
    let get = dialect.get();
    let mut rows = Vec::new();
    for (what, block) in malformed::streams(layout, &get) {
        rows.push(
            must(
                "2.6.10.1",
                format!("{what} is a session error"),
                [asks(&block), session_error()],
            )
            .binding_since_3(dialect.version),
        );
    }
    rows.push(should(
        "2.6.10.1",
        "a block that ends in the middle of deflate data is refused",
        [asks(&malformed::cut_short(layout, &get)), refused(1)],
    ));
    rows.push(should(
        "2.6.10.1",
        "bytes behind the end of the zlib stream are refused",
        [asks(&malformed::ended(layout, &get)), refused(1)],
    ));
    rows
}

/// The drafts name no limit for an inflated block; a server without one runs out
/// of memory.
fn bombs(dialect: &Dialect) -> Vec<Row> {
    let more = malformed::swollen(dialect, Block::new([]));
    let rows = vec![
        should(
            "2.6.10.1",
            "a small block that inflates to 3 MB is refused",
            [
                asks(&malformed::swollen(dialect, dialect.get())),
                refused(1),
            ],
        ),
        should(
            "2.6.10.1",
            "small HEADERS that inflate to 3 MB are refused",
            [
                send_all([syn_stream(1, &dialect.post()), headers(1, &more)]),
                refused(1),
            ],
        )
        .needs(Need::Upload),
    ];
    let compressed = |row: Row| row.compressed(Compression::Zlib(9));
    rows.into_iter().map(compressed).collect()
}
