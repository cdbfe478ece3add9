//! The cap of one connection over all that it holds, and the steps that keep it below.
//! Each part has a bound of its own as well; traffic that fills several at once meets
//! this one.

use std::time::Instant;

use super::Engine;
use crate::proto::{Config, Outcome, Rule, StreamId};

/// The parts of the cap at which the steps begin, in 64ths. Reading slows down, new streams are
/// refused, streams that stand still end, and the connection ends. The default of a server leaves
/// room below the first for all content, data and output that its other limits permit at once: 5.25
/// MiB, 512 KiB and 320 KiB. Above the last there is room for memory that the engine does not see.
/// This is the rest of read buffers whose content waits, the state of a stream in driver and
/// facade, and buffers of the thread.
const SLOW_AT: usize = 50;
const REFUSE_AT: usize = 51;
const SHED_AT: usize = 52;
const CLOSE_AT: usize = 53;
const PARTS: usize = 64;

/// The part of the cap, in 64ths, above which [`Engine::main_parts`] is not enough and
/// the exact figure is computed. Below it, the cap is not nearly reached: all that
/// `main_parts` leaves out takes less than the difference to [`SLOW_AT`].
const EXACT_FROM: usize = 36;

/// The steps that a connection took since memory is short: its own, near
/// [`max_connection_bytes`](crate::Limits::max_connection_bytes), and those under
/// [`Pressure::Critical`](super::Pressure::Critical).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemorySteps {
    /// The number of streams that were refused under `Pressure::Critical`.
    pub refused_under_pressure: u32,
    /// The number of streams that were refused near the cap of the connection.
    pub refused: u32,
    /// The number of streams that were ended near the cap of the connection.
    pub shed: u32,
    /// The connection was ended at its cap.
    pub closed: bool,
    /// The bytes that counted against the cap at the last of these steps.
    pub held: usize,
}

/// The cap of a connection, in bytes.
#[derive(Debug)]
pub(super) struct Capacity {
    bytes: usize,
    /// The main parts above which the exact figure is computed.
    exact_from: usize,
    /// Bytes of streams that are gone, which the user still holds.
    detached: usize,
    /// The steps that were taken and not reported.
    steps: Option<Box<MemorySteps>>,
}

impl Capacity {
    pub(super) fn new(config: &Config) -> Self {
        let bytes = config.limits.connection_bytes(config.side);
        Self {
            bytes,
            exact_from: part(bytes, EXACT_FROM),
            detached: 0,
            steps: None,
        }
    }

    pub(super) fn detached(&self) -> usize {
        self.detached
    }
}

fn part(bytes: usize, parts: usize) -> usize {
    (bytes / PARTS).saturating_mul(parts)
}

impl Engine {
    /// Returns `true` if the connection holds nearly all that
    /// [`max_connection_bytes`](crate::Limits::max_connection_bytes) permits. While most of
    /// that is content, a driver reads it slowly. It must not stop to read: a frame of
    /// the peer, such as WINDOW_UPDATE or RST_STREAM, may free memory.
    #[inline]
    pub fn is_nearly_full(&self) -> bool {
        self.is_filled_to(SLOW_AT)
    }

    /// Returns the bytes that the connection may hold: `max_connection_bytes`, or more where
    /// other limits permit more.
    pub fn max_held_bytes(&self) -> usize {
        self.capacity.bytes
    }

    /// Sets the bytes of content that the user holds of streams that are gone. They count in
    /// [`held_bytes`](Self::held_bytes) as content of open streams does.
    #[inline]
    pub fn set_detached_bytes(&mut self, bytes: usize) {
        self.capacity.detached = bytes;
    }

    /// Takes the steps since the last call that saved memory; `None` if there were none. Those
    /// of [`shed`](Self::shed) and [`end_over_budget`](Self::end_over_budget), which the caller
    /// takes, are not among them.
    #[inline]
    pub fn take_memory_steps(&mut self) -> Option<MemorySteps> {
        self.capacity.steps.take().map(|steps| *steps)
    }

    fn note_step(&mut self, note: impl FnOnce(&mut MemorySteps)) {
        let held = self.charged_bytes();
        let steps = self.capacity.steps.get_or_insert_default();
        steps.held = held;
        note(steps);
    }

    #[inline]
    fn is_filled_to(&self, parts: usize) -> bool {
        self.main_parts() > self.capacity.exact_from
            && self.charged_bytes() >= part(self.capacity.bytes, parts)
    }

    /// Returns the bytes of the parts that a peer can make large. Costs a few additions,
    /// for each message.
    #[inline]
    fn main_parts(&self) -> usize {
        let parts = [
            self.flow.buffered(),
            self.streams.held_headers(),
            self.streams.unsent(),
            self.wire.output.len(),
            self.capacity.detached,
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

    /// Refuses a new stream while the process runs short of memory, or if the connection is
    /// nearly full; otherwise returns `None`.
    #[inline]
    pub(super) fn refuse_over_capacity(&mut self, now: Instant, id: StreamId) -> Option<Outcome> {
        if self.refuses_streams() {
            self.note_step(|steps| {
                steps.refused_under_pressure = steps.refused_under_pressure.saturating_add(1);
            });
            let text = "memory_budget: the process holds nearly all of it, and this connection more \
                        than its share";
            return Some(self.refuse_for(now, id, Rule::StreamOverBudget, Some(text.into())));
        }
        if !self.is_filled_to(REFUSE_AT) {
            return None;
        }
        self.note_step(|steps| steps.refused = steps.refused.saturating_add(1));
        let text = self.capacity_text();
        Some(self.refuse_for(now, id, Rule::StreamOverBudget, Some(text)))
    }

    /// Frees memory of a connection that is nearly full: ends the costliest streams that
    /// stand still, and the connection if that is not enough. Called before each message,
    /// since a single message is smaller than the room that is left then.
    #[inline]
    pub(super) fn keep_capacity(&mut self, now: Instant) {
        if self.main_parts() > self.capacity.exact_from {
            self.relieve(now);
        }
    }

    #[cold]
    fn relieve(&mut self, now: Instant) {
        while self.is_filled_to(SHED_AT) {
            let text = self.capacity_text();
            let held = self.charged_bytes();
            if self.shed(now, &text).is_some() {
                self.note_step(|steps| {
                    steps.shed = steps.shed.saturating_add(1);
                    steps.held = held;
                });
                continue;
            }
            if self.is_filled_to(CLOSE_AT) {
                self.note_step(|steps| steps.closed = true);
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
