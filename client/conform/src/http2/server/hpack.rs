//! Header compression (RFC 7541), towards a server under test.

use crate::http2::prelude::*;

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let mut rows = representations(target);
    rows.extend(primitives(target));
    rows.extend(dynamic_table(target));
    rows.extend(size_updates(target));
    rows
}

fn request_with(block: &Block) -> Step {
    send(headers(1, block).end_stream())
}

/// A complete request with a decoding error, which is a connection error
/// COMPRESSION_ERROR (RFC 9113 §4.3).
fn refused(id: &str, title: &str, block: &Block) -> Row {
    must(
        id,
        title,
        [request_with(block), connection_error(&[COMPRESSION_ERROR])],
    )
}

fn taken(id: &str, title: &str, block: &Block) -> Row {
    must(id, title, [request_with(block), success(1)])
}

fn representations(target: &Target) -> Vec<Row> {
    let get = get(target);
    vec![
        taken(
            "7541/6.1/1",
            "entries of the static table",
            &Block::new()
                .entry(2) // :method: GET
                .and(&Block::of(&[
                    (":scheme", &target.scheme),
                    (":path", &target.path),
                    (":authority", &target.authority),
                ]))
                .entry(16), // accept-encoding: gzip, deflate
        ),
        refused("7541/6.1/2", "index 0", &get.clone().entry(0)),
        refused(
            "7541/6.1/3",
            "an index above both tables",
            &get.clone().entry(62),
        ),
        refused(
            "7541/6.1/4",
            "an index far above both tables",
            &get.clone().entry(70_000),
        ),
        taken(
            "7541/6.2.1/1",
            "a literal that enters the table, then its entry",
            &get.clone().indexed_field("x-entry", "1").entry(62),
        )
        .needs(SMALL_TABLE),
        refused(
            "7541/6.2.1/2",
            "a literal that enters the table, with a name above both tables",
            &get.clone().integer(63, 6, 0x40).string(b"value"),
        ),
        taken(
            "7541/6.2.2/1",
            "a literal that enters no table, with the name of an entry",
            &get.clone().with_name(58, "lacewing"), // user-agent
        ),
        refused(
            "7541/6.2.2/2",
            "a literal that enters no table, with a name above both tables",
            &get.clone().with_name(62, "value"),
        ),
        must(
            "7541/6.2.2/3",
            "a literal that enters no table cannot be referred to",
            [
                request_with(&get.clone().field("x-literal", "1")),
                send(headers(3, &get.clone().entry(62)).end_stream()),
                connection_error(&[COMPRESSION_ERROR]),
            ],
        ),
        taken(
            "7541/6.2.3/1",
            "a literal that is never to be indexed",
            &get.clone().never_indexed("x-secret", "1"),
        ),
        must(
            "7541/6.2.3/2",
            "a literal that is never to be indexed cannot be referred to",
            [
                request_with(&get.clone().never_indexed("x-secret", "1")),
                send(headers(3, &get.entry(62)).end_stream()),
                connection_error(&[COMPRESSION_ERROR]),
            ],
        ),
    ]
}

fn primitives(target: &Target) -> Vec<Row> {
    let get = get(target);
    vec![
        refused(
            "7541/5.1/1",
            "an integer longer than any size",
            &get.clone().raw(&[0xff; 20]).raw(&[0x00]),
        ),
        refused(
            "7541/5.1/2",
            "an integer above 32 bits",
            &get.clone().raw(b"\xff\xff\xff\xff\xff\xff\x0f"),
        ),
        refused(
            "7541/5.1/3",
            "an integer that is cut off by the end of the block",
            &get.clone().raw(b"\xff\x80"),
        ),
        refused(
            "7541/5.1/4",
            "an integer of which only the prefix is there",
            &get.clone().raw(b"\x3f"),
        ),
        taken(
            "7541/5.2/1",
            "strings that are Huffman-coded",
            &get.clone()
                .huffman("x-huffman", "as it should be, 1234567890"),
        ),
        taken(
            "7541/5.2/2",
            "an empty string, Huffman-coded",
            &get.clone().raw(b"\x00").string(b"x-empty").raw(b"\x80"),
        ),
        refused(
            "7541/5.2/3",
            "a string that is cut off by the end of the block",
            &get.clone().raw(b"\x00").string(b"x-cut").raw(b"\x7fabc"),
        ),
        refused(
            "7541/5.2/4",
            "a string of which the length is missing",
            &get.clone().raw(b"\x00").string(b"x-cut"),
        ),
        refused(
            "7541/5.2/5",
            "Huffman code with more than 7 bits of padding",
            // 'a' is 00011, then 11 bits of padding.
            &get.clone()
                .raw(b"\x00")
                .string(b"x-pad")
                .raw(b"\x82\x1f\xff"),
        ),
        refused(
            "7541/5.2/6",
            "Huffman code padded with other bits than those of EOS",
            &get.clone().raw(b"\x00").string(b"x-pad").raw(b"\x81\x18"),
        ),
        refused(
            "7541/5.2/7",
            "Huffman code with EOS in it",
            &get.clone()
                .raw(b"\x00")
                .string(b"x-eos")
                .raw(b"\x84\xff\xff\xff\xff"),
        ),
        refused(
            "7541/5.2/8",
            "Huffman code with EOS behind a character",
            &get.clone()
                .raw(b"\x00")
                .string(b"x-eos")
                // 'a', EOS (30 bits of 1), padding
                .raw(b"\x85\x1f\xff\xff\xff\xff"),
        ),
        refused(
            "7541/5.2/9",
            "a Huffman code that ends within a character",
            // '!' is 1111111000, and no code is 11111110.
            &get.raw(b"\x00").string(b"x-cut").raw(b"\x81\xfe"),
        ),
    ]
}

/// The entries of the cases fit this table.
const SMALL_TABLE: Need = Need::HeaderTable(128);

/// The decoder's table starts with 4096 bytes, or less if SETTINGS permit only
/// less. A size update sets it in both cases.
fn dynamic_table(target: &Target) -> Vec<Row> {
    let get = get(target);
    let size = usize::try_from(target.abilities.header_table_size.min(4_096)).unwrap_or(0);
    let sized = || Block::new().table_size(size).and(&get);
    // §4.1: each entry counts 32 bytes more.
    let largest = "v".repeat(size.saturating_sub(33));
    let too_large = "v".repeat(size.saturating_sub(32));
    let second = |entry| send(headers(3, &get.clone().entry(entry)).end_stream());
    let rows = vec![
        must(
            "7541/4.1/1",
            "an entry as large as the table is kept",
            [
                request_with(&sized().indexed_field("n", &largest)),
                response(1),
                second(62),
                response(3),
            ],
        ),
        must(
            "7541/4.4/1",
            "an entry larger than the table is no error, and empties it",
            [
                request_with(
                    &sized()
                        .indexed_field("x-small", "1")
                        .indexed_field("n", &too_large),
                ),
                response(1),
                second(62),
                connection_error(&[COMPRESSION_ERROR]),
            ],
        ),
        must(
            "7541/4.4/2",
            "a new entry evicts the oldest",
            [
                request_with(
                    &sized()
                        .indexed_field("n", &largest)
                        .indexed_field("x-small", "1"),
                ),
                response(1),
                second(62),
                response(3),
                send(headers(5, &get.clone().entry(63)).end_stream()),
                connection_error(&[COMPRESSION_ERROR]),
            ],
        ),
        must(
            "7541/4.4/3",
            "a new entry may have the name of an entry that it evicts",
            [
                request_with(
                    &sized()
                        .indexed_field("n", &largest)
                        .integer(62, 6, 0x40)
                        .string(b"new"),
                ),
                response(1),
                second(62),
                response(3),
            ],
        ),
        must(
            "7541/2.3.2/1",
            "the same field may be in the table twice",
            [
                request_with(
                    &get.clone()
                        .indexed_field("x-twice", "1")
                        .indexed_field("x-twice", "1"),
                ),
                response(1),
                second(63),
                response(3),
            ],
        ),
        must(
            "7541/2.3.3/1",
            "the newest entry has the lowest index",
            [
                // If 62 were the older entry, :path would occur twice.
                send(
                    headers(
                        1,
                        &Block::of(&[
                            (":method", "GET"),
                            (":scheme", &target.scheme),
                            (":authority", &target.authority),
                        ])
                        .indexed_field(":path", &target.path)
                        .indexed_field("x-newest", "1")
                        .entry(62),
                    )
                    .end_stream(),
                ),
                success(1),
            ],
        ),
    ];
    rows.into_iter().map(|row| row.needs(SMALL_TABLE)).collect()
}

fn size_updates(target: &Target) -> Vec<Row> {
    let get = get(target);
    let offered = usize::try_from(target.abilities.header_table_size).unwrap_or(usize::MAX);
    vec![
        taken(
            "7541/6.3/1",
            "a size update to 0 at the beginning of a block",
            &Block::new().table_size(0).and(&get),
        ),
        taken(
            "7541/6.3/2",
            "two size updates at the beginning of a block, the lower one first",
            &Block::new()
                .table_size(0)
                .table_size(offered.min(4_096))
                .and(&get),
        ),
        taken(
            "7541/6.3/3",
            "a size update to all that SETTINGS_HEADER_TABLE_SIZE allows",
            &Block::new().table_size(offered).and(&get),
        ),
        refused(
            "7541/6.3/4",
            "a size update above SETTINGS_HEADER_TABLE_SIZE",
            &Block::new().table_size(offered.saturating_add(1)).and(&get),
        ),
        refused(
            "7541/4.2/1",
            "a size update at the end of a block",
            &get.clone().table_size(0),
        )
        .advised(),
        refused(
            "7541/4.2/2",
            "a size update between fields",
            &get.clone().table_size(0).field("x-behind", "1"),
        )
        .advised(),
        must(
            "7541/4.3/1",
            "a size update evicts entries that do not fit",
            [
                request_with(&get.clone().indexed_field("x-entry", "1")),
                response(1),
                send(headers(3, &Block::new().table_size(0).and(&get).entry(62)).end_stream()),
                connection_error(&[COMPRESSION_ERROR]),
            ],
        ),
        must(
            "7541/4.3/2",
            "a size update keeps entries that fit",
            [
                request_with(&get.clone().indexed_field("x-entry", "1")),
                response(1),
                send(headers(3, &Block::new().table_size(64).and(&get).entry(62)).end_stream()),
                response(3),
            ],
        )
        .needs(SMALL_TABLE),
        must(
            "7541/4.2/3",
            "a reduced HEADER_TABLE_SIZE of ours is acknowledged and obeyed by a size update",
            [
                send(headers(1, &get).end_stream()),
                response(1),
                send(settings(&[(SettingId::HEADER_TABLE_SIZE, 0)])),
                expect(Expect::SettingsAcks(2)),
                // The scripted peer's decoder requires the size update.
                send(headers(3, &get).end_stream()),
                response(3),
                send(headers(5, &get).end_stream()),
                response(5),
            ],
        ),
    ]
}
