//! SPDY's header blocks: real requests and responses. One element is a header field. Decoding reads
//! the blocks of spdylay (zlib). Encoding runs stored, by whole fields (the default) and by zlib.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lacewing_benches::corpus::{self, SpdySequence, Story};
use lacewing_spdy_zlib::{Compression, Decoder, Encoder, ListLimits, WireVersion};

criterion_group!(benches, encode, decode);
criterion_main!(benches);

const COMPRESSIONS: [(&str, Compression); 4] = [
    ("whole-field", Compression::WholeField),
    ("stored", Compression::Stored),
    ("zlib-1", Compression::Zlib(1)),
    ("zlib-6", Compression::Zlib(6)),
];

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spdy-zlib/encode");
    for SpdySequence { name, story, .. } in corpus::spdy_sequences().unwrap() {
        group.throughput(Throughput::Elements(story.fields() as u64));
        for (label, compression) in COMPRESSIONS {
            let coded: usize = blocks(&story, compression).iter().map(Bytes::len).sum();
            println!("{name}, {label}: {} bytes become {coded}", story.bytes());
            let mut block = BytesMut::with_capacity(64 * 1024);
            group.bench_function(BenchmarkId::new(label, &name), |bencher| {
                bencher.iter(|| {
                    let mut encoder = Encoder::new(WireVersion::V3, compression);
                    for list in &story.lists {
                        block.clear();
                        let mut fields = encoder.block(&mut block);
                        for (name, value) in list {
                            fields.field(name, [value]);
                        }
                        fields.finish().unwrap();
                        black_box(&block);
                    }
                });
            });
        }
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spdy-zlib/decode");
    for SpdySequence {
        name,
        story,
        blocks: compressed,
    } in corpus::spdy_sequences().unwrap()
    {
        group.throughput(Throughput::Elements(story.fields() as u64));
        let stored = blocks(&story, Compression::Stored);
        let whole = blocks(&story, Compression::WholeField);
        for (label, blocks) in [
            ("stored", stored),
            ("whole-field", whole),
            ("zlib", compressed),
        ] {
            check(&story, &blocks);
            group.bench_function(BenchmarkId::new(label, &name), |bencher| {
                bencher.iter(|| {
                    let mut decoder = Decoder::new(WireVersion::V3);
                    for block in &blocks {
                        let sink = |name: &[u8], values: lacewing_spdy_zlib::Values<'_>| {
                            black_box((name, values.joined()));
                        };
                        decoder.decode(block, ListLimits::default(), sink).unwrap();
                    }
                });
            });
        }
    }
    group.finish();
}

fn blocks(story: &Story, compression: Compression) -> Vec<Bytes> {
    let mut encoder = Encoder::new(WireVersion::V3, compression);
    let blocks = story.lists.iter().map(|list| {
        let mut block = BytesMut::new();
        let mut fields = encoder.block(&mut block);
        for (name, value) in list {
            fields.field(name, [value]);
        }
        fields.finish().unwrap();
        block.freeze()
    });
    blocks.collect()
}

/// Checks that the blocks contain the lists.
fn check(story: &Story, blocks: &[Bytes]) {
    let mut decoder = Decoder::new(WireVersion::V3);
    for (list, block) in story.lists.iter().zip(blocks) {
        let mut found = Vec::new();
        decoder
            .decode(block, ListLimits::default(), |name, values| {
                found.push((
                    Bytes::copy_from_slice(name),
                    values.joined().to_vec().into(),
                ));
            })
            .unwrap();
        assert!(found == *list, "{}", story.name);
    }
}
