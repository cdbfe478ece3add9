//! NOOP (SPDY/2 only).

use bytes::BytesMut;

use super::head::{self, ControlHead};
use super::{DecodeError, EncodeError, Kind, WireVersion};

/// NOOP: has no meaning. SPDY/2 only; receivers ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Noop {
    /// The flags, which have no meaning. Kept, and ignored.
    pub undefined_flags: u8,
}

impl Noop {
    pub(crate) fn parse(head: ControlHead) -> Result<Noop, DecodeError> {
        match head.length {
            0 => Ok(Noop {
                undefined_flags: head.flags,
            }),
            length => Err(DecodeError::Length {
                kind: head.kind,
                length,
            }),
        }
    }

    pub(crate) fn encode(
        &self,
        version: WireVersion,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        head::put_control(dst, version, Kind::NOOP, self.undefined_flags, 0)
    }
}
