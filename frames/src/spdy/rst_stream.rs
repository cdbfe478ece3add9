//! RST_STREAM (section 2.6.3).

use bytes::{BufMut, BytesMut};

use super::head::{self, ControlHead, STREAM_ID_MASK};
use super::{DecodeError, EncodeError, ErrorCode, Kind, WireVersion};

/// RST_STREAM: ends a stream abnormally (section 2.6.3). A receiver never answers it with another
/// one.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::spdy::{ErrorCode, Frame, RstStream, WireVersion};
///
/// let frame = Frame::RstStream(RstStream::new(1, ErrorCode::CANCEL));
/// let mut wire = BytesMut::new();
/// frame.encode(WireVersion::V2, &mut wire)?;
/// assert_eq!(wire[..], *b"\x80\x02\x00\x03\x00\x00\x00\x08\0\0\0\x01\0\0\0\x05");
/// # Ok::<(), lacewing_frames::spdy::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RstStream {
    /// The stream, 31 bits.
    pub stream_id: u32,
    /// The reason. 0 is not valid, but ends the stream too.
    pub code: ErrorCode,
    /// The flags, which have no meaning. Kept, and ignored.
    pub undefined_flags: u8,
}

impl RstStream {
    /// A frame that ends `stream_id` for the reason `code`.
    pub const fn new(stream_id: u32, code: ErrorCode) -> RstStream {
        RstStream {
            stream_id,
            code,
            undefined_flags: 0,
        }
    }

    pub(crate) fn parse(head: ControlHead, payload: &[u8]) -> Result<RstStream, DecodeError> {
        let (kind, length) = (head.kind, head.length);
        let (stream_id, code) =
            head::two_u32(payload).ok_or(DecodeError::Length { kind, length })?;
        Ok(RstStream {
            stream_id: stream_id & STREAM_ID_MASK,
            code: ErrorCode(code),
            undefined_flags: head.flags,
        })
    }

    pub(crate) fn encode(
        &self,
        version: WireVersion,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        head::put_control(dst, version, Kind::RST_STREAM, self.undefined_flags, 8)?;
        dst.put_u32(self.stream_id & STREAM_ID_MASK);
        dst.put_u32(self.code.0);
        Ok(())
    }
}
