//! The cap of one connection over all that it holds, and the steps that keep it below.
//! Each part has a bound of its own as well; traffic that fills several at once meets
//! this one.

use std::time::Instant;

use super::{Engine, receive::Outcome};
use crate::proto::{Config, Rule, StreamId};

/// The parts of the cap at which the steps begin, in 64ths: reading slows down, new
/// streams are refused, streams that stand still end, the connection ends. The default
/// of a server leaves room below the first for all content, data and output that its
/// other limits permit at once: 5.25 MiB, 512 KiB and 320 KiB. Above the last there is
/// room for what the engine does not see: the rest of read buffers whose content waits,
/// the driver's and the facade's state of a stream, buffers of the thread.
const SLOW_AT: usize = 50;
const REFUSE_AT: usize = 51;
const SHED_AT: usize = 52;
const CLOSE_AT: usize = 53;
const PARTS: usize = 64;

/// The parts of the cap from which the exact figure is looked at. The rest of it, all
/// that [`Engine::main_parts`] leaves out, is smaller than what is missing to
/// [`SLOW_AT`].
const LOOK_AT: usize = 36;

/// The cap of a connection, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    bytes: usize,
    look_at: usize,
}

impl Capacity {
    pub(super) fn new(config: &Config) -> Self {
        let bytes = config.limits.connection_bytes(config.side);
        Self {
            bytes,
            look_at: part(bytes, LOOK_AT),
        }
    }
}

fn part(bytes: usize, parts: usize) -> usize {
    (bytes / PARTS).saturating_mul(parts)
}

impl Engine {
    /// Returns `true` if the connection holds nearly all that
    /// [`max_connection_bytes`](crate::Limits::max_connection_bytes) permits: a driver
    /// reads it slowly while most of that is content. Not at all would be too
    /// little: what frees memory may be a frame of the peer.
    #[inline]
    pub fn is_nearly_full(&self) -> bool {
        self.is_filled_to(SLOW_AT)
    }

    #[inline]
    pub(super) fn is_filled_to(&self, parts: usize) -> bool {
        self.main_parts() > self.capacity.look_at
            && self.charged_bytes() >= part(self.capacity.bytes, parts)
    }

    /// The parts that a peer can make large: a few additions, for each message.
    #[inline]
    fn main_parts(&self) -> usize {
        let parts = [
            self.flow.buffered(),
            self.streams.held_headers(),
            self.streams.unsent(),
            self.wire.output.len(),
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    /// Returns the bytes that the connection holds, less data of the user beyond
    /// `max_unsent_bytes`. One body in one piece may be larger: it is the user's memory, and the
    /// peer did not cause it.
    fn charged_bytes(&self) -> usize {
        let most = self.config.limits.max_unsent_bytes;
        let beyond = self.streams.unsent().saturating_sub(most);
        self.held_bytes().saturating_sub(beyond)
    }

    /// Refuses a new stream, since the connection is nearly full; `None`: it is not.
    #[inline]
    pub(super) fn refuse_over_capacity(&mut self, now: Instant, id: StreamId) -> Option<Outcome> {
        if !self.is_filled_to(REFUSE_AT) {
            return None;
        }
        let text = self.capacity_text();
        Some(self.refuse_for(now, id, Rule::StreamOverBudget, Some(text)))
    }

    /// Frees memory of a connection that is nearly full: by the costliest streams that
    /// stand still, and by its end where that is not enough. Looked at before each
    /// message: one is smaller than the room that is left then.
    #[inline]
    pub(super) fn keep_capacity(&mut self, now: Instant) {
        if self.main_parts() > self.capacity.look_at {
            self.relieve(now);
        }
    }

    #[cold]
    fn relieve(&mut self, now: Instant) {
        while self.is_filled_to(SHED_AT) {
            let text = self.capacity_text();
            if self.shed(now, &text).is_some() {
                continue;
            }
            if self.is_filled_to(CLOSE_AT) {
                self.end_over_budget(now, text);
            }
            break;
        }
    }

    fn capacity_text(&self) -> String {
        format!(
            "max_connection_bytes ({} of {} bytes)",
            self.charged_bytes(),
            self.capacity.bytes
        )
    }
}
