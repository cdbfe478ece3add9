//! What all viewers see, and what changed since each of them looked.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::{
    connection::Entry,
    figure::Figure,
    record::Record,
    sample::{Gauge, Stall},
    totals::{Totals, stalls},
};

/// Finished streams that are kept.
const MAX_FINISHED: usize = 2_000;

/// Open streams that are shown.
pub(super) const MAX_OPEN: usize = 4_000;

/// Open streams, and ended ones, that one tick adds. Further ended ones are counted; further open
/// ones wait for a later tick.
const MAX_ADDED: usize = 400;

/// Connections that left, for viewers that look later.
const MAX_GONE: usize = 4_000;

/// What all viewers see.
#[derive(Default)]
pub(super) struct Model {
    seq: u64,
    connections: BTreeMap<u32, (u64, Shown)>,
    streams: BTreeMap<(u32, u32), (u64, Record)>,
    finished: VecDeque<(u64, Record)>,
    gone: VecDeque<(u64, u32)>,
    /// A viewer that saw an earlier update needs everything.
    complete_since: u64,
    totals: Totals,
    totals_changed: u64,
    readings: Readings,
    /// In this tick.
    added: Added,
    undrawn: u64,
}

/// What a tick has added.
#[derive(Default)]
struct Added {
    open: usize,
    ended: usize,
    /// Open streams that it could not add, and those without a record.
    left_out: usize,
}

/// What a tick reads that no connection has.
#[derive(Default, PartialEq, Serialize)]
pub(super) struct Readings {
    /// Connections that are not listed.
    pub(super) unlisted: u64,
    /// Open streams that are not listed, on those connections that are.
    pub(super) left_out: usize,
    pub(super) gauges: Vec<Gauge>,
    pub(super) figures: Vec<Figure>,
}

/// A connection, as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Shown {
    id: u32,
    protocol: &'static str,
    peer: String,
    is_tls: bool,
    opened: u64,
    streams: usize,
    sent: u64,
    received: u64,
    buffered: usize,
    output: usize,
    /// `None` where the connection has no window.
    send_window: Option<usize>,
    /// What the peer may send, where that is known.
    peer_window: Option<u64>,
    receive_window: Option<u32>,
    round_trip_us: Option<u64>,
    stall: Option<Stall>,
    stalls: [u64; 3],
    resets: [u64; 2],
    limits: Vec<Gauge>,
}

/// The news for one viewer, as JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) seq: u64,
    pub(crate) kind: &'static str,
    pub(crate) json: String,
    /// Nothing has changed.
    pub(crate) is_empty: bool,
}

#[derive(Serialize)]
struct News<'a> {
    now: u64,
    totals: Option<&'a Totals>,
    #[serde(flatten)]
    readings: &'a Readings,
    connections: Vec<&'a Shown>,
    gone: Vec<u32>,
    streams: Vec<&'a Record>,
}

impl Model {
    /// A tick begins.
    pub(super) fn begin(&mut self, seq: u64) {
        self.seq = seq;
        self.added = Added::default();
    }

    /// Takes what a connection has recorded, and returns the number of records that stay there.
    pub(super) fn take(&mut self, entry: &Entry, totals: &mut Totals) -> usize {
        let mut state = entry.state();
        totals.add(&state.counts);
        totals.add_stats(&state.sample.stats);
        let shown = Shown::of(entry, &state.sample);
        match self.connections.get_mut(&entry.id) {
            Some((_, before)) if *before == shown => {}
            Some(known) => *known = (self.seq, shown),
            None => {
                self.connections.insert(entry.id, (self.seq, shown));
            }
        }
        for record in std::mem::take(&mut state.done) {
            self.finish(record);
        }
        // Most of those that are with the engine have ended: the next sample says whether.
        let open = state.open.values_mut();
        for record in open.filter(|record| record.is_changed && record.handed_over.is_none()) {
            let key = (record.connection, record.id);
            if !self.streams.contains_key(&key) {
                if self.streams.len() >= MAX_OPEN || self.added.open >= MAX_ADDED {
                    self.added.left_out = self.added.left_out.saturating_add(1);
                    continue;
                }
                self.added.open = self.added.open.saturating_add(1);
            }
            record.is_changed = false;
            self.streams.insert(key, (self.seq, record.clone()));
        }
        self.added.left_out = self.added.left_out.saturating_add(state.left_out);
        state.taken();
        state.open.len()
    }

    /// The streams of a connection that ends before the next tick.
    pub(super) fn left(&mut self, done: Vec<Record>) {
        // The next tick reports them.
        let next = self.seq.wrapping_add(1);
        let before = std::mem::replace(&mut self.seq, next);
        for record in done {
            self.finish(record);
        }
        self.seq = before;
    }

    fn finish(&mut self, record: Record) {
        let known = self.streams.remove(&(record.connection, record.id));
        if known.is_none() {
            if self.added.ended >= MAX_ADDED {
                self.undrawn = self.undrawn.saturating_add(1);
                return;
            }
            self.added.ended = self.added.ended.saturating_add(1);
        }
        if self.finished.len() >= MAX_FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back((self.seq, record));
    }

    /// The tick ends: connections that it did not see are gone.
    pub(super) fn close(&mut self, open: &[u32], mut totals: Totals, mut readings: Readings) {
        readings.left_out = self.added.left_out;
        let before: Vec<u32> = self.connections.keys().copied().collect();
        for id in before {
            if open.binary_search(&id).is_ok() {
                continue;
            }
            self.connections.remove(&id);
            if self.gone.len() >= MAX_GONE {
                if let Some((seq, _)) = self.gone.pop_front() {
                    self.complete_since = self.complete_since.max(seq);
                }
            }
            self.gone.push_back((self.seq, id));
        }
        totals.undrawn = totals.undrawn.saturating_add(self.undrawn);
        if (&totals, &readings) != (&self.totals, &self.readings) {
            self.totals_changed = self.seq;
        }
        self.totals = totals;
        self.readings = readings;
    }

    /// Drops everything, since nobody watches.
    pub(super) fn forget(&mut self, seq: u64) {
        *self = Self {
            seq,
            complete_since: seq,
            ..Self::default()
        };
    }

    /// The news after an update; everything if that is too long ago, or never was.
    pub(super) fn update(&self, after: Option<u64>, now: u64) -> Update {
        let after = after.filter(|after| (self.complete_since..=self.seq).contains(after));
        let since = after.unwrap_or(0);
        let is_new = |seq: u64| after.is_none() || seq > since;
        let connections = self.connections.values();
        let connections: Vec<_> = connections
            .filter(|(seq, _)| is_new(*seq))
            .map(|(_, shown)| shown)
            .collect();
        let gone = self.gone.iter().filter(|_| after.is_some());
        let gone: Vec<_> = gone
            .filter(|(seq, _)| *seq > since)
            .map(|(_, id)| *id)
            .collect();
        let streams = self.finished.iter().chain(self.streams.values());
        let streams: Vec<_> = streams
            .filter(|(seq, _)| is_new(*seq))
            .map(|(_, record)| record)
            .collect();
        let is_new_totals = is_new(self.totals_changed);
        let is_empty =
            connections.is_empty() && gone.is_empty() && streams.is_empty() && !is_new_totals;
        let news = News {
            now,
            totals: is_new_totals.then_some(&self.totals),
            readings: &self.readings,
            connections,
            gone,
            streams,
        };
        Update {
            seq: self.seq,
            kind: if after.is_some() { "delta" } else { "snapshot" },
            json: serde_json::to_string(&news).unwrap_or_default(),
            is_empty,
        }
    }
}

impl Shown {
    fn of(entry: &Entry, sample: &super::Sample) -> Self {
        let (facts, stats) = (&entry.facts, &sample.stats);
        // The engine has a window without an end where the protocol has none.
        let most = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
        let windows = sample.streams.is_some() && stats.send_window < most;
        Self {
            id: entry.id,
            protocol: facts.protocol,
            peer: facts.peer.clone(),
            is_tls: facts.is_tls,
            opened: entry.opened,
            streams: stats.open_streams,
            sent: stats.data_sent,
            received: stats.data_received,
            buffered: stats.buffered_bytes,
            output: stats.output_bytes,
            send_window: windows.then_some(stats.send_window),
            peer_window: sample.peer_window,
            receive_window: stats.receive_window,
            round_trip_us: stats
                .round_trip
                .map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
            stall: sample.stall,
            stalls: stalls(stats),
            resets: [stats.resets_sent.total(), stats.resets_received.total()],
            limits: sample.limits.clone(),
        }
    }
}
