//! The decoder returns DATA in pieces as they arrive.

use bytes::BytesMut;
use lacewing_frames::spdy::{Decoder, FrameHead, Message, WireVersion};

use crate::support::{List, decoder};

fn head(length: u32, flags: u8) -> [u8; FrameHead::LEN] {
    let stream_id = 5;
    FrameHead::Data {
        stream_id,
        flags,
        length,
    }
    .to_bytes()
}

/// (payload, fin, remaining) of the next piece.
fn piece(decoder: &mut Decoder<List>, src: &mut BytesMut) -> Option<(Vec<u8>, bool, u32)> {
    let message = decoder.decode(src).unwrap()?;
    let Message::Data {
        stream_id: 5,
        payload,
        fin,
        remaining,
        undefined_flags: 0,
    } = message
    else {
        panic!("{message:?}");
    };
    Some((payload.to_vec(), fin, remaining))
}

#[test]
fn pieces_end_with_fin() {
    let mut decoder = decoder(WireVersion::V3);
    let mut src = BytesMut::from(&head(5, 1)[..]);
    assert_eq!(piece(&mut decoder, &mut src), None);
    src.extend_from_slice(b"he");
    assert_eq!(
        piece(&mut decoder, &mut src),
        Some((b"he".to_vec(), false, 3))
    );
    assert_eq!(piece(&mut decoder, &mut src), None);
    // The end of the frame, and the next frame directly after it.
    src.extend_from_slice(b"llo");
    src.extend_from_slice(&head(0, 0));
    assert_eq!(
        piece(&mut decoder, &mut src),
        Some((b"llo".to_vec(), true, 0))
    );
    assert_eq!(piece(&mut decoder, &mut src), Some((Vec::new(), false, 0)));
    src.extend_from_slice(&head(0, 1));
    assert_eq!(piece(&mut decoder, &mut src), Some((Vec::new(), true, 0)));
    assert!(src.is_empty());
}

/// An attack: a declared length allocates nothing.
#[test]
fn a_declared_length_allocates_nothing() {
    let mut decoder = decoder(WireVersion::V2);
    let mut src = BytesMut::with_capacity(64);
    src.extend_from_slice(&head(FrameHead::MAX_LENGTH, 0));
    assert_eq!(piece(&mut decoder, &mut src), None);
    assert!(src.capacity() <= 64);
    src.extend_from_slice(b"x");
    let (payload, fin, remaining) = piece(&mut decoder, &mut src).unwrap();
    assert_eq!((&payload[..], fin), (&b"x"[..], false));
    assert_eq!(remaining, FrameHead::MAX_LENGTH - 1);
}

#[test]
fn large_pieces_are_not_copied_and_small_ones_are() {
    for (length, shared) in [(1023, false), (1024, true), (9000, true)] {
        let mut decoder = decoder(WireVersion::V3);
        let mut src = BytesMut::from(&head(length, 0)[..]);
        src.resize(FrameHead::LEN + length as usize, b'd');
        let bytes = src[FrameHead::LEN..].as_ptr();
        let Some(Message::Data { payload, .. }) = decoder.decode(&mut src).unwrap() else {
            panic!("DATA");
        };
        assert_eq!(payload.len(), length as usize);
        assert_eq!(payload.as_ptr() == bytes, shared, "{length}");
    }
}

/// FLAG_COMPRESS of the first draft of SPDY/3 is not supported, but reported.
#[test]
fn undefined_flags_are_handed_on() {
    let mut src = BytesMut::from(&head(0, 0x02)[..]);
    let message = decoder(WireVersion::V3).decode(&mut src).unwrap();
    assert!(matches!(
        message,
        Some(Message::Data {
            fin: false,
            undefined_flags: 0x02,
            ..
        })
    ));
}
