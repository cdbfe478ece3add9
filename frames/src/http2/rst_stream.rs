//! RST_STREAM (RFC 9113 §6.4).

use bytes::BytesMut;

use super::{DecodeError, ErrorCode, FrameHead, Kind};

/// RST_STREAM: ends a stream at once, in both directions (RFC 9113 §6.4).
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::http2::{ErrorCode, Frame, RstStream};
///
/// let mut wire = BytesMut::from(&b"\x00\x00\x04\x03\x00\x00\x00\x00\x05\x00\x00\x00\x08"[..]);
/// let frame = Frame::decode(&mut wire, 16_384)?;
/// let expected = RstStream { stream_id: 5, code: ErrorCode::CANCEL, undefined_flags: 0 };
/// assert_eq!(frame, Some(Frame::RstStream(expected)));
/// # Ok::<(), lacewing_frames::http2::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RstStream {
    /// The stream, not 0.
    pub stream_id: u32,
    /// The reason for the end.
    pub code: ErrorCode,
    /// Flag bits; RST_STREAM defines none. Kept, and ignored.
    pub undefined_flags: u8,
}

impl RstStream {
    pub(crate) fn parse(head: FrameHead, payload: &[u8]) -> Result<RstStream, DecodeError> {
        if head.stream_id == 0 {
            return Err(DecodeError::StreamIdZero { kind: head.kind });
        }
        let Ok(payload) = <[u8; 4]>::try_from(payload) else {
            return Err(DecodeError::Length {
                kind: head.kind,
                length: head.length,
            });
        };
        Ok(RstStream {
            stream_id: head.stream_id,
            code: ErrorCode(u32::from_be_bytes(payload)),
            undefined_flags: head.flags,
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) {
        let head = FrameHead {
            length: 4,
            kind: Kind::RST_STREAM,
            flags: self.undefined_flags,
            stream_id: self.stream_id,
        };
        head.put(dst);
        dst.extend_from_slice(&self.code.0.to_be_bytes());
    }
}
