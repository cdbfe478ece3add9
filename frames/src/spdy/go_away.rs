//! GOAWAY (section 2.6.6).

use bytes::{BufMut, BytesMut};

use super::head::{self, ControlHead, STREAM_ID_MASK};
use super::{DecodeError, EncodeError, GoAwayStatus, Kind, WireVersion};

/// GOAWAY: the sender accepts no new streams (section 2.6.6).
///
/// ```
/// use bytes::BytesMut;
/// use lacewing_frames::spdy::{Frame, GoAway, GoAwayStatus, WireVersion};
///
/// let frame = Frame::GoAway(GoAway::new(5, GoAwayStatus::OK));
/// let mut wire = BytesMut::new();
/// frame.encode(WireVersion::V3, &mut wire)?;
/// assert_eq!(wire[..], *b"\x80\x03\x00\x07\x00\x00\x00\x08\0\0\0\x05\0\0\0\0");
/// # Ok::<(), lacewing_frames::spdy::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoAway {
    /// The last stream of the receiver that the sender accepted, 0 for none. Later streams were not
    /// processed, and can be retried on another connection.
    pub last_good_stream_id: u32,
    /// The reason. SPDY/2 has no status: `None`. spdy-transport sends one even there; it is read,
    /// and written if it is present. SPDY/3 always has one; `None` is written as OK there.
    pub status: Option<GoAwayStatus>,
    /// The flags, which have no meaning. Kept, and ignored.
    pub undefined_flags: u8,
}

impl GoAway {
    /// A frame with a status, for SPDY/3.
    pub const fn new(last_good_stream_id: u32, status: GoAwayStatus) -> GoAway {
        GoAway {
            last_good_stream_id,
            status: Some(status),
            undefined_flags: 0,
        }
    }

    /// A frame without a status, for SPDY/2.
    pub const fn without_status(last_good_stream_id: u32) -> GoAway {
        GoAway {
            last_good_stream_id,
            status: None,
            undefined_flags: 0,
        }
    }

    pub(crate) fn parse(head: ControlHead, payload: &[u8]) -> Result<GoAway, DecodeError> {
        let (last, status) = match (head::split_u32(payload), head.version) {
            (Some((last, [])), WireVersion::V2) => (last, None),
            (Some((last, rest)), _) if rest.len() == 4 => {
                (last, head::split_u32(rest).map(|(status, _)| status))
            }
            _ => {
                let (kind, length) = (head.kind, head.length);
                return Err(DecodeError::Length { kind, length });
            }
        };
        Ok(GoAway {
            last_good_stream_id: last & STREAM_ID_MASK,
            status: status.map(GoAwayStatus),
            undefined_flags: head.flags,
        })
    }

    pub(crate) fn encode(
        &self,
        version: WireVersion,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let status = match version {
            WireVersion::V2 => self.status,
            WireVersion::V3 => Some(self.status.unwrap_or(GoAwayStatus::OK)),
        };
        let length = if status.is_some() { 8 } else { 4 };
        head::put_control(dst, version, Kind::GOAWAY, self.undefined_flags, length)?;
        dst.put_u32(self.last_good_stream_id & STREAM_ID_MASK);
        if let Some(status) = status {
            dst.put_u32(status.0);
        }
        Ok(())
    }
}
