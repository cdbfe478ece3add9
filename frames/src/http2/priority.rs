//! PRIORITY, and the five bytes that it shares with HEADERS (RFC 9113 §6.3, RFC 7540 §5.3).

use bytes::BytesMut;

use super::head::STREAM_ID_MASK;
use super::{DecodeError, FrameHead, Kind};

/// A place in the dependency tree of RFC 7540 §5.3, carried by PRIORITY and HEADERS.
///
/// RFC 9113 §5.3.2 deprecates the tree. The bytes are still on the wire, and are kept as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamPriority {
    /// The parent stream; 0 is the root.
    pub dependency: u32,
    /// The stream becomes the only child of its parent.
    pub exclusive: bool,
    /// The weight, 1 to 256 (one more than the byte on the wire). The encoder clamps other values
    /// to this range.
    pub weight: u16,
}

impl Default for StreamPriority {
    fn default() -> StreamPriority {
        StreamPriority {
            dependency: 0,
            exclusive: false,
            weight: 16,
        }
    }
}

impl StreamPriority {
    /// The length on the wire in bytes.
    pub(crate) const LEN: usize = 5;

    #[inline]
    pub(crate) fn from_bytes([d0, d1, d2, d3, weight]: [u8; 5]) -> StreamPriority {
        let dependency = u32::from_be_bytes([d0, d1, d2, d3]);
        StreamPriority {
            dependency: dependency & STREAM_ID_MASK,
            exclusive: dependency & !STREAM_ID_MASK != 0,
            weight: u16::from(weight) + 1,
        }
    }

    #[inline]
    pub(crate) fn to_bytes(self) -> [u8; 5] {
        let mut dependency = self.dependency & STREAM_ID_MASK;
        if self.exclusive {
            dependency |= !STREAM_ID_MASK;
        }
        let [d0, d1, d2, d3] = dependency.to_be_bytes();
        let weight = u8::try_from(self.weight.saturating_sub(1)).unwrap_or(u8::MAX);
        [d0, d1, d2, d3, weight]
    }
}

/// PRIORITY: the place of a stream in the deprecated dependency tree (RFC 9113 §6.3).
///
/// A raw frame decodes even if the stream depends on itself. The stateful
/// [`Decoder`](super::Decoder) returns a stream error for it.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::http2::{Frame, Priority, StreamPriority};
///
/// let priority = StreamPriority { dependency: 11, exclusive: true, weight: 8 };
/// let frame = Frame::Priority(Priority { stream_id: 9, priority, undefined_flags: 0 });
/// let mut wire = BytesMut::new();
/// frame.encode(&mut wire)?;
/// assert_eq!(wire[..], *b"\x00\x00\x05\x02\x00\x00\x00\x00\x09\x80\x00\x00\x0b\x07");
/// # Ok::<(), lacewing_frames::http2::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priority {
    /// The stream, not 0. It may be in any state.
    pub stream_id: u32,
    /// Its place in the tree.
    pub priority: StreamPriority,
    /// Flag bits; PRIORITY defines none. Kept, and ignored.
    pub undefined_flags: u8,
}

impl Priority {
    pub(crate) fn parse(head: FrameHead, payload: &[u8]) -> Result<Priority, DecodeError> {
        if head.stream_id == 0 {
            return Err(DecodeError::StreamIdZero { kind: head.kind });
        }
        let Ok(payload) = <[u8; StreamPriority::LEN]>::try_from(payload) else {
            return Err(DecodeError::PriorityLength {
                stream_id: head.stream_id,
                length: head.length,
            });
        };
        Ok(Priority {
            stream_id: head.stream_id,
            priority: StreamPriority::from_bytes(payload),
            undefined_flags: head.flags,
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) {
        FrameHead {
            length: 5,
            kind: Kind::PRIORITY,
            flags: self.undefined_flags,
            stream_id: self.stream_id,
        }
        .put(dst);
        dst.extend_from_slice(&self.priority.to_bytes());
    }
}
