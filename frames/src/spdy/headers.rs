//! HEADERS (section 2.6.7), and the layout that it shares with SYN_REPLY.

use bytes::{BufMut, Bytes, BytesMut};

use super::head::{self, ControlHead, STREAM_ID_MASK};
use super::{DecodeError, EncodeError, Kind, WireVersion};

/// HEADERS: more header fields on a stream (section 2.6.7). The block is still compressed.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::spdy::{Frame, Headers, WireVersion};
///
/// // an empty block holds no fields
/// let wire = b"\x80\x03\x00\x08\x00\x00\x00\x04\0\0\0\x01";
/// let frame = Frame::decode(WireVersion::V3, &mut BytesMut::from(&wire[..]), 8192)?;
/// assert_eq!(frame, Some(Frame::Headers(Headers::new(1, Bytes::new()))));
/// # Ok::<(), lacewing_frames::spdy::DecodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
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

impl Headers {
    /// A frame that does not end its stream.
    pub const fn new(stream_id: u32, block: Bytes) -> Headers {
        Headers {
            stream_id,
            fin: false,
            block,
            reserved: 0,
            undefined_flags: 0,
        }
    }

    pub(crate) fn parse(head: ControlHead, payload: &Bytes) -> Result<Headers, DecodeError> {
        let ReplyPayload {
            stream_id,
            reserved,
            block,
        } = split(head, payload)?;
        Ok(Headers {
            stream_id,
            fin: head.has(super::flags::FIN),
            block: payload.slice_ref(block),
            reserved,
            undefined_flags: head.flags & !super::flags::FIN,
        })
    }

    pub(crate) fn encode(
        &self,
        version: WireVersion,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let flags = flags(self.fin, self.undefined_flags);
        let fixed = (self.stream_id, self.reserved);
        put(dst, version, Kind::HEADERS, flags, fixed, &self.block)
    }
}

/// The parts of a SYN_REPLY or HEADERS payload, by reference.
pub(crate) struct ReplyPayload<'a> {
    pub(crate) stream_id: u32,
    pub(crate) reserved: u16,
    pub(crate) block: &'a [u8],
}

/// Splits the payload of SYN_REPLY or HEADERS without copying.
pub(crate) fn split(head: ControlHead, payload: &[u8]) -> Result<ReplyPayload<'_>, DecodeError> {
    let split = || {
        let (stream_id, rest) = head::split_u32(payload)?;
        let (reserved, block) = match head.version {
            WireVersion::V2 => {
                let (bytes, block) = rest.split_first_chunk()?;
                (u16::from_be_bytes(*bytes), block)
            }
            WireVersion::V3 => (0, rest),
        };
        Some(ReplyPayload {
            stream_id: stream_id & STREAM_ID_MASK,
            reserved,
            block,
        })
    };
    let (kind, length) = (head.kind, head.length);
    split().ok_or(DecodeError::Length { kind, length })
}

/// Appends the bytes before the block.
pub(crate) fn put_fixed(dst: &mut BytesMut, version: WireVersion, stream_id: u32, reserved: u16) {
    dst.put_u32(stream_id & STREAM_ID_MASK);
    if version == WireVersion::V2 {
        dst.put_u16(reserved);
    }
}

pub(crate) fn flags(fin: bool, undefined: u8) -> u8 {
    head::flag(fin, super::flags::FIN) | undefined & !super::flags::FIN
}

pub(crate) fn put(
    dst: &mut BytesMut,
    version: WireVersion,
    kind: Kind,
    flags: u8,
    (stream_id, reserved): (u32, u16),
    block: &[u8],
) -> Result<(), EncodeError> {
    let fixed = kind.block_offset(version).unwrap_or_default();
    head::put_control(dst, version, kind, flags, fixed + block.len())?;
    put_fixed(dst, version, stream_id, reserved);
    dst.put_slice(block);
    Ok(())
}
