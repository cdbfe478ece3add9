//! Compares our decoder with nghttp2's inflater: both accept the same blocks, and find the same
//! fields in them.

mod inflater;

use lacewing_hpack::{DEFAULT_TABLE_SIZE, Decoder, HeaderField, ListLimits, Sensitivity};

use self::inflater::Inflater;

type Field = (Vec<u8>, Vec<u8>, bool);

/// Runs the target on one input: blocks that end with 0xff 0xff, after a byte that sets the size of
/// the table.
pub fn run(input: &[u8]) {
    let Some((&table, blocks)) = input.split_first() else {
        return;
    };
    // The two differ only in their own limits.
    if blocks.len() > 16_384 {
        return;
    }
    let limits = ListLimits::default().with(|limits| {
        limits.max_size = usize::MAX;
        limits.max_fields = usize::MAX;
    });
    let mut ours = Decoder::<HeaderField>::new(DEFAULT_TABLE_SIZE);
    let mut table_size = DEFAULT_TABLE_SIZE;
    if table & 1 == 1 {
        table_size = usize::from(table) * 32;
        ours.set_max_table_size(table_size);
    }
    let mut theirs = Inflater::new(table_size);
    let mut rest = blocks;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == [0xff, 0xff]);
        let (block, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.get(2..).unwrap_or_default();
        let mut found = Vec::<Field>::new();
        let result = ours.decode(block, limits, |field, sensitivity| {
            let sensitive = sensitivity == Sensitivity::Sensitive;
            found.push((field.name().to_vec(), field.value().to_vec(), sensitive));
        });
        let mut expected = Vec::<Field>::new();
        let decoded = theirs.decode(block, |name, value, sensitive| {
            expected.push((name.to_vec(), value.to_vec(), sensitive));
        });
        match (result, decoded) {
            (Ok(_), Some(())) => assert_eq!(found, expected),
            (Err(_), None) => return,
            (result, other) => panic!("we: {result:?}, nghttp2: {other:?}, block {block:02x?}"),
        }
    }
}
