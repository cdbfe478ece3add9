//! Every frame byte for byte, in both directions. Each byte has another value, so that a wrong byte
//! order is visible. The stateful encoder writes the same bytes for the frames that it supports.

use bytes::{Bytes, BytesMut};
use lacewing_frames::http2::{
    AltSvc, Continuation, Data, EncodeError, Encoder, ErrorCode, Frame, GoAway, Headers,
    HeadersHead, Kind, Message, Origin, Ping, Priority, PriorityUpdate, PushPromise,
    PushPromiseHead, RstStream, Setting, SettingId, Settings, StreamPriority, Unknown,
    WindowUpdate,
};

use crate::support::{decode_first, decode_frame};

fn golden(frame: &Frame, wire: &[u8]) {
    let mut encoded = BytesMut::new();
    frame.encode(&mut encoded).unwrap();
    assert_eq!(encoded, wire, "encoding {frame:?}");
    assert_eq!(decode_frame(wire).as_ref(), Ok(&Some(frame.clone())));
}

fn sends(wire: &[u8], send: impl FnOnce(&mut Encoder, &mut BytesMut)) {
    let mut encoded = BytesMut::new();
    send(&mut Encoder::new(), &mut encoded);
    assert_eq!(encoded, wire);
}

#[test]
fn data() {
    let wire = b"\x00\x00\x03\x00\x01\x01\x02\x03\x04abc";
    let payload = Bytes::from_static(b"abc");
    golden(
        &Frame::Data(Data {
            fin: true,
            ..Data::new(0x0102_0304, payload.clone())
        }),
        wire,
    );
    sends(&wire[..9], |encoder, dst| {
        encoder.data_head(dst, 0x0102_0304, 3, true)
    });

    let padded = Data {
        fin: true,
        padding: Some(Bytes::from_static(b"\x05\x06")),
        undefined_flags: 0xa6,
        ..Data::new(0x0102_0304, payload)
    };
    let wire = b"\x00\x00\x06\x00\xaf\x01\x02\x03\x04\x02abc\x05\x06";
    golden(&Frame::Data(padded), wire);
    assert_eq!(
        decode_first(wire),
        Ok(Some(Message::Data {
            stream_id: 0x0102_0304,
            fin: true,
            payload: Bytes::from_static(b"abc"),
            flow_controlled_len: 6,
        }))
    );
}

#[test]
fn padding_of_nothing_is_still_padding() {
    let frame = Data {
        padding: Some(Bytes::new()),
        ..Data::new(1, Bytes::new())
    };
    golden(
        &Frame::Data(frame),
        b"\x00\x00\x01\x00\x08\x00\x00\x00\x01\x00",
    );
}

#[test]
fn headers() {
    let priority = StreamPriority {
        dependency: 0x1122_3344,
        exclusive: true,
        weight: 0x56,
    };
    let frame = Headers {
        stream_id: 0x0102_0304,
        fin: true,
        end_headers: true,
        priority: Some(priority),
        fragment: Bytes::from_static(b"\x82"),
        padding: Some(Bytes::from_static(b"\x00\x00")),
        undefined_flags: 0,
    };
    let wire = b"\x00\x00\x09\x01\x2d\x01\x02\x03\x04\x02\x91\x22\x33\x44\x55\x82\x00\x00";
    golden(&Frame::Headers(frame), wire);
    let head = HeadersHead {
        stream_id: 0x0102_0304,
        fin: true,
        priority: Some(priority),
        padding: Some(2),
    };
    sends(wire, |encoder, dst| {
        encoder.headers(dst, head, |block| {
            block.field(b":method", b"GET", lacewing_hpack::Sensitivity::Normal);
        });
    });
}

#[test]
fn priority() {
    let priority = StreamPriority {
        dependency: 0x1122_3344,
        exclusive: false,
        weight: 0x56,
    };
    let frame = Priority {
        stream_id: 0x0102_0304,
        priority,
        undefined_flags: 0xff,
    };
    let wire = b"\x00\x00\x05\x02\xff\x01\x02\x03\x04\x11\x22\x33\x44\x55";
    golden(&Frame::Priority(frame), wire);
    let message = Message::Priority {
        stream_id: 0x0102_0304,
        priority,
    };
    assert_eq!(decode_first(wire), Ok(Some(message)));
}

#[test]
fn weights_from_1_to_256() {
    for (weight, byte) in [(1, 0), (256, 255), (0, 0), (u16::MAX, 255)] {
        let priority = StreamPriority {
            weight,
            ..StreamPriority::default()
        };
        let frame = Frame::Priority(Priority {
            stream_id: 1,
            priority,
            undefined_flags: 0,
        });
        let mut wire = BytesMut::new();
        frame.encode(&mut wire).unwrap();
        assert_eq!(wire[13], byte, "weight {weight}");
    }
}

#[test]
fn rst_stream() {
    let code = ErrorCode(0x1122_3344);
    let frame = RstStream {
        stream_id: 0x0102_0304,
        code,
        undefined_flags: 0,
    };
    let wire = b"\x00\x00\x04\x03\x00\x01\x02\x03\x04\x11\x22\x33\x44";
    golden(&Frame::RstStream(frame), wire);
    sends(wire, |encoder, dst| {
        encoder.rst_stream(dst, 0x0102_0304, code)
    });
}

#[test]
fn settings() {
    // Unknown and repeated entries are kept in order.
    let entries = [
        Setting::new(SettingId(0x1122), 0x3344_5566),
        Setting::new(SettingId::MAX_CONCURRENT_STREAMS, 0x778_899aa),
        Setting::new(SettingId(0x1122), 0xbbcc_ddee),
    ];
    let wire = b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\
                 \x11\x22\x33\x44\x55\x66\x00\x03\x77\x88\x99\xaa\x11\x22\xbb\xcc\xdd\xee";
    golden(&Frame::Settings(Settings::new(entries)), wire);
    assert_eq!(
        decode_first(wire),
        Ok(Some(Message::Settings(Settings::new(entries))))
    );
    sends(wire, |encoder, dst| {
        assert_eq!(encoder.settings(dst, &entries), 1)
    });

    let wire = b"\x00\x00\x00\x04\x01\x00\x00\x00\x00";
    golden(&Frame::Settings(Settings::ack()), wire);
    assert_eq!(decode_first(wire), Ok(Some(Message::SettingsAck)));
    sends(wire, |encoder, dst| encoder.settings_ack(dst));
}

#[test]
fn settings_that_need_several_frames() {
    let entries = vec![Setting::new(SettingId(0xabcd), 1); 2731];
    let mut wire = BytesMut::new();
    assert_eq!(Encoder::new().settings(&mut wire, &entries), 2);
    let mut decoded = Vec::new();
    while let Some(frame) = Frame::decode(&mut wire, 16_384).unwrap() {
        let Frame::Settings(frame) = frame else {
            panic!("{frame:?}")
        };
        decoded.push(frame.entries.len());
    }
    assert_eq!(decoded, [2730, 1]);
}

#[test]
fn push_promise() {
    let frame = PushPromise {
        padding: Some(Bytes::from_static(&[0])),
        ..PushPromise::new(0x0102_0304, 0x1122_3344, Bytes::from_static(b"\x82"))
    };
    let wire = b"\x00\x00\x07\x05\x0c\x01\x02\x03\x04\x01\x11\x22\x33\x44\x82\x00";
    golden(&Frame::PushPromise(frame), wire);
    let head = PushPromiseHead {
        stream_id: 0x0102_0304,
        promised_id: 0x1122_3344,
        padding: Some(1),
    };
    sends(wire, |encoder, dst| {
        encoder.push_promise(dst, head, |block| {
            block.field(b":method", b"GET", lacewing_hpack::Sensitivity::Normal);
        });
    });
}

#[test]
fn ping() {
    let payload = *b"\x11\x22\x33\x44\x55\x66\x77\x88";
    let wire = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00\x11\x22\x33\x44\x55\x66\x77\x88";
    golden(
        &Frame::Ping(Ping {
            ack: false,
            payload,
            undefined_flags: 0,
        }),
        wire,
    );
    assert_eq!(decode_first(wire), Ok(Some(Message::Ping { payload })));
    sends(wire, |encoder, dst| encoder.ping(dst, payload));

    let wire = b"\x00\x00\x08\x06\x01\x00\x00\x00\x00\x11\x22\x33\x44\x55\x66\x77\x88";
    golden(
        &Frame::Ping(Ping {
            ack: true,
            payload,
            undefined_flags: 0,
        }),
        wire,
    );
    assert_eq!(decode_first(wire), Ok(Some(Message::PingAck { payload })));
    sends(wire, |encoder, dst| encoder.ping_ack(dst, payload));
}

#[test]
fn go_away() {
    let (last_stream_id, code) = (0x0102_0304, ErrorCode(0x1122_3344));
    let debug_data = Bytes::from_static(b"why");
    let wire = b"\x00\x00\x0b\x07\x00\x00\x00\x00\x00\x01\x02\x03\x04\x11\x22\x33\x44why";
    let frame = GoAway {
        last_stream_id,
        code,
        debug_data: debug_data.clone(),
        undefined_flags: 0,
    };
    golden(&Frame::GoAway(frame), wire);
    assert_eq!(
        decode_first(wire),
        Ok(Some(Message::GoAway {
            last_stream_id,
            code,
            debug_data
        }))
    );
    sends(wire, |encoder, dst| {
        encoder.go_away(dst, last_stream_id, code, b"why")
    });
}

#[test]
fn go_away_cuts_debug_data() {
    let mut wire = BytesMut::new();
    Encoder::new().go_away(&mut wire, 0, ErrorCode::NO_ERROR, &[b'x'; 20_000]);
    assert_eq!(wire.len(), 9 + 16_384);
    assert!(matches!(
        Frame::decode(&mut wire, 16_384),
        Ok(Some(Frame::GoAway(_)))
    ));
}

#[test]
fn window_update() {
    let (stream_id, increment) = (0x0102_0304, 0x1122_3344);
    let wire = b"\x00\x00\x04\x08\x00\x01\x02\x03\x04\x11\x22\x33\x44";
    golden(
        &Frame::WindowUpdate(WindowUpdate {
            stream_id,
            increment,
            undefined_flags: 0,
        }),
        wire,
    );
    assert_eq!(
        decode_first(wire),
        Ok(Some(Message::WindowUpdate {
            stream_id,
            increment
        }))
    );
    sends(wire, |encoder, dst| {
        encoder.window_update(dst, stream_id, increment)
    });
}

#[test]
fn continuation() {
    let frame = Continuation {
        stream_id: 0x0102_0304,
        end_headers: true,
        fragment: Bytes::from_static(b"\x11\x22"),
        undefined_flags: 0xfb,
    };
    golden(
        &Frame::Continuation(frame),
        b"\x00\x00\x02\x09\xff\x01\x02\x03\x04\x11\x22",
    );
}

#[test]
fn alt_svc() {
    let frame = AltSvc {
        stream_id: 0,
        origin: Bytes::from_static(b"origin"),
        value: Bytes::from_static(b"value"),
        undefined_flags: 0,
    };
    let wire = b"\x00\x00\x0d\x0a\x00\x00\x00\x00\x00\x00\x06originvalue";
    golden(&Frame::AltSvc(frame.clone()), wire);
    assert_eq!(decode_first(wire), Ok(Some(Message::AltSvc(frame))));
    sends(wire, |encoder, dst| {
        encoder.alt_svc(dst, 0, b"origin", b"value").unwrap()
    });

    let long = Frame::AltSvc(AltSvc {
        stream_id: 0,
        origin: Bytes::from(vec![b'o'; 0x0102]),
        value: Bytes::new(),
        undefined_flags: 0,
    });
    let mut encoded = BytesMut::new();
    long.encode(&mut encoded).unwrap();
    assert_eq!(
        encoded[..11],
        *b"\x00\x01\x04\x0a\x00\x00\x00\x00\x00\x01\x02"
    );
    assert_eq!(decode_frame(&encoded), Ok(Some(long)));
}

#[test]
fn origin() {
    let origins = [
        Bytes::from_static(b"a"),
        Bytes::new(),
        Bytes::from_static(b"bc"),
    ];
    let wire = b"\x00\x00\x09\x0c\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x00\x02bc";
    let frame = Origin::new(origins.clone());
    golden(&Frame::Origin(frame.clone()), wire);
    assert_eq!(decode_first(wire), Ok(Some(Message::Origin(frame))));
    sends(wire, |encoder, dst| encoder.origin(dst, &origins).unwrap());
    golden(
        &Frame::Origin(Origin::default()),
        b"\x00\x00\x00\x0c\x00\x00\x00\x00\x00",
    );
}

#[test]
fn priority_update() {
    let (prioritized_id, value) = (0x1122_3344, Bytes::from_static(b"u=1"));
    let wire = b"\x00\x00\x07\x10\x00\x00\x00\x00\x00\x11\x22\x33\x44u=1";
    let frame = PriorityUpdate {
        prioritized_id,
        value: value.clone(),
        undefined_flags: 0,
    };
    golden(&Frame::PriorityUpdate(frame), wire);
    assert_eq!(
        decode_first(wire),
        Ok(Some(Message::PriorityUpdate {
            prioritized_id,
            value
        }))
    );
    sends(wire, |encoder, dst| {
        encoder
            .priority_update(dst, prioritized_id, b"u=1")
            .unwrap()
    });
}

#[test]
fn unknown() {
    let frame = Unknown {
        kind: Kind(0xbe),
        flags: 0xef,
        stream_id: 0x0102_0304,
        payload: Bytes::from_static(b"\x11\x22"),
    };
    let wire = b"\x00\x00\x02\xbe\xef\x01\x02\x03\x04\x11\x22";
    golden(&Frame::Unknown(frame), wire);
    let message = Message::Unknown {
        kind: Kind(0xbe),
        stream_id: 0x0102_0304,
        flags: 0xef,
        len: 2,
    };
    assert_eq!(decode_first(wire), Ok(Some(message)));
}

#[test]
fn reserved_bits_are_ignored() {
    let wire = b"\x00\x00\x04\x08\x00\x80\x00\x00\x01\x80\x00\x00\x02";
    let message = Message::WindowUpdate {
        stream_id: 1,
        increment: 2,
    };
    assert_eq!(decode_first(wire), Ok(Some(message)));
    let wire = b"\x00\x00\x08\x07\x00\x80\x00\x00\x00\x80\x00\x00\x03\x00\x00\x00\x00";
    let Ok(Some(Frame::GoAway(frame))) = decode_frame(wire) else {
        panic!("a valid GOAWAY")
    };
    assert_eq!(frame.last_stream_id, 3);
}

#[test]
fn what_does_not_fit_is_not_written() {
    let mut dst = BytesMut::new();
    let encoder = Encoder::new();
    let too_long = |kind, length| {
        Err(EncodeError::FrameTooLong {
            kind,
            length,
            limit: 16_384,
        })
    };
    assert_eq!(
        encoder.alt_svc(&mut dst, 1, b"", &[0; 16_383]),
        too_long(Kind::ALTSVC, 16_385)
    );
    let origins = [Bytes::from(vec![0; 16_383])];
    assert_eq!(
        encoder.origin(&mut dst, &origins),
        too_long(Kind::ORIGIN, 16_385)
    );
    let update = encoder.priority_update(&mut dst, 1, &[0; 16_381]);
    assert_eq!(update, too_long(Kind::PRIORITY_UPDATE, 16_385));

    let frame = Frame::Data(Data::new(1, Bytes::from(vec![0; 1 << 24])));
    let limit = (1 << 24) - 1;
    assert_eq!(
        frame.encode(&mut dst),
        Err(EncodeError::FrameTooLong {
            kind: Kind::DATA,
            length: 1 << 24,
            limit
        })
    );
    let frame = Frame::Origin(Origin::new([Bytes::from(vec![0; 1 << 16])]));
    assert_eq!(
        frame.encode(&mut dst),
        Err(EncodeError::OriginTooLong { length: 1 << 16 })
    );
    assert!(dst.is_empty());
}

#[test]
fn codes_print_as_specified() {
    let names: Vec<_> = (0..=0x0e).map(|code| ErrorCode(code).to_string()).collect();
    assert_eq!(
        names,
        [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
            "0x0000000e",
        ]
    );
}

#[test]
fn numbers_print_as_the_specification_names_them() {
    for (shown, expected) in [
        (Kind::WINDOW_UPDATE.to_string(), "WINDOW_UPDATE"),
        (Kind(0xbe).to_string(), "0xbe"),
        (ErrorCode(0x7).to_string(), "REFUSED_STREAM"),
        (ErrorCode(0xabcd).to_string(), "0x0000abcd"),
        (SettingId(4).to_string(), "INITIAL_WINDOW_SIZE"),
        (SettingId(0x1234).to_string(), "0x1234"),
    ] {
        assert_eq!(shown, expected);
    }
    assert_eq!(ErrorCode::CANCEL.name(), Some("CANCEL"));
    assert_eq!(ErrorCode(0xabcd).name(), None);
}

/// RFC 7540 §5.3.5.
#[test]
fn a_stream_without_a_priority_has_the_default() {
    let priority = StreamPriority::default();
    assert_eq!(
        (priority.dependency, priority.exclusive, priority.weight),
        (0, false, 16)
    );
}
