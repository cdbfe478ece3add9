//! Name/value header blocks and their compression (section 2.6.10).

use crate::spdy::prelude::*;

pub(super) fn rows(dialect: &Dialect) -> Vec<Row> {
    let ok = dialect.reply("200");
    let wrong = |block: &Block| {
        [
            await_request(),
            send(syn_reply(REQUEST, block).fin()),
            stream_error(REQUEST, &[PROTOCOL_ERROR]),
            alive(),
        ]
    };
    let odd = |block: &Block| {
        [
            await_request(),
            send(syn_reply(REQUEST, block).fin()),
            any_error(REQUEST),
        ]
    };
    let right = |block: &Block| {
        [
            await_request(),
            send(syn_reply(REQUEST, block).fin()),
            alive(),
            not_reset(REQUEST),
        ]
    };
    let more = ok.len().saturating_add(1);
    let mut rows = vec![
        must(
            "2.6.10",
            "an empty name is a stream error PROTOCOL_ERROR",
            wrong(&ok.clone().and("", "x")),
        ),
        must(
            "2.6.10",
            "an empty value is a stream error PROTOCOL_ERROR",
            wrong(&ok.clone().and("x-empty", "")),
        )
        .in_2(),
        must(
            "2.6.10",
            "an empty value is legal",
            right(&ok.clone().and("x-empty", "")),
        )
        .since_3(),
        must(
            "2.6.10",
            "two NULs in a row are a stream error PROTOCOL_ERROR",
            wrong(&ok.clone().and("x-two", "a\0\0b")),
        ),
        must(
            "2.6.10",
            "a value that starts with NUL is a stream error PROTOCOL_ERROR",
            wrong(&ok.clone().and("x-start", "\0a")),
        )
        .since_3(),
        must(
            "2.6.10",
            "values of one name are joined by NUL",
            right(&ok.clone().and("set-cookie", "a=1\0b=2")),
        ),
        must(
            "2.6.10",
            "pairs may come in any order",
            right(&ok.clone().and("x-last", "1").reversed()),
        ),
        should(
            "2.6.10",
            "an upper-case letter in a name is refused",
            odd(&ok.clone().and("X-Upper", "x")),
        ),
        should(
            "2.6.10",
            "a name that occurs twice is refused",
            odd(&ok.clone().and("x-two", "a").and("x-two", "b")),
        ),
        should(
            "2.6.10",
            "a block with fewer pairs than it declares is refused",
            odd(&ok.clone().counting(more)),
        ),
        should(
            "2.6.10",
            "a block that declares as many pairs as it can is refused",
            odd(&ok.clone().counting(u32::MAX)),
        ),
        should(
            "2.6.10",
            "bytes behind the last pair are refused",
            odd(&ok.trailed_by(b"\0\0\0")),
        ),
    ];
    rows.extend(compression(dialect));
    rows
}

fn compression(dialect: &Dialect) -> Vec<Row> {
    let layout = layout(dialect.version);
    let ok = dialect.reply("200");
    let gets = |block: &Block, reaction: Step| {
        [
            await_request(),
            send(syn_reply(REQUEST, block).fin()),
            reaction,
        ]
    };
    let mut rows = Vec::new();
    for (what, block) in malformed::streams(layout, &ok) {
        rows.push(
            must(
                "2.6.10.1",
                format!("{what} is a session error"),
                gets(&block, session_error()),
            )
            .binding_since_3(dialect.version),
        );
    }
    rows.push(should(
        "2.6.10.1",
        "a block that ends in the middle of deflate data is refused",
        gets(&malformed::cut_short(layout, &ok), any_error(REQUEST)),
    ));
    rows.push(should(
        "2.6.10.1",
        "bytes behind the end of the zlib stream are refused",
        gets(&malformed::ended(layout, &ok), any_error(REQUEST)),
    ));
    let swollen = malformed::swollen(dialect, ok);
    rows.push(
        should(
            "2.6.10.1",
            "a small block that inflates to 3 MB is refused",
            gets(&swollen, any_error(REQUEST)),
        )
        .compressed(Compression::Zlib(9)),
    );
    rows
}
