//! The names of streams: numbers on the wire, and keys of one engine.

use std::fmt;

use super::Side;

/// The number of a stream on the wire: 1 to 2³¹−1, odd for the client's, even
/// for the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// The largest id there is.
    pub(crate) const MAX: Self = Self(0x7fff_ffff);

    /// The stream of this number; the reserved bit is dropped.
    pub const fn new(value: u32) -> Self {
        Self(value & 0x7fff_ffff)
    }

    /// The number.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Returns the side that opens streams of this parity (RFC 9113 §5.1.1, the drafts' §2.3.2).
    /// Zero belongs to neither. A pushed stream is the server's.
    pub fn opener(self) -> Option<Side> {
        match (self.0, self.0 % 2) {
            (0, _) => None,
            (_, 1) => Some(Side::Client),
            _ => Some(Side::Server),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A stream of one engine. Stale once the stream is gone, which is harmless: every call
/// with a stale key reports that the stream is closed.
///
/// ```
/// use lacewing_conn::proto::StreamKey;
///
/// fn remember(table: &mut Vec<Option<StreamKey>>, stream: StreamKey) {
///     // Slots are small and reused: a side table is a vector.
///     table.resize(table.len().max(stream.slot() + 1), None);
///     table[stream.slot()] = Some(stream);
/// }
/// # let _ = remember;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamKey {
    slot: u32,
    id: StreamId,
}

impl StreamKey {
    pub(crate) const fn new(slot: u32, id: StreamId) -> Self {
        Self { slot, id }
    }

    /// A small number that no other open stream of the connection has.
    pub const fn slot(self) -> usize {
        self.slot as usize
    }

    /// The stream's number on the wire.
    pub const fn id(self) -> StreamId {
        self.id
    }
}

/// The sides that send on a stream (the SPDY drafts' §2.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both sides.
    #[default]
    Bidirectional,
    /// Its opener alone: the other half is closed from the start, and there is
    /// no reply.
    Unidirectional,
}
