//! DATA (section 2.2.2).

use bytes::{BufMut, Bytes, BytesMut};

use super::head::{self, FrameHead, STREAM_ID_MASK};
use super::{EncodeError, flags};

/// DATA: bytes of a stream (section 2.2.2).
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::spdy::{Data, Frame, WireVersion};
///
/// let frame = Frame::Data(Data { fin: true, ..Data::new(1, Bytes::from_static(b"hello")) });
/// let mut wire = BytesMut::new();
/// frame.encode(WireVersion::V3, &mut wire)?;
/// assert_eq!(wire[..], *b"\x00\x00\x00\x01\x01\x00\x00\x05hello");
/// # Ok::<(), lacewing_frames::spdy::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The stream, 31 bits.
    pub stream_id: u32,
    /// FLAG_FIN: the sender's last frame of the stream.
    pub fin: bool,
    /// The content.
    pub payload: Bytes,
    /// Flag bits without a meaning. Kept, and ignored. 0x02 was FLAG_COMPRESS in the first draft of
    /// SPDY/3, and was never deployed.
    pub undefined_flags: u8,
}

impl Data {
    /// A frame that does not end its stream.
    pub const fn new(stream_id: u32, payload: Bytes) -> Data {
        Data {
            stream_id,
            fin: false,
            payload,
            undefined_flags: 0,
        }
    }

    pub(crate) fn parse(stream_id: u32, flags: u8, payload: Bytes) -> Data {
        Data {
            stream_id,
            fin: flags & flags::FIN != 0,
            payload,
            undefined_flags: flags & !flags::FIN,
        }
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let head = FrameHead::Data {
            stream_id: self.stream_id & STREAM_ID_MASK,
            flags: head::flag(self.fin, flags::FIN) | self.undefined_flags & !flags::FIN,
            length: head::checked_length(self.payload.len())?,
        };
        dst.put_slice(&head.to_bytes());
        dst.put_slice(&self.payload);
        Ok(())
    }
}
