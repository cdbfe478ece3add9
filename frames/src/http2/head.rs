//! The nine bytes before every frame (RFC 9113 §4.1).

use core::fmt;

use bytes::BytesMut;

/// The largest value of a stream identifier: 31 bits (RFC 9113 §4.1).
pub(crate) const STREAM_ID_MASK: u32 = 0x7fff_ffff;

/// A frame head: payload length, kind, flags and stream (RFC 9113 §4.1).
///
/// The reserved bit before the stream identifier is ignored on receipt and sent as zero, as the
/// specification requires.
///
/// ```
/// use lacewing_frames::http2::{FrameHead, Kind, flags};
///
/// let wire = [0x00, 0x00, 0x05, 0x00, 0x01, 0x00, 0x00, 0x00, 0x03, b'h', b'e'];
/// let head = FrameHead::parse(&wire).expect("nine bytes are there");
/// assert_eq!((head.length, head.kind, head.stream_id), (5, Kind::DATA, 3));
/// assert!(head.has(flags::END_STREAM));
/// assert_eq!(head.to_bytes(), wire[..9]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// The length of the payload in bytes, without the head; 24 bits.
    pub length: u32,
    /// The type of the frame.
    pub kind: Kind,
    /// The flags, whose meaning depends on the kind.
    pub flags: u8,
    /// The stream, 31 bits; 0 is the connection itself.
    pub stream_id: u32,
}

impl FrameHead {
    /// The length of a frame head in bytes.
    pub const LEN: usize = 9;

    /// The longest payload that a head can declare: 2^24-1 bytes.
    pub const MAX_LENGTH: u32 = 0x00ff_ffff;

    /// Reads a head from the front of `bytes`; `None` if there are fewer than nine bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<FrameHead> {
        let &[l0, l1, l2, kind, flags, s0, s1, s2, s3] =
            bytes.first_chunk::<{ FrameHead::LEN }>()?;
        Some(FrameHead {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind: Kind(kind),
            flags,
            stream_id: u32::from_be_bytes([s0, s1, s2, s3]) & STREAM_ID_MASK,
        })
    }

    /// The nine bytes of this head, with the low 24 bits of the length.
    #[inline]
    pub fn to_bytes(self) -> [u8; FrameHead::LEN] {
        let [_, l0, l1, l2] = self.length.to_be_bytes();
        let [s0, s1, s2, s3] = (self.stream_id & STREAM_ID_MASK).to_be_bytes();
        [l0, l1, l2, self.kind.0, self.flags, s0, s1, s2, s3]
    }

    /// Returns whether any bit of `flag` is set.
    #[inline]
    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The flag bits outside `defined`, which a receiver ignores and an exact copy keeps.
    #[inline]
    pub(crate) fn undefined_flags(self, defined: u8) -> u8 {
        self.flags & !defined
    }

    /// Appends the head to `dst`.
    #[inline]
    pub(crate) fn put(self, dst: &mut BytesMut) {
        dst.extend_from_slice(&self.to_bytes());
    }
}

/// The type of a frame, one byte on the wire. Prints its name in the specification.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(
    /// The value on the wire.
    pub u8,
);

impl Kind {
    /// DATA, RFC 9113 §6.1.
    pub const DATA: Kind = Kind(0x00);
    /// HEADERS, RFC 9113 §6.2.
    pub const HEADERS: Kind = Kind(0x01);
    /// PRIORITY, RFC 9113 §6.3.
    pub const PRIORITY: Kind = Kind(0x02);
    /// RST_STREAM, RFC 9113 §6.4.
    pub const RST_STREAM: Kind = Kind(0x03);
    /// SETTINGS, RFC 9113 §6.5.
    pub const SETTINGS: Kind = Kind(0x04);
    /// PUSH_PROMISE, RFC 9113 §6.6.
    pub const PUSH_PROMISE: Kind = Kind(0x05);
    /// PING, RFC 9113 §6.7.
    pub const PING: Kind = Kind(0x06);
    /// GOAWAY, RFC 9113 §6.8.
    pub const GOAWAY: Kind = Kind(0x07);
    /// WINDOW_UPDATE, RFC 9113 §6.9.
    pub const WINDOW_UPDATE: Kind = Kind(0x08);
    /// CONTINUATION, RFC 9113 §6.10.
    pub const CONTINUATION: Kind = Kind(0x09);
    /// ALTSVC, RFC 7838 §4.
    pub const ALTSVC: Kind = Kind(0x0a);
    /// ORIGIN, RFC 8336 §2.
    pub const ORIGIN: Kind = Kind(0x0c);
    /// PRIORITY_UPDATE, RFC 9218 §7.1.
    pub const PRIORITY_UPDATE: Kind = Kind(0x10);

    /// The name in the specification, if this crate knows the type.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Kind::DATA => "DATA",
            Kind::HEADERS => "HEADERS",
            Kind::PRIORITY => "PRIORITY",
            Kind::RST_STREAM => "RST_STREAM",
            Kind::SETTINGS => "SETTINGS",
            Kind::PUSH_PROMISE => "PUSH_PROMISE",
            Kind::PING => "PING",
            Kind::GOAWAY => "GOAWAY",
            Kind::WINDOW_UPDATE => "WINDOW_UPDATE",
            Kind::CONTINUATION => "CONTINUATION",
            Kind::ALTSVC => "ALTSVC",
            Kind::ORIGIN => "ORIGIN",
            Kind::PRIORITY_UPDATE => "PRIORITY_UPDATE",
            _ => return None,
        })
    }

    /// The section that defines the frame; RFC 9113 §4.1 for types that this crate does not know.
    pub fn section(self) -> &'static str {
        match self {
            Kind::DATA => "RFC 9113 §6.1",
            Kind::HEADERS => "RFC 9113 §6.2",
            Kind::PRIORITY => "RFC 9113 §6.3",
            Kind::RST_STREAM => "RFC 9113 §6.4",
            Kind::SETTINGS => "RFC 9113 §6.5",
            Kind::PUSH_PROMISE => "RFC 9113 §6.6",
            Kind::PING => "RFC 9113 §6.7",
            Kind::GOAWAY => "RFC 9113 §6.8",
            Kind::WINDOW_UPDATE => "RFC 9113 §6.9",
            Kind::CONTINUATION => "RFC 9113 §6.10",
            Kind::ALTSVC => "RFC 7838 §4",
            Kind::ORIGIN => "RFC 8336 §2",
            Kind::PRIORITY_UPDATE => "RFC 9218 §7.1",
            _ => "RFC 9113 §4.1",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The flag bits of RFC 9113 §6. A bit has a meaning only in the frames of its description.
pub mod flags {
    /// DATA, HEADERS: the sender's last frame of the stream.
    pub const END_STREAM: u8 = 0x01;
    /// SETTINGS, PING: an acknowledgement.
    pub const ACK: u8 = 0x01;
    /// HEADERS, PUSH_PROMISE, CONTINUATION: the header block ends with this frame.
    pub const END_HEADERS: u8 = 0x04;
    /// DATA, HEADERS, PUSH_PROMISE: the payload begins with a padding length and ends in padding.
    pub const PADDED: u8 = 0x08;
    /// HEADERS: five bytes of stream dependency and weight precede the header block.
    pub const PRIORITY: u8 = 0x20;
}
