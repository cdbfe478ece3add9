//! The figures of a board that only grow.

use std::collections::BTreeMap;

use lacewing_conn::{Reason, Side, proto::ConnectionStats};
use serde::Serialize;

/// Protocols, codes and the like that are counted apart.
const MAX_NAMES: usize = 64;

/// Figures that only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Totals {
    /// Open connections by protocol.
    open: BTreeMap<&'static str, u64>,
    /// Connections so far, by protocol.
    opened: BTreeMap<&'static str, u64>,
    /// Requests that were seen, by protocol.
    requests: BTreeMap<&'static str, u64>,
    /// Responses that were seen, by the class of their status.
    statuses: [u64; 6],
    resets_sent: BTreeMap<String, u64>,
    resets_received: BTreeMap<String, u64>,
    /// Waits of data: stream window, connection window, transport.
    stalls: [u64; 3],
    sent: u64,
    received: u64,
    /// Streams that were not drawn, since there were too many.
    pub(super) undrawn: u64,
}

impl Totals {
    pub(super) fn opened(&mut self, protocol: &'static str) {
        count(&mut self.open, protocol, 1);
        count(&mut self.opened, protocol, 1);
    }

    pub(super) fn closed(&mut self, protocol: &'static str) {
        if let Some(open) = self.open.get_mut(protocol) {
            *open = open.saturating_sub(1);
        }
    }

    pub(super) fn begun(&mut self, protocol: &'static str) {
        count(&mut self.requests, protocol, 1);
    }

    pub(super) fn answered(&mut self, status: u16) {
        if let Some(class) = self.statuses.get_mut(usize::from(status / 100)) {
            *class = class.saturating_add(1);
        }
    }

    /// A server is the side that sends.
    pub(super) fn reset(&mut self, sender: Side, code: &str) {
        let resets = match sender {
            Side::Server => &mut self.resets_sent,
            Side::Client => &mut self.resets_received,
        };
        count(resets, code.to_owned(), 1);
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.open, &other.open),
            (&mut self.opened, &other.opened),
            (&mut self.requests, &other.requests),
        ] {
            for (name, figure) in from {
                count(to, *name, *figure);
            }
        }
        for (to, from) in [
            (&mut self.resets_sent, &other.resets_sent),
            (&mut self.resets_received, &other.resets_received),
        ] {
            for (name, figure) in from {
                count(to, name.clone(), *figure);
            }
        }
        add_each(&mut self.statuses, &other.statuses);
        add_each(&mut self.stalls, &other.stalls);
        self.sent = self.sent.saturating_add(other.sent);
        self.received = self.received.saturating_add(other.received);
        self.undrawn = self.undrawn.saturating_add(other.undrawn);
    }

    pub(super) fn add_stats(&mut self, stats: &ConnectionStats) {
        for (reason, figure) in stats.resets_sent.iter() {
            count(&mut self.resets_sent, name(reason), u64::from(figure));
        }
        for (reason, figure) in stats.resets_received.iter() {
            count(&mut self.resets_received, name(reason), u64::from(figure));
        }
        add_each(&mut self.stalls, &stalls(stats));
        self.sent = self.sent.saturating_add(stats.data_sent);
        self.received = self.received.saturating_add(stats.data_received);
    }
}

fn name(reason: Reason) -> String {
    match reason {
        Reason::Unknown(_) => "unknown".to_owned(),
        known => known.to_string(),
    }
}

/// Waits by their cause: stream window, connection window, transport.
pub(super) fn stalls(stats: &ConnectionStats) -> [u64; 3] {
    let stalls = stats.stalls;
    [
        stalls.stream_window,
        stalls.connection_window,
        stalls.transport,
    ]
}

fn add_each<const N: usize>(to: &mut [u64; N], from: &[u64; N]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = to.saturating_add(*from);
    }
}

fn count<K: Ord>(figures: &mut BTreeMap<K, u64>, name: K, more: u64) {
    if figures.len() < MAX_NAMES || figures.contains_key(&name) {
        let figure = figures.entry(name).or_default();
        *figure = figure.saturating_add(more);
    }
}
