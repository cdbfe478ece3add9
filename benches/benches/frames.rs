//! Frames with header blocks: decodes the read buffer of one connection, and encodes the same
//! frames. Small requests (HEADERS or SYN_STREAM) count per frame, DATA per byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lacewing_frames::{http2, spdy};
use lacewing_hpack::{HeaderField, Sensitivity};

criterion_group!(benches, requests, thirty_fields, data);
criterion_main!(benches);

/// The number of frames in the buffer.
const FRAMES: u32 = 100;

type Http2List = Vec<(HeaderField, Sensitivity)>;
type SpdyList = Vec<(Bytes, Bytes)>;

/// A small request, like that of h2load.
const HTTP2_REQUEST: [(&[u8], &[u8]); 5] = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":authority", b"127.0.0.1:8080"),
    (b":path", b"/"),
    (b"user-agent", b"h2load nghttp2/1.52.0"),
];

/// The same in SPDY/3.
const SPDY_REQUEST: [(&[u8], &[u8]); 6] = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":host", b"127.0.0.1:8080"),
    (b":path", b"/"),
    (b":version", b"HTTP/1.1"),
    (b"user-agent", b"h2load nghttp2/1.52.0"),
];

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames/requests");
    group.throughput(Throughput::Elements(u64::from(FRAMES)));

    let mut wire = BytesMut::with_capacity(64 * 1024);
    group.bench_function("encode/http2", |bencher| {
        bencher.iter(|| {
            wire.clear();
            http2_requests(&mut wire);
            black_box(&wire);
        });
    });
    group.bench_function("encode/spdy3", |bencher| {
        bencher.iter(|| {
            wire.clear();
            spdy_requests(&mut wire);
            black_box(&wire);
        });
    });

    let mut http2 = BytesMut::new();
    http2_requests(&mut http2);
    group.bench_function("decode/http2", |bencher| {
        bencher.iter_batched(
            || http2.clone(),
            |wire| assert_eq!(decode_http2(wire), FRAMES),
            BatchSize::SmallInput,
        );
    });
    let mut spdy = BytesMut::new();
    spdy_requests(&mut spdy);
    group.bench_function("decode/spdy3", |bencher| {
        bencher.iter_batched(
            || spdy.clone(),
            |wire| assert_eq!(decode_spdy(wire), FRAMES),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// Requests of 30 fields that fit the dynamic table, as one client makes them: the same list again,
/// another path each time, and a field in the middle that comes and goes. The encoder first tries the
/// entry that followed in the block before; the decoder knows the rest of a block that it has seen.
fn thirty_fields(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames/thirty-fields");
    group.throughput(Throughput::Elements(u64::from(FRAMES)));
    for (name, list) in [
        ("same", thirty_same as fn(u32) -> List),
        ("another-path", thirty_another_path),
        ("changing-middle", thirty_changing_middle),
    ] {
        let lists: Vec<List> = (0..FRAMES).map(list).collect();
        let mut wire = BytesMut::with_capacity(64 * 1024);
        group.bench_function(format!("encode/{name}"), |bencher| {
            bencher.iter(|| {
                wire.clear();
                http2_lists(&mut wire, &lists);
                black_box(&wire);
            });
        });
        group.bench_function(format!("decode/{name}"), |bencher| {
            bencher.iter_batched(
                || wire.clone(),
                |wire| assert_eq!(decode_http2(wire), FRAMES),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn data(criterion: &mut Criterion) {
    const LENGTH: u32 = 16_384;
    let mut group = criterion.benchmark_group("frames/data");
    group.throughput(Throughput::Bytes(u64::from(FRAMES * LENGTH)));
    let payload = [b'.'; LENGTH as usize];

    let mut http2 = BytesMut::new();
    let encoder = http2::Encoder::new();
    for number in 0..FRAMES {
        encoder.data_head(&mut http2, 1, LENGTH, number == FRAMES - 1);
        http2.extend_from_slice(&payload);
    }
    group.bench_function("decode/http2", |bencher| {
        bencher.iter_batched(
            || http2.clone(),
            |wire| assert_eq!(decode_http2(wire), FRAMES),
            BatchSize::LargeInput,
        );
    });
    let mut spdy = BytesMut::new();
    let encoder = spdy::Encoder::new(spdy::WireVersion::V3, spdy::Compression::Stored);
    for number in 0..FRAMES {
        let fin = number == FRAMES - 1;
        encoder.data_head(&mut spdy, 1, LENGTH, fin);
        spdy.extend_from_slice(&payload);
    }
    group.bench_function("decode/spdy3", |bencher| {
        bencher.iter_batched(
            || spdy.clone(),
            |wire| assert_eq!(decode_spdy(wire), FRAMES),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn http2_requests(wire: &mut BytesMut) {
    let mut encoder = http2::Encoder::new();
    for number in 0..FRAMES {
        let head = http2::HeadersHead::new(2 * number + 1, true);
        encoder.headers(wire, head, |block| {
            for (name, value) in HTTP2_REQUEST {
                block.field(name, value, Sensitivity::Normal);
            }
        });
    }
}

type List = Vec<(String, String)>;

fn thirty_same(_: u32) -> List {
    let pseudo = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "www.example.org"),
        (":path", "/index.html"),
    ];
    let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let regular = (0..26).map(|n| (format!("x-field-{n}"), format!("the value of field {n}")));
    pseudo.into_iter().chain(regular).collect()
}

fn thirty_another_path(number: u32) -> List {
    let mut list = thirty_same(number);
    list[3].1 = format!("/page/{number}");
    list
}

fn thirty_changing_middle(number: u32) -> List {
    let mut list = thirty_same(number);
    if number.is_multiple_of(2) {
        list.remove(17);
    }
    list
}

fn http2_lists(wire: &mut BytesMut, lists: &[List]) {
    let mut encoder = http2::Encoder::new();
    for (number, list) in (0..).zip(lists) {
        let head = http2::HeadersHead::new(2 * number + 1, true);
        encoder.headers(wire, head, |block| {
            for (name, value) in list {
                block.field(name.as_bytes(), value.as_bytes(), Sensitivity::Normal);
            }
        });
    }
}

fn spdy_requests(wire: &mut BytesMut) {
    let mut encoder = spdy::Encoder::new(spdy::WireVersion::V3, spdy::Compression::Stored);
    for number in 0..FRAMES {
        let head = spdy::SynStreamHead {
            fin: true,
            ..spdy::SynStreamHead::new(2 * number + 1)
        };
        let written = encoder.syn_stream(wire, head, |block| {
            for (name, value) in SPDY_REQUEST {
                block.field(name, [value]);
            }
        });
        written.unwrap();
    }
}

fn decode_http2(mut wire: BytesMut) -> u32 {
    let mut decoder = http2::Decoder::<Http2List>::new(http2::DecoderLimits::default());
    let mut count = 0;
    while let Some(message) = decoder.decode(&mut wire).unwrap() {
        black_box(&message);
        count += 1;
    }
    count
}

/// Counts DATA by the last pieces: SPDY's decoder returns pieces as they arrive.
fn decode_spdy(mut wire: BytesMut) -> u32 {
    let limits = spdy::DecoderLimits::default();
    let mut decoder = spdy::Decoder::<SpdyList>::new(spdy::WireVersion::V3, limits);
    let mut count = 0;
    while let Some(message) = decoder.decode(&mut wire).unwrap() {
        black_box(&message);
        count += 1;
    }
    count
}
