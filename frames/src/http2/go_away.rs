//! GOAWAY (RFC 9113 §6.8).

use bytes::{Bytes, BytesMut};

use super::head::STREAM_ID_MASK;
use super::{DecodeError, EncodeError, ErrorCode, FrameHead, Kind, frame};

/// GOAWAY: the sender does not process any stream above the last one named (RFC 9113 §6.8).
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::http2::{ErrorCode, Frame, GoAway};
///
/// let frame = Frame::GoAway(GoAway {
///     last_stream_id: 30,
///     code: ErrorCode::COMPRESSION_ERROR,
///     debug_data: Bytes::from_static(b"hpack is broken"),
///     undefined_flags: 0,
/// });
/// let mut wire = BytesMut::new();
/// frame.encode(&mut wire)?;
/// assert_eq!(wire[..17], *b"\x00\x00\x17\x07\x00\x00\x00\x00\x00\x00\x00\x00\x1e\x00\x00\x00\x09");
/// # Ok::<(), lacewing_frames::http2::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoAway {
    /// The last stream that the sender acted on or may act on; 0 if there is none.
    pub last_stream_id: u32,
    /// The reason for the end of the connection.
    pub code: ErrorCode,
    /// Text or other data for people. Do not trust it.
    pub debug_data: Bytes,
    /// Flag bits; GOAWAY defines none. Kept, and ignored.
    pub undefined_flags: u8,
}

impl GoAway {
    /// The number of bytes before the debug data.
    pub(crate) const FIXED_LEN: usize = 8;

    /// Checks a payload and splits it into last stream, code and debug data.
    pub(crate) fn split(
        head: FrameHead,
        payload: &[u8],
    ) -> Result<(u32, ErrorCode, &[u8]), DecodeError> {
        let FrameHead {
            kind,
            length,
            stream_id,
            ..
        } = head;
        if stream_id != 0 {
            return Err(DecodeError::StreamIdNotZero { kind, stream_id });
        }
        let Some((&[l0, l1, l2, l3, c0, c1, c2, c3], debug_data)) =
            payload.split_first_chunk::<{ GoAway::FIXED_LEN }>()
        else {
            return Err(DecodeError::Length { kind, length });
        };
        let last_stream_id = u32::from_be_bytes([l0, l1, l2, l3]) & STREAM_ID_MASK;
        let code = ErrorCode(u32::from_be_bytes([c0, c1, c2, c3]));
        Ok((last_stream_id, code, debug_data))
    }

    pub(crate) fn parse(head: FrameHead, payload: &Bytes) -> Result<GoAway, DecodeError> {
        let (last_stream_id, code, debug_data) = GoAway::split(head, payload)?;
        Ok(GoAway {
            last_stream_id,
            code,
            debug_data: payload.slice_ref(debug_data),
            undefined_flags: head.flags,
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let length = GoAway::FIXED_LEN.saturating_add(self.debug_data.len());
        frame::put_head(dst, Kind::GOAWAY, self.undefined_flags, 0, length)?;
        dst.extend_from_slice(&(self.last_stream_id & STREAM_ID_MASK).to_be_bytes());
        dst.extend_from_slice(&self.code.0.to_be_bytes());
        dst.extend_from_slice(&self.debug_data);
        Ok(())
    }
}
