//! PRIORITY_UPDATE (RFC 9218 §7.1).

use bytes::{Bytes, BytesMut};

use super::head::STREAM_ID_MASK;
use super::{DecodeError, EncodeError, FrameHead, Kind, frame};

/// PRIORITY_UPDATE: a client sets the priority of a response (RFC 9218 §7.1).
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::http2::{Frame, PriorityUpdate};
///
/// let frame = Frame::PriorityUpdate(PriorityUpdate {
///     prioritized_id: 3,
///     value: Bytes::from_static(b"u=1, i"),
///     undefined_flags: 0,
/// });
/// let mut wire = BytesMut::new();
/// frame.encode(&mut wire)?;
/// assert_eq!(wire[..], *b"\x00\x00\x0a\x10\x00\x00\x00\x00\x00\x00\x00\x00\x03u=1, i");
/// # Ok::<(), lacewing_frames::http2::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorityUpdate {
    /// The stream whose priority is set, not 0. The frame itself is on stream 0.
    pub prioritized_id: u32,
    /// A value in the syntax of the Priority header field, not checked here.
    pub value: Bytes,
    /// Flag bits; PRIORITY_UPDATE defines none. Kept, and ignored.
    pub undefined_flags: u8,
}

impl PriorityUpdate {
    /// The number of bytes before the value.
    pub(crate) const FIXED_LEN: usize = 4;

    /// Checks a payload and splits it into prioritized stream and value.
    pub(crate) fn split(head: FrameHead, payload: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
        let FrameHead {
            kind,
            length,
            stream_id,
            ..
        } = head;
        if stream_id != 0 {
            return Err(DecodeError::StreamIdNotZero { kind, stream_id });
        }
        let Some((prioritized_id, value)) =
            payload.split_first_chunk::<{ PriorityUpdate::FIXED_LEN }>()
        else {
            return Err(DecodeError::Length { kind, length });
        };
        let prioritized_id = u32::from_be_bytes(*prioritized_id) & STREAM_ID_MASK;
        if prioritized_id == 0 {
            return Err(DecodeError::PrioritizedStreamIdZero);
        }
        Ok((prioritized_id, value))
    }

    pub(crate) fn parse(head: FrameHead, payload: &Bytes) -> Result<PriorityUpdate, DecodeError> {
        let (prioritized_id, value) = PriorityUpdate::split(head, payload)?;
        let value = payload.slice_ref(value);
        Ok(PriorityUpdate {
            prioritized_id,
            value,
            undefined_flags: head.flags,
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let length = PriorityUpdate::FIXED_LEN.saturating_add(self.value.len());
        frame::put_head(dst, Kind::PRIORITY_UPDATE, self.undefined_flags, 0, length)?;
        dst.extend_from_slice(&(self.prioritized_id & STREAM_ID_MASK).to_be_bytes());
        dst.extend_from_slice(&self.value);
        Ok(())
    }
}
