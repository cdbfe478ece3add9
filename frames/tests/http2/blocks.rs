//! Header blocks through both halves of a connection: joining, splitting, and agreement of the
//! tables.

use bytes::BytesMut;
use lacewing_frames::http2::{
    Decoder, DecoderLimits, Encoder, Frame, HeadersHead, Kind, Message, PushPromiseHead,
    StreamPriority, flags,
};
use lacewing_hpack::{EncoderConfig, HeaderField, Sensitivity};

use crate::support::{List, Random, decode_all, decoder, list, raw};

/// More than a frame of the default size takes.
const LONG: usize = if cfg!(miri) { 17_000 } else { 40_000 };

fn encode(encoder: &mut Encoder, dst: &mut BytesMut, head: HeadersHead, list: &List) {
    encoder.headers(dst, head, |block| {
        for (field, sensitivity) in list {
            block.field(field.name(), field.value(), *sensitivity);
        }
    });
}

fn roomy() -> DecoderLimits {
    DecoderLimits::default().with(|limits| {
        limits.max_header_list_size = 1 << 24;
        limits.max_header_block = 1 << 24;
        limits.max_continuations = 1_000;
    })
}

/// Bytes that Huffman coding cannot shorten.
fn incompressible(random: &mut Random, len: usize) -> Vec<u8> {
    random
        .bytes(len)
        .into_iter()
        .map(|byte| byte | 0x80)
        .collect()
}

#[test]
fn fragments_join_wherever_they_are_cut() {
    let block = b"\x82\x86\x84\x41\x0fwww.example.com\x40\x01x\x01y";
    let expected = list(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("x", "y"),
    ]);
    for first in (0..=block.len()).step_by(if cfg!(miri) { 31 } else { 1 }) {
        for second in first..=block.len() {
            let wire = [
                raw(Kind::HEADERS, flags::END_STREAM, 1, &block[..first]),
                raw(Kind::CONTINUATION, 0, 1, &block[first..second]),
                raw(Kind::CONTINUATION, flags::END_HEADERS, 1, &block[second..]),
            ]
            .concat();
            let (messages, error) = decode_all(&mut decoder(), &wire);
            assert_eq!(error, None);
            let [
                Message::Headers {
                    stream_id: 1,
                    fin: true,
                    list,
                    size,
                    ..
                },
            ] = &messages[..]
            else {
                panic!("{messages:?}");
            };
            assert_eq!(list.as_ref(), Ok(&expected));
            assert_eq!(
                *size,
                expected
                    .iter()
                    .map(|(field, _)| field.size())
                    .sum::<usize>()
            );
        }
    }
}

#[test]
fn push_promise_goes_on_in_continuation() {
    let wire = [
        raw(
            Kind::PUSH_PROMISE,
            flags::PADDED,
            1,
            b"\x01\x00\x00\x00\x02\x82\x00",
        ),
        raw(Kind::CONTINUATION, flags::END_HEADERS, 1, b"\x84"),
    ]
    .concat();
    let (messages, _) = decode_all(&mut decoder(), &wire);
    let [
        Message::PushPromise {
            stream_id: 1,
            promised_id: 2,
            list: fields,
            ..
        },
    ] = &messages[..]
    else {
        panic!("{messages:?}");
    };
    assert_eq!(*fields, Ok(list(&[(":method", "GET"), (":path", "/")])));
}

#[test]
fn long_blocks_are_split() {
    let mut random = Random::new(1);
    let max = 16_384;
    let priority = Some(StreamPriority {
        dependency: 3,
        exclusive: true,
        weight: 200,
    });
    let lengths = [
        16_000,
        max - 300,
        max - 10,
        max - 5,
        max - 4,
        max - 3,
        max,
        max + 1,
        2 * max - 4,
        2 * max,
        3 * max - 1,
        5 * max + 77,
    ];
    // Miri is a thousand times slower: one that takes two frames.
    let is_played = |length: &usize| !cfg!(miri) || *length == max - 3;
    for length in lengths.into_iter().filter(is_played) {
        let heads = [
            (None, None),
            (priority, None),
            (None, Some(0)),
            (priority, Some(255)),
        ];
        // Miri plays the last, which has all parts.
        let skipped = if cfg!(miri) { heads.len() - 1 } else { 0 };
        for (priority, padding) in heads.into_iter().skip(skipped) {
            let value = incompressible(&mut random, length);
            let fields: List = vec![(HeaderField::new(b"x", &value), Sensitivity::Sensitive)];
            let head = HeadersHead {
                priority,
                padding,
                ..HeadersHead::new(5, true)
            };
            let mut wire = BytesMut::from(&b"before"[..]);
            encode(&mut Encoder::new(), &mut wire, head, &fields);
            let wire = wire.split_off(6);

            check_split(wire.clone(), max, padding);
            let (messages, error) = decode_all(&mut Decoder::new(roomy()), &wire);
            assert_eq!(error, None);
            let [
                Message::Headers {
                    fin: true,
                    priority: got,
                    list,
                    ..
                },
            ] = &messages[..]
            else {
                panic!("{messages:?}");
            };
            assert_eq!((*got, list.as_ref()), (priority, Ok(&fields)));
        }
    }
}

/// All frames but the last are full, only the last has END_HEADERS, and the padding is zero.
fn check_split(mut wire: BytesMut, max: usize, padding: Option<u8>) {
    let mut frames = Vec::new();
    while wire.len() > 9 {
        let before = wire.len();
        let frame = Frame::decode(&mut wire, max as u32).unwrap().unwrap();
        frames.push((frame, before - wire.len() - 9));
    }
    assert!(wire.is_empty());
    let last = frames.len() - 1;
    for (index, (frame, length)) in frames.iter().enumerate() {
        assert!(
            index == last || *length == max,
            "only the last frame is short"
        );
        match frame {
            Frame::Headers(frame) => {
                assert_eq!(index, 0);
                assert_eq!(frame.end_headers, index == last);
                let zeros = padding.map(|padding| vec![0; usize::from(padding)]);
                assert_eq!(frame.padding.as_deref(), zeros.as_deref());
            }
            Frame::Continuation(frame) => {
                assert_eq!((frame.stream_id, frame.end_headers), (5, index == last));
                assert!(!frame.fragment.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_peers_frame_size_is_used() {
    let value = incompressible(&mut Random::new(2), LONG);
    let fields: List = vec![(HeaderField::new(b"x", &value), Sensitivity::Normal)];
    let mut encoder = Encoder::new();
    encoder.set_max_frame_size(50_000);
    let mut wire = BytesMut::new();
    encode(&mut encoder, &mut wire, HeadersHead::new(1, false), &fields);
    assert!(
        matches!(Frame::decode(&mut wire, 50_000), Ok(Some(Frame::Headers(frame))) if frame.end_headers)
    );
    assert!(wire.is_empty());
    encoder.set_max_frame_size(0);
    assert_eq!(encoder.max_frame_size(), 16_384);
    encoder.set_max_frame_size(u32::MAX);
    assert_eq!(encoder.max_frame_size(), (1 << 24) - 1);
}

#[test]
fn long_promises_are_split() {
    let value = incompressible(&mut Random::new(3), LONG);
    let head = PushPromiseHead {
        padding: Some(9),
        ..PushPromiseHead::new(1, 2)
    };
    let mut wire = BytesMut::new();
    Encoder::new().push_promise(&mut wire, head, |block| {
        block.field(b"x", &value, Sensitivity::Normal);
    });
    let (messages, error) = decode_all(&mut Decoder::new(roomy()), &wire);
    assert_eq!(error, None);
    let [
        Message::PushPromise {
            stream_id: 1,
            promised_id: 2,
            list: Ok(list),
            ..
        },
    ] = &messages[..]
    else {
        panic!("{messages:?}");
    };
    assert_eq!(list[0].0.value(), value);
}

#[test]
fn an_empty_list_is_a_frame() {
    let mut wire = BytesMut::new();
    Encoder::new().headers(&mut wire, HeadersHead::new(1, false), |_| {});
    assert_eq!(wire[..], *b"\x00\x00\x00\x01\x04\x00\x00\x00\x01");
    let (messages, _) = decode_all(&mut decoder(), &wire);
    assert!(
        matches!(&messages[..], [Message::Headers { list: Ok(list), size: 0, .. }] if list.is_empty())
    );
}

/// Lists of a whole connection, with changing table sizes and any segmentation of the bytes.
#[test]
fn a_connection_stays_in_step() {
    // Miri is a thousand times slower.
    for seed in 0..if cfg!(miri) { 1 } else { 60 } {
        let mut random = Random::new(seed);
        let mut encoder = Encoder::with_hpack(
            EncoderConfig::DEFAULT.with(|config| config.max_table_size = 1 << 16),
        );
        let mut decoder = Decoder::<List>::new(roomy());
        let mut wire = BytesMut::new();
        let mut sent = Vec::new();
        let mut received = Vec::new();
        let mut src = BytesMut::new();
        for number in 0..if cfg!(miri) { 4 } else { 40 } {
            if random.below(8) == 0 {
                // The peer acknowledges at once: both sides change between two blocks.
                drain(
                    &mut decoder,
                    &mut src,
                    &mut wire,
                    &mut received,
                    &mut random,
                );
                let size = [0, 100, 4096, 30_000][random.below(4)];
                decoder.set_header_table_size(size);
                encoder.set_header_table_size(size);
            }
            let list = random_list(&mut random);
            let head = HeadersHead {
                padding: (random.below(3) == 0).then_some(random.below(256) as u8),
                ..HeadersHead::new(2 * number + 1, random.below(2) == 0)
            };
            encode(&mut encoder, &mut wire, head, &list);
            encoder.window_update(&mut wire, 0, 1);
            sent.push((head.stream_id, head.fin, list));
        }
        drain(
            &mut decoder,
            &mut src,
            &mut wire,
            &mut received,
            &mut random,
        );
        assert!(src.is_empty());
        assert_eq!(sent.len(), received.len(), "seed {seed}");
        for (sent, received) in sent.iter().zip(&received) {
            assert_eq!((sent.0, sent.1), (received.0, received.1), "seed {seed}");
            assert!(same(&sent.2, &received.2), "seed {seed}, stream {}", sent.0);
        }
    }
}

/// Compares the fields, and checks that secrets are still marked. (The encoder may treat more
/// fields as secrets than its caller marked.)
fn same(sent: &List, received: &List) -> bool {
    sent.len() == received.len()
        && sent
            .iter()
            .zip(received)
            .all(|((sent, sensitivity), (received, arrived))| {
                sent == received && (*sensitivity == Sensitivity::Normal || sensitivity == arrived)
            })
}

fn drain(
    decoder: &mut Decoder<List>,
    src: &mut BytesMut,
    wire: &mut BytesMut,
    received: &mut Vec<(u32, bool, List)>,
    random: &mut Random,
) {
    while !wire.is_empty() {
        let most = [1, 20, 5000][random.below(3)];
        let now = wire.split_to((random.below(most) + 1).min(wire.len()));
        src.extend_from_slice(&now);
        while let Some(message) = decoder.decode(src).unwrap() {
            match message {
                Message::Headers {
                    stream_id,
                    fin,
                    list: Ok(list),
                    ..
                } => {
                    received.push((stream_id, fin, list));
                }
                Message::WindowUpdate { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn random_list(random: &mut Random) -> List {
    const NAMES: [&str; 8] = [
        ":method",
        ":path",
        ":status",
        "cookie",
        "x-one",
        "x-two",
        "content-length",
        "x",
    ];
    (0..random.below(12))
        .map(|_| {
            let name = NAMES[random.below(NAMES.len())];
            let value = match random.below(30) {
                0 => {
                    let length = random.below(if cfg!(miri) { 600 } else { 30_000 });
                    random.bytes(length)
                }
                1..10 => b"GET".to_vec(),
                _ => format!("value {}", random.below(20)).into_bytes(),
            };
            let sensitivity = match random.below(5) {
                0 => Sensitivity::Sensitive,
                _ => Sensitivity::Normal,
            };
            (HeaderField::new(name.as_bytes(), &value), sensitivity)
        })
        .collect()
}
