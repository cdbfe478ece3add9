//! One test for each rule that a frame can break: the error, its scope and its code.

use bytes::BytesMut;
use lacewing_frames::http2::{
    DecodeError, ErrorCode, Frame, Kind, Message, Scope, SettingId, flags,
};

use crate::support::{
    GET, decode_all, decode_first, decode_frame, decoder, every_frame, list, raw, settings,
};

/// Both levels reject the frame for this reason, with this scope and code.
fn refused(wire: &[u8], error: &DecodeError, scope: Scope, code: ErrorCode) {
    assert_eq!(decode_frame(wire).as_ref(), Err(error));
    refused_in_context(wire, error, scope, code);
}

/// Only the stateful level rejects it.
fn refused_in_context(wire: &[u8], error: &DecodeError, scope: Scope, code: ErrorCode) {
    assert_eq!(decode_first(wire).as_ref(), Err(error));
    assert_eq!(
        (error.scope(), error.error_code()),
        (scope, code),
        "{error}"
    );
    assert!(error.section().starts_with("RFC "));
    assert!(!error.to_string().is_empty());
}

const CONNECTION: Scope = Scope::Connection;

#[test]
fn lengths() {
    let wrong: [(Kind, u8, u32, &[usize]); 13] = [
        (Kind::RST_STREAM, 0, 1, &[0, 3, 5]),
        (Kind::SETTINGS, 0, 0, &[1, 5, 7, 11]),
        (Kind::PING, 0, 0, &[0, 7, 9]),
        (Kind::PING, flags::ACK, 0, &[0, 7, 9]),
        (Kind::GOAWAY, 0, 0, &[0, 7]),
        (Kind::WINDOW_UPDATE, 0, 0, &[0, 3, 5]),
        (Kind::WINDOW_UPDATE, 0, 1, &[0, 3, 5]),
        (Kind::PUSH_PROMISE, flags::END_HEADERS, 1, &[0, 3]),
        (
            Kind::HEADERS,
            flags::END_HEADERS | flags::PRIORITY,
            1,
            &[0, 4],
        ),
        (Kind::HEADERS, flags::END_HEADERS | flags::PADDED, 1, &[0]),
        (Kind::DATA, flags::PADDED, 1, &[0]),
        (Kind::PRIORITY_UPDATE, 0, 0, &[0, 3]),
        (Kind::ALTSVC, 0, 0, &[0, 1]),
    ];
    for (kind, flags, stream_id, lengths) in wrong {
        for &length in lengths {
            let wire = raw(kind, flags, stream_id, &vec![0; length]);
            let error = DecodeError::Length {
                kind,
                length: length as u32,
            };
            refused(&wire, &error, CONNECTION, ErrorCode::FRAME_SIZE_ERROR);
        }
    }
}

#[test]
fn a_wrong_priority_length_hurts_its_stream_alone() {
    for length in [0, 4, 6] {
        let wire = raw(Kind::PRIORITY, 0, 7, &vec![0; length]);
        let error = DecodeError::PriorityLength {
            stream_id: 7,
            length: length as u32,
        };
        refused(&wire, &error, Scope::Stream(7), ErrorCode::FRAME_SIZE_ERROR);
    }
}

#[test]
fn origins_that_end_early() {
    for (kind, payload) in [
        (Kind::ALTSVC, &b"\x00\x02o"[..]),
        (Kind::ORIGIN, b"\x00"),
        (Kind::ORIGIN, b"\x00\x01"),
        (Kind::ORIGIN, b"\x00\x01a\x00\x02b"),
    ] {
        let error = DecodeError::Length {
            kind,
            length: payload.len() as u32,
        };
        let wire = raw(kind, 0, 0, payload);
        refused(&wire, &error, CONNECTION, ErrorCode::FRAME_SIZE_ERROR);
    }
}

#[test]
fn frames_that_need_a_stream() {
    for kind in [
        Kind::DATA,
        Kind::HEADERS,
        Kind::PRIORITY,
        Kind::RST_STREAM,
        Kind::PUSH_PROMISE,
    ] {
        let wire = raw(kind, 0, 0, &[0; 5]);
        let error = DecodeError::StreamIdZero { kind };
        refused(&wire, &error, CONNECTION, ErrorCode::PROTOCOL_ERROR);
    }
    let wire = raw(Kind::CONTINUATION, 0, 0, b"");
    let error = DecodeError::StreamIdZero {
        kind: Kind::CONTINUATION,
    };
    assert_eq!(decode_frame(&wire), Err(error));
}

#[test]
fn frames_that_need_none() {
    for (kind, length) in [
        (Kind::SETTINGS, 0),
        (Kind::PING, 8),
        (Kind::GOAWAY, 8),
        (Kind::PRIORITY_UPDATE, 4),
    ] {
        let wire = raw(kind, 0, 3, &vec![1; length]);
        let error = DecodeError::StreamIdNotZero { kind, stream_id: 3 };
        refused(&wire, &error, CONNECTION, ErrorCode::PROTOCOL_ERROR);
    }
}

#[test]
fn padding() {
    let padded = flags::PADDED | flags::END_HEADERS;
    for (kind, flags, payload) in [
        (Kind::DATA, flags::PADDED, &b"\x01"[..]),
        (Kind::DATA, flags::PADDED, b"\x04abc"),
        (Kind::DATA, flags::PADDED, b"\xffabc"),
        (Kind::HEADERS, padded, b"\x02\x82"),
        // The padding extends into the priority, or into the promised stream.
        (
            Kind::HEADERS,
            padded | flags::PRIORITY,
            b"\x02\x00\x00\x00\x01\x0f\x82",
        ),
        (Kind::PUSH_PROMISE, padded, b"\x01\x00\x00\x00\x02"),
    ] {
        let error = DecodeError::Padding { kind, stream_id: 1 };
        let wire = raw(kind, flags, 1, payload);
        refused(&wire, &error, CONNECTION, ErrorCode::PROTOCOL_ERROR);
    }
    // The padding may fill the payload after its length byte.
    assert!(decode_first(&raw(Kind::DATA, flags::PADDED, 1, b"\x03\0\0\0")).is_ok());
}

#[test]
fn self_dependency() {
    for exclusive in [0x00, 0x80] {
        let priority = [exclusive, 0, 0, 9, 15];
        let error = DecodeError::SelfDependency {
            kind: Kind::PRIORITY,
            stream_id: 9,
        };
        refused_in_context(
            &raw(Kind::PRIORITY, 0, 9, &priority),
            &error,
            Scope::Stream(9),
            ErrorCode::PROTOCOL_ERROR,
        );
        let error = DecodeError::SelfDependency {
            kind: Kind::HEADERS,
            stream_id: 9,
        };
        refused_in_context(
            &raw(
                Kind::HEADERS,
                flags::PRIORITY | flags::END_HEADERS,
                9,
                &[&priority, GET].concat(),
            ),
            &error,
            Scope::Stream(9),
            ErrorCode::PROTOCOL_ERROR,
        );
    }
}

#[test]
fn settings_acknowledgement_with_payload() {
    let wire = raw(Kind::SETTINGS, flags::ACK, 0, &settings(&[(1, 1)]));
    let error = DecodeError::SettingsAckNotEmpty { length: 6 };
    refused(&wire, &error, CONNECTION, ErrorCode::FRAME_SIZE_ERROR);
}

#[test]
fn setting_values() {
    let flag = &[2, 3, u32::MAX][..];
    for (id, wrong, right, code) in [
        (
            SettingId::ENABLE_PUSH,
            flag,
            &[0, 1][..],
            ErrorCode::PROTOCOL_ERROR,
        ),
        (
            SettingId::ENABLE_CONNECT_PROTOCOL,
            flag,
            &[0, 1],
            ErrorCode::PROTOCOL_ERROR,
        ),
        (
            SettingId::NO_RFC7540_PRIORITIES,
            flag,
            &[0, 1],
            ErrorCode::PROTOCOL_ERROR,
        ),
        (
            SettingId::INITIAL_WINDOW_SIZE,
            &[1 << 31, u32::MAX],
            &[0, (1 << 31) - 1],
            ErrorCode::FLOW_CONTROL_ERROR,
        ),
        (
            SettingId::MAX_FRAME_SIZE,
            &[0, 1, 16_383, 1 << 24, u32::MAX],
            &[16_384, (1 << 24) - 1],
            ErrorCode::PROTOCOL_ERROR,
        ),
        (
            SettingId::HEADER_TABLE_SIZE,
            &[],
            &[0, u32::MAX],
            ErrorCode::NO_ERROR,
        ),
        (
            SettingId::MAX_CONCURRENT_STREAMS,
            &[],
            &[0, u32::MAX],
            ErrorCode::NO_ERROR,
        ),
        (
            SettingId::MAX_HEADER_LIST_SIZE,
            &[],
            &[0, u32::MAX],
            ErrorCode::NO_ERROR,
        ),
        (SettingId(0x4a4a), &[], &[0, u32::MAX], ErrorCode::NO_ERROR),
    ] {
        for &value in wrong {
            // The decoder must also find the value after other entries.
            let wire = raw(Kind::SETTINGS, 0, 0, &settings(&[(3, 1), (id.0, value)]));
            refused(
                &wire,
                &DecodeError::SettingValue { id, value },
                CONNECTION,
                code,
            );
        }
        for &value in right {
            let wire = raw(Kind::SETTINGS, 0, 0, &settings(&[(id.0, value)]));
            let Ok(Some(Message::Settings(settings))) = decode_first(&wire) else {
                panic!("{id} permits {value}");
            };
            assert_eq!(settings.value(id), Some(value));
        }
    }
}

#[test]
fn promised_streams() {
    for promised_id in [0_u32, 1, 77] {
        let payload = [&promised_id.to_be_bytes(), GET].concat();
        let wire = raw(Kind::PUSH_PROMISE, flags::END_HEADERS, 1, &payload);
        let error = DecodeError::PromisedStreamId { promised_id };
        refused(&wire, &error, CONNECTION, ErrorCode::PROTOCOL_ERROR);
    }
}

#[test]
fn window_updates_of_nothing() {
    // The reserved bit does not change the increment.
    for payload in [[0, 0, 0, 0], [0x80, 0, 0, 0]] {
        for (stream_id, scope) in [(0, CONNECTION), (5, Scope::Stream(5))] {
            let wire = raw(Kind::WINDOW_UPDATE, 0, stream_id, &payload);
            let error = DecodeError::ZeroIncrement { stream_id };
            refused(&wire, &error, scope, ErrorCode::PROTOCOL_ERROR);
        }
    }
}

#[test]
fn priority_update_of_the_connection() {
    let wire = raw(Kind::PRIORITY_UPDATE, 0, 0, b"\x00\x00\x00\x00u=1");
    let error = DecodeError::PrioritizedStreamIdZero;
    refused(&wire, &error, CONNECTION, ErrorCode::PROTOCOL_ERROR);
}

#[test]
fn blocks_that_do_not_decompress() {
    // Index 0; an integer without end; a table of more than 4,096 bytes; a truncated string.
    for block in [
        &b"\x80"[..],
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x3f\xe2\x1f",
        b"\x00\x05a",
    ] {
        let wire = raw(Kind::HEADERS, flags::END_HEADERS, 1, block);
        let error = decode_first(&wire).unwrap_err();
        assert!(matches!(error, DecodeError::Compression(_)), "{error}");
        assert_eq!(error.scope(), CONNECTION);
        assert_eq!(error.error_code(), ErrorCode::COMPRESSION_ERROR);
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[test]
fn only_continuation_inside_a_header_block() {
    let open = raw(Kind::HEADERS, 0, 5, GET);
    for frame in every_frame() {
        let (kind, on) = (Kind(frame[3]), u32::from(frame[8]));
        let wire = [&open[..], &frame].concat();
        let (messages, error) = decode_all(&mut decoder(), &wire);
        assert_eq!(messages, []);
        let error = error.unwrap();
        assert_eq!(
            error,
            DecodeError::ExpectedContinuation {
                stream_id: 5,
                kind,
                on
            }
        );
        assert_eq!(
            (error.scope(), error.error_code()),
            (CONNECTION, ErrorCode::PROTOCOL_ERROR)
        );
        // The head alone is enough.
        let (_, early) = decode_all(&mut decoder(), &wire[..open.len() + 9]);
        assert_eq!(early, Some(error));
    }
    let other_stream = raw(Kind::CONTINUATION, flags::END_HEADERS, 7, b"");
    let (_, error) = decode_all(&mut decoder(), &[open, other_stream].concat());
    let expected = DecodeError::ExpectedContinuation {
        stream_id: 5,
        kind: Kind::CONTINUATION,
        on: 7,
    };
    assert_eq!(error, Some(expected));
}

#[test]
fn continuation_of_nothing() {
    let wire = raw(Kind::CONTINUATION, flags::END_HEADERS, 5, GET);
    let error = DecodeError::UnexpectedContinuation { stream_id: 5 };
    refused_in_context(&wire, &error, CONNECTION, ErrorCode::PROTOCOL_ERROR);
    // Also after a complete block.
    let whole = raw(Kind::HEADERS, flags::END_HEADERS, 5, GET);
    let (messages, after) = decode_all(&mut decoder(), &[whole, wire].concat());
    assert_eq!((messages.len(), after), (1, Some(error)));
}

#[test]
fn stream_errors_leave_the_decoder_in_step() {
    // HEADERS with a self-dependency inserts `x: y` into the table although it is rejected. The
    // next block refers to this entry.
    let literal = b"\x40\x01x\x01y";
    let refused = [&b"\x00\x00\x00\x09\x0f"[..], literal].concat();
    let wire = [
        raw(
            Kind::HEADERS,
            flags::PRIORITY | flags::END_HEADERS,
            9,
            &refused,
        ),
        raw(Kind::WINDOW_UPDATE, 0, 9, &[0; 4]),
        raw(Kind::PRIORITY, 0, 9, &[0; 6]),
        raw(Kind::HEADERS, flags::END_HEADERS, 11, b"\xbe"),
    ]
    .concat();
    let mut src = BytesMut::from(&wire[..]);
    let mut decoder = decoder();
    for _ in 0..3 {
        let error = decoder.decode(&mut src).unwrap_err();
        assert_eq!(error.scope(), Scope::Stream(9), "{error}");
    }
    let Ok(Some(Message::Headers {
        stream_id: 11,
        list: fields,
        ..
    })) = decoder.decode(&mut src)
    else {
        panic!("the decoder continues");
    };
    assert_eq!(fields, Ok(list(&[("x", "y")])));
    assert!(src.is_empty());
}

#[test]
fn a_self_dependency_is_reported_when_its_block_is_complete() {
    let wire = [
        raw(
            Kind::HEADERS,
            flags::PRIORITY,
            9,
            b"\x00\x00\x00\x09\x0f\x40\x01x",
        ),
        raw(Kind::CONTINUATION, flags::END_HEADERS, 9, b"\x01y"),
        raw(Kind::HEADERS, flags::END_HEADERS, 11, b"\xbe"),
    ]
    .concat();
    let mut src = BytesMut::from(&wire[..]);
    let mut decoder = decoder();
    let error = decoder.decode(&mut src).unwrap_err();
    assert_eq!(
        error,
        DecodeError::SelfDependency {
            kind: Kind::HEADERS,
            stream_id: 9
        }
    );
    assert!(!decoder.in_header_block());
    assert!(matches!(
        decoder.decode(&mut src),
        Ok(Some(Message::Headers { stream_id: 11, .. }))
    ));
}

#[test]
fn after_a_connection_error_nothing_is_read() {
    let bad = raw(Kind::PING, 0, 1, &[0; 8]);
    let good = raw(Kind::PING, 0, 0, &[0; 8]);
    let mut decoder = decoder();
    let error = decoder.decode(&mut BytesMut::from(&bad[..])).unwrap_err();
    for _ in 0..3 {
        let mut src = BytesMut::from(&good[..]);
        assert_eq!(decoder.decode(&mut src).as_ref(), Err(&error));
        assert_eq!(src, good);
    }
}

#[test]
fn frames_to_ignore() {
    let ignored = [
        // ALTSVC must have an origin on stream 0, and must not have one on other streams.
        raw(Kind::ALTSVC, 0, 0, b"\x00\x00value"),
        raw(Kind::ALTSVC, 0, 1, b"\x00\x01ovalue"),
        raw(Kind::ORIGIN, 0, 1, b"\x00\x01o"),
        raw(Kind::ORIGIN, 0x01, 0, b"\x00\x01o"),
        raw(Kind::ORIGIN, 0x08, 0, b"\x00\x01o"),
        raw(Kind(0x0b), 0, 0, b""),
        raw(Kind(0xff), 0xff, u32::MAX >> 1, b"\xff"),
    ];
    for wire in &ignored {
        let Ok(Some(Message::Unknown {
            kind, flags, len, ..
        })) = decode_first(wire)
        else {
            panic!("{wire:?} must be ignored");
        };
        assert_eq!(
            (kind.0, flags, len as usize),
            (wire[3], wire[4], wire.len() - 9)
        );
    }
    let used = raw(Kind::ORIGIN, 0x10, 0, b"\x00\x01o");
    assert!(matches!(decode_first(&used), Ok(Some(Message::Origin(_)))));
    let used = raw(Kind::ALTSVC, 0, 1, b"\x00\x00value");
    assert!(matches!(decode_first(&used), Ok(Some(Message::AltSvc(_)))));
}

#[test]
fn a_raw_frame_in_error_is_consumed() {
    let wire = [
        raw(Kind::PING, 0, 1, &[0; 8]),
        raw(Kind::PING, 0, 0, &[0; 8]),
    ]
    .concat();
    let mut src = BytesMut::from(&wire[..]);
    assert!(Frame::decode(&mut src, 16_384).is_err());
    assert!(matches!(
        Frame::decode(&mut src, 16_384),
        Ok(Some(Frame::Ping(_)))
    ));
}
