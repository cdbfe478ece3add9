//! ORIGIN (RFC 8336 §2).

use bytes::{Bytes, BytesMut};

use super::{DecodeError, EncodeError, FrameHead, Kind, frame};

/// ORIGIN: the origins for which a server is authoritative on this connection (RFC 8336 §2).
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use lacewing_frames::http2::{Frame, Origin};
///
/// let frame = Origin::new([Bytes::from_static(b"https://a.example")]);
/// assert!(frame.is_valid());
/// let mut wire = BytesMut::new();
/// Frame::Origin(frame).encode(&mut wire)?;
/// assert_eq!(wire[..], *b"\x00\x00\x13\x0c\x00\x00\x00\x00\x00\x00\x11https://a.example");
/// # Ok::<(), lacewing_frames::http2::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The stream. If it is not 0, a receiver ignores the frame.
    pub stream_id: u32,
    /// The ASCII serializations of origins, not checked here.
    pub origins: Vec<Bytes>,
    /// Flag bits. ORIGIN defines none, and reserves the low four for incompatible changes.
    pub undefined_flags: u8,
}

impl Origin {
    /// The minimum length of an entry in bytes: that of its length field.
    const ENTRY_MIN_LEN: usize = 2;

    /// A frame with these origins, in this order.
    pub fn new(origins: impl IntoIterator<Item = Bytes>) -> Origin {
        Origin {
            stream_id: 0,
            origins: origins.into_iter().collect(),
            undefined_flags: 0,
        }
    }

    /// Returns whether a receiver may use the frame: it must be on stream 0, without any of the
    /// four reserved flags. A receiver ignores all other ORIGIN frames (RFC 8336 §2.2).
    pub fn is_valid(&self) -> bool {
        self.stream_id == 0 && self.undefined_flags & 0x0f == 0
    }

    /// Parses a payload; `None` if it has more entries than `max_entries`.
    pub(crate) fn parse(
        head: FrameHead,
        payload: &Bytes,
        max_entries: usize,
    ) -> Result<Option<Origin>, DecodeError> {
        let mut origins = Vec::new();
        let mut rest: &[u8] = payload;
        while !rest.is_empty() {
            let (origin, tail) = rest
                .split_first_chunk::<{ Origin::ENTRY_MIN_LEN }>()
                .and_then(|(length, tail)| {
                    tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))
                })
                .ok_or(DecodeError::Length {
                    kind: head.kind,
                    length: head.length,
                })?;
            if origins.len() >= max_entries {
                return Ok(None);
            }
            origins.push(payload.slice_ref(origin));
            rest = tail;
        }
        Ok(Some(Origin {
            stream_id: head.stream_id,
            origins,
            undefined_flags: head.flags,
        }))
    }

    pub(crate) fn payload_len(&self) -> usize {
        self.origins.iter().fold(0, |sum: usize, origin| {
            sum.saturating_add(Origin::ENTRY_MIN_LEN)
                .saturating_add(origin.len())
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        if let Some(long) = self
            .origins
            .iter()
            .find(|origin| u16::try_from(origin.len()).is_err())
        {
            return Err(EncodeError::OriginTooLong { length: long.len() });
        }
        let flags = self.undefined_flags;
        frame::put_head(dst, Kind::ORIGIN, flags, self.stream_id, self.payload_len())?;
        for origin in &self.origins {
            let length = u16::try_from(origin.len()).unwrap_or(u16::MAX);
            dst.extend_from_slice(&length.to_be_bytes());
            dst.extend_from_slice(origin);
        }
        Ok(())
    }
}
