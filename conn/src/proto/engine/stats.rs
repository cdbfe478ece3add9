//! Statistics of a connection, for metrics and for tests.

use std::time::Duration;

use super::Engine;
use crate::{
    Reason,
    proto::{HeaderBytes, Setting},
};

/// Statistics of a connection: its state at one moment, and counters.
///
/// Taking it costs a copy; counters are never reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Streams that are not gone.
    pub open_streams: usize,
    /// Handlers that still run though their streams are gone.
    pub detached_handlers: u32,
    /// Bytes of received bodies that the user holds.
    pub buffered_bytes: usize,
    /// Bytes that wait to be written.
    pub output_bytes: usize,
    /// Bytes that the peer may send on the connection, plus those about to be
    /// granted: the whole window, when the user holds little. 0 where the
    /// connection has no window.
    pub receive_credit: i64,
    /// The receive window of the connection as it is now, tuned or not, in
    /// bytes; `None` where it has none.
    pub receive_window: Option<u32>,
    /// The receive window that streams are given as they read, tuned or not, in
    /// bytes; `None` where they have none.
    pub stream_receive_window: Option<u32>,
    /// Bytes that the peer permits us to send on the connection.
    pub send_window: usize,
    /// Ids of streams that we reset, as far as they are remembered.
    pub remembered_resets: usize,
    /// The last measured time from a PING to its answer; `None` before the
    /// first.
    pub round_trip: Option<Duration>,
    /// PINGs that we sent and that were not answers.
    pub pings_sent: u64,
    /// The waits of data, by their cause.
    pub stalls: Stalls,
    /// Streams that we reset, by the code that we sent.
    pub resets_sent: Resets,
    /// Streams that the peer reset, by the code that it sent.
    pub resets_received: Resets,
    /// Bytes of DATA payload sent.
    pub data_sent: u64,
    /// Bytes of DATA payload received, padding included.
    pub data_received: u64,
    /// Header lists sent.
    pub headers_sent: HeaderBytes,
    /// Header lists received.
    pub headers_received: HeaderBytes,
    /// The latest value of every setting that the peer sent, obeyed or not.
    pub peer_settings: Vec<Setting>,
}

/// The number of times that data was ready and had to wait, by the cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stalls {
    /// The peer's window for the connection was used up.
    pub connection_window: u64,
    /// The peer's window for a stream was used up.
    pub stream_window: u64,
    /// As much was cut as may wait for the transport.
    pub transport: u64,
}

/// Numbers of streams that were reset, by code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resets([u32; Reason::KNOWN.len() + 1]);

impl Resets {
    /// Returns the number of streams that were reset with this code. All codes that no protocol
    /// defines count as one.
    pub fn of(&self, reason: Reason) -> u32 {
        self.0.get(index(reason)).copied().unwrap_or_default()
    }

    /// Returns all codes that occurred, each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u32)> + '_ {
        let unknown = Reason::Unknown(u32::MAX);
        let reasons = Reason::KNOWN.into_iter().chain([unknown]);
        reasons.zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    fn count(&mut self, reason: Reason) {
        if let Some(count) = self.0.get_mut(index(reason)) {
            *count = count.saturating_add(1);
        }
    }
}

fn index(reason: Reason) -> usize {
    let known = Reason::KNOWN.iter().position(|known| *known == reason);
    known.unwrap_or(Reason::KNOWN.len())
}

/// The counters of a connection.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Boxed at the first of them, as most connections have none.
    seldom: Option<Box<Seldom>>,
    pub(super) data_sent: u64,
    pub(super) data_received: u64,
}

#[derive(Debug, Default)]
struct Seldom {
    resets_sent: Resets,
    resets_received: Resets,
    stalls: Stalls,
}

impl Counters {
    pub(super) fn count_reset_sent(&mut self, reason: Reason) {
        self.seldom
            .get_or_insert_default()
            .resets_sent
            .count(reason);
    }

    pub(super) fn count_reset_received(&mut self, reason: Reason) {
        self.seldom
            .get_or_insert_default()
            .resets_received
            .count(reason);
    }

    /// The counts of waits, to be increased.
    pub(super) fn stalls(&mut self) -> &mut Stalls {
        &mut self.seldom.get_or_insert_default().stalls
    }
}

impl Engine {
    /// Returns the connection's statistics at this moment.
    pub fn stats(&self) -> ConnectionStats {
        let none = Seldom::default();
        let seldom = self.counters.seldom.as_deref().unwrap_or(&none);
        let (headers_sent, headers_received) = self.wire.header_bytes();
        ConnectionStats {
            open_streams: self.streams.len(),
            detached_handlers: self.streams.detached(),
            buffered_bytes: self.flow.buffered(),
            output_bytes: self.wire.output.len(),
            receive_credit: self.flow.accounted(),
            receive_window: self.flow.receive_window(),
            stream_receive_window: self.stream_receive_window(),
            send_window: self.flow.send_available(),
            remembered_resets: self.ids.remembered_resets(),
            round_trip: self.round_trip(),
            pings_sent: self.life.pings.count(),
            stalls: seldom.stalls,
            resets_sent: seldom.resets_sent,
            resets_received: seldom.resets_received,
            data_sent: self.counters.data_sent,
            data_received: self.counters.data_received,
            headers_sent,
            headers_received,
            peer_settings: self.peer.settings().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_counted_apart_and_unknown_ones_together() {
        let mut resets = Resets::default();
        for reason in Reason::KNOWN {
            resets.count(reason);
        }
        resets.count(Reason::Unknown(77));
        resets.count(Reason::Unknown(78));
        assert!(
            Reason::KNOWN
                .into_iter()
                .all(|reason| resets.of(reason) == 1)
        );
        assert_eq!(resets.of(Reason::Unknown(1)), 2);
        assert_eq!(resets.total(), Reason::KNOWN.len() as u64 + 2);
        assert_eq!(resets.iter().count(), Reason::KNOWN.len() + 1);
    }
}
