//! SYN_REPLY (section 2.6.2).

use bytes::{Bytes, BytesMut};

use super::head::ControlHead;
use super::headers::{self, ReplyPayload};
use super::{DecodeError, EncodeError, Kind, WireVersion, flags};

/// SYN_REPLY: accepts a stream (section 2.6.2). The block is still compressed.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::spdy::{Frame, SynReply, WireVersion};
///
/// let frame = Frame::SynReply(SynReply { fin: true, ..SynReply::new(1, Bytes::new()) });
/// let mut wire = BytesMut::new();
/// frame.encode(WireVersion::V2, &mut wire)?;
/// // SPDY/2 has two unused bytes after the stream
/// assert_eq!(wire[..], *b"\x80\x02\x00\x02\x01\x00\x00\x06\0\0\0\x01\0\0");
/// # Ok::<(), lacewing_frames::spdy::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynReply {
    /// The stream, 31 bits.
    pub stream_id: u32,
    /// The sender's last frame of the stream.
    pub fin: bool,
    /// The header block, compressed.
    pub block: Bytes,
    /// The unused 16 bits of SPDY/2. Kept, and ignored. 0 in SPDY/3, which has none.
    pub reserved: u16,
    /// Flag bits without a meaning in this frame; kept, and ignored.
    pub undefined_flags: u8,
}

impl SynReply {
    /// A frame that does not end its stream.
    pub const fn new(stream_id: u32, block: Bytes) -> SynReply {
        SynReply {
            stream_id,
            fin: false,
            block,
            reserved: 0,
            undefined_flags: 0,
        }
    }

    pub(crate) fn parse(head: ControlHead, payload: &Bytes) -> Result<SynReply, DecodeError> {
        let ReplyPayload {
            stream_id,
            reserved,
            block,
        } = headers::split(head, payload)?;
        Ok(SynReply {
            stream_id,
            fin: head.has(flags::FIN),
            block: payload.slice_ref(block),
            reserved,
            undefined_flags: head.flags & !flags::FIN,
        })
    }

    pub(crate) fn encode(
        &self,
        version: WireVersion,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let flags = headers::flags(self.fin, self.undefined_flags);
        let fixed = (self.stream_id, self.reserved);
        headers::put(dst, version, Kind::SYN_REPLY, flags, fixed, &self.block)
    }
}
