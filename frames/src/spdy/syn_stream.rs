//! SYN_STREAM (section 2.6.1).

use bytes::{BufMut, Bytes, BytesMut};

use super::head::{self, ControlHead, STREAM_ID_MASK, flag};
use super::{DecodeError, EncodeError, Kind, WireVersion, flags};

/// SYN_STREAM: opens a stream (section 2.6.1).
///
/// The block is compressed, and useless without the connection's zlib stream. The
/// [`Decoder`](super::Decoder) decompresses it.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::spdy::{Frame, SynStream, SynStreamHead, WireVersion};
///
/// let head = SynStreamHead { priority: 3, fin: true, ..SynStreamHead::new(1) };
/// let mut wire = BytesMut::new();
/// Frame::SynStream(SynStream::new(head, Bytes::new())).encode(WireVersion::V3, &mut wire)?;
/// assert_eq!(wire[..], *b"\x80\x03\x00\x01\x01\x00\x00\x0a\0\0\0\x01\0\0\0\0\x60\0");
/// # Ok::<(), lacewing_frames::spdy::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynStream {
    /// The fields before the block.
    pub head: SynStreamHead,
    /// The header block, compressed.
    pub block: Bytes,
    /// The bits after the priority in its byte: six in SPDY/2, five in SPDY/3. Ignored, and kept:
    /// spdy-transport writes SPDY/2 priorities of three bits.
    pub reserved: u8,
    /// Flag bits without a meaning in this frame; kept, and ignored.
    pub undefined_flags: u8,
}

/// The fields of SYN_STREAM before its header block (section 2.6.1).
///
/// ```
/// use lacewing_frames::spdy::SynStreamHead;
///
/// let push = SynStreamHead { associated: 1, unidirectional: true, ..SynStreamHead::new(2) };
/// assert_eq!((push.stream_id, push.priority, push.fin), (2, 0, false));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SynStreamHead {
    /// The stream, 31 bits.
    pub stream_id: u32,
    /// The associated stream, for server push, or 0.
    pub associated: u32,
    /// 0 is the most urgent; up to 3 in SPDY/2 and 7 in SPDY/3. (The text of SPDY/2 reverses the
    /// order; deployed implementations do not.)
    pub priority: u8,
    /// The index of a client certificate, 0 for none. SPDY/3 only; unused bits in SPDY/2 and
    /// SPDY/3.1.
    pub slot: u8,
    /// The sender's last frame of the stream.
    pub fin: bool,
    /// The receiver must not reply. spdy-transport does not set the flag on pushes, so treat a
    /// stream with an associated stream as unidirectional too.
    pub unidirectional: bool,
}

impl SynStreamHead {
    /// The length on the wire in bytes.
    pub(crate) const LEN: usize = 10;

    /// A stream of highest priority, with no other parameters.
    pub const fn new(stream_id: u32) -> SynStreamHead {
        SynStreamHead {
            stream_id,
            associated: 0,
            priority: 0,
            slot: 0,
            fin: false,
            unidirectional: false,
        }
    }

    /// The flags of the frame's head.
    pub(crate) fn flags(&self) -> u8 {
        flag(self.fin, flags::FIN) | flag(self.unidirectional, flags::UNIDIRECTIONAL)
    }

    pub(crate) fn put(&self, version: WireVersion, reserved: u8, dst: &mut BytesMut) {
        let shift = priority_shift(version);
        let mask = (1u8 << shift) - 1;
        dst.put_u32(self.stream_id & STREAM_ID_MASK);
        dst.put_u32(self.associated & STREAM_ID_MASK);
        dst.put_u8(self.priority << shift | reserved & mask);
        dst.put_u8(self.slot);
    }

    /// Splits a payload without copying: the head, the reserved bits, the block.
    pub(crate) fn split(
        head: ControlHead,
        payload: &[u8],
    ) -> Result<(SynStreamHead, u8, &[u8]), DecodeError> {
        let Some((fixed, block)) = payload.split_first_chunk::<{ SynStreamHead::LEN }>() else {
            let (kind, length) = (head.kind, head.length);
            return Err(DecodeError::Length { kind, length });
        };
        let &[s0, s1, s2, s3, a0, a1, a2, a3, priority, slot] = fixed;
        let shift = priority_shift(head.version);
        let fields = SynStreamHead {
            stream_id: u32::from_be_bytes([s0, s1, s2, s3]) & STREAM_ID_MASK,
            associated: u32::from_be_bytes([a0, a1, a2, a3]) & STREAM_ID_MASK,
            priority: priority >> shift,
            slot,
            fin: head.has(flags::FIN),
            unidirectional: head.has(flags::UNIDIRECTIONAL),
        };
        Ok((fields, priority & ((1 << shift) - 1), block))
    }
}

impl SynStream {
    const FLAGS: u8 = flags::FIN | flags::UNIDIRECTIONAL;

    /// A frame without undefined bits.
    pub const fn new(head: SynStreamHead, block: Bytes) -> SynStream {
        SynStream {
            head,
            block,
            reserved: 0,
            undefined_flags: 0,
        }
    }

    pub(crate) fn parse(head: ControlHead, payload: &Bytes) -> Result<SynStream, DecodeError> {
        let (fields, reserved, block) = SynStreamHead::split(head, payload)?;
        Ok(SynStream {
            head: fields,
            block: payload.slice_ref(block),
            reserved,
            undefined_flags: head.flags & !SynStream::FLAGS,
        })
    }

    pub(crate) fn encode(
        &self,
        version: WireVersion,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let flags = self.head.flags() | self.undefined_flags & !SynStream::FLAGS;
        let length = SynStreamHead::LEN + self.block.len();
        head::put_control(dst, version, Kind::SYN_STREAM, flags, length)?;
        self.head.put(version, self.reserved, dst);
        dst.put_slice(&self.block);
        Ok(())
    }
}

/// The priority is in the high two bits of its byte in SPDY/2, and in the high three in SPDY/3.
const fn priority_shift(version: WireVersion) -> u32 {
    match version {
        WireVersion::V2 => 6,
        WireVersion::V3 => 5,
    }
}
