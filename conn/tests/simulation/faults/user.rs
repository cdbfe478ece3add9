//! What a user does on a stream, and what it saw of it.

use std::time::Instant;

use lacewing_conn::proto::StreamKey;

/// What a user does with content that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    AtOnce,
    Later,
    Abandon,
    Depart,
}

/// What a user still sends on a stream, in pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) left: usize,
    pub(super) piece: usize,
    /// It fails when so many bytes are left.
    pub(super) fails_at: Option<usize>,
    /// It has no data for now.
    pub(super) pending: bool,
    pub(super) trailers: bool,
}

/// What a user knows of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) key: StreamKey,
    pub(super) reading: Reading,
    /// Bytes of content that arrived.
    pub(super) received: usize,
    /// The peer's half ended.
    pub(super) fin: bool,
    /// The stream ended before its time.
    pub(super) reset: bool,
    /// The user ended it, or left it.
    pub(super) left: bool,
    pub(super) source: Option<Source>,
    /// A handler that answers at this time; `None`: it has.
    pub(super) answers: Option<Instant>,
    pub(super) retained: bool,
    /// What the answer is.
    pub(super) bodiless: bool,
}
