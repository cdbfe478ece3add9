//! Truncated, changed and random input: the decoder returns an error or waits for more, and never
//! panics.

use bytes::BytesMut;
use lacewing_frames::spdy::{
    Compression, DecodeError, Encoder, Frame, FrameHead, Kind, Message, Scope, SynStreamHead,
    WireVersion,
};

use crate::support::{Random, VERSIONS, control, decoder, encode};

/// Between two offsets at which a frame is cut. Miri is a thousand times slower.
const STEP: usize = if cfg!(miri) { 29 } else { 1 };

/// A deflater is too slow for Miri.
const POLICIES: &[Compression] = if cfg!(miri) {
    &[Compression::WholeField, Compression::Stored]
} else {
    &[
        Compression::WholeField,
        Compression::Stored,
        Compression::Zlib(6),
    ]
};

/// A connection with a frame of every kind.
fn connection(version: WireVersion, policy: Compression) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(version, policy);
    let mut frames = Vec::new();
    let mut push = |wire: &mut BytesMut| frames.push(wire.split().to_vec());
    let mut wire = BytesMut::new();
    for id in [1, 3] {
        let head = SynStreamHead {
            priority: 2,
            ..SynStreamHead::new(id)
        };
        encoder
            .syn_stream(&mut wire, head, |block| {
                block.field(b"x-name", [&b"one"[..], b"two"]);
                block.field(b"x-index", [id.to_string()]);
            })
            .unwrap();
        push(&mut wire);
        encoder
            .syn_reply(&mut wire, id, false, |block| {
                block.field(b"x-name", [b"three"]);
            })
            .unwrap();
        push(&mut wire);
        encoder.headers(&mut wire, id, true, |_| ()).unwrap();
        push(&mut wire);
    }
    for (kind, payload) in [
        (Kind::RST_STREAM, &b"\0\0\0\x01\0\0\0\x05"[..]),
        (Kind::SETTINGS, b"\0\0\0\x01\0\0\0\x04\0\0\0\x64"),
        (Kind::NOOP, b""),
        (Kind::PING, b"\0\0\0\x01"),
        (Kind::GOAWAY, b"\0\0\0\x01\0\0\0\0"),
        (Kind::WINDOW_UPDATE, b"\0\0\0\x01\0\0\0\x05"),
        (Kind::CREDENTIAL, b"\0\x01\0\0\0\x01p\0\0\0\x02dr"),
        (Kind(200), b"anything"),
    ] {
        frames.push(control(version, kind, 0, payload));
    }
    frames.push(b"\0\0\0\x01\x01\0\0\x05hello".to_vec());
    frames
}

#[test]
fn a_frame_cut_anywhere_waits_for_more() {
    for version in VERSIONS {
        for &policy in POLICIES {
            let frames = connection(version, policy);
            for index in 0..frames.len() {
                let before: Vec<u8> = frames[..index].concat();
                for end in (0..frames[index].len()).step_by(STEP) {
                    let mut decoder = decoder(version);
                    let mut src = BytesMut::from(&before[..]);
                    src.extend_from_slice(&frames[index][..end]);
                    for _ in 0..index {
                        assert!(decoder.decode(&mut src).unwrap().is_some());
                    }
                    let message = decoder.decode(&mut src).unwrap();
                    let data = matches!(message, Some(Message::Data { remaining: 1.., .. }));
                    assert!(data || message.is_none(), "{message:?}");

                    let mut cut = BytesMut::from(&frames[index][..end]);
                    assert_eq!(Frame::decode(version, &mut cut, 8192), Ok(None));
                    assert_eq!(cut.len(), end);
                }
            }
        }
    }
}

/// The same with a correct length: every kind of frame at every length.
#[test]
fn a_payload_cut_anywhere_is_a_typed_error_or_a_frame() {
    for version in VERSIONS {
        for frame in connection(version, Compression::Stored) {
            for length in (0..frame.len() - FrameHead::LEN).step_by(STEP) {
                let mut wire = frame[..FrameHead::LEN + length].to_vec();
                wire[5..8].copy_from_slice(&(length as u32).to_be_bytes()[1..]);
                let mut src = BytesMut::from(&wire[..]);
                match Frame::decode(version, &mut src, 8192) {
                    Ok(Some(decoded)) => assert_eq!(encode(version, &decoded), wire),
                    Ok(None) => panic!("complete"),
                    Err(error) => assert!(matches!(
                        error,
                        DecodeError::Length { .. }
                            | DecodeError::SettingsCount { .. }
                            | DecodeError::CredentialLength { .. }
                    )),
                }
                let _ = decoder(version).decode(&mut BytesMut::from(&wire[..]));
            }
        }
    }
}

#[test]
fn damaged_connections_never_panic() {
    let mut random = Random(11);
    for version in VERSIONS {
        for &policy in POLICIES {
            let wire: Vec<u8> = connection(version, policy).concat();
            for _ in 0..if cfg!(miri) { 2 } else { 1000 } {
                let mut wire = wire.clone();
                for _ in 0..1 + random.next() % 4 {
                    let at = random.next() % wire.len();
                    wire[at] ^= 1 << (random.next() % 8);
                }
                run(version, &wire);
            }
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut random = Random(13);
    for round in (0..2000).step_by(if cfg!(miri) { 97 } else { 1 }) {
        for version in VERSIONS {
            let mut wire: Vec<u8> = (0..round % 61).map(|_| random.next() as u8).collect();
            if let [first, second, third, _, _, length, middle, ..] = &mut wire[..] {
                // Mostly control frames of this version and of plausible length.
                (*first, *second, *third) = (0x80, version.number() as u8, 0);
                (*length, *middle) = (0, 0);
            }
            run(version, &wire);
        }
    }
}

fn run(version: WireVersion, wire: &[u8]) {
    let mut decoder = decoder(version);
    let mut src = BytesMut::from(wire);
    loop {
        let before = src.len();
        match decoder.decode(&mut src) {
            Ok(None) => break,
            Ok(Some(_)) => assert!(src.len() < before),
            Err(error) if error.scope() == Scope::Connection => {
                assert_eq!(decoder.decode(&mut src), Err(error));
                assert!(!error.to_string().is_empty() && !error.section().is_empty());
                break;
            }
            Err(_) => assert!(src.len() < before),
        }
    }
    let mut src = BytesMut::from(wire);
    loop {
        let left = src.clone();
        match Frame::decode(version, &mut src, 1 << 16) {
            Ok(Some(frame)) => {
                // Except for the reserved bits of ids, which are written as zero.
                let consumed = &left[..left.len() - src.len()];
                let encoded = encode(version, &frame);
                assert_eq!(encoded.len(), consumed.len());
                let again = Frame::decode(version, &mut BytesMut::from(&encoded[..]), 1 << 16);
                assert_eq!(again, Ok(Some(frame)));
            }
            Ok(None) | Err(DecodeError::FrameTooLong { .. }) => break,
            Err(_) => {}
        }
    }
}
