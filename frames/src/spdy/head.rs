//! The eight bytes before every frame (sections 2.2.1 and 2.2.2).

use core::fmt;

use bytes::BytesMut;

use super::{EncodeError, WireVersion};

/// The first bit of a frame: set on control frames.
const CONTROL: u32 = 0x8000_0000;

/// Stream identifiers have 31 bits.
pub(crate) const STREAM_ID_MASK: u32 = 0x7fff_ffff;

/// The flags of frames (sections 2.2.2, 2.6.1, 2.6.4).
pub mod flags {
    /// SYN_STREAM, SYN_REPLY, HEADERS and DATA: the sender's last frame of the stream.
    pub const FIN: u8 = 0x01;
    /// SYN_STREAM: the receiver must not reply.
    pub const UNIDIRECTIONAL: u8 = 0x02;
    /// SETTINGS: the client must delete its stored settings of this server.
    pub const CLEAR_SETTINGS: u8 = 0x01;
    /// An entry of SETTINGS: the server asks the client to store it.
    pub const PERSIST_VALUE: u8 = 0x01;
    /// An entry of SETTINGS: the client returns what it stored.
    pub const PERSISTED: u8 = 0x02;
}

/// A frame head (sections 2.2.1 and 2.2.2).
///
/// ```
/// use lacewing_frames::spdy::{FrameHead, Kind};
///
/// let wire = [0x80, 0x03, 0x00, 0x06, 0x00, 0x00, 0x00, 0x04];
/// let head = FrameHead::parse(&wire).expect("eight bytes are there");
/// assert_eq!(head, FrameHead::Control { version: 3, kind: Kind::PING, flags: 0, length: 4 });
/// assert_eq!(head.to_bytes(), wire);
///
/// let head = FrameHead::parse(&[0, 0, 0, 5, 0x01, 0, 0, 9]);
/// assert_eq!(head, Some(FrameHead::Data { stream_id: 5, flags: 1, length: 9 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameHead {
    /// A control frame.
    Control {
        /// The version of SPDY, 15 bits: 3 also for SPDY/3.1.
        version: u16,
        /// The type of the frame.
        kind: Kind,
        /// The flags, whose meaning depends on the kind.
        flags: u8,
        /// The length of the payload in bytes, without the head; 24 bits.
        length: u32,
    },
    /// A data frame.
    Data {
        /// The stream, 31 bits.
        stream_id: u32,
        /// The flags.
        flags: u8,
        /// The length of the payload in bytes, without the head; 24 bits.
        length: u32,
    },
}

impl FrameHead {
    /// The length of a frame head in bytes.
    pub const LEN: usize = 8;

    /// The longest payload that a head can declare: 2^24-1 bytes.
    pub const MAX_LENGTH: u32 = 0x00ff_ffff;

    /// Reads a head from the front of `bytes`; `None` if there are fewer than eight bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<FrameHead> {
        let &[b0, b1, b2, b3, flags, l0, l1, l2] = bytes.first_chunk::<{ FrameHead::LEN }>()?;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        Some(if b0 & 0x80 != 0 {
            FrameHead::Control {
                version: u16::from_be_bytes([b0 & 0x7f, b1]),
                kind: Kind(u16::from_be_bytes([b2, b3])),
                flags,
                length,
            }
        } else {
            FrameHead::Data {
                stream_id: u32::from_be_bytes([b0, b1, b2, b3]),
                flags,
                length,
            }
        })
    }

    /// The eight bytes of this head, with the low 24 bits of the length.
    #[inline]
    pub fn to_bytes(self) -> [u8; FrameHead::LEN] {
        let first = match self {
            FrameHead::Control { version, kind, .. } => {
                CONTROL | u32::from(version) << 16 | u32::from(kind.0)
            }
            FrameHead::Data { stream_id, .. } => stream_id & STREAM_ID_MASK,
        };
        let [b0, b1, b2, b3] = first.to_be_bytes();
        let [_, l0, l1, l2] = self.length().to_be_bytes();
        [b0, b1, b2, b3, self.flags(), l0, l1, l2]
    }

    /// The length of the payload in bytes.
    #[inline]
    pub fn length(self) -> u32 {
        match self {
            FrameHead::Control { length, .. } | FrameHead::Data { length, .. } => length,
        }
    }

    /// The flags.
    #[inline]
    pub fn flags(self) -> u8 {
        match self {
            FrameHead::Control { flags, .. } | FrameHead::Data { flags, .. } => flags,
        }
    }
}

/// The name of the frame, as in `SYN_STREAM` or `DATA`.
impl fmt::Display for FrameHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameHead::Control { kind, .. } => kind.fmt(f),
            FrameHead::Data { .. } => f.write_str("DATA"),
        }
    }
}

/// The type of a control frame (section 2.6). Prints its name in the specification.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(
    /// The value on the wire.
    pub u16,
);

impl Kind {
    /// Opens a stream.
    pub const SYN_STREAM: Kind = Kind(1);
    /// Accepts a stream.
    pub const SYN_REPLY: Kind = Kind(2);
    /// Ends a stream abnormally.
    pub const RST_STREAM: Kind = Kind(3);
    /// Parameters of the sender.
    pub const SETTINGS: Kind = Kind(4);
    /// No meaning; SPDY/2 only.
    pub const NOOP: Kind = Kind(5);
    /// Measures the round trip.
    pub const PING: Kind = Kind(6);
    /// Ends the acceptance of new streams.
    pub const GOAWAY: Kind = Kind(7);
    /// Carries more header fields.
    pub const HEADERS: Kind = Kind(8);
    /// Returns flow-control credit; not in SPDY/2.
    pub const WINDOW_UPDATE: Kind = Kind(9);
    /// Carries a client certificate; SPDY/3 only. (One figure of the IETF text has 11, an error.)
    pub const CREDENTIAL: Kind = Kind(10);

    /// The name in the specification, or `None` for a type that it does not define.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Kind::SYN_STREAM => "SYN_STREAM",
            Kind::SYN_REPLY => "SYN_REPLY",
            Kind::RST_STREAM => "RST_STREAM",
            Kind::SETTINGS => "SETTINGS",
            Kind::NOOP => "NOOP",
            Kind::PING => "PING",
            Kind::GOAWAY => "GOAWAY",
            Kind::HEADERS => "HEADERS",
            Kind::WINDOW_UPDATE => "WINDOW_UPDATE",
            Kind::CREDENTIAL => "CREDENTIAL",
            _ => return None,
        })
    }

    /// The section of the specification.
    pub fn section(self) -> &'static str {
        match self {
            Kind::SYN_STREAM => "SPDY/3 2.6.1",
            Kind::SYN_REPLY => "SPDY/3 2.6.2",
            Kind::RST_STREAM => "SPDY/3 2.6.3",
            Kind::SETTINGS => "SPDY/3 2.6.4",
            Kind::NOOP => "SPDY/2 NOOP",
            Kind::PING => "SPDY/3 2.6.5",
            Kind::GOAWAY => "SPDY/3 2.6.6",
            Kind::HEADERS => "SPDY/3 2.6.7",
            Kind::WINDOW_UPDATE => "SPDY/3 2.6.8",
            Kind::CREDENTIAL => "SPDY/3 2.6.9",
            _ => "SPDY/3 2.2.1",
        }
    }

    /// The number of bytes between the head and the header block, for the kinds that have one.
    pub(crate) fn block_offset(self, version: WireVersion) -> Option<usize> {
        match (self, version) {
            (Kind::SYN_STREAM, _) => Some(10),
            // Two unused bytes follow the stream in SPDY/2.
            (Kind::SYN_REPLY | Kind::HEADERS, WireVersion::V2) => Some(6),
            (Kind::SYN_REPLY | Kind::HEADERS, WireVersion::V3) => Some(4),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The flags and length of a control frame: the parts of its head that decide how its payload is
/// parsed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ControlHead {
    pub(crate) version: WireVersion,
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) length: u32,
}

impl ControlHead {
    #[inline]
    pub(crate) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends the head of a control frame.
#[inline]
pub(crate) fn put_control(
    dst: &mut BytesMut,
    version: WireVersion,
    kind: Kind,
    flags: u8,
    length: usize,
) -> Result<(), EncodeError> {
    let head = FrameHead::Control {
        version: version.number(),
        kind,
        flags,
        length: checked_length(length)?,
    };
    dst.extend_from_slice(&head.to_bytes());
    Ok(())
}

/// The length of a payload, if it fits into 24 bits.
#[inline]
pub(crate) fn checked_length(length: usize) -> Result<u32, EncodeError> {
    u32::try_from(length)
        .ok()
        .filter(|&length| length <= FrameHead::MAX_LENGTH)
        .ok_or(EncodeError::FrameTooLong { length })
}

/// The flag bit to add if `set` is true, otherwise 0.
#[inline]
pub(crate) fn flag(set: bool, flag: u8) -> u8 {
    if set { flag } else { 0 }
}

/// The four bytes at the front of `payload`, and the rest.
#[inline]
pub(crate) fn split_u32(payload: &[u8]) -> Option<(u32, &[u8])> {
    let (bytes, rest) = payload.split_first_chunk()?;
    Some((u32::from_be_bytes(*bytes), rest))
}

/// Parses a payload of exactly two 32-bit numbers.
#[inline]
pub(crate) fn two_u32(payload: &[u8]) -> Option<(u32, u32)> {
    let (first, rest) = split_u32(payload)?;
    let (second, rest) = split_u32(rest)?;
    rest.is_empty().then_some((first, second))
}
