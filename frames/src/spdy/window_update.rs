//! WINDOW_UPDATE (section 2.6.8).

use bytes::{BufMut, BytesMut};

use super::head::{self, ControlHead, STREAM_ID_MASK};
use super::{DecodeError, EncodeError, Kind, WireVersion};

/// WINDOW_UPDATE: returns flow-control credit (section 2.6.8). Not in SPDY/2.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::spdy::{Frame, WireVersion, WindowUpdate};
///
/// let frame = Frame::WindowUpdate(WindowUpdate::new(1, 4096));
/// let mut wire = BytesMut::new();
/// frame.encode(WireVersion::V3, &mut wire)?;
/// assert_eq!(wire[..], *b"\x80\x03\x00\x09\x00\x00\x00\x08\0\0\0\x01\0\0\x10\0");
/// # Ok::<(), lacewing_frames::spdy::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowUpdate {
    /// The stream; 0 is the connection, in SPDY/3.1 only.
    pub stream_id: u32,
    /// Bytes added to the window, 31 bits, not 0.
    pub delta: u32,
    /// The flags, which have no meaning. Kept, and ignored.
    pub undefined_flags: u8,
}

impl WindowUpdate {
    /// A frame with a credit of `delta` bytes.
    pub const fn new(stream_id: u32, delta: u32) -> WindowUpdate {
        WindowUpdate {
            stream_id,
            delta,
            undefined_flags: 0,
        }
    }

    pub(crate) fn parse(head: ControlHead, payload: &[u8]) -> Result<WindowUpdate, DecodeError> {
        let (kind, length) = (head.kind, head.length);
        let (stream_id, delta) =
            head::two_u32(payload).ok_or(DecodeError::Length { kind, length })?;
        let stream_id = stream_id & STREAM_ID_MASK;
        let delta = delta & STREAM_ID_MASK;
        if delta == 0 {
            return Err(DecodeError::ZeroDelta { stream_id });
        }
        Ok(WindowUpdate {
            stream_id,
            delta,
            undefined_flags: head.flags,
        })
    }

    pub(crate) fn encode(
        &self,
        version: WireVersion,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        head::put_control(dst, version, Kind::WINDOW_UPDATE, self.undefined_flags, 8)?;
        dst.put_u32(self.stream_id & STREAM_ID_MASK);
        dst.put_u32(self.delta & STREAM_ID_MASK);
        Ok(())
    }
}
