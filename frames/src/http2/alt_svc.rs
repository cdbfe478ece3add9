//! ALTSVC (RFC 7838 §4).

use bytes::{Bytes, BytesMut};

use super::{DecodeError, EncodeError, FrameHead, Kind, frame};

/// ALTSVC: an alternative service for an origin (RFC 7838 §4).
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::http2::{AltSvc, Frame};
///
/// let frame = AltSvc {
///     stream_id: 0,
///     origin: Bytes::from_static(b"https://a.example"),
///     value: Bytes::from_static(b"h2=\":8000\""),
///     undefined_flags: 0,
/// };
/// assert!(frame.is_valid());
/// let mut wire = BytesMut::new();
/// Frame::AltSvc(frame).encode(&mut wire)?;
/// assert_eq!(wire[..11], *b"\x00\x00\x1d\x0a\x00\x00\x00\x00\x00\x00\x11");
/// # Ok::<(), lacewing_frames::http2::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AltSvc {
    /// 0 if the frame has an origin; otherwise the stream, whose origin is meant.
    pub stream_id: u32,
    /// The ASCII serialization of the origin; empty on a stream.
    pub origin: Bytes,
    /// A value in the syntax of the Alt-Svc header field.
    pub value: Bytes,
    /// Flag bits; ALTSVC defines none. Kept, and ignored.
    pub undefined_flags: u8,
}

impl AltSvc {
    /// Returns whether a receiver may use the frame: it must have an origin on stream 0, and none
    /// on other streams. A receiver ignores all other ALTSVC frames (RFC 7838 §4).
    pub fn is_valid(&self) -> bool {
        (self.stream_id == 0) != self.origin.is_empty()
    }

    /// Splits a payload into origin and value.
    pub(crate) fn split(head: FrameHead, payload: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
        payload
            .split_first_chunk::<2>()
            .and_then(|(length, rest)| {
                rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
            })
            .ok_or(DecodeError::Length {
                kind: head.kind,
                length: head.length,
            })
    }

    pub(crate) fn parse(head: FrameHead, payload: &Bytes) -> Result<AltSvc, DecodeError> {
        let (origin, value) = AltSvc::split(head, payload)?;
        Ok(AltSvc {
            stream_id: head.stream_id,
            origin: payload.slice_ref(origin),
            value: payload.slice_ref(value),
            undefined_flags: head.flags,
        })
    }

    pub(crate) fn payload_len(&self) -> usize {
        self.origin
            .len()
            .saturating_add(self.value.len())
            .saturating_add(2)
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let Ok(origin_length) = u16::try_from(self.origin.len()) else {
            return Err(EncodeError::OriginTooLong {
                length: self.origin.len(),
            });
        };
        let flags = self.undefined_flags;
        frame::put_head(dst, Kind::ALTSVC, flags, self.stream_id, self.payload_len())?;
        dst.extend_from_slice(&origin_length.to_be_bytes());
        dst.extend_from_slice(&self.origin);
        dst.extend_from_slice(&self.value);
        Ok(())
    }
}
