//! PUSH_PROMISE (RFC 9113 §6.6).

use bytes::{Bytes, BytesMut};

use super::head::STREAM_ID_MASK;
use super::{DecodeError, EncodeError, FrameHead, Kind, flags, frame, padding};

/// PUSH_PROMISE: a server reserves a stream for a push (RFC 9113 §6.6).
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::http2::{Frame, PushPromise};
///
/// let frame = Frame::PushPromise(PushPromise::new(1, 2, Bytes::from_static(b"\x82")));
/// let mut wire = BytesMut::new();
/// frame.encode(&mut wire)?;
/// assert_eq!(wire[..], *b"\x00\x00\x05\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02\x82");
/// # Ok::<(), lacewing_frames::http2::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushPromise {
    /// The stream of the request to which the push belongs, not 0.
    pub stream_id: u32,
    /// The promised stream: even, not 0.
    pub promised_id: u32,
    /// END_HEADERS: the header block ends with this frame; otherwise CONTINUATION follows.
    pub end_headers: bool,
    /// The header block of the promised request, or its first fragment, compressed.
    pub fragment: Bytes,
    /// The padding, at most 255 bytes; `None` when the frame is not padded.
    pub padding: Option<Bytes>,
    /// Flag bits without a meaning in this frame; kept, and ignored.
    pub undefined_flags: u8,
}

/// The parts of a PUSH_PROMISE payload, by reference.
pub(crate) struct PushPromisePayload<'a> {
    pub(crate) promised_id: u32,
    pub(crate) fragment: &'a [u8],
    pub(crate) padding: Option<&'a [u8]>,
}

impl PushPromise {
    const FLAGS: u8 = flags::END_HEADERS | flags::PADDED;

    /// A complete header block without padding.
    pub fn new(stream_id: u32, promised_id: u32, fragment: Bytes) -> PushPromise {
        PushPromise {
            stream_id,
            promised_id,
            end_headers: true,
            fragment,
            padding: None,
            undefined_flags: 0,
        }
    }

    /// Checks a payload and splits it without copying.
    pub(crate) fn split(
        head: FrameHead,
        payload: &[u8],
    ) -> Result<PushPromisePayload<'_>, DecodeError> {
        if head.stream_id == 0 {
            return Err(DecodeError::StreamIdZero { kind: head.kind });
        }
        let (content, padding) = padding::split(head, payload)?;
        let Some((promised_id, fragment)) = content.split_first_chunk::<4>() else {
            return Err(match padding {
                Some(_) => DecodeError::Padding {
                    kind: head.kind,
                    stream_id: head.stream_id,
                },
                None => DecodeError::Length {
                    kind: head.kind,
                    length: head.length,
                },
            });
        };
        let promised_id = u32::from_be_bytes(*promised_id) & STREAM_ID_MASK;
        // Only servers push, and a server's streams have even numbers (§5.1.1).
        if promised_id == 0 || promised_id % 2 != 0 {
            return Err(DecodeError::PromisedStreamId { promised_id });
        }
        Ok(PushPromisePayload {
            promised_id,
            fragment,
            padding,
        })
    }

    pub(crate) fn parse(head: FrameHead, payload: &Bytes) -> Result<PushPromise, DecodeError> {
        let parts = PushPromise::split(head, payload)?;
        Ok(PushPromise {
            stream_id: head.stream_id,
            promised_id: parts.promised_id,
            end_headers: head.has(flags::END_HEADERS),
            fragment: payload.slice_ref(parts.fragment),
            padding: parts.padding.map(|padding| payload.slice_ref(padding)),
            undefined_flags: head.undefined_flags(PushPromise::FLAGS),
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let padding = self.padding.as_ref();
        let mut flags = self.undefined_flags & !PushPromise::FLAGS;
        if self.end_headers {
            flags |= flags::END_HEADERS;
        }
        if padding.is_some() {
            flags |= flags::PADDED;
        }
        let length = padding::overhead(padding)?.saturating_add(4 + self.fragment.len());
        frame::put_head(dst, Kind::PUSH_PROMISE, flags, self.stream_id, length)?;
        padding::put_length(dst, padding);
        dst.extend_from_slice(&(self.promised_id & STREAM_ID_MASK).to_be_bytes());
        dst.extend_from_slice(&self.fragment);
        padding::put(dst, padding);
        Ok(())
    }
}
