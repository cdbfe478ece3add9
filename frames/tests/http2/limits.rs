//! The limits against hostile peers, and honest input just below them.

use bytes::BytesMut;
use lacewing_frames::http2::{
    DecodeError, Decoder, DecoderLimits, ErrorCode, Frame, FrameHead, Kind, Message, Scope, flags,
};
use lacewing_hpack::ExceededLimit;

use crate::support::{GET, List, decode_all, decoder, list, raw, settings};

fn head_only(kind: Kind, length: u32, stream_id: u32) -> Vec<u8> {
    FrameHead {
        length,
        kind,
        flags: 0,
        stream_id,
    }
    .to_bytes()
    .to_vec()
}

#[test]
fn frame_size_is_judged_from_the_head() {
    for kind in (0..=255).map(Kind) {
        let wire = head_only(kind, 16_385, 1);
        let error = DecodeError::FrameTooLong {
            kind,
            length: 16_385,
            limit: 16_384,
        };
        let mut src = BytesMut::from(&wire[..]);
        assert_eq!(decoder().decode(&mut src).as_ref(), Err(&error));
        assert_eq!(Frame::decode(&mut src, 16_384).as_ref(), Err(&error));
        assert_eq!(src, wire, "nothing is consumed");
        assert_eq!(error.error_code(), ErrorCode::FRAME_SIZE_ERROR);
        assert_eq!(error.scope(), Scope::Connection);
    }
}

#[test]
fn frame_size_follows_our_setting() {
    let mut decoder = decoder();
    let wire = raw(Kind::DATA, 0, 1, &[0; 20_000]);
    decoder.set_max_frame_size(20_000);
    let (messages, error) = decode_all(&mut decoder, &wire);
    assert_eq!((messages.len(), error), (1, None));

    decoder.set_max_frame_size(0);
    assert_eq!(decoder.limits().max_frame_size, 16_384);
    decoder.set_max_frame_size(u32::MAX);
    assert_eq!(decoder.limits().max_frame_size, (1 << 24) - 1);
    let (_, error) = decode_all(&mut decoder, &head_only(Kind::DATA, (1 << 24) - 1, 1));
    assert_eq!(error, None);
}

#[test]
fn continuations_are_counted() {
    for fragment in [&b""[..], b"\x82", &[0x82; 16_000]] {
        let mut wire = raw(Kind::HEADERS, 0, 1, b"");
        let limit = DecoderLimits::default().max_continuations;
        for _ in 0..limit {
            wire.extend(raw(Kind::CONTINUATION, 0, 1, fragment));
        }
        let mut decoder = Decoder::<List>::new(
            DecoderLimits::default().with(|limits| limits.max_header_block = usize::MAX),
        );
        assert_eq!(decode_all(&mut decoder, &wire), (vec![], None));
        assert!(decoder.in_header_block());
        // One entry too many: rejected by the head.
        let one_more = head_only(Kind::CONTINUATION, 1, 1);
        let (_, error) = decode_all(&mut decoder, &one_more);
        let expected = DecodeError::TooManyContinuations {
            stream_id: 1,
            limit,
        };
        assert_eq!(error, Some(expected.clone()));
        assert_eq!(expected.error_code(), ErrorCode::ENHANCE_YOUR_CALM);
        assert!(!decoder.in_header_block(), "the block is discarded");
    }
}

#[test]
fn as_many_continuations_as_allowed() {
    let mut wire = raw(Kind::HEADERS, 0, 1, GET);
    for _ in 0..7 {
        wire.extend(raw(Kind::CONTINUATION, 0, 1, b""));
    }
    wire.extend(raw(Kind::CONTINUATION, flags::END_HEADERS, 1, b""));
    let (messages, error) = decode_all(&mut decoder(), &wire);
    assert_eq!((messages.len(), error), (1, None));
}

#[test]
fn compressed_bytes_are_counted() {
    let limits = DecoderLimits::default().with(|limits| limits.max_header_block = 100);
    let too_long = |length| {
        Some(DecodeError::HeaderBlockTooLong {
            stream_id: 1,
            length,
            limit: 100,
        })
    };

    // In one frame.
    let mut decoder = Decoder::<List>::new(limits.clone());
    let wire = raw(Kind::HEADERS, flags::END_HEADERS, 1, &[0x82; 101]);
    assert_eq!(decode_all(&mut decoder, &wire).1, too_long(101));

    // In CONTINUATION, by the head.
    let mut decoder = Decoder::<List>::new(limits.clone());
    let open = raw(Kind::HEADERS, 0, 1, &[0x82; 60]);
    let wire = [open.clone(), head_only(Kind::CONTINUATION, 41, 1)].concat();
    let error = decode_all(&mut decoder, &wire).1;
    assert_eq!(error, too_long(101));
    assert_eq!(error.unwrap().error_code(), ErrorCode::ENHANCE_YOUR_CALM);

    // Exactly the permitted number.
    let mut decoder = Decoder::<List>::new(limits);
    let end = raw(Kind::CONTINUATION, flags::END_HEADERS, 1, &[0x82; 40]);
    let (messages, error) = decode_all(&mut decoder, &[open, end].concat());
    assert_eq!((messages.len(), error), (1, None));
}

#[test]
fn a_list_that_is_too_large_leaves_the_table_in_step() {
    let limits = DecoderLimits::default().with(|limits| limits.max_header_list_size = 100);
    let mut decoder = Decoder::<List>::new(limits);
    // Three fields of 34 bytes. The last one enters the table although it exceeds the limit.
    let block = b"\x00\x01a\x01b\x00\x01a\x01b\x40\x01x\x01y";
    let wire = [
        raw(Kind::HEADERS, flags::END_HEADERS, 1, block),
        raw(Kind::HEADERS, flags::END_HEADERS, 3, b"\xbe"),
    ]
    .concat();
    let (messages, error) = decode_all(&mut decoder, &wire);
    assert_eq!(error, None);
    let [
        Message::Headers {
            size: 102,
            list: Err(cut),
            ..
        },
        second,
    ] = &messages[..]
    else {
        panic!("{messages:?}");
    };
    assert_eq!(cut.exceeded, ExceededLimit::Size);
    assert!(cut.fields.len() < 3);
    let Message::Headers { list: fields, .. } = second else {
        panic!("{second:?}");
    };
    assert_eq!(*fields, Ok(list(&[("x", "y")])));
}

#[test]
fn fields_are_counted() {
    let wire = |fields| raw(Kind::HEADERS, flags::END_HEADERS, 1, &vec![0x82; fields]);
    let limits = DecoderLimits::default().with(|limits| limits.max_header_list_size = usize::MAX);
    for (fields, expected) in [(1000, None), (1001, Some(ExceededLimit::Fields))] {
        let mut decoder = Decoder::<List>::new(limits.clone());
        let (messages, _) = decode_all(&mut decoder, &wire(fields));
        let [Message::Headers { list, .. }] = &messages[..] else {
            panic!("{messages:?}");
        };
        let (exceeded, list) = match list {
            Ok(list) => (None, list),
            Err(bad) => (Some(bad.exceeded), &bad.fields),
        };
        assert_eq!((exceeded, list.len()), (expected, 1000));
    }
}

#[test]
fn settings_are_counted() {
    let wire = |entries| raw(Kind::SETTINGS, 0, 0, &settings(&vec![(0xabcd, 1); entries]));
    assert_eq!(decode_all(&mut decoder(), &wire(32)).1, None);
    let error = decode_all(&mut decoder(), &wire(33)).1.unwrap();
    assert_eq!(
        error,
        DecodeError::TooManySettings {
            entries: 33,
            limit: 32
        }
    );
    assert_eq!(error.error_code(), ErrorCode::ENHANCE_YOUR_CALM);
}

#[test]
fn origins_are_counted() {
    let wire = |entries: usize| raw(Kind::ORIGIN, 0, 0, &[0, 0].repeat(entries));
    let (messages, _) = decode_all(&mut decoder(), &[wire(256), wire(257)].concat());
    assert!(matches!(
        messages[..],
        [Message::Origin(_), Message::Unknown { .. }]
    ));
}

#[test]
fn small_data_does_not_pin_the_read_buffer_and_large_data_is_shared() {
    let longest = if cfg!(miri) { 2_000 } else { 16_000 };
    for (length, shared) in [(1, false), (1023, false), (1024, true), (longest, true)] {
        for padding in [None, Some(3_u8)] {
            let mut payload = padding.into_iter().collect::<Vec<_>>();
            payload.extend((0..length).map(|n| n as u8));
            payload.extend(vec![0; usize::from(padding.unwrap_or(0))]);
            let flag = if padding.is_some() { flags::PADDED } else { 0 };
            let mut src = BytesMut::from(&raw(Kind::DATA, flag, 1, &payload)[..]);
            let memory = src.as_ptr_range();
            let Ok(Some(Message::Data {
                payload: data,
                flow_controlled_len,
                ..
            })) = decoder().decode(&mut src)
            else {
                panic!("good DATA");
            };
            assert_eq!(flow_controlled_len as usize, payload.len());
            assert_eq!(data.len(), length);
            assert!(data.iter().enumerate().all(|(n, byte)| *byte == n as u8));
            assert_eq!(memory.contains(&data.as_ptr()), shared, "{length} bytes");
        }
    }
}
