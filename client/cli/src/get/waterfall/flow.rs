//! The flow control of one direction over time: its course, and the times in which windows are empty.

use std::{collections::BTreeMap, time::Duration};

use lacewing_client::Version;

use crate::windows::{Cause, Windows};

/// The flow control of one direction of a connection, as this end knows it.
#[derive(Debug)]
pub(super) struct Flow {
    windows: Windows,
    streams: BTreeMap<u32, Stalls>,
    /// The bytes that were sent, and those that might have been, over time.
    pub(super) curve: Vec<Point>,
    sent: i64,
}

/// A point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) at: Duration,
    pub(super) sent: i64,
    /// `None`: the connection has no window.
    pub(super) limit: Option<i64>,
}

/// A time in which a stream may not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stall {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) cause: Cause,
}

/// The stalls of a stream.
#[derive(Debug, Default)]
struct Stalls {
    now: Option<(Duration, Cause)>,
    over: Vec<Stall>,
}

impl Flow {
    pub(super) fn new(version: Version) -> Self {
        Self {
            windows: Windows::new(version),
            streams: BTreeMap::new(),
            curve: Vec::new(),
            sent: 0,
        }
    }

    /// The receiver sets the window of all streams.
    pub(super) fn set_initial(&mut self, at: Duration, value: i64) {
        self.windows.set_initial(value);
        self.check(at);
    }

    /// The receiver gives credit.
    pub(super) fn credit(&mut self, at: Duration, stream: u32, credit: i64) {
        self.windows.credit(stream, credit);
        if stream == 0 {
            self.mark(at);
        }
        self.check(at);
    }

    /// Data passes.
    pub(super) fn data(&mut self, at: Duration, stream: u32, length: u64, fin: bool) {
        self.windows.data(stream, length, fin);
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        self.sent = self.sent.saturating_add(length);
        self.mark(at);
        self.check(at);
    }

    /// The stream sends no more.
    pub(super) fn end(&mut self, at: Duration, stream: u32) {
        self.windows.end(stream);
        self.check(at);
    }

    /// The stalls of a stream, until the end of the trace.
    pub(super) fn stalls(&mut self, stream: u32, end: Duration) -> Vec<Stall> {
        let Some(stream) = self.streams.get_mut(&stream) else {
            return Vec::new();
        };
        stream.resume(end);
        std::mem::take(&mut stream.over)
    }

    fn mark(&mut self, at: Duration) {
        let left = self.windows.connection();
        self.curve.push(Point {
            at,
            sent: self.sent,
            limit: left.map(|left| self.sent.saturating_add(left)),
        });
    }

    /// Begins and ends stalls.
    fn check(&mut self, at: Duration) {
        for (id, cause) in self.windows.causes() {
            let stream = self.streams.entry(id).or_default();
            match (cause, stream.now) {
                (None, _) => stream.resume(at),
                (Some(cause), None) => stream.now = Some((at, cause)),
                (Some(_), Some(_)) => {}
            }
        }
    }
}

impl Stalls {
    fn resume(&mut self, to: Duration) {
        if let Some((from, cause)) = self.now.take() {
            self.over.push(Stall { from, to, cause });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn an_empty_window_stalls_its_stream_until_there_is_credit() {
        for version in [Version::Http2, Version::Spdy31, Version::Spdy3] {
            let mut flow = Flow::new(version);
            flow.set_initial(ms(0), 100);
            flow.data(ms(1), 1, 60, false);
            flow.data(ms(2), 1, 40, false);
            flow.data(ms(2), 3, 10, false);
            flow.credit(ms(5), 1, 50);
            flow.data(ms(6), 1, 50, true);
            let stall = Stall {
                from: ms(2),
                to: ms(5),
                cause: Cause::Stream,
            };
            assert_eq!(flow.stalls(1, ms(9)), [stall], "{version}");
            assert_eq!(flow.stalls(3, ms(9)), [], "{version}");
        }
    }

    #[test]
    fn the_window_of_the_connection_stalls_all_that_send() {
        let mut flow = Flow::new(Version::Http2);
        flow.set_initial(ms(0), 1_000_000);
        flow.data(ms(1), 1, 535, false);
        flow.data(ms(2), 3, 60_000, false);
        flow.data(ms(3), 5, 5_000, true);
        flow.credit(ms(7), 0, 1);
        flow.credit(ms(8), 0, 1);
        let stall = Stall {
            from: ms(3),
            to: ms(7),
            cause: Cause::Connection,
        };
        assert_eq!(flow.stalls(1, ms(9)), [stall]);
        assert_eq!(flow.stalls(3, ms(9)), [stall]);
        // The last one had sent everything.
        assert_eq!(flow.stalls(5, ms(9)), []);
        let last = flow.curve.last().unwrap();
        assert_eq!((last.sent, last.limit), (65_535, Some(65_537)));
    }

    #[test]
    fn a_stall_lasts_until_the_end_of_its_stream_or_of_the_trace() {
        let mut flow = Flow::new(Version::Http2);
        flow.set_initial(ms(0), 10);
        flow.data(ms(1), 1, 10, false);
        flow.data(ms(1), 3, 10, false);
        // A smaller window may be negative.
        flow.set_initial(ms(2), 5);
        flow.credit(ms(3), 3, 5);
        flow.end(ms(4), 1);
        assert_eq!(flow.stalls(1, ms(9))[0].to, ms(4));
        assert_eq!(flow.stalls(3, ms(9))[0].to, ms(9));
        let mut flow = Flow::new(Version::Spdy2);
        flow.data(ms(1), 1, u64::MAX, false);
        assert_eq!(flow.stalls(1, ms(9)), []);
    }
}
