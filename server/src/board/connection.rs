//! One connection, as its own task records it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use lacewing_conn::{Side, proto::ConnectionStats};

use super::{
    Board, admit, locked, millis,
    record::{ConnectionName, Record},
    sample::{Sample, Stall, StreamSample},
    totals::Totals,
};

/// Streams that are recorded between two ticks; further ones are counted.
const MAX_BEGUN: usize = 100;

/// Open streams of a connection that have a record; further ones are counted.
pub(super) const MAX_STREAMS: usize = 200;

/// What is known about a connection from its start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionFacts {
    /// Its protocol, by the name that ALPN has.
    pub protocol: &'static str,
    /// The other side, such as its address.
    pub peer: String,
    /// Whether it is behind TLS.
    pub is_tls: bool,
}

impl ConnectionFacts {
    /// A connection without TLS.
    pub fn new(protocol: &'static str, peer: impl Into<String>) -> Self {
        Self {
            protocol,
            peer: peer.into(),
            is_tls: false,
        }
    }

    /// The same connection, behind TLS.
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.is_tls = true;
        self
    }
}

impl From<&crate::ConnectionInfo> for ConnectionFacts {
    fn from(info: &crate::ConnectionInfo) -> Self {
        Self {
            protocol: info.protocol().alpn(),
            peer: info.peer().map(ToString::to_string).unwrap_or_default(),
            is_tls: info.is_tls(),
        }
    }
}

/// A connection of a [`Board`]. It leaves the board when this value is dropped.
///
/// Calls about streams do nothing while nobody watches. Give it a way to be looked at:
/// [`wake_by`](Self::wake_by) for a task that then calls [`sampled`](Self::sampled), or
/// [`read_by`](Self::read_by) for state that any thread can read.
pub struct WatchedConnection {
    board: Board,
    entry: Arc<Entry>,
    has_look: AtomicBool,
}

pub(super) struct Entry {
    pub(super) id: u32,
    pub(super) facts: ConnectionFacts,
    /// Milliseconds since the start of the board.
    pub(super) opened: u64,
    pub(super) is_unlisted: AtomicBool,
    board_start: Instant,
    sampled: AtomicU64,
    look: Mutex<Option<Look>>,
    state: Mutex<State>,
}

/// The way to look at a connection.
#[derive(Clone)]
enum Look {
    Wake(Arc<dyn Fn() + Send + Sync>),
    Read(Arc<dyn Fn() -> Sample + Send + Sync>),
}

/// What was recorded, for the next tick.
#[derive(Default)]
pub(super) struct State {
    pub(super) sample: Sample,
    pub(super) open: BTreeMap<u32, Record>,
    pub(super) done: Vec<Record>,
    pub(super) counts: Totals,
    /// Open streams without a record, at the last sample.
    pub(super) left_out: usize,
    begun: usize,
}

impl WatchedConnection {
    pub(super) fn new(board: Board, entry: Arc<Entry>) -> Self {
        Self {
            board,
            entry,
            has_look: AtomicBool::new(false),
        }
    }

    /// Returns `true` until there is a way to look at the connection.
    pub fn needs_waker(&self) -> bool {
        !self.has_look.load(Relaxed)
    }

    /// Wakes the connection's task by this function when it is due for a sample.
    pub fn wake_by(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.has_look.store(true, Relaxed);
        *locked(&self.entry.look) = Some(Look::Wake(Arc::new(wake)));
    }

    /// Reads the connection's state by this function at each tick. It must not block.
    pub fn read_by(&self, read: impl Fn() -> Sample + Send + Sync + 'static) {
        self.has_look.store(true, Relaxed);
        *locked(&self.entry.look) = Some(Look::Read(Arc::new(read)));
    }

    /// Returns `true` once after each tick, while somebody watches: it is time for
    /// [`sampled`](Self::sampled).
    pub fn is_due(&self) -> bool {
        if self.entry.is_unlisted.load(Relaxed) {
            return false;
        }
        let tick = self.board.0.tick.load(Relaxed);
        self.board.is_watched() && self.entry.sampled.swap(tick, Relaxed) != tick
    }

    /// Takes the connection's state.
    pub fn sampled(&self, sample: Sample) {
        if self.board.is_watched() && !self.entry.is_unlisted.load(Relaxed) {
            let now = self.entry.now();
            let mut state = locked(&self.entry.state);
            state.take(self.entry.name(), sample, now, &self.board.0.records);
        }
    }

    /// A request begins. Its query is not shown.
    pub fn begin(&self, stream: u32, method: &str, path: &str) {
        if !self.board.is_watched() {
            return;
        }
        let (name, now) = (self.entry.name(), self.entry.now());
        // Earlier requests may have passed while nobody watched.
        let before = self.entry.moved();
        let mut state = locked(&self.entry.state);
        state.counts.begun(self.entry.facts.protocol);
        let has_room = state.begun < MAX_BEGUN
            && state.open.len() < MAX_STREAMS
            && !self.entry.is_unlisted.load(Relaxed);
        if !has_room || !admit(&self.board.0.records) {
            state.counts.undrawn = state.counts.undrawn.saturating_add(1);
            return;
        }
        state.begun = state.begun.saturating_add(1);
        let mut record = Record::new(name, stream, method, path, now);
        record.before = before;
        state.open.insert(stream, record);
    }

    /// A request begins whose stream the caller does not follow: it counts, and is not shown.
    pub fn count_begun(&self) {
        self.change(|state, _| {
            state.counts.begun(self.entry.facts.protocol);
            state.counts.undrawn = state.counts.undrawn.saturating_add(1);
        });
    }

    /// The head of its response is there.
    pub fn answered(&self, stream: u32, status: u16) {
        self.change(|state, now| {
            state.counts.answered(status);
            if let Some(record) = state.open.get_mut(&stream) {
                record.answered(status, now);
            }
        });
    }

    /// So many bytes of its content are with the engine.
    pub fn given(&self, stream: u32, bytes: usize) {
        self.change(|state, _| {
            if let Some(record) = state.open.get_mut(&stream) {
                record.given = record.given.saturating_add(bytes as u64);
            }
        });
    }

    /// So many bytes of its content have arrived.
    pub fn taken(&self, stream: u32, bytes: usize) {
        self.change(|state, _| {
            if let Some(record) = state.open.get_mut(&stream) {
                record.taken = record.taken.saturating_add(bytes as u64);
            }
        });
    }

    /// All of its response is with the engine, which sends it as windows permit. The stream ends
    /// now unless a later sample has it.
    pub fn handed_over(&self, stream: u32) {
        self.change(|state, now| {
            if let Some(record) = state.open.get_mut(&stream) {
                record.handed_over = Some(now);
            }
        });
    }

    /// The stream has ended. `moved`, on a connection with one stream at a time: the bytes of
    /// content that the connection has sent and received.
    pub fn ended(&self, stream: u32, moved: Option<(u64, u64)>) {
        self.change(|state, now| {
            let Some(mut record) = state.open.remove(&stream) else {
                return;
            };
            if let Some(moved) = moved {
                record.moved_to(moved);
            }
            record.finish(now);
            state.done.push(record);
        });
    }

    /// The stream was reset with this code.
    pub fn reset(&self, stream: u32, code: &str) {
        self.change(|state, now| {
            if let Some(mut record) = state.open.remove(&stream) {
                record.reset = Some(code.to_owned());
                record.finish(now);
                state.done.push(record);
            }
        });
    }

    /// Counts a reset that passed by, with its code and its sender; also while nobody watches. The
    /// statistics of an end count its resets.
    pub fn count_reset(&self, sender: Side, code: &str) {
        let mut state = locked(&self.entry.state);
        state.counts.reset(sender, code);
    }

    /// Sets the last statistics of the connection. They count in the totals of the board, also
    /// while nobody watches.
    pub fn closed(&self, stats: &ConnectionStats) {
        locked(&self.entry.state).sample.stats = stats.clone();
    }

    #[cfg(test)]
    pub(super) fn records(&self) -> usize {
        let state = self.entry.state();
        state.open.len().saturating_add(state.done.len())
    }

    #[cfg(test)]
    pub(super) fn entry_is_empty(&self) -> bool {
        let state = self.entry.state();
        state.open.is_empty() && state.done.is_empty() && state.sample.limits.is_empty()
    }

    fn change(&self, change: impl FnOnce(&mut State, u64)) {
        if self.board.is_watched() {
            let now = self.entry.now();
            change(&mut locked(&self.entry.state), now);
        }
    }
}

impl Record {
    /// The connection has moved so many bytes since its start.
    fn moved_to(&mut self, moved: (u64, u64)) {
        let sent = moved.0.saturating_sub(self.before.0);
        let received = moved.1.saturating_sub(self.before.1);
        self.is_changed |= (sent, received) != (self.sent, self.received);
        (self.sent, self.received) = (sent, received);
    }
}

impl State {
    /// Takes a sample. Streams that it does not have any more have ended.
    fn take(
        &mut self,
        connection: ConnectionName,
        mut sample: Sample,
        now: u64,
        records: &AtomicUsize,
    ) {
        // What is about to be written does not wait yet.
        if sample.written != self.sample.written {
            sample.stall.take_if(|stall| *stall == Stall::Transport);
        }
        match &sample.streams {
            Some(streams) => {
                let open = sample.stats.open_streams.max(streams.len());
                self.take_streams(connection, streams, open, now, records);
                self.left_out = open.saturating_sub(self.open.len());
            }
            None => {
                let stats = &sample.stats;
                for record in self.open.values_mut() {
                    record.moved_to((stats.data_sent, stats.data_received));
                    record.stalled(sample.stall, now);
                }
            }
        }
        self.sample = sample;
    }

    /// Takes the open streams, of which there are `open`. Those that have a record keep it.
    fn take_streams(
        &mut self,
        connection: ConnectionName,
        streams: &[StreamSample],
        open: usize,
        now: u64,
        records: &AtomicUsize,
    ) {
        let mut before = std::mem::take(&mut self.open);
        let mut further = Vec::new();
        for stream in streams {
            match before.remove(&stream.id) {
                Some(mut record) => {
                    record.sampled(stream, now);
                    record.is_changed |= record.handed_over.take().is_some();
                    self.open.insert(stream.id, record);
                }
                None => further.push(stream),
            }
        }
        // Streams below these ids may be open, too.
        let lowest = streams.iter().map(|stream| stream.id).min();
        let lowest = lowest.filter(|_| open > streams.len());
        for (id, mut record) in before {
            if lowest.is_some_and(|lowest| id < lowest) {
                self.open.insert(id, record);
            } else {
                record.finish(record.handed_over.unwrap_or(now));
                self.done.push(record);
            }
        }
        let room = MAX_STREAMS.saturating_sub(self.open.len());
        for stream in further.into_iter().take(room) {
            if !admit(records) {
                break;
            }
            let mut record = Record::earlier(connection, stream, now);
            record.sampled(stream, now);
            self.open.insert(stream.id, record);
        }
    }

    /// The tick has taken what was recorded, except open streams that are still changed.
    pub(super) fn taken(&mut self) {
        self.begun = 0;
        self.done = Vec::new();
    }
}

impl Entry {
    pub(super) fn new(id: u32, facts: ConnectionFacts, board_start: Instant) -> Self {
        Self {
            id,
            facts,
            opened: millis(board_start.elapsed()),
            is_unlisted: AtomicBool::new(false),
            board_start,
            sampled: AtomicU64::new(0),
            look: Mutex::new(None),
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Reads the state of a connection that any thread can read.
    pub(super) fn read(&self, now: u64, records: &AtomicUsize) {
        let look = locked(&self.look).clone();
        if let Some(Look::Read(read)) = look {
            let sample = read();
            self.state().take(self.name(), sample, now, records);
        }
    }

    /// The bytes of content that a connection with one stream at a time has sent and received.
    fn moved(&self) -> (u64, u64) {
        let look = locked(&self.look).clone();
        match look {
            Some(Look::Read(read)) => {
                let stats = read().stats;
                (stats.data_sent, stats.data_received)
            }
            _ => (0, 0),
        }
    }

    /// Wakes the task that takes the next sample.
    pub(super) fn wake(&self) {
        let look = locked(&self.look).clone();
        if let Some(Look::Wake(wake)) = look {
            wake();
        }
    }

    /// Drops what was recorded, except figures that only grow.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.open = BTreeMap::new();
        state.taken();
        state.left_out = 0;
        state.sample.streams = None;
        state.sample.limits = Vec::new();
    }

    fn name(&self) -> ConnectionName {
        (self.id, self.facts.protocol)
    }

    fn now(&self) -> u64 {
        millis(self.board_start.elapsed())
    }
}

impl Drop for WatchedConnection {
    fn drop(&mut self) {
        // It calls into the connection, which ends.
        *locked(&self.entry.look) = None;
        let mut totals = Totals::default();
        let mut state = self.entry.state();
        totals.add(&state.counts);
        totals.add_stats(&state.sample.stats);
        let now = self.entry.now();
        let left = std::mem::take(&mut state.open);
        let mut done = std::mem::take(&mut state.done);
        drop(state);
        for (_, mut record) in left {
            record.finish(record.handed_over.unwrap_or(now));
            done.push(record);
        }
        if self.board.is_watched() {
            locked(&self.board.0.model).left(done);
        }
        self.board.closed(&self.entry, &totals);
    }
}

impl fmt::Debug for WatchedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedConnection")
            .field("facts", &self.entry.facts)
            .finish_non_exhaustive()
    }
}
