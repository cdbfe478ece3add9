//! WINDOW_UPDATE (RFC 9113 §6.9).

use bytes::BytesMut;

use super::head::STREAM_ID_MASK;
use super::{DecodeError, FrameHead, Kind};

/// WINDOW_UPDATE: the sender accepts more DATA on a stream, or on the whole connection
/// (RFC 9113 §6.9).
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::http2::{Frame, WindowUpdate};
///
/// let mut wire = BytesMut::from(&b"\x00\x00\x04\x08\x00\x00\x00\x00\x32\x00\x00\x03\xe8"[..]);
/// let frame = Frame::decode(&mut wire, 16_384)?;
/// let expected = WindowUpdate { stream_id: 50, increment: 1000, undefined_flags: 0 };
/// assert_eq!(frame, Some(Frame::WindowUpdate(expected)));
/// # Ok::<(), lacewing_frames::http2::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowUpdate {
    /// The stream; 0 is the connection.
    pub stream_id: u32,
    /// Bytes to add to the window, 1 to 2^31-1.
    pub increment: u32,
    /// Flag bits; WINDOW_UPDATE defines none. Kept, and ignored.
    pub undefined_flags: u8,
}

impl WindowUpdate {
    #[inline]
    pub(crate) fn parse(head: FrameHead, payload: &[u8]) -> Result<WindowUpdate, DecodeError> {
        let FrameHead {
            kind,
            length,
            stream_id,
            flags,
        } = head;
        let Ok(payload) = <[u8; 4]>::try_from(payload) else {
            return Err(DecodeError::Length { kind, length });
        };
        let increment = u32::from_be_bytes(payload) & STREAM_ID_MASK;
        if increment == 0 {
            return Err(DecodeError::ZeroIncrement { stream_id });
        }
        Ok(WindowUpdate {
            stream_id,
            increment,
            undefined_flags: flags,
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) {
        let head = FrameHead {
            length: 4,
            kind: Kind::WINDOW_UPDATE,
            flags: self.undefined_flags,
            stream_id: self.stream_id,
        };
        head.put(dst);
        dst.extend_from_slice(&(self.increment & STREAM_ID_MASK).to_be_bytes());
    }
}
