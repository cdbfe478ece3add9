//! Bodies that wait for 100 (Continue) (RFC 9110 §10.1.1).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use lacewing_conn::proto::StreamKey;

/// The streams whose body waits for 100 (Continue), and their deadlines.
#[derive(Debug)]
pub(super) struct Expectations {
    timeout: Duration,
    /// All have the same timeout, so they are in the order of their deadlines.
    waiting: VecDeque<(Instant, StreamKey)>,
}

impl Expectations {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, now: Instant, stream: StreamKey) {
        let until = now.checked_add(self.timeout).unwrap_or(now);
        self.waiting.push_back((until, stream));
    }

    /// Ends the wait of this stream.
    pub(super) fn settle(&mut self, stream: StreamKey) {
        self.waiting.retain(|(_, waiting)| *waiting != stream);
    }

    /// Takes a stream whose deadline has passed.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<StreamKey> {
        let (until, stream) = *self.waiting.front()?;
        if until > now {
            return None;
        }
        self.waiting.pop_front();
        Some(stream)
    }

    /// Returns the next deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.front().map(|(until, _)| *until)
    }
}
