//! Header blocks of real implementations, in order, and our own blocks of the same fields.

use bytes::BytesMut;
use lacewing_spdy_zlib::{Compression, Decoder, Encoder, ListLimits, WireVersion};

use crate::inflater::{self, Inflater};
use crate::vectors;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

const POLICIES: [Compression; 4] = [
    Compression::WholeField,
    Compression::Stored,
    Compression::Zlib(1),
    Compression::Zlib(9),
];

#[test]
fn every_sequence_decodes() {
    for (name, sequence) in vectors::sequences() {
        let mut decoder = Decoder::new(sequence.version());
        for (index, block) in sequence.blocks.iter().enumerate() {
            let fields = decode(&mut decoder, &block.compressed());
            assert_eq!(fields, block.headers(), "{name}, block {index}");
        }
    }
}

#[test]
fn every_sequence_decodes_in_pieces_of_any_size() {
    for (name, sequence) in vectors::sequences() {
        for size in [1, 7, 1000] {
            let limits = ListLimits::default();
            let mut decoder = Decoder::new(sequence.version());
            for (index, block) in sequence.blocks.iter().enumerate() {
                for piece in block.compressed().chunks(size) {
                    decoder.feed(piece, limits).unwrap();
                }
                let mut fields = Fields::new();
                decoder
                    .finish(limits, |name, values| {
                        fields.push((name.to_vec(), values.joined().to_vec()));
                    })
                    .unwrap();
                assert_eq!(fields, block.headers(), "{name}, block {index}");
            }
        }
    }
}

#[test]
fn our_blocks_of_every_sequence_inflate_with_another_inflater() {
    for (name, sequence) in vectors::sequences() {
        let version = sequence.version();
        for policy in POLICIES {
            let mut encoder = Encoder::new(version, policy);
            let mut inflater = Inflater::new(version);
            let mut decoder = Decoder::new(version);
            for (index, block) in sequence.blocks.iter().enumerate() {
                let headers = block.headers();
                let encoded = encode(&mut encoder, &headers);
                let inflated = inflater.inflate(&encoded);
                let fields = inflater::parse(version, &inflated);
                assert_eq!(fields, headers, "{name}, {policy:?}, block {index}");
                assert_eq!(decode(&mut decoder, &encoded), headers);
            }
        }
    }
}

/// A stored block of deflate has at most 65,535 bytes; longer lists take several. The levels are
/// those of zlib; other values mean the nearest level.
#[test]
fn a_higher_level_takes_fewer_bytes() {
    for version in [WireVersion::V2, WireVersion::V3] {
        let length = |level| {
            let mut encoder = Encoder::new(version, Compression::Zlib(level));
            // The repeats overlap: a fast search takes the first one, a thorough search the
            // longest.
            let words: Vec<u8> = (0..20_000_u32)
                .map(|at| b'a' + (at * at / 7 % 5) as u8)
                .collect();
            encode(&mut encoder, &vec![(b"words".to_vec(), words)]).len()
        };
        assert!(length(9) < length(1), "{} and {}", length(9), length(1));
        assert_eq!(length(0), length(1));
        assert_eq!(length(200), length(9));
    }
}

#[test]
fn long_stored_blocks_are_split() {
    let version = WireVersion::V3;
    let mut encoder = Encoder::new(version, Compression::Stored);
    let mut inflater = Inflater::new(version);
    // Lengths around one, two and three stored blocks: count, two lengths, a name of one byte.
    let around = |pieces: usize| (pieces * 65_535 - 14..).take(4);
    for length in around(1).chain(around(2)).chain([1, 1_000_000]) {
        let headers = vec![(b"x".to_vec(), pattern(length))];
        let encoded = encode(&mut encoder, &headers);
        let inflated = inflater.inflate(&encoded);
        assert!(inflater::parse(version, &inflated) == headers, "{length}");
    }
}

#[test]
fn compressed_blocks_of_any_length_are_complete() {
    let version = WireVersion::V3;
    for policy in POLICIES {
        let mut encoder = Encoder::new(version, policy);
        let mut inflater = Inflater::new(version);
        for length in (0..300).step_by(3).chain([16_383, 65_535, 65_536, 300_000]) {
            let headers = vec![(b"x".to_vec(), noise(length))];
            let encoded = encode(&mut encoder, &headers);
            let inflated = inflater.inflate(&encoded);
            assert!(
                inflater::parse(version, &inflated) == headers,
                "{policy:?}, {length}"
            );
        }
    }
}

#[test]
fn an_abandoned_block_leaves_no_trace() {
    for policy in POLICIES {
        let mut with = Encoder::new(WireVersion::V3, policy);
        let mut without = Encoder::new(WireVersion::V3, policy);
        for round in 0..3u8 {
            let mut dst = BytesMut::from(&b"before"[..]);
            let mut block = with.block(&mut dst);
            block.field(b"x-abandoned", [[b'0' + round]]);
            drop(block);
            assert_eq!(dst, b"before"[..]);

            let headers = vec![(b"x-kept".to_vec(), vec![b'0' + round])];
            assert_eq!(encode(&mut with, &headers), encode(&mut without, &headers));
        }
    }
}

#[test]
fn empty_lists_and_blocks_of_no_bytes() {
    for version in [WireVersion::V2, WireVersion::V3] {
        for policy in POLICIES {
            let mut encoder = Encoder::new(version, policy);
            let mut decoder = Decoder::new(version);
            for _ in 0..3 {
                let encoded = encode(&mut encoder, &Fields::new());
                assert_eq!(decode(&mut decoder, &encoded), Fields::new());
                assert_eq!(decode(&mut decoder, &[]), Fields::new());
            }
        }
    }
}

fn encode(encoder: &mut Encoder, fields: &Fields) -> Vec<u8> {
    let mut dst = BytesMut::from(&b"before"[..]);
    let mut block = encoder.block(&mut dst);
    for (name, joined) in fields {
        block.field(name, joined.split(|&byte| byte == 0));
    }
    assert_eq!(block.fields(), fields.len());
    block.finish().unwrap();
    assert!(dst.starts_with(b"before"));
    dst[6..].to_vec()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Fields {
    let fields = decoder.decode_to_vec(block, ListLimits::default()).unwrap();
    let fields = fields.into_iter();
    fields
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 | 1).collect()
}

/// Bytes that don't compress, without NUL.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ length as u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8 | 1
        })
        .collect()
}
