//! PING (section 2.6.5).

use bytes::{BufMut, BytesMut};

use super::head::{self, ControlHead};
use super::{DecodeError, EncodeError, Kind, WireVersion};

/// PING: the receiver sends it back unchanged, before all other frames (section 2.6.5).
///
/// An answer has no mark. Clients use odd ids, servers even ones: a PING with an id of the
/// receiver's own parity is the answer to its own PING.
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::spdy::{Frame, Ping, WireVersion};
///
/// let mut wire = BytesMut::new();
/// Frame::Ping(Ping::new(7)).encode(WireVersion::V3, &mut wire)?;
/// assert_eq!(wire[..], *b"\x80\x03\x00\x06\x00\x00\x00\x04\0\0\0\x07");
/// # Ok::<(), lacewing_frames::spdy::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// The id, 32 bits.
    pub id: u32,
    /// The flags, which have no meaning. Kept, and ignored.
    pub undefined_flags: u8,
}

impl Ping {
    /// A PING with this id.
    pub const fn new(id: u32) -> Ping {
        Ping {
            id,
            undefined_flags: 0,
        }
    }

    pub(crate) fn parse(head: ControlHead, payload: &[u8]) -> Result<Ping, DecodeError> {
        match head::split_u32(payload) {
            Some((id, [])) => Ok(Ping {
                id,
                undefined_flags: head.flags,
            }),
            _ => {
                let (kind, length) = (head.kind, head.length);
                Err(DecodeError::Length { kind, length })
            }
        }
    }

    pub(crate) fn encode(
        &self,
        version: WireVersion,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        head::put_control(dst, version, Kind::PING, self.undefined_flags, 4)?;
        dst.put_u32(self.id);
        Ok(())
    }
}
