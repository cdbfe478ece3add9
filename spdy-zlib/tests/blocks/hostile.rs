//! Broken and hostile header blocks: each has its own error, at a bounded cost.

use bytes::BytesMut;
use flate2::{Compress, FlushCompress};
use lacewing_spdy_zlib::{
    Compression, DecodeError, Decoder, EncodeError, Encoder, Exceeded, HeaderError, ListLimits,
    Summary, WireVersion,
};

/// Between two offsets at which a block is cut. Miri is a thousand times slower.
const STEP: usize = if cfg!(miri) { 17 } else { 1 };

const VERSIONS: [WireVersion; 2] = [WireVersion::V2, WireVersion::V3];

const POLICIES: [Compression; 3] = [
    Compression::WholeField,
    Compression::Stored,
    Compression::Zlib(6),
];

#[test]
fn each_rule_of_a_list_is_reported_and_the_stream_stays_in_step() {
    use HeaderError::*;
    type Case<'a> = (
        &'a [(&'a str, &'a str)],
        Option<HeaderError>,
        Option<HeaderError>,
    );
    // fields, error in SPDY/2, error in SPDY/3
    let cases: [Case<'_>; 11] = [
        (&[("a", "1"), ("b", "2")], None, None),
        (&[("", "1")], Some(EmptyName), Some(EmptyName)),
        (
            &[("a", "1"), ("Ab", "1")],
            Some(UppercaseName),
            Some(UppercaseName),
        ),
        (&[("a", "")], Some(EmptyValue), None),
        (&[("a", "\0b")], Some(EmptySegment), Some(EmptySegment)),
        (&[("a", "b\0")], Some(EmptySegment), Some(EmptySegment)),
        (&[("a", "b\0\0c")], Some(EmptySegment), Some(EmptySegment)),
        (&[("a", "\0")], Some(EmptySegment), Some(EmptySegment)),
        (&[("a", "b\0c\0d")], None, None),
        (
            &[("a", "1"), ("b", "2"), ("a", "3")],
            Some(DuplicateName),
            Some(DuplicateName),
        ),
        // The decoder reports the first broken rule.
        (&[("", "1"), ("", "2")], Some(EmptyName), Some(EmptyName)),
    ];
    for version in VERSIONS {
        let mut encoder = Encoder::new(version, Compression::Zlib(6));
        let mut decoder = Decoder::new(version);
        for (fields, v2, v3) in cases {
            let expected = match version {
                WireVersion::V2 => v2,
                WireVersion::V3 => v3,
            };
            let block = encode(&mut encoder, fields);
            let summary = decode(&mut decoder, &block, ListLimits::default()).unwrap();
            assert_eq!(summary.malformed, expected, "{version:?} {fields:?}");
            assert_eq!(summary.fields, fields.len());
            let next = encode(&mut encoder, &[("next", "1")]);
            let summary = decode(&mut decoder, &next, ListLimits::default()).unwrap();
            assert_eq!((summary.malformed, summary.fields), (None, 1));
        }
    }
}

#[test]
fn duplicates_are_found_in_long_lists() {
    for count in [31, 32, 33, if cfg!(miri) { 70 } else { 500 }] {
        let names: Vec<String> = (0..count).map(|index| format!("name-{index}")).collect();
        let mut fields: Vec<(&str, &str)> = names.iter().map(|name| (&name[..], "v")).collect();
        let check = |fields: &[(&str, &str)]| {
            let block = encode(
                &mut Encoder::new(WireVersion::V3, Compression::Stored),
                fields,
            );
            let mut decoder = Decoder::new(WireVersion::V3);
            decode(&mut decoder, &block, ListLimits::default())
                .unwrap()
                .malformed
        };
        assert_eq!(check(&fields), None);
        fields.push(("name-7", "v"));
        assert_eq!(check(&fields), Some(HeaderError::DuplicateName));
    }
}

#[test]
fn counts_and_lengths_past_the_end() {
    // (inflated block of SPDY/3, what is wrong)
    let cases: [(&[u8], HeaderError); 8] = [
        (&[0, 0, 0], HeaderError::BlockTooShort),
        (&[0, 0, 0, 1], HeaderError::BlockTooShort),
        (
            &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            HeaderError::BlockTooShort,
        ),
        (&[0xff; 40], HeaderError::BlockTooShort),
        (
            b"\0\0\0\x01\x80\0\0\0n\0\0\0\x01v",
            HeaderError::BlockTooShort,
        ),
        (
            b"\0\0\0\x01\0\0\0\x01n\x80\0\0\0v",
            HeaderError::BlockTooShort,
        ),
        (
            b"\0\0\0\x01\0\0\0\x01n\0\0\0\x02v",
            HeaderError::BlockTooShort,
        ),
        (
            b"\0\0\0\x01\0\0\0\x01n\0\0\0\x01v!",
            HeaderError::TrailingBytes,
        ),
    ];
    for (raw, expected) in cases {
        let mut zlib = Zlib::new(WireVersion::V3);
        let mut decoder = Decoder::new(WireVersion::V3);
        let summary = decode(&mut decoder, &zlib.block(raw), ListLimits::default()).unwrap();
        assert_eq!(summary.malformed, Some(expected), "{raw:?}");
        // The zlib stream is intact: the next block decodes.
        let next = zlib.block(b"\0\0\0\x01\0\0\0\x01n\0\0\0\x01v");
        let summary = decode(&mut decoder, &next, ListLimits::default()).unwrap();
        assert_eq!((summary.malformed, summary.fields), (None, 1));
    }
}

#[test]
fn limits_on_fields_and_size_cut_the_list_and_keep_the_stream() {
    for version in VERSIONS {
        let mut encoder = Encoder::new(version, Compression::Zlib(6));
        let mut decoder = Decoder::new(version);
        let names: Vec<String> = (0..20).map(|index| format!("name-{index}")).collect();
        let fields: Vec<(&str, &str)> = names.iter().map(|name| (&name[..], "value")).collect();

        let limits = ListLimits::default().with(|limits| limits.max_fields = 20);
        let summary = decode(&mut decoder, &encode(&mut encoder, &fields), limits).unwrap();
        assert_eq!((summary.fields, summary.exceeded), (20, None));

        let limits = limits.with(|limits| limits.max_fields = 19);
        let summary = decode(&mut decoder, &encode(&mut encoder, &fields), limits).unwrap();
        assert_eq!(summary.fields, 19);
        assert_eq!(summary.exceeded, Some(Exceeded::Fields { limit: 19 }));

        // 20 × (6 or 7 + 5 + 32) bytes are 870. The inflated block is smaller.
        let exact = ListLimits::default().with(|limits| limits.max_size = 870);
        let summary = decode(&mut decoder, &encode(&mut encoder, &fields), exact).unwrap();
        assert_eq!((summary.size, summary.exceeded), (870, None));
        let tight = exact.with(|limits| limits.max_size = 869);
        let summary = decode(&mut decoder, &encode(&mut encoder, &fields), tight).unwrap();
        assert_eq!(summary.fields, 19);
        assert_eq!(summary.exceeded, Some(Exceeded::Size { limit: 869 }));

        let summary = decode(&mut decoder, &encode(&mut encoder, &[("a", "b")]), tight).unwrap();
        assert_eq!((summary.fields, summary.exceeded), (1, None));
    }
}

/// `decode_to_vec` returns the whole list or an error, never a part.
#[test]
fn a_list_is_whole_or_an_error() {
    for version in VERSIONS {
        let mut encoder = Encoder::new(version, Compression::Zlib(6));
        let mut decoder = Decoder::new(version);
        let limits = ListLimits::default().with(|limits| limits.max_fields = 2);
        let list = |error: Result<_, _>| match error {
            Err(DecodeError::List(error)) => error,
            other => panic!("{other:?}"),
        };
        let block = encode(&mut encoder, &[("a", "1"), ("b", "2"), ("c", "3")]);
        let error = list(decoder.decode_to_vec(&block, limits));
        assert_eq!(error.exceeded, Some(Exceeded::Fields { limit: 2 }));
        let block = encode(&mut encoder, &[("a", "1"), ("a", "2")]);
        let error = list(decoder.decode_to_vec(&block, limits));
        assert_eq!(error.malformed, Some(HeaderError::DuplicateName));
        let block = encode(&mut encoder, &[("a", "1"), ("b", "2")]);
        let fields = decoder.decode_to_vec(&block, limits).unwrap();
        assert_eq!(fields[1], ("b".into(), "2".into()));
    }
}

/// A zlib bomb: a kilobyte inflates to a megabyte, for Miri less, under a lower limit.
/// Inflating stops at the limit.
#[test]
fn a_zlib_bomb_is_stopped_at_the_limit() {
    let length: u32 = if cfg!(miri) { 3_000 } else { 0x0f_ffff };
    let mut zlib = Zlib::new(WireVersion::V3);
    let mut raw = b"\0\0\0\x01\0\0\0\x01n".to_vec();
    raw.extend(length.to_be_bytes());
    raw.resize(raw.len() + length as usize, b'v');
    let bomb = zlib.block(&raw);
    assert!(bomb.len() < 2048);

    let limits = match cfg!(miri) {
        true => ListLimits::default().with(|limits| limits.max_size = 2_000),
        false => ListLimits::default(),
    };
    let limit = limits.max_size;
    let mut decoder = Decoder::new(WireVersion::V3);
    let error = decode(&mut decoder, &bomb, limits).unwrap_err();
    assert_eq!(error, DecodeError::TooLarge { limit });
    let error = decode(&mut decoder, &zlib.block(&raw), limits).unwrap_err();
    assert_eq!(error, DecodeError::Poisoned);

    // One byte decides the outcome.
    for (size, fits) in [(raw.len(), true), (raw.len() - 1, false)] {
        let limits = limits.with(|limits| limits.max_size = size);
        let result = Decoder::new(WireVersion::V3).feed(&bomb, limits);
        assert_eq!(result.is_ok(), fits);
    }
}

#[test]
fn the_other_dictionary_is_told_from_garbage() {
    for (ours, theirs) in [
        (WireVersion::V2, WireVersion::V3),
        (WireVersion::V3, WireVersion::V2),
    ] {
        for policy in POLICIES {
            let block = encode(&mut Encoder::new(theirs, policy), &[("a", "b")]);
            let mut decoder = Decoder::new(ours);
            let error = decode(&mut decoder, &block, ListLimits::default()).unwrap_err();
            let expected = ours.dictionary_id();
            let found = theirs.dictionary_id();
            assert_eq!(error, DecodeError::WrongDictionary { expected, found });
            let error = decode(&mut decoder, &block, ListLimits::default()).unwrap_err();
            assert_eq!(error, DecodeError::Poisoned);
        }
    }
    for garbage in [&[0xff; 32][..], &[0x00; 32], b"GET / HTTP/1.1\r\n"] {
        let mut decoder = Decoder::new(WireVersion::V3);
        let error = decode(&mut decoder, garbage, ListLimits::default()).unwrap_err();
        assert_eq!(error, DecodeError::Corrupt, "{garbage:?}");
    }
}

/// A zlib stream without a dictionary is valid zlib, though not SPDY. The decoder accepts it.
#[test]
fn a_stream_without_a_dictionary_decodes() {
    let mut stream = Compress::new(flate2::Compression::best(), true);
    let block = deflate(&mut stream, b"\0\x01\0\x01a\0\x01b", FlushCompress::Sync);
    let mut decoder = Decoder::new(WireVersion::V2);
    let summary = decode(&mut decoder, &block, ListLimits::default()).unwrap();
    assert_eq!((summary.fields, summary.malformed), (1, None));
}

#[test]
fn an_ended_stream_is_an_error() {
    let mut stream = Compress::new(flate2::Compression::best(), true);
    let block = deflate(&mut stream, b"\0\x01\0\x01a\0\x01b", FlushCompress::Finish);
    let mut decoder = Decoder::new(WireVersion::V2);
    let error = decode(&mut decoder, &block, ListLimits::default()).unwrap_err();
    assert_eq!(error, DecodeError::StreamEnded);
}

#[test]
fn a_block_cut_anywhere_is_an_error_or_complete() {
    for version in VERSIONS {
        for policy in POLICIES {
            let fields = [
                (":path", "/index.html"),
                ("accept", "*/*"),
                ("cookie", "a=b"),
            ];
            let block = encode(&mut Encoder::new(version, policy), &fields);
            for end in (1..block.len()).step_by(STEP) {
                let mut decoder = Decoder::new(version);
                match decode(&mut decoder, &block[..end], ListLimits::default()) {
                    Ok(summary) => {
                        // Only bits of the end of the block and of the final flush are missing.
                        assert!(end + 6 >= block.len(), "{version:?} {policy:?} {end}");
                        assert_eq!((summary.fields, summary.malformed), (3, None));
                    }
                    Err(error) => assert_eq!(error, DecodeError::Truncated),
                }
            }
        }
    }
}

#[test]
fn damaged_blocks_never_panic() {
    let mut random = Random(0x5eed);
    for version in VERSIONS {
        for policy in POLICIES {
            let mut encoder = Encoder::new(version, policy);
            let fields = [("method", "GET"), ("url", "/a"), ("x", "1\x002")];
            let blocks: Vec<Vec<u8>> = (0..4).map(|_| encode(&mut encoder, &fields)).collect();
            for _ in 0..if cfg!(miri) { 2 } else { 2000 } {
                let mut decoder = Decoder::new(version);
                for block in &blocks {
                    let mut block = block.clone();
                    if random.next() % 2 == 0 {
                        let at = random.next() as usize % block.len();
                        block[at] ^= 1 << (random.next() % 8);
                    }
                    let result = decode(&mut decoder, &block, ListLimits::default());
                    if result.is_err() {
                        let next = decode(&mut decoder, &block, ListLimits::default());
                        assert_eq!(next, Err(DecodeError::Poisoned));
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn random_garbage_never_panics() {
    let mut random = Random(0xbad);
    for round in (0..1000usize).step_by(if cfg!(miri) { 199 } else { 1 }) {
        let garbage: Vec<u8> = (0..round % 97).map(|_| random.next() as u8).collect();
        for version in VERSIONS {
            // As the whole stream, as deflate data after a valid header, and as a list.
            let _ = decode(&mut Decoder::new(version), &garbage, ListLimits::default());
            let mut behind_header = vec![0x78, 0x20];
            behind_header.extend(version.dictionary_id().to_be_bytes());
            behind_header.extend(&garbage);
            let mut decoder = Decoder::new(version);
            let _ = decode(&mut decoder, &behind_header, ListLimits::default());
            let list = Zlib::new(version).block(&garbage);
            let summary = decode(&mut Decoder::new(version), &list, ListLimits::default());
            assert!(summary.is_ok(), "valid zlib data");
        }
    }
}

#[cfg(not(miri))]
#[test]
fn what_the_format_cannot_carry_is_refused_without_a_trace() {
    let long = "v".repeat(65_536);
    for policy in POLICIES {
        let mut encoder = Encoder::new(WireVersion::V2, policy);
        let mut decoder = Decoder::new(WireVersion::V2);
        let limit = 65_535;
        for (name, value, error) in [
            ("a", &long[..], EncodeError::ValueTooLong { limit }),
            (&long[..], "b", EncodeError::NameTooLong { limit }),
        ] {
            let mut dst = BytesMut::new();
            let mut block = encoder.block(&mut dst);
            block.field(b"first", [b"1"]);
            block.field(name.as_bytes(), [value]);
            block.field(b"last", [b"1"]);
            assert_eq!(block.finish(), Err(error));
            assert!(dst.is_empty());
        }
        let mut dst = BytesMut::new();
        let mut block = encoder.block(&mut dst);
        for _ in 0..65_536 {
            block.field(b"a", [b"b"]);
        }
        assert_eq!(block.finish(), Err(EncodeError::TooManyFields { limit }));

        let block = encode(&mut encoder, &[("still", "works")]);
        let summary = decode(&mut decoder, &block, ListLimits::default()).unwrap();
        assert_eq!(summary.fields, 1);
    }
    let mut encoder = Encoder::new(WireVersion::V3, Compression::Stored);
    let mut dst = BytesMut::new();
    let mut block = encoder.block(&mut dst);
    let megabyte = vec![b'v'; 1 << 20];
    block.field(b"a", std::iter::repeat_n(&megabyte, 16));
    assert!(matches!(
        block.finish(),
        Err(EncodeError::BlockTooLarge { .. })
    ));
}

/// A zlib stream of any bytes, made by flate2.
struct Zlib(Compress);

impl Zlib {
    fn new(version: WireVersion) -> Self {
        let mut stream = Compress::new(flate2::Compression::best(), true);
        stream.set_dictionary(version.dictionary()).unwrap();
        Zlib(stream)
    }

    fn block(&mut self, raw: &[u8]) -> Vec<u8> {
        deflate(&mut self.0, raw, FlushCompress::Sync)
    }
}

fn deflate(stream: &mut Compress, raw: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + 1024);
    stream.compress_vec(raw, &mut out, flush).unwrap();
    out
}

fn encode(encoder: &mut Encoder, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut dst = BytesMut::new();
    let mut block = encoder.block(&mut dst);
    for (name, value) in fields {
        block.field(name.as_bytes(), [value]);
    }
    block.finish().unwrap();
    dst.to_vec()
}

/// A list that was decompressed, valid or not.
#[derive(Debug, PartialEq)]
struct List {
    fields: usize,
    size: usize,
    malformed: Option<HeaderError>,
    exceeded: Option<Exceeded>,
}

/// The list, or the error that ends the connection.
fn decode(decoder: &mut Decoder, block: &[u8], limits: ListLimits) -> Result<List, DecodeError> {
    let mut handed_out = 0;
    let (summary, malformed, exceeded) = match decoder.decode(block, limits, |_, _| handed_out += 1)
    {
        Ok(summary) => (summary, None, None),
        Err(DecodeError::List(error)) => (error.summary, error.malformed, error.exceeded),
        Err(error) => {
            assert!(error.is_final());
            return Err(error);
        }
    };
    assert_eq!(summary.fields, handed_out);
    let Summary { fields, size, .. } = summary;
    Ok(List {
        fields,
        size,
        malformed,
        exceeded,
    })
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.0 >> 33
    }
}
