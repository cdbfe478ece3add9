//! A raw frame that decodes encodes to the bytes that it was decoded from, except for reserved
//! bits. These bytes decode to the same frame.

use bytes::BytesMut;
use lacewing_frames::http2::Frame;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let mut src = BytesMut::from(input);
    loop {
        let before = src.len();
        match Frame::decode(&mut src, 16_384) {
            Ok(Some(frame)) => {
                let wire = &input[input.len() - before..input.len() - src.len()];
                let mut encoded = BytesMut::new();
                frame.encode(&mut encoded).expect("a decoded frame encodes");
                assert_eq!(encoded.len(), wire.len());
                for (at, (sent, came)) in encoded.iter().zip(wire).enumerate() {
                    // Reserved bits precede a stream identifier or an increment.
                    let reserved = sent ^ came == 0x80 && (at == 5 || (9..=10).contains(&at));
                    assert!(sent == came || reserved, "byte {at} of {frame:?}");
                }
                assert_eq!(Frame::decode(&mut encoded, 16_384), Ok(Some(frame)));
            }
            Ok(None) => return,
            Err(_) if src.len() == before => return,
            Err(_) => {}
        }
    }
}
