//! Bodies that wait for 100 (Continue) (RFC 9110 §10.1.1).

use std::{
    collections::VecDeque,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use lacewing_conn::proto::StreamKey;

use crate::alarm::Alarm;

/// Streams whose body waits for 100 (Continue), and until when.
#[derive(Debug)]
pub(super) struct Expectations {
    timeout: Duration,
    /// All wait equally long, so that they are in order.
    waiting: VecDeque<(Instant, StreamKey)>,
    alarm: Alarm,
}

impl Expectations {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            waiting: VecDeque::new(),
            alarm: Alarm::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, now: Instant, stream: StreamKey) {
        let until = now.checked_add(self.timeout).unwrap_or(now);
        self.waiting.push_back((until, stream));
    }

    /// This stream waits no more.
    pub(super) fn settle(&mut self, stream: StreamKey) {
        self.waiting.retain(|(_, waiting)| *waiting != stream);
    }

    /// A stream that waited long enough.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<StreamKey> {
        let Some((until, stream)) = self.waiting.front().copied() else {
            return Poll::Pending;
        };
        if until > now {
            std::task::ready!(self.alarm.poll(cx, until));
        }
        self.waiting.pop_front();
        Poll::Ready(stream)
    }
}
