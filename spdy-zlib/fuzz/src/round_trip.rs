//! Any fields, encoded under any policy, decode to the same fields.

use bytes::BytesMut;
use lacewing_spdy_zlib::{Compression, DecodeError, Decoder, Encoder, ListLimits, WireVersion};

/// Runs the target on one input.
pub fn run(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let version = if first & 1 == 0 {
        WireVersion::V2
    } else {
        WireVersion::V3
    };
    let compression = match first >> 1 {
        0..=15 => Compression::Stored,
        level @ 16..=31 => Compression::Zlib(level % 10),
        _ => Compression::WholeField,
    };
    let limits = ListLimits::default().with(|limits| {
        limits.max_size = 1 << 24;
        limits.max_fields = 1 << 24;
    });
    let mut encoder = Encoder::new(version, compression);
    let mut decoder = Decoder::new(version);
    // Blocks end with 0xff, fields with 0x0a, names with 0x3a. A name that starts with 0x21 belongs
    // to a sensitive field, and each 0xfe stands for a long value.
    for list in data.split(|&byte| byte == 0xff) {
        let fields: Vec<(&[u8], Vec<u8>)> = list
            .split(|&byte| byte == b'\n')
            .map(|field| {
                let end = field.iter().position(|&byte| byte == b':');
                let (name, value) = field.split_at(end.unwrap_or(field.len()));
                let value = value.iter().flat_map(|&byte| match byte {
                    0xfe => vec![b'v'; 100],
                    _ => vec![byte],
                });
                (name, value.take(60_000).collect())
            })
            .collect();
        let mut wire = BytesMut::new();
        let mut block = encoder.block(&mut wire);
        for (name, value) in &fields {
            let values = value.split(|&byte| byte == 0);
            if name.starts_with(b"!") {
                block.sensitive_field(name, values);
            } else {
                block.field(name, values);
            }
        }
        block.finish().unwrap();
        let mut rest = fields.iter();
        let result = decoder.decode(&wire, limits, |name, values| {
            let (expected, value) = rest.next().unwrap();
            assert_eq!((name, values.joined()), (*expected, &value[..]));
        });
        // Any names and values: many of them break a rule.
        let (summary, exceeded) = match result {
            Ok(summary) => (summary, None),
            Err(DecodeError::List(error)) => (error.summary, error.exceeded),
            Err(error) => panic!("{error}"),
        };
        assert_eq!((summary.fields, exceeded), (fields.len(), None));
    }
}
