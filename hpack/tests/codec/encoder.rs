//! The bytes that an encoder writes.

use bytes::BytesMut;
use lacewing_hpack::{
    Decoder, Encoder, EncoderConfig, HeaderField, Indexing, LastEntry, ListLimits, Sensitivity,
    StaticIndex,
};

fn encode(encoder: &mut Encoder, fields: &[(&str, &str, Sensitivity)]) -> BytesMut {
    let mut block = BytesMut::new();
    let mut encoding = encoder.block(&mut block);
    for (name, value, sensitivity) in fields {
        encoding.field(name.as_bytes(), value.as_bytes(), *sensitivity);
    }
    block
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Vec<(String, String, Sensitivity)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut list = Vec::new();
    decoder
        .decode(
            block,
            ListLimits::default(),
            |field: HeaderField, sensitivity| {
                list.push((text(field.name()), text(field.value()), sensitivity));
            },
        )
        .unwrap();
    list
}

const NORMAL: Sensitivity = Sensitivity::Normal;
const SENSITIVE: Sensitivity = Sensitivity::Sensitive;

#[test]
fn the_first_block_tells_a_smaller_table() {
    let config = EncoderConfig::DEFAULT.with(|config| config.max_table_size = 256);
    let mut encoder = Encoder::with_config(config);
    assert_eq!(encode(&mut encoder, &[]), &b"\x3f\xe1\x01"[..]);
    assert_eq!(encode(&mut encoder, &[]), &b""[..], "once is enough");
}

#[test]
fn settings_are_clamped() {
    let mut encoder = Encoder::new();
    encoder.set_max_table_size(u32::MAX as usize);
    assert_eq!(encoder.max_table_size(), 4096);
    assert_eq!(encode(&mut encoder, &[]), &b""[..], "nothing has changed");

    let config = EncoderConfig::DEFAULT.with(|config| config.max_table_size = 8192);
    let mut encoder = Encoder::with_config(config);
    assert_eq!(
        encoder.max_table_size(),
        4096,
        "the peer has not permitted more"
    );
    encoder.set_max_table_size(u32::MAX as usize);
    assert_eq!(encode(&mut encoder, &[]), &b"\x3f\xe1\x3f"[..], "8192");
}

#[test]
fn several_settings_give_the_smallest_and_the_last() {
    let cases: [(&[usize], &[u8]); 8] = [
        (&[4096], b""),
        (&[0], b"\x20"),
        (&[0, 4096], b"\x20\x3f\xe1\x1f"),
        (&[100, 0, 50, 4096, 30], b"\x20\x3e"),
        (&[1000, 2000, 500], b"\x3f\xd5\x03"),
        (&[1000, 500, 2000], b"\x3f\xd5\x03\x3f\xb1\x0f"),
        (&[5000, 4096], b""),
        (&[30, 30], b"\x3e"),
    ];
    for (settings, wire) in cases {
        let mut encoder = Encoder::new();
        let mut decoder = Decoder::new(4096);
        let before = encode(&mut encoder, &[("x-name", "value", NORMAL)]);
        decode(&mut decoder, &before);
        for &setting in settings {
            encoder.set_max_table_size(setting);
            decoder.set_max_table_size(setting);
        }
        let block = encode(&mut encoder, &[]);
        assert_eq!(block, wire, "{settings:?}");
        decode(&mut decoder, &block);
        assert_eq!(encoder.table_size(), decoder.table_size(), "{settings:?}");
        // Either both sides still have the entry, or neither.
        let after = encode(&mut encoder, &[("x-name", "value", NORMAL)]);
        assert_eq!(decode(&mut decoder, &after).len(), 1);
    }
}

#[test]
fn sensitive_fields_are_never_indexed() {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(4096);
    let fields = [
        ("password", "secret", SENSITIVE),
        ("authorization", "Basic Zm9vOmJhcg==", NORMAL),
        ("proxy-authorization", "Basic Zm9vOmJhcg==", NORMAL),
        ("cookie", "short=1", NORMAL),
        (":method", "GET", SENSITIVE),
    ];
    for _ in 0..2 {
        let block = encode(&mut encoder, &fields);
        let list = decode(&mut decoder, &block);
        assert_eq!(list.len(), fields.len());
        for (field, (name, value, sensitivity)) in fields.iter().zip(list) {
            assert_eq!((field.0, field.1), (&name[..], &value[..]));
            assert_eq!(sensitivity, SENSITIVE, "{name}");
        }
        assert_eq!((encoder.table_size(), decoder.table_size()), (0, 0));
    }
}

/// The encoder must not use an entry of the table for a secret, even if an earlier field inserted
/// it.
#[test]
fn a_sensitive_field_never_refers_to_an_equal_entry() {
    let mut encoder = Encoder::new();
    encode(&mut encoder, &[("x-token", "0123456789", NORMAL)]);
    let block = encode(&mut encoder, &[("x-token", "0123456789", SENSITIVE)]);
    assert_eq!(block[0], 0x1f, "a literal with the entry's name");
    assert!(block.len() > 5);
}

#[test]
fn names_of_the_table_are_referred_to() {
    let mut encoder = Encoder::new();
    encode(&mut encoder, &[("x-custom-name", "one", NORMAL)]);
    let block = encode(&mut encoder, &[("x-custom-name", "two", NORMAL)]);
    assert_eq!(block[0], 0x40 | 62);
    let block = encode(&mut encoder, &[("accept", "two", NORMAL)]);
    assert_eq!(block[0], 0x40 | 19);
}

#[test]
fn no_indexing_means_an_empty_table() {
    let mut encoder = Encoder::with_config(
        EncoderConfig::DEFAULT.with(|config| config.indexing = Indexing::Nothing),
    );
    let fields = [(":method", "GET", NORMAL), ("x-custom", "value", NORMAL)];
    let first = encode(&mut encoder, &fields);
    assert_eq!(encode(&mut encoder, &fields), first);
    assert_eq!(
        first[0], 0x82,
        "the static table does not depend on earlier fields"
    );
    assert_eq!(encoder.table_size(), 0);
}

#[test]
fn fields_larger_than_the_table() {
    let mut encoder = Encoder::with_config(
        EncoderConfig::DEFAULT.with(|config| config.indexing = Indexing::Everything),
    );
    let mut decoder = Decoder::new(4096);
    let large = "x".repeat(5000);
    let fields = [
        ("x-small", "value", NORMAL),
        ("x-large", &large[..], NORMAL),
        ("x-small", "value", NORMAL),
    ];
    let block = encode(&mut encoder, &fields);
    assert_eq!(decode(&mut decoder, &block).len(), 3);
    let size = "x-small".len() + "value".len() + 32;
    assert_eq!((encoder.table_size(), decoder.table_size()), (size, size));
}

/// Long runs with a small table: the places and chains of the look-up wrap many times.
#[test]
fn both_tables_agree_over_many_entries() {
    let mut encoder = Encoder::with_config(
        EncoderConfig::DEFAULT.with(|config| config.indexing = Indexing::Everything),
    );
    let mut decoder = Decoder::new(4096);
    // Miri is a thousand times slower.
    for round in 0..if cfg!(miri) { 60 } else { 5000 } {
        let names = [
            format!("name-{}", round % 7),
            format!("name-{}", round % 191),
        ];
        let values = [format!("value-{}", round % 31), "v".repeat(round % 97)];
        let fields = [
            (&names[0][..], &values[0][..], NORMAL),
            (&names[1][..], &values[1][..], NORMAL),
        ];
        let block = encode(&mut encoder, &fields);
        for (field, (name, value, _)) in fields.iter().zip(decode(&mut decoder, &block)) {
            assert_eq!((field.0, field.1), (&name[..], &value[..]));
        }
        assert_eq!(encoder.table_size(), decoder.table_size());
    }
}

#[test]
fn a_repeated_field_costs_one_byte() {
    let mut encoder = Encoder::new();
    let fields: Vec<_> = (0..50).map(|number| format!("x-name-{number}")).collect();
    let fields: Vec<_> = fields
        .iter()
        .map(|name| (&name[..], "value", NORMAL))
        .collect();
    encode(&mut encoder, &fields);
    assert_eq!(encode(&mut encoder, &fields).len(), fields.len());
}

/// By index or by name, with or without a remembered entry: the bytes are the same.
#[test]
fn static_names_need_no_look_up() {
    for indexing in [Indexing::Sensible, Indexing::Everything, Indexing::Nothing] {
        // Room for two dates: a remembered entry may be evicted, and its number used again.
        let config = EncoderConfig::DEFAULT.with(|config| {
            config.indexing = indexing;
            config.max_table_size = 150;
        });
        let (mut plain, mut quick) = (Encoder::with_config(config), Encoder::with_config(config));
        let mut last = LastEntry::default();
        // Miri is a thousand times slower: the start, and both sides of the change.
        let is_played = |round: &usize| !cfg!(miri) || *round < 9 || (97..109).contains(round);
        for round in (0..200).filter(is_played) {
            let date = format!("Sun, 06 Nov 1994 08:49:{:02} GMT", round / 3 % 5);
            let length = (round * 7).to_string();
            let other = format!("{}", round % 4 / 3 * round);
            let mut expected = BytesMut::new();
            let mut block = plain.block(&mut expected);
            block.field(b":status", b"404", NORMAL);
            block.field(b"x-other", other.as_bytes(), NORMAL);
            block.field(b"content-length", length.as_bytes(), NORMAL);
            block.field(b"date", date.as_bytes(), NORMAL);
            let mut written = BytesMut::new();
            let mut block = quick.block(&mut written);
            block.static_field(StaticIndex::new(13).unwrap());
            block.field(b"x-other", other.as_bytes(), NORMAL);
            block.static_name(StaticIndex::CONTENT_LENGTH, length.as_bytes(), NORMAL);
            block.repeated(StaticIndex::DATE, date.as_bytes(), &mut last);
            assert_eq!(written, expected, "{indexing:?} {round}");
            if round == 100 {
                for encoder in [&mut plain, &mut quick] {
                    encoder.set_max_table_size(0);
                    encoder.set_max_table_size(150);
                }
            }
        }
    }
}
