//! HPACK, ours and nghttp2's (C): header lists of stories 20 to 30 of hpack-test-case. One element
//! is one header field, so that criterion's `Melem/s` converts to nanoseconds per field. Huffman
//! counts per byte of plain text.
//!
//! Decoding reads the blocks of nghttp2's encoder. Before the measurement, both decoders must agree
//! with the lists, for both encoders.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../../hpack/fuzz/src/nghttp2/inflater.rs"]
mod inflater;
mod nghttp2;

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use inflater::Inflater;
use lacewing_benches::corpus::{self, HeaderList, Story};
use lacewing_hpack::{
    DEFAULT_TABLE_SIZE, Decoder, Encoder, HeaderField, ListLimits, Sensitivity, huffman,
};
use nghttp2::{Deflater, Prepared};

criterion_group!(benches, encode, decode, huffman_encode, huffman_decode);
criterion_main!(benches);

/// The compressed blocks of one story.
type Blocks = Vec<Vec<u8>>;

fn encode(criterion: &mut Criterion) {
    let stories = corpus::hpack_stories();
    let prepared: Vec<Vec<Prepared<'_>>> = stories
        .iter()
        .map(|story| story.lists.iter().map(Prepared::new).collect())
        .collect();
    check(&stories, &ours(&stories), "ours");
    check(&stories, &nghttp2s(&stories), "nghttp2");

    let mut group = criterion.benchmark_group("hpack/encode");
    group.throughput(Throughput::Elements(fields(&stories)));
    let mut block = BytesMut::with_capacity(64 * 1024);
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            for story in &stories {
                let mut encoder = Encoder::new();
                for list in &story.lists {
                    block.clear();
                    encode_list(&mut encoder, list, &mut block);
                    black_box(&block);
                }
            }
        });
    });
    let mut block = Vec::with_capacity(64 * 1024);
    group.bench_function("nghttp2", |bencher| {
        bencher.iter(|| {
            for story in &prepared {
                let mut encoder = Deflater::new(DEFAULT_TABLE_SIZE);
                for list in story {
                    block.clear();
                    encoder.encode(list, &mut block);
                    black_box(&block);
                }
            }
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let stories = corpus::hpack_stories();
    let blocks = nghttp2s(&stories);
    let mut group = criterion.benchmark_group("hpack/decode");
    group.throughput(Throughput::Elements(fields(&stories)));
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            for story in &blocks {
                let mut decoder = Decoder::<HeaderField>::new(DEFAULT_TABLE_SIZE);
                for block in story {
                    let sink = |field, _| {
                        black_box(&field);
                    };
                    decoder.decode(block, limits(), sink).unwrap();
                }
            }
        });
    });
    group.bench_function("nghttp2", |bencher| {
        bencher.iter(|| {
            for story in &blocks {
                let mut decoder = Inflater::new(DEFAULT_TABLE_SIZE);
                for block in story {
                    let sink = |name: &[u8], value: &[u8], _| {
                        black_box((name, value));
                    };
                    decoder.decode(block, sink).unwrap();
                }
            }
        });
    });
    group.finish();
}

fn huffman_encode(criterion: &mut Criterion) {
    let texts = texts();
    let mut group = criterion.benchmark_group("huffman/encode");
    group.throughput(Throughput::Bytes(total(&texts)));
    let mut coded = Vec::with_capacity(64 * 1024);
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            for text in &texts {
                coded.clear();
                huffman::encode(text, &mut coded);
                black_box(&coded);
            }
        });
    });
    group.bench_function("nghttp2", |bencher| {
        bencher.iter(|| {
            for text in &texts {
                nghttp2::huffman_encode(text, &mut coded);
                black_box(&coded);
            }
        });
    });
    group.finish();
}

fn huffman_decode(criterion: &mut Criterion) {
    let texts = texts();
    let coded: Vec<Vec<u8>> = texts
        .iter()
        .map(|text| {
            let (mut ours, mut theirs, mut back) = (Vec::new(), Vec::new(), Vec::new());
            huffman::encode(text, &mut ours);
            nghttp2::huffman_encode(text, &mut theirs);
            nghttp2::huffman_decode(&ours, &mut back);
            assert!(ours == theirs && back == *text, "Huffman coders differ");
            ours
        })
        .collect();
    let mut group = criterion.benchmark_group("huffman/decode");
    group.throughput(Throughput::Bytes(total(&texts)));
    let mut text = Vec::with_capacity(64 * 1024);
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            for coded in &coded {
                text.clear();
                huffman::decode(coded, &mut text).unwrap();
                black_box(&text);
            }
        });
    });
    group.bench_function("nghttp2", |bencher| {
        bencher.iter(|| {
            for coded in &coded {
                nghttp2::huffman_decode(coded, &mut text);
                black_box(&text);
            }
        });
    });
    group.finish();
}

fn limits() -> ListLimits {
    ListLimits::default().with(|limits| {
        limits.max_size = 1 << 20;
        limits.max_fields = 10_000;
    })
}

fn encode_list(encoder: &mut Encoder, list: &HeaderList, block: &mut BytesMut) {
    let mut fields = encoder.block(block);
    for (name, value) in list {
        fields.field(name, value, Sensitivity::Normal);
    }
}

fn ours(stories: &[Story]) -> Vec<Blocks> {
    stories
        .iter()
        .map(|story| {
            let mut encoder = Encoder::new();
            let blocks = story.lists.iter().map(|list| {
                let mut block = BytesMut::new();
                encode_list(&mut encoder, list, &mut block);
                block.to_vec()
            });
            blocks.collect()
        })
        .collect()
}

fn nghttp2s(stories: &[Story]) -> Vec<Blocks> {
    stories
        .iter()
        .map(|story| {
            let mut encoder = Deflater::new(DEFAULT_TABLE_SIZE);
            let blocks = story.lists.iter().map(|list| {
                let mut block = Vec::new();
                encoder.encode(&Prepared::new(list), &mut block);
                block
            });
            blocks.collect()
        })
        .collect()
}

/// Checks that both decoders find the lists in `blocks`. Prints the compression ratio.
fn check(stories: &[Story], blocks: &[Blocks], encoder: &str) {
    for (story, blocks) in stories.iter().zip(blocks) {
        let mut our_decoder = Decoder::<HeaderField>::new(DEFAULT_TABLE_SIZE);
        let mut their_decoder = Inflater::new(DEFAULT_TABLE_SIZE);
        for (list, block) in story.lists.iter().zip(blocks) {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            our_decoder
                .decode(block, limits(), |field, _| ours.push(field))
                .unwrap();
            let decoded = their_decoder.decode(block, |name, value, _| {
                theirs.push(HeaderField::new(name, value));
            });
            decoded.unwrap();
            let list: Vec<HeaderField> = list
                .iter()
                .map(|(name, value)| HeaderField::new(name, value))
                .collect();
            assert!(ours == list && theirs == list, "{encoder}: {}", story.name);
        }
    }
    let coded: usize = blocks.iter().flatten().map(Vec::len).sum();
    let plain: usize = stories.iter().map(Story::bytes).sum();
    #[allow(clippy::cast_precision_loss)]
    let ratio = coded as f64 / plain as f64;
    println!("hpack/encode/{encoder}: {coded} of {plain} bytes, ratio {ratio:.4}");
}

fn fields(stories: &[Story]) -> u64 {
    stories.iter().map(Story::fields).sum::<usize>() as u64
}

/// Every value of the stories.
fn texts() -> Vec<Vec<u8>> {
    let stories = corpus::hpack_stories();
    let fields = stories
        .iter()
        .flat_map(|story| story.lists.iter().flatten());
    fields.map(|(_, value)| value.to_vec()).collect()
}

fn total(texts: &[Vec<u8>]) -> u64 {
    texts.iter().map(Vec::len).sum::<usize>() as u64
}
