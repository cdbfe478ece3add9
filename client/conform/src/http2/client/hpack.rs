//! Header compression (RFC 7541), towards a client under test.

use crate::http2::prelude::*;

pub(super) fn rows() -> Vec<Row> {
    let ok = status("200");
    let refused = |id: &str, title: &str, block: &Block| {
        must(
            id,
            title,
            [
                await_request(),
                send(headers(REQUEST, block)),
                connection_error(&[COMPRESSION_ERROR]),
            ],
        )
    };
    let taken = |id: &str, title: &str, block: &Block| {
        must(
            id,
            title,
            [
                await_request(),
                send(headers(REQUEST, block)),
                alive(),
                not_reset(REQUEST),
                send(data(REQUEST, b"").end_stream()),
            ],
        )
    };
    vec![
        taken(
            "7541/6.1/1",
            "entries of the static table",
            &Block::new().entry(8).entry(16), // :status: 200
        ),
        refused("7541/6.1/2", "index 0", &ok.clone().entry(0)),
        refused(
            "7541/6.1/3",
            "an index above both tables",
            &ok.clone().entry(62),
        ),
        taken(
            "7541/6.2.1/1",
            "a literal that enters the table, then its entry",
            &ok.clone().indexed_field("x-entry", "1").entry(62),
        ),
        refused(
            "7541/6.2.2/1",
            "a literal with a name above both tables",
            &ok.clone().with_name(62, "value"),
        ),
        taken(
            "7541/6.2.3/1",
            "a literal that is never to be indexed",
            &ok.clone().never_indexed("x-secret", "1"),
        ),
        refused(
            "7541/5.1/1",
            "an integer longer than any size",
            &ok.clone().raw(&[0xff; 20]).raw(&[0x00]),
        ),
        refused(
            "7541/5.1/2",
            "an integer that is cut off by the end of the block",
            &ok.clone().raw(b"\xff\x80"),
        ),
        taken(
            "7541/5.2/1",
            "strings that are Huffman-coded",
            &ok.clone()
                .huffman("x-huffman", "as it should be, 1234567890"),
        ),
        refused(
            "7541/5.2/2",
            "a string that is cut off by the end of the block",
            &ok.clone().raw(b"\x00").string(b"x-cut").raw(b"\x7fabc"),
        ),
        refused(
            "7541/5.2/3",
            "Huffman code with more than 7 bits of padding",
            &ok.clone()
                .raw(b"\x00")
                .string(b"x-pad")
                .raw(b"\x82\x1f\xff"),
        ),
        refused(
            "7541/5.2/4",
            "Huffman code padded with other bits than those of EOS",
            &ok.clone().raw(b"\x00").string(b"x-pad").raw(b"\x81\x18"),
        ),
        refused(
            "7541/5.2/5",
            "Huffman code with EOS in it",
            &ok.clone()
                .raw(b"\x00")
                .string(b"x-eos")
                .raw(b"\x84\xff\xff\xff\xff"),
        ),
        taken(
            "7541/6.3/1",
            "a size update at the beginning of a block",
            &Block::new().table_size(0).and(&ok),
        ),
        refused(
            "7541/6.3/2",
            "a size update above SETTINGS_HEADER_TABLE_SIZE",
            &Block::new().table_size(0x7fff_ffff).and(&ok),
        ),
        refused(
            "7541/4.2/1",
            "a size update between fields",
            &ok.clone().table_size(0).field("x-behind", "1"),
        )
        .advised(),
        must(
            "7541/2.3.2/1",
            "the table lives as long as the connection",
            [
                requests(2),
                send_all([
                    headers(REQUEST, &ok.clone().indexed_field("x-entry", "1")),
                    headers(SECOND_REQUEST, &ok.clone().entry(62)),
                ]),
                alive(),
                not_reset(SECOND_REQUEST),
                send_all([
                    data(REQUEST, b"").end_stream(),
                    data(SECOND_REQUEST, b"").end_stream(),
                ]),
            ],
        ),
    ]
}
