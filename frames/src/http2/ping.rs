//! PING (RFC 9113 §6.7).

use bytes::BytesMut;

use super::{DecodeError, FrameHead, Kind, flags};

/// PING: eight bytes that the receiver sends back (RFC 9113 §6.7).
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::http2::{Frame, Ping};
///
/// let frame = Frame::Ping(Ping { ack: true, payload: *b"deadbeef", undefined_flags: 0 });
/// let mut wire = BytesMut::new();
/// frame.encode(&mut wire)?;
/// assert_eq!(wire[..], *b"\x00\x00\x08\x06\x01\x00\x00\x00\x00deadbeef");
/// # Ok::<(), lacewing_frames::http2::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// ACK: this frame is the answer, with the payload of the PING.
    pub ack: bool,
    /// The opaque payload.
    pub payload: [u8; 8],
    /// Flag bits without a meaning in this frame; kept, and ignored.
    pub undefined_flags: u8,
}

impl Ping {
    pub(crate) fn parse(head: FrameHead, payload: &[u8]) -> Result<Ping, DecodeError> {
        let FrameHead {
            kind,
            length,
            stream_id,
            ..
        } = head;
        if stream_id != 0 {
            return Err(DecodeError::StreamIdNotZero { kind, stream_id });
        }
        let Ok(payload) = <[u8; 8]>::try_from(payload) else {
            return Err(DecodeError::Length { kind, length });
        };
        let undefined_flags = head.undefined_flags(flags::ACK);
        Ok(Ping {
            ack: head.has(flags::ACK),
            payload,
            undefined_flags,
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) {
        let mut flags = self.undefined_flags & !flags::ACK;
        if self.ack {
            flags |= flags::ACK;
        }
        FrameHead {
            length: 8,
            kind: Kind::PING,
            flags,
            stream_id: 0,
        }
        .put(dst);
        dst.extend_from_slice(&self.payload);
    }
}
