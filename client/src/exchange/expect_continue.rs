//! Bodies that wait for 100 (Continue) (RFC 9110 §10.1.1).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use lacewing_conn::proto::StreamKey;

/// Streams whose body waits for 100 (Continue), and until when.
#[derive(Debug)]
pub(super) struct Expectations {
    timeout: Duration,
    /// All wait equally long, so that they are in order.
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

    /// This stream waits no more.
    pub(super) fn settle(&mut self, stream: StreamKey) {
        self.waiting.retain(|(_, waiting)| *waiting != stream);
    }

    /// Takes a stream that waited long enough.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<StreamKey> {
        let (until, stream) = *self.waiting.front()?;
        if until > now {
            return None;
        }
        self.waiting.pop_front();
        Some(stream)
    }

    /// The time at which the next stream has waited long enough.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.front().map(|(until, _)| *until)
    }
}
