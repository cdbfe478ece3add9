//! Control frames that this version does not define.

use bytes::{BufMut, Bytes, BytesMut};

use super::head::{self, FrameHead};
use super::{EncodeError, Kind};

/// A control frame of an undefined type or of another version. A receiver ignores it, but answers a
/// SYN_STREAM of another version with UNSUPPORTED_VERSION.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::spdy::{Frame, Kind, WireVersion};
///
/// // WINDOW_UPDATE, which SPDY/2 does not have
/// let wire = b"\x80\x02\x00\x09\x00\x00\x00\x08\0\0\0\x01\0\0\x10\0";
/// let Some(Frame::Unknown(frame)) =
///     Frame::decode(WireVersion::V2, &mut BytesMut::from(&wire[..]), 8192)?
/// else {
///     unreachable!("SPDY/2 has no such type");
/// };
/// assert_eq!((frame.version, frame.kind), (2, Kind::WINDOW_UPDATE));
/// # Ok::<(), lacewing_frames::spdy::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The version, 15 bits.
    pub version: u16,
    /// The type.
    pub kind: Kind,
    /// The flags.
    pub flags: u8,
    /// The payload.
    pub payload: Bytes,
}

impl Unknown {
    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let head = FrameHead::Control {
            version: self.version,
            kind: self.kind,
            flags: self.flags,
            length: head::checked_length(self.payload.len())?,
        };
        dst.put_slice(&head.to_bytes());
        dst.put_slice(&self.payload);
        Ok(())
    }
}
