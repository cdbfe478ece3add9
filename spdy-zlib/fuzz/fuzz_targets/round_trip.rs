//! Any fields, encoded under any policy, decode to themselves.
#![no_main]

use bytes::BytesMut;
use lacewing_spdy_zlib::{Compression, Decoder, Encoder, ListLimits, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let version = if first & 1 == 0 {
        Version::V2
    } else {
        Version::V3
    };
    let compression = match first >> 1 {
        0..=63 => Compression::Stored,
        level => Compression::Zlib(level % 10),
    };
    let limits = ListLimits {
        max_size: 1 << 24,
        max_fields: 1 << 24,
    };
    let mut encoder = Encoder::new(version, compression);
    let mut decoder = Decoder::new(version);
    // Blocks end with 0xff, fields with 0x0a, names with 0x3a.
    for list in data.split(|&byte| byte == 0xff) {
        let fields: Vec<(&[u8], &[u8])> = list
            .split(|&byte| byte == b'\n')
            .map(|field| {
                let end = field.iter().position(|&byte| byte == b':');
                field.split_at(end.unwrap_or(field.len()))
            })
            .collect();
        let mut wire = BytesMut::new();
        let mut block = encoder.block(&mut wire);
        for (name, value) in &fields {
            block.field(name, value.split(|&byte| byte == 0));
        }
        block.finish().unwrap();
        let mut rest = fields.iter();
        let summary = decoder
            .decode(&wire, limits, |name, values| {
                let expected = rest.next().unwrap();
                assert_eq!((name, values.joined()), *expected);
            })
            .unwrap();
        assert_eq!((summary.fields, summary.exceeded), (fields.len(), None));
    }
});
