//! A SPDY frame that decodes encodes to the same bytes, except for the reserved bit of ids.

use bytes::BytesMut;
use lacewing_frames::spdy::{Frame, WireVersion};

/// Runs the target on one input.
pub fn run(data: &[u8]) {
    for version in [WireVersion::V2, WireVersion::V3] {
        let mut src = BytesMut::from(data);
        loop {
            let before = src.clone();
            match Frame::decode(version, &mut src, 1 << 16) {
                Ok(Some(frame)) => {
                    let taken = &before[..before.len() - src.len()];
                    let mut wire = BytesMut::new();
                    frame.encode(version, &mut wire).unwrap();
                    assert_eq!(wire.len(), taken.len());
                    assert_eq!(wire[..8], taken[..8]);
                    let again = Frame::decode(version, &mut wire, 1 << 16);
                    assert_eq!(again, Ok(Some(frame)));
                }
                Ok(None) => break,
                Err(_) if src.len() == before.len() => break,
                Err(_) => {}
            }
        }
    }
}
