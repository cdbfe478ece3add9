//! Invalid input: truncated frames, changed frames, noise. The decoder does not panic or loop, and
//! waits for the rest of an incomplete frame.

use bytes::BytesMut;
use lacewing_frames::http2::{Frame, FrameHead, Scope};

use crate::support::{Random, decode_first, decoder, every_frame};

/// Between two offsets at which a frame is cut. Miri is a thousand times slower.
const STEP: usize = if cfg!(miri) { 31 } else { 1 };

#[test]
fn every_frame_cut_at_every_offset_waits_for_the_rest() {
    for wire in every_frame() {
        for end in (0..wire.len()).step_by(STEP) {
            let mut src = BytesMut::from(&wire[..end]);
            assert_eq!(
                Frame::decode(&mut src, 16_384),
                Ok(None),
                "{end} of {wire:?}"
            );
            assert_eq!(src, wire[..end]);

            let mut decoder = decoder();
            assert_eq!(decoder.decode(&mut src), Ok(None), "{end} of {wire:?}");
            assert_eq!(src, wire[..end]);
            // The remaining bytes complete the frame.
            src.extend_from_slice(&wire[end..]);
            let whole = decoder.decode(&mut src);
            assert_eq!(whole, decode_first(&wire));
            assert!(whole.unwrap().is_some());
            assert!(src.is_empty());
        }
    }
}

#[test]
fn every_payload_cut_at_every_offset_is_judged() {
    for wire in every_frame() {
        for end in (9..wire.len()).step_by(STEP) {
            let mut short = wire[..end].to_vec();
            let head = FrameHead {
                length: (end - 9) as u32,
                ..FrameHead::parse(&wire).unwrap()
            };
            short[..9].copy_from_slice(&head.to_bytes());
            judge(&short);
        }
    }
}

#[test]
fn every_byte_changed() {
    for wire in every_frame() {
        for at in (0..wire.len().min(40)).step_by(STEP) {
            for value in [0, 1, 2, 0x7f, 0x80, 0xff, wire[at] ^ 0x08, wire[at] ^ 0x20] {
                let mut changed = wire.clone();
                changed[at] = value;
                judge(&changed);
            }
        }
    }
}

#[test]
fn noise() {
    let mut random = Random::new(4);
    for _ in 0..if cfg!(miri) { 300 } else { 20_000 } {
        let length = random.below(80);
        let mut wire = random.bytes(length);
        // Mostly small frames of known kinds; otherwise almost every frame would be too long.
        if wire.len() > 9 && random.below(10) != 0 {
            wire[0] = 0;
            wire[1] = 0;
            wire[2] %= 40;
            wire[3] %= 18;
        }
        judge(&wire);
    }
}

/// Decodes all bytes at both levels. Each call consumes bytes, waits or ends the connection. A raw
/// frame that decodes encodes to bytes that decode to it again.
fn judge(wire: &[u8]) {
    let mut src = BytesMut::from(wire);
    loop {
        let before = src.len();
        match Frame::decode(&mut src, 16_384) {
            Ok(Some(frame)) => {
                let mut again = BytesMut::new();
                frame.encode(&mut again).unwrap();
                assert_eq!(again.len(), before - src.len());
                assert_eq!(Frame::decode(&mut again, 16_384), Ok(Some(frame)));
            }
            Err(_) if src.len() < before => {}
            Ok(None) | Err(_) => break,
        }
    }
    let mut src = BytesMut::from(wire);
    let mut decoder = decoder();
    loop {
        let before = src.len();
        match decoder.decode(&mut src) {
            Ok(None) => break,
            Ok(Some(_)) => assert!(src.len() < before),
            Err(error) if error.scope() == Scope::Connection => break,
            Err(_) => assert!(src.len() < before),
        }
    }
}
