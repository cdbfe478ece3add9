//! Bodies that wait until the server wants them (RFC 9110 §10.1.1), and the
//! clock of the connection's task.

use std::{
    collections::VecDeque,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use lacewing_conn::proto::StreamKey;
use tokio::time::Sleep;

/// Streams whose body waits for 100 (Continue), and until when.
#[derive(Debug)]
pub(super) struct Expectations {
    timeout: Duration,
    /// All wait equally long: the first came first.
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

/// A timer that is made when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready at an instant, which may be another one at each call.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let at = tokio::time::Instant::from_std(at);
        let sleep = match &mut self.0 {
            Some(sleep) => {
                if sleep.deadline() != at {
                    sleep.as_mut().reset(at);
                }
                sleep
            }
            None => self.0.insert(Box::pin(tokio::time::sleep_until(at))),
        };
        sleep.as_mut().poll(cx)
    }
}
