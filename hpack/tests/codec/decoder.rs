//! The errors of a decoder, and its behaviour at its limits.

use lacewing_hpack::{
    DecodeError, Decoder, ExceededLimit, FieldSink, HeaderField, ListLimits, Sensitivity,
    StaticIndex, Summary,
};

type Result = std::result::Result<Summary, DecodeError>;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result {
    decoder.decode(block, ListLimits::default(), |_: HeaderField, _| {})
}

fn refusal(block: &[u8]) -> DecodeError {
    decode(&mut Decoder::new(4096), block).unwrap_err()
}

#[test]
fn every_broken_rule_has_its_error() {
    let cases: &[(&[u8], DecodeError)] = &[
        (b"\x80", DecodeError::IndexZero),
        (
            b"\xbe",
            DecodeError::IndexOutOfRange {
                index: 62,
                last: 61,
            },
        ),
        (
            b"\x7e\x01a",
            DecodeError::IndexOutOfRange {
                index: 62,
                last: 61,
            },
        ),
        (
            b"\x40\x01a\x01b\xbf",
            DecodeError::IndexOutOfRange {
                index: 63,
                last: 62,
            },
        ),
        (b"\x3f", DecodeError::Truncated),
        (b"\xff\x80", DecodeError::Truncated),
        (b"\xff\xff\xff\xff\xff\x7f", DecodeError::IntegerOverflow),
        (
            b"\xff\x80\x80\x80\x80\x80\x00",
            DecodeError::IntegerOverflow,
        ),
        (
            b"\x40\x7f\xff\xff\xff\xff\x7f",
            DecodeError::IntegerOverflow,
        ),
        (b"\x40\x0aabc", DecodeError::Truncated),
        (b"\x40\x01a", DecodeError::Truncated),
        (b"\x40\x01a\x82\x1f", DecodeError::Truncated),
        (b"\x44\x81\x00", DecodeError::HuffmanPaddingNotEos),
        (b"\x44\x82\x1f\xff", DecodeError::HuffmanPaddingTooLong),
        (b"\x44\x84\xff\xff\xff\xff", DecodeError::HuffmanEos),
        (b"\x82\x20", DecodeError::SizeUpdateNotFirst),
        (b"\x40\x01a\x01b\x3e", DecodeError::SizeUpdateNotFirst),
        (
            b"\x3f\xe2\x1f",
            DecodeError::SizeUpdateTooLarge {
                size: 4097,
                limit: 4096,
            },
        ),
    ];
    for (block, error) in cases {
        assert_eq!(refusal(block), *error, "{block:x?}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn truncated_at_every_offset() {
    let block = b"\x3f\xe1\x1f\x82\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff\
        \x40\x0acustom-key\x0dcustom-header\x04\x0c/sample/path\x10\x08password\x06secret";
    // The boundary between two representations.
    let whole = [0, 3, 4, 18, 44, 58, block.len()];
    for len in 0..=block.len() {
        let result = decode(&mut Decoder::new(4096), &block[..len]);
        match result {
            Ok(_) => assert!(whole.contains(&len), "{len}"),
            Err(error) => {
                assert_eq!(error, DecodeError::Truncated, "{len}");
                assert!(!whole.contains(&len), "{len}");
            }
        }
    }
}

#[test]
fn an_update_that_is_due_must_come_first() {
    let missing = |limit| Err(DecodeError::SizeUpdateMissing { limit });
    let after = |sizes: &[usize], block: &[u8]| {
        let mut decoder = Decoder::new(4096);
        for &size in sizes {
            decoder.set_max_table_size(size);
        }
        decode(&mut decoder, block).map(|summary| summary.fields)
    };
    assert_eq!(after(&[100], b"\x82"), missing(100));
    assert_eq!(after(&[100], b""), missing(100), "also in an empty block");
    assert_eq!(after(&[100], b"\x3f\x45\x82"), Ok(1), "100");
    assert_eq!(after(&[100], b"\x20\x82"), Ok(1), "less than permitted");
    // The test must also notice a reduction in between, since it evicts entries.
    assert_eq!(after(&[100, 4096], b"\x82"), missing(100));
    assert_eq!(after(&[100, 4096], b"\x3f\xe1\x1f\x82"), missing(100));
    assert_eq!(after(&[100, 4096], b"\x3f\x45\x3f\xe1\x1f\x82"), Ok(1));
    assert_eq!(after(&[100, 50, 4096], b"\x3f\x45\x82"), missing(50));
    // An increase requires no update.
    assert_eq!(after(&[8192], b"\x82"), Ok(1));
    assert_eq!(after(&[8192], b"\x3f\xe1\x3f\x82"), Ok(1));
}

#[test]
fn no_update_is_due_for_what_is_not_used() {
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, b"\x20").unwrap();
    decoder.set_max_table_size(100);
    decode(&mut decoder, b"\x82").unwrap();
}

#[test]
fn a_field_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::new(100);
    decode(&mut decoder, b"\x40\x01a\x01b").unwrap();
    assert_eq!(decoder.table_size(), 34);
    let mut block = b"\x40\x01a\x7f\x00".to_vec();
    block.extend([b'x'; 127]);
    let mut seen = Vec::new();
    decoder
        .decode(&block, ListLimits::default(), |field: HeaderField, _| {
            seen.push(field)
        })
        .unwrap();
    assert_eq!(seen, [HeaderField::new(b"a", &[b'x'; 127])]);
    assert_eq!(decoder.table_size(), 0);
}

/// The name of a new entry may be that of an entry that the insertion evicts (section 4.4).
#[test]
fn a_name_outlives_its_entry() {
    let mut decoder = Decoder::new(64);
    let mut seen = Vec::new();
    decoder
        .decode(
            b"\x40\x04name\x05value\x7e\x05other\xbe",
            ListLimits::default(),
            |field: HeaderField, _| seen.push(field),
        )
        .unwrap();
    assert_eq!(seen[1], HeaderField::new(b"name", b"other"));
    assert_eq!(seen[2], seen[1]);
    assert_eq!(decoder.table_size(), 4 + 5 + 32);
}

/// `decode_to_vec` returns the whole list or an error, never a part.
#[test]
fn a_list_is_whole_or_an_error() {
    let mut decoder = Decoder::<HeaderField>::new(4096);
    // Two of three fields enter the table.
    let block = b"\x40\x01a\x01b\x40\x01c\x01d\x82";
    let error = decoder.decode_to_vec(block, limits(1000, 2)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "header list of 3 fields exceeds the limit of 2 (max_fields): raise it, or refuse the message"
    );
    let error = decoder.decode_to_vec(block, limits(70, 9)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "header list of 110 bytes (32 counted for each field) exceeds the limit of 70 (max_size): \
         raise it, or refuse the message"
    );
    let list = decoder
        .decode_to_vec(b"\xbe\x10\x01e\x01f", limits(1000, 2))
        .unwrap();
    assert_eq!(
        list,
        [
            (HeaderField::new(b"c", b"d"), Sensitivity::Normal),
            (HeaderField::new(b"e", b"f"), Sensitivity::Sensitive),
        ]
    );
}

fn limits(max_size: usize, max_fields: usize) -> ListLimits {
    ListLimits::default().with(|limits| {
        limits.max_size = max_size;
        limits.max_fields = max_fields;
    })
}

#[test]
fn limits_are_exact() {
    // 42 bytes each.
    let block = [0x82; 10];
    let run = |max_size, max_fields| {
        let limits = limits(max_size, max_fields);
        let mut seen = 0;
        let result = Decoder::new(4096).decode(&block, limits, |_: HeaderField, _| seen += 1);
        let (summary, exceeded) = match result {
            Ok(summary) => (summary, None),
            Err(DecodeError::ListTooLarge {
                exceeded, summary, ..
            }) => (summary, Some(exceeded)),
            Err(error) => panic!("{error}"),
        };
        assert_eq!((summary.fields, summary.size), (10, 420));
        (seen, exceeded)
    };
    assert_eq!(run(420, 10), (10, None));
    assert_eq!(run(419, 10), (9, Some(ExceededLimit::Size)));
    assert_eq!(run(420, 9), (9, Some(ExceededLimit::Fields)));
    assert_eq!(run(41, 1), (0, Some(ExceededLimit::Size)));
    assert_eq!(run(42, 0), (0, Some(ExceededLimit::Fields)));
}

/// After the first field beyond the limit, smaller fields are not passed on either.
#[test]
fn nothing_comes_after_a_limit() {
    let limits = limits(100, 100);
    let mut block = b"\x82\x00\x01a\x7f\x00".to_vec();
    block.extend([b'x'; 127]);
    block.push(0x82);
    let mut seen = Vec::new();
    let result =
        Decoder::new(4096).decode(&block, limits, |field: HeaderField, _| seen.push(field));
    assert!(matches!(result, Err(DecodeError::ListTooLarge { .. })));
    assert_eq!(seen, [HeaderField::new(b":method", b"GET")]);
}

#[test]
fn the_table_stays_in_step_beyond_a_limit() {
    let limits = limits(0, 0);
    let mut decoder = Decoder::new(4096);
    let block = b"\x40\x01a\x01b\x40\x03abc\x81\x1f\x10\x01s\x01t\x7f\x00\x01c";
    let error = decoder
        .decode(block, limits, |_: HeaderField, _| unreachable!())
        .unwrap_err();
    assert!(!error.is_final());
    assert!(matches!(error, DecodeError::ListTooLarge { summary, .. } if summary.fields == 4));
    let mut seen = Vec::new();
    decoder
        .decode(
            b"\xbe\xbf\xc0",
            ListLimits::default(),
            |field: HeaderField, _| seen.push(field),
        )
        .unwrap();
    assert_eq!(
        seen,
        [
            HeaderField::new(b"a", b"c"),
            HeaderField::new(b"abc", b"a"),
            HeaderField::new(b"a", b"b"),
        ]
    );
    // A block that breaks a rule is an error beyond the limits too.
    let result = decoder.decode(b"\x00\x01a\x81\x00", limits, |_: HeaderField, _| {});
    assert_eq!(result, Err(DecodeError::HuffmanPaddingNotEos));
}

#[test]
fn never_indexed_is_told() {
    let mut seen = Vec::new();
    Decoder::new(4096)
        .decode(
            b"\x10\x01a\x01b\x14\x01/\x00\x01a\x01b\x40\x01a\x01b\x82",
            ListLimits::default(),
            |_: HeaderField, sensitivity| seen.push(sensitivity),
        )
        .unwrap();
    use Sensitivity::{Normal, Sensitive};
    assert_eq!(seen, [Sensitive, Sensitive, Normal, Normal, Normal]);
}

/// The "HPACK bomb": one large entry, then one byte for each repetition.
#[test]
fn a_repeated_large_entry_ends_at_the_limit() {
    let mut block = b"\x40\x01a\x7f\xa1\x1e".to_vec();
    block.extend([b'x'; 4000]);
    // Miri is a thousand times slower; a hundred references exceed the limit too.
    let references = if cfg!(miri) { 100 } else { 16_000 };
    block.extend(vec![0xbe; references]);
    let mut handed_over = 0;
    let result =
        Decoder::new(4096).decode(&block, ListLimits::default(), |field: HeaderField, _| {
            handed_over += field.size()
        });
    let Err(DecodeError::ListTooLarge { exceeded, .. }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(exceeded, ExceededLimit::Size);
    assert!(handed_over <= ListLimits::default().max_size);
}

/// A sink that keeps the forms in which it receives fields.
#[derive(Default)]
struct Forms(Vec<(&'static str, HeaderField)>);

impl FieldSink<HeaderField> for Forms {
    fn field(&mut self, field: HeaderField, _: Sensitivity) {
        self.0.push(("field", field));
    }

    fn named(&mut self, name: StaticIndex, value: &[u8], _: Sensitivity) {
        self.0.push(("named", HeaderField::new(name.name(), value)));
    }

    fn entry(&mut self, field: &HeaderField) {
        self.0.push(("entry", field.clone()));
    }
}

#[test]
fn a_sink_builds_the_fields_that_no_table_keeps_and_one_table_names() {
    let mut decoder = Decoder::new(4096);
    let mut forms = Forms::default();
    // content-length: without indexing, never indexed, and with indexing; `a: b` without indexing.
    let block = b"\x0f\x0d\x0242\x1f\x0d\x0243\x5c\x0244\x00\x01a\x01b";
    let decoded = decoder.decode_into(block, ListLimits::default(), &mut forms);
    assert_eq!(decoded.unwrap().fields, 4);
    let length = |value| HeaderField::new(b"content-length", value);
    let expected = [
        ("named", length(b"42")),
        ("named", length(b"43")),
        ("entry", length(b"44")),
        ("field", HeaderField::new(b"a", b"b")),
    ];
    assert_eq!(forms.0, expected);
    // A sink without an opinion receives the same fields.
    let mut decoder: Decoder = Decoder::new(4096);
    let plain = decoder.decode_to_vec(block, ListLimits::default());
    let plain = plain.unwrap().into_iter().map(|(field, _)| field);
    assert!(plain.eq(expected.into_iter().map(|(_, field)| field)));
    // Beyond a limit, none arrives.
    let limits = ListLimits::default().with(|limits| limits.max_fields = 1);
    let mut forms = Forms::default();
    let decoded = decoder.decode_into(block, limits, &mut forms);
    assert!(matches!(decoded, Err(DecodeError::ListTooLarge { .. })));
    assert_eq!(forms.0.len(), 1);
}
