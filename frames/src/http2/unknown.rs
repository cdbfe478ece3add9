//! Frames of types that this crate does not know (RFC 9113 §4.1, §5.5).

use bytes::{Bytes, BytesMut};

use super::{EncodeError, FrameHead, Kind, frame};

/// A frame of an unknown type, which a receiver must ignore (RFC 9113 §5.5).
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::http2::{Frame, Kind};
///
/// let wire = b"\x00\x00\x02\xbe\xef\x00\x00\x00\x07hi";
/// let Some(Frame::Unknown(frame)) = Frame::decode(&mut BytesMut::from(&wire[..]), 16_384)? else {
///     unreachable!("0xbe is no frame type");
/// };
/// assert_eq!((frame.kind, frame.flags, frame.stream_id), (Kind(0xbe), 0xef, 7));
/// # Ok::<(), lacewing_frames::http2::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The type.
    pub kind: Kind,
    /// The flags.
    pub flags: u8,
    /// The stream.
    pub stream_id: u32,
    /// The payload.
    pub payload: Bytes,
}

impl Unknown {
    pub(crate) fn parse(head: FrameHead, payload: &Bytes) -> Unknown {
        Unknown {
            kind: head.kind,
            flags: head.flags,
            stream_id: head.stream_id,
            payload: payload.clone(),
        }
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        frame::put_head(
            dst,
            self.kind,
            self.flags,
            self.stream_id,
            self.payload.len(),
        )?;
        dst.extend_from_slice(&self.payload);
        Ok(())
    }
}
