//! Blocks compressed by whole fields: any zlib inflates them, and matches cover only units.

use bytes::BytesMut;
use flate2::{Decompress, FlushDecompress};
use lacewing_spdy_zlib::{Compression, DecodeError, Decoder, Encoder, ListLimits, WireVersion};

use crate::inflater::{self, Inflater};
use crate::trace::Tracer;
use crate::units::{Field, Units};
#[cfg(not(miri))]
use crate::vectors;

const VERSIONS: [WireVersion; 2] = [WireVersion::V2, WireVersion::V3];

/// The window size in the header of the streams.
const WINDOW: usize = 8192;

/// An encoder, and all readers of its output.
struct Stream {
    version: WireVersion,
    encoder: Encoder,
    decoder: Decoder,
    inflater: Inflater,
    /// zlib with a window of that size, as a small peer has it.
    narrow: Decompress,
    tracer: Tracer,
    units: Units,
}

impl Stream {
    fn new(version: WireVersion) -> Self {
        Stream {
            version,
            encoder: Encoder::new(version, Compression::WholeField),
            decoder: Decoder::new(version),
            inflater: Inflater::new(version),
            narrow: Decompress::new_with_window_bits(true, 13),
            tracer: Tracer::new(version.dictionary()),
            units: Units::new(version),
        }
    }

    /// Encodes a block, reads it back in every way, checks each match, and returns the length.
    fn send(&mut self, fields: &[Field]) -> usize {
        let mut wire = BytesMut::new();
        let mut block = self.encoder.block(&mut wire);
        for field in fields {
            let values = field.value.split(|&byte| byte == 0);
            if field.sensitive {
                block.sensitive_field(&field.name, values);
            } else {
                block.field(&field.name, values);
            }
        }
        block.finish().unwrap();

        let expected: Vec<_> = fields
            .iter()
            .map(|field| (field.name.clone(), field.value.clone()))
            .collect();
        let limits = ListLimits::default().with(|limits| {
            limits.max_size = 1 << 24;
            limits.max_fields = 1 << 20;
        });
        let mut decoded = Vec::new();
        let result = self.decoder.decode(&wire, limits, |name, values| {
            decoded.push((name.to_vec(), values.joined().to_vec()));
        });
        match result {
            // Empty values and repeated names are legal for the compression.
            Ok(_) => {}
            Err(DecodeError::List(error)) if error.exceeded.is_none() => {}
            Err(error) => panic!("{error}"),
        }
        assert!(decoded == expected);
        let raw = self.inflater.inflate(&wire);
        assert!(inflater::parse(self.version, &raw) == expected);
        assert!(self.inflate_narrowly(&wire) == raw);

        let start = self.tracer.output.len();
        let matches = self.tracer.inflate(&wire);
        assert_eq!(self.tracer.window, WINDOW);
        assert!(self.tracer.output[start..] == raw);
        self.units.add_block(start, fields);
        self.units.check(&self.tracer.output, &matches);
        wire.len()
    }

    fn inflate_narrowly(&mut self, mut wire: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        loop {
            let before = self.narrow.total_in();
            let result = self
                .narrow
                .decompress_vec(wire, &mut out, FlushDecompress::Sync);
            wire = &wire[(self.narrow.total_in() - before) as usize..];
            match result {
                Err(error) => {
                    assert!(error.needs_dictionary().is_some(), "{error}");
                    let dictionary = self.version.dictionary();
                    self.narrow.set_dictionary(dictionary).unwrap();
                }
                Ok(_) if wire.is_empty() && out.len() < out.capacity() => return out,
                Ok(_) => out.reserve(out.len().max(1024)),
            }
        }
    }
}

/// The compression ratio that the README states. Not under Miri, which is too slow to read the
/// files of these sequences.
#[cfg(not(miri))]
#[test]
fn real_requests_shrink_to_a_fifth() {
    for (name, sequence) in vectors::sequences() {
        let mut stream = Stream::new(sequence.version());
        let blocks = sequence.blocks.iter();
        let length: usize = blocks
            .map(|block| stream.send(&plain(block.headers())))
            .sum();
        let most = match &name[..] {
            "v2-requests-spdylay.json" | "v3-requests-spdylay.json" => 3_300,
            "v2-responses-spdylay.json" | "v3-responses-spdylay.json" => 14_100,
            _ => continue,
        };
        assert!(length <= most, "{name}: {length} bytes");
    }
}

#[test]
fn what_repeats_takes_a_few_bytes() {
    for version in VERSIONS {
        let mut stream = Stream::new(version);
        let list = plain([
            ("method", "GET"),
            ("user-agent", &"x".repeat(1000)),
            ("accept", "text/html"),
        ]);
        stream.send(&list);
        // A run of more than a thousand bytes: five matches of at most 24 bits, and the flush.
        let length = stream.send(&list);
        assert!(length <= 22, "{length} bytes");
        // Another order divides the run; still no byte is written out.
        let reversed: Vec<Field> = list.iter().rev().cloned().collect();
        let length = stream.send(&reversed);
        assert!(length <= 30, "{length} bytes");
    }
}

#[test]
fn entries_of_the_dictionary_are_used_at_first() {
    for (version, most) in [(WireVersion::V2, 40), (WireVersion::V3, 40)] {
        let mut stream = Stream::new(version);
        let length = stream.send(&plain([
            ("accept-encoding", "gzip"),
            ("version", "HTTP/1.1"),
            ("content-type", "text/html"),
        ]));
        assert!(length <= most, "{length} bytes");
    }
}

#[test]
fn random_lists_in_random_order() {
    for seed in 0..if cfg!(miri) { 2 } else { 40 } {
        let version = VERSIONS[seed as usize % 2];
        let mut random = Random::new(seed);
        let mut stream = Stream::new(version);
        for _ in 0..random.below(if cfg!(miri) { 5 } else { 120 }) {
            if random.below(10) == 0 {
                let mut dst = BytesMut::new();
                let mut block = stream.encoder.block(&mut dst);
                block.field(b"x-dropped", [b"on the way"]);
                block.sensitive_field(b"x-dropped-secret", [b"on the way"]);
            }
            let count = random.below(14);
            let list: Vec<Field> = (0..count).map(|_| random.field()).collect();
            stream.send(&list);
        }
    }
}

/// A block of about the window's size: matched, stored, and the block after it.
#[cfg(not(miri))]
#[test]
fn blocks_of_every_size() {
    for version in VERSIONS {
        let most = match version {
            WireVersion::V2 => 65_535,
            WireVersion::V3 => 200_000,
        };
        let mut stream = Stream::new(version);
        let around = (WINDOW - 60)..(WINDOW + 20);
        let sizes = [0, 1, 2, 255, 256, 257, 4000, 65_500, 65_535, most];
        for size in around.chain(sizes) {
            let mut random = Random::new(size as u64);
            let big = Field::new(b"x-big", &random.bytes(size.max(1)));
            let list = [
                Field::new(b"x-before", b"1"),
                big,
                Field::new(b"x-after", b"2"),
            ];
            stream.send(&list);
            stream.send(&list);
            stream.send(&list[..1]);
        }
    }
}

#[cfg(not(miri))]
#[test]
fn names_of_every_length() {
    for version in VERSIONS {
        let mut stream = Stream::new(version);
        for length in (1..600).chain([8000, 9000, 65_535]) {
            let field = Field::new(&vec![b'n'; length], b"value");
            stream.send(std::slice::from_ref(&field));
            let mut other = field;
            other.value = b"another".to_vec();
            stream.send(&[other]);
        }
    }
}

/// A match reaches the last byte of the window, and no byte before it.
#[cfg(not(miri))]
#[test]
fn matches_reach_as_far_as_the_window() {
    for version in VERSIONS {
        let width = if version == WireVersion::V2 { 2 } else { 4 };
        let field = Field::new(b"x-target", &[b'v'; 60]);
        let one = 2 * width + field.name.len() + field.value.len();
        // The distance in bytes from the first field to its repetition in the third block. It spans
        // the rest of the first block, the second block, and the count of the third.
        let between = |filler: usize| one + width + (2 * width + 1 + filler) + width;
        for (distance, reached) in [(WINDOW - 1, true), (WINDOW, true), (WINDOW + 1, false)] {
            // The result does not depend on the encoder's progress in dropping history.
            for earlier in 0..14 {
                let mut stream = Stream::new(version);
                let mut random = Random::new(earlier);
                for _ in 0..earlier {
                    stream.send(&[Field::new(b"e", &random.bytes(1000))]);
                }
                stream.send(std::slice::from_ref(&field));
                let mut rest = distance - between(0);
                // In pieces, each with its own count and lengths.
                while rest > 2000 {
                    let piece = 1000 - (width + 2 * width + 1);
                    stream.send(&[Field::new(b"f", &random.bytes(piece))]);
                    rest -= 1000;
                }
                stream.send(&[Field::new(b"f", &random.bytes(rest))]);
                let length = stream.send(std::slice::from_ref(&field));
                assert_eq!(length < 40, reached, "{distance}: {length} bytes");
            }
        }
    }
}

#[cfg(not(miri))]
#[test]
fn many_short_fields_drive_out_the_oldest_and_nothing_breaks() {
    for version in VERSIONS {
        let mut stream = Stream::new(version);
        for round in 0..40_u32 {
            let list: Vec<Field> = (0..60)
                .map(|number| {
                    let value = (number * 7 + round / 3).to_string();
                    Field::new(format!("n{}", number % 50).as_bytes(), value.as_bytes())
                })
                .collect();
            stream.send(&list);
        }
    }
}

#[test]
fn secrets_are_written_out_each_time() {
    // Miri is a thousand times slower.
    for version in VERSIONS.into_iter().skip(if cfg!(miri) { 1 } else { 0 }) {
        let secret = |name: &str, value: &str| {
            let mut field = Field::new(name.as_bytes(), value.as_bytes());
            field.sensitive = true;
            field
        };
        let long = "0123456789abcdef0123456789abcdef";
        // Marked as sensitive, or sensitive by name.
        for field in [
            secret("x-token", long),
            Field::new(b"authorization", b"Basic Zm9vOmJhcjpiYXo6cXV4"),
            Field::new(b"proxy-authorization", b"Basic Zm9vOmJhcjpiYXo6"),
            Field::new(b"cookie", b"id=0123456789abcdef"),
            Field::new(b"set-cookie", b"id=0123456789abcdef"),
        ] {
            let mut stream = Stream::new(version);
            let other = Field::new(b"accept", b"text/html");
            for _ in 0..if cfg!(miri) { 2 } else { 4 } {
                let list = [other.clone(), field.clone(), other.clone()];
                let length = stream.send(&list);
                assert!(length >= field.value.len() + 5, "{length} bytes");
            }
            // The secret is not available for a match by a field without the mark.
            let not_called = Field {
                sensitive: false,
                ..field.clone()
            };
            let length = stream.send(&[other.clone(), not_called]);
            assert!(length >= field.value.len() + 5, "{length} bytes");
        }
        // A secret does not match earlier fields of others.
        let mut stream = Stream::new(version);
        stream.send(&[Field::new(b"x-token", long.as_bytes())]);
        let plain = stream.send(&[Field::new(b"x-token", long.as_bytes())]);
        let sensitive = stream.send(&[secret("x-token", long)]);
        assert!(plain < 20 && sensitive > 32, "{plain} and {sensitive}");
        // A long cookie is treated like other fields.
        let mut stream = Stream::new(version);
        let cookie = [Field::new(b"cookie", long.as_bytes())];
        assert!(stream.send(&cookie) > stream.send(&cookie) + 20);
    }
}

/// The block must fit into a frame whatever its bytes: the length has 24 bits.
#[cfg(not(miri))]
#[test]
fn the_largest_block_does_not_grow() {
    let mut stream = Encoder::new(WireVersion::V3, Compression::WholeField);
    let mut wire = BytesMut::new();
    let mut block = stream.block(&mut wire);
    for number in 0..16_000_u32 {
        // The fixed code has nine bits for these bytes.
        let value: Vec<u8> = (0..1000_u32).map(|at| 0x90 | (at * number) as u8).collect();
        block.field(&number.to_be_bytes(), [value]);
    }
    block.finish().unwrap();
    assert!(wire.len() < 1 << 24, "{} bytes", wire.len());
}

fn plain<N, V>(fields: impl IntoIterator<Item = (N, V)>) -> Vec<Field>
where
    N: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    fields
        .into_iter()
        .map(|(name, value)| Field::new(name.as_ref(), value.as_ref()))
        .collect()
}

struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Without NUL.
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8 | 1).collect()
    }

    /// Mostly a field that occurred before, sometimes a part of it.
    fn field(&mut self) -> Field {
        const NAMES: [&str; 10] = [
            ":path",
            "x",
            "te",
            "accept",
            "cookie",
            "authorization",
            "host",
            "etag",
            "gzip",
            "version",
        ];
        const VALUES: [&str; 10] = [
            "",
            "a",
            "gzip",
            "200 OK",
            "HTTP/1.1",
            "text/html",
            "accept",
            "404 Not Found",
            "session=0123456789abcdef0123456789abcdef",
            "session=0123456789abcdef0123456789abcdeX",
        ];
        let name = NAMES[self.below(10) as usize].as_bytes().to_vec();
        let value = match self.below(12) {
            kind @ 0..=9 => VALUES[kind as usize].as_bytes().to_vec(),
            10 => vec![b'v'; self.below(600) as usize],
            _ => {
                let length = self.below(40) as usize;
                self.bytes(length)
            }
        };
        Field {
            name,
            value,
            sensitive: self.below(6) == 0,
        }
    }
}
