//! The actions of a user on a stream, and the user's record of it.

use std::time::Instant;

use lacewing_conn::proto::StreamKey;

/// The treatment of received content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    AtOnce,
    Later,
    Abandon,
    Depart,
}

/// The content that a user still sends on a stream, in pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) left: usize,
    pub(super) piece: usize,
    /// It fails when this number of bytes is left.
    pub(super) fails_at: Option<usize>,
    /// It has no data at the moment.
    pub(super) pending: bool,
    pub(super) trailers: bool,
}

/// A user's record of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) key: StreamKey,
    pub(super) reading: Reading,
    /// The number of received bytes of content.
    pub(super) received: usize,
    /// The peer's half ended.
    pub(super) fin: bool,
    /// The stream ended early.
    pub(super) reset: bool,
    /// The user ended it, or dropped it.
    pub(super) left: bool,
    pub(super) source: Option<Source>,
    /// The handler responds at this time; `None` if it has responded.
    pub(super) answers: Option<Instant>,
    pub(super) retained: bool,
    /// The kind of response.
    pub(super) bodiless: bool,
}
