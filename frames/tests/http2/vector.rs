//! One case of the HTTP/2 frame vectors: its bytes, and their meaning or their error.

use bytes::BytesMut;
use lacewing_frames::http2::{
    DecodeError, Decoder, DecoderLimits, Frame, HeaderField, Message, Sensitivity, StreamPriority,
    flags,
};
use serde_json::Value;

/// Decodes the bytes of `case` and compares. A valid frame encodes to the same bytes.
pub(crate) fn check(case: &Value, name: &str) {
    let wire = hex(case["wire"].as_str().unwrap());
    match &case["error"] {
        Value::Null => check_good(&wire, &case["frame"], name),
        codes => check_bad(&wire, codes, name),
    }
}

type List = Vec<(HeaderField, Sensitivity)>;

fn check_good(wire: &[u8], expected: &Value, name: &str) {
    let frame = decode_frame(wire)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
        .unwrap();
    check_fields(&frame, expected, name);
    let mut encoded = BytesMut::new();
    frame.encode(&mut encoded).unwrap();
    assert_eq!(encoded, wire, "{name}");
}

fn check_bad(wire: &[u8], codes: &Value, name: &str) {
    let codes: Vec<u64> = codes
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap())
        .collect();
    let raw = decode_frame(wire).expect_err(name).error_code();
    assert!(
        codes.contains(&u64::from(raw.0)),
        "{name}: raw {raw}, expected {codes:?}"
    );
    let stateful = decode_first(wire).expect_err(name).error_code();
    assert!(
        codes.contains(&u64::from(stateful.0)),
        "{name}: {stateful}, expected {codes:?}"
    );
}

fn check_fields(frame: &Frame, expected: &Value, name: &str) {
    let payload = &expected["frame_payload"];
    let flag = |bit: u8| expected["flags"].as_u64().unwrap() as u8 & bit != 0;
    assert_eq!(u64::from(frame.kind().0), expected["type"], "{name}");
    match frame {
        Frame::Data(frame) => {
            assert_eq!(u64::from(frame.stream_id), expected["stream_identifier"]);
            assert_eq!(frame.fin, flag(flags::END_STREAM));
            assert_text(&frame.payload, &payload["data"], name);
            check_padding(frame.padding.as_deref(), payload, name);
        }
        Frame::Headers(frame) => {
            assert_eq!(u64::from(frame.stream_id), expected["stream_identifier"]);
            assert_eq!(frame.fin, flag(flags::END_STREAM));
            assert_eq!(frame.end_headers, flag(flags::END_HEADERS));
            assert_text(&frame.fragment, &payload["header_block_fragment"], name);
            check_padding(frame.padding.as_deref(), payload, name);
            match frame.priority {
                Some(priority) => check_priority(priority, payload, name),
                None => assert!(payload["weight"].is_null(), "{name}"),
            }
        }
        Frame::Priority(frame) => {
            assert_eq!(u64::from(frame.stream_id), expected["stream_identifier"]);
            check_priority(frame.priority, payload, name);
        }
        Frame::RstStream(frame) => {
            assert_eq!(u64::from(frame.stream_id), expected["stream_identifier"]);
            assert_eq!(u64::from(frame.code.0), payload["error_code"]);
        }
        Frame::Settings(frame) => {
            let entries: Vec<_> = frame.entries.iter().map(|e| (e.id.0, e.value)).collect();
            assert_eq!(
                serde_json::to_value(entries).unwrap(),
                payload["settings"],
                "{name}"
            );
            assert_eq!(frame.ack, flag(flags::ACK));
        }
        Frame::PushPromise(frame) => {
            assert_eq!(u64::from(frame.stream_id), expected["stream_identifier"]);
            assert_eq!(u64::from(frame.promised_id), payload["promised_stream_id"]);
            assert_text(&frame.fragment, &payload["header_block_fragment"], name);
            check_padding(frame.padding.as_deref(), payload, name);
        }
        Frame::Ping(frame) => assert_text(&frame.payload, &payload["opaque_data"], name),
        Frame::GoAway(frame) => {
            assert_eq!(u64::from(frame.last_stream_id), payload["last_stream_id"]);
            assert_eq!(u64::from(frame.code.0), payload["error_code"]);
            assert_text(&frame.debug_data, &payload["additional_debug_data"], name);
        }
        Frame::WindowUpdate(frame) => {
            assert_eq!(u64::from(frame.stream_id), expected["stream_identifier"]);
            assert_eq!(u64::from(frame.increment), payload["window_size_increment"]);
        }
        Frame::Continuation(frame) => {
            assert_eq!(u64::from(frame.stream_id), expected["stream_identifier"]);
            assert_text(&frame.fragment, &payload["header_block_fragment"], name);
        }
        Frame::AltSvc(frame) => {
            assert_eq!(u64::from(frame.stream_id), expected["stream_identifier"]);
            assert_text(&frame.origin, &payload["origin"], name);
            assert_text(&frame.value, &payload["value"], name);
        }
        Frame::Origin(frame) => {
            let expected = payload["origins"].as_array().unwrap();
            assert_eq!(frame.origins.len(), expected.len(), "{name}");
            for (origin, expected) in frame.origins.iter().zip(expected) {
                assert_text(origin, expected, name);
            }
        }
        Frame::PriorityUpdate(frame) => {
            let prioritized = u64::from(frame.prioritized_id);
            assert_eq!(prioritized, payload["prioritized_stream_id"], "{name}");
            assert_text(&frame.value, &payload["value"], name);
        }
        Frame::Unknown(frame) => {
            assert_eq!(u64::from(frame.stream_id), expected["stream_identifier"]);
            assert_eq!(u64::from(frame.flags), expected["flags"], "{name}");
            assert_text(&frame.payload, &payload["payload"], name);
        }
        other => panic!("{name}: no vector has {other:?}"),
    }
}

fn check_priority(priority: StreamPriority, payload: &Value, name: &str) {
    assert_eq!(
        u64::from(priority.dependency),
        payload["stream_dependency"],
        "{name}"
    );
    assert_eq!(u64::from(priority.weight), payload["weight"], "{name}");
    assert_eq!(priority.exclusive, payload["exclusive"], "{name}");
}

fn check_padding(padding: Option<&[u8]>, payload: &Value, name: &str) {
    match padding {
        Some(padding) => {
            assert_eq!(padding.len() as u64, payload["padding_length"], "{name}");
            assert_text(padding, &payload["padding"], name);
        }
        None => assert!(payload["padding_length"].is_null(), "{name}"),
    }
}

fn assert_text(bytes: &[u8], expected: &Value, name: &str) {
    assert_eq!(
        std::str::from_utf8(bytes).unwrap(),
        expected.as_str().unwrap(),
        "{name}"
    );
}

/// Decodes one frame from exactly these bytes.
fn decode_frame(wire: &[u8]) -> Result<Option<Frame>, DecodeError> {
    Frame::decode(&mut BytesMut::from(wire), 16_384)
}

/// The first message of a new connection.
fn decode_first(wire: &[u8]) -> Result<Option<Message<List>>, DecodeError> {
    Decoder::new(DecoderLimits::default()).decode(&mut BytesMut::from(wire))
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
