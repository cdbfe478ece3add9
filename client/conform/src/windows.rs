//! The flow-control windows of both directions of a connection.

use std::collections::BTreeMap;

use crate::{protocol::Protocol, record::Record};

/// The windows for DATA to us, and the amount of DATA that we sent.
#[derive(Debug)]
pub(crate) struct Windows {
    /// The remaining window of the connection.
    connection: i64,
    /// The initial window of a stream.
    initial: i64,
    streams: BTreeMap<u32, i64>,
    /// Received bytes without credit for them yet, by stream; 0 is the connection.
    unreturned: BTreeMap<u32, u32>,
    /// Flow-controlled bytes that we sent, by stream; 0 is the connection.
    sent: BTreeMap<u32, u64>,
}

/// A window that a DATA frame exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Stream,
    Connection,
}

/// The windows for DATA to us that are filled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refill {
    /// Those that are used up. So DATA beyond a window is seen in every case.
    Empty,
    All,
}

impl Windows {
    /// Starts all windows with this many bytes.
    pub(crate) fn new(initial: i64) -> Self {
        Self {
            connection: initial,
            initial,
            streams: BTreeMap::new(),
            unreturned: BTreeMap::new(),
            sent: BTreeMap::new(),
        }
    }

    pub(crate) fn initial(&self) -> i64 {
        self.initial
    }

    /// We send DATA.
    pub(crate) fn send(&mut self, stream: u32, bytes: u64) {
        for id in [0, stream] {
            let sent = self.sent.entry(id).or_insert(0);
            *sent = sent.saturating_add(bytes);
        }
    }

    /// The remaining windows of a stream and of the connection for our DATA.
    /// `initial` has the sizes with which the two began.
    pub(crate) fn left<P: Protocol>(
        &self,
        record: &Record<P>,
        stream: u32,
        initial: [u32; 2],
    ) -> [u64; 2] {
        let left = |id, initial| {
            let granted = u64::from(initial).saturating_add(record.credit(id));
            granted.saturating_sub(self.sent.get(&id).copied().unwrap_or(0))
        };
        [left(stream, initial[0]), left(0, initial[1])]
    }

    /// We send WINDOW_UPDATE.
    pub(crate) fn credit(&mut self, stream: u32, increment: u32) {
        let window = match stream {
            0 => &mut self.connection,
            stream => self.window_mut(stream),
        };
        *window = window.saturating_add(i64::from(increment));
    }

    /// The bytes received on these streams, or on the connection (0), that were not returned yet:
    /// the credit that a reader gives for them.
    pub(crate) fn take_unreturned(
        &mut self,
        streams: impl IntoIterator<Item = u32>,
        which: Refill,
    ) -> Vec<(u32, u32)> {
        let mut taken = Vec::new();
        for id in streams {
            let left = match id {
                0 => self.connection,
                id => self.window(id),
            };
            if which == Refill::Empty && left > 0 {
                continue;
            }
            let bytes = self.unreturned.remove(&id).filter(|bytes| *bytes > 0);
            taken.extend(bytes.map(|bytes| (id, bytes)));
        }
        taken
    }

    /// Changes the initial window, and that of every stream by the difference.
    pub(crate) fn set_initial(&mut self, value: i64) {
        let change = value.saturating_sub(self.initial);
        self.initial = value;
        for window in self.streams.values_mut() {
            *window = window.saturating_add(change);
        }
    }

    /// Takes DATA from the windows; names those that it exceeds.
    pub(crate) fn debit(&mut self, stream: u32, bytes: i64) -> Vec<Exceeded> {
        for id in [0, stream] {
            let unreturned = self.unreturned.entry(id).or_insert(0);
            *unreturned = unreturned.saturating_add(u32::try_from(bytes).unwrap_or(0));
        }
        let window = self.window_mut(stream);
        *window = window.saturating_sub(bytes);
        let stream_left = *window;
        self.connection = self.connection.saturating_sub(bytes);
        let mut exceeded = Vec::new();
        if bytes > 0 && stream_left < 0 {
            exceeded.push(Exceeded::Stream);
        }
        if bytes > 0 && self.connection < 0 {
            exceeded.push(Exceeded::Connection);
        }
        exceeded
    }

    fn window(&self, stream: u32) -> i64 {
        self.streams.get(&stream).copied().unwrap_or(self.initial)
    }

    fn window_mut(&mut self, stream: u32) -> &mut i64 {
        self.streams.entry(stream).or_insert(self.initial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_exceeded_by_one_byte_more_than_it_has() {
        let mut windows = Windows::new(10);
        assert_eq!(windows.debit(1, 10), []);
        assert_eq!(windows.debit(3, 0), []);
        assert_eq!(
            windows.debit(1, 1),
            [Exceeded::Stream, Exceeded::Connection]
        );
        windows.credit(0, 1);
        windows.set_initial(12);
        assert_eq!(windows.debit(1, 1), [Exceeded::Connection]);
    }

    #[test]
    fn received_bytes_are_returned_once() {
        let mut windows = Windows::new(10);
        windows.debit(1, 3);
        windows.debit(3, 4);
        assert_eq!(windows.take_unreturned([0, 1], Refill::Empty), []);
        assert_eq!(
            windows.take_unreturned([0, 1], Refill::All),
            [(0, 7), (1, 3)]
        );
        assert_eq!(windows.take_unreturned([0, 1, 5], Refill::All), []);
        windows.debit(5, 10);
        assert_eq!(windows.take_unreturned([1, 5], Refill::Empty), [(5, 10)]);
    }
}
