//! CONTINUATION (RFC 9113 §6.10).

use bytes::{Bytes, BytesMut};

use super::{DecodeError, EncodeError, FrameHead, Kind, flags, frame};

/// CONTINUATION: the next fragment of a header block (RFC 9113 §6.10).
///
/// Only the raw level has this frame: the [`Decoder`](super::Decoder) joins fragments, and the
/// [`Encoder`](super::Encoder) splits header blocks.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::http2::{Continuation, Frame};
///
/// let frame = Frame::Continuation(Continuation {
///     stream_id: 50,
///     end_headers: true,
///     fragment: Bytes::from_static(b"\x82"),
///     undefined_flags: 0,
/// });
/// let mut wire = BytesMut::new();
/// frame.encode(&mut wire)?;
/// assert_eq!(wire[..], *b"\x00\x00\x01\x09\x04\x00\x00\x00\x32\x82");
/// # Ok::<(), lacewing_frames::http2::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    /// The stream of the header block, not 0.
    pub stream_id: u32,
    /// END_HEADERS: the header block ends with this frame.
    pub end_headers: bool,
    /// The next fragment of the header block, compressed.
    pub fragment: Bytes,
    /// Flag bits without a meaning in this frame; kept, and ignored.
    pub undefined_flags: u8,
}

impl Continuation {
    pub(crate) fn parse(head: FrameHead, payload: &Bytes) -> Result<Continuation, DecodeError> {
        if head.stream_id == 0 {
            return Err(DecodeError::StreamIdZero { kind: head.kind });
        }
        Ok(Continuation {
            stream_id: head.stream_id,
            end_headers: head.has(flags::END_HEADERS),
            fragment: payload.clone(),
            undefined_flags: head.undefined_flags(flags::END_HEADERS),
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let mut flags = self.undefined_flags & !flags::END_HEADERS;
        if self.end_headers {
            flags |= flags::END_HEADERS;
        }
        frame::put_head(
            dst,
            Kind::CONTINUATION,
            flags,
            self.stream_id,
            self.fragment.len(),
        )?;
        dst.extend_from_slice(&self.fragment);
        Ok(())
    }
}
