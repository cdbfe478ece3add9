//! The peer's last frames, after the transport failed to take our output.

use std::{
    io,
    task::{self, Poll},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Driver, Turn};
use crate::driver::{application::Application, io::Read};

/// The time for the peer's last bytes. TCP has them already, or an error.
const PATIENCE: Duration = Duration::from_millis(500);

/// A transport that takes no more. What the peer sent before may give the reason (GOAWAY, or the
/// status of a command). The runtime may not know yet that it can be read: a write fails at once,
/// and a read waits for an event.
#[derive(Debug)]
pub(super) struct LastInput {
    error: io::Error,
    until: Instant,
}

impl LastInput {
    pub(super) fn after(error: io::Error, now: Instant) -> Self {
        Self {
            error,
            until: now.checked_add(PATIENCE).unwrap_or(now),
        }
    }
}

impl<IO, A: Application> Driver<IO, A> {
    #[inline]
    pub(super) fn has_last_input(&self) -> bool {
        let ending = self.ending.as_ref();
        ending.is_some_and(|ending| ending.last_input.is_some())
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, A: Application> Driver<IO, A> {
    /// Reads to the end of the input, and ends the connection.
    pub(super) fn read_last_input(&mut self, cx: &mut task::Context<'_>, now: Instant) -> Turn {
        let again = self.handle_signals(now);
        self.handle_events(now);
        let last = self.ending.as_ref().and_then(|it| it.last_input.as_ref());
        let until = last.map_or(now, |last| last.until);
        // Where readers leave too much, nothing is read, and the peer's end is reported at once.
        let reads = !self.input_ended && self.engine.wants_input();
        if reads && !self.engine.is_closed() && now < until {
            match self.transport.poll_read(cx) {
                Poll::Ready(Ok(Read::Bytes)) => return Turn::Again,
                Poll::Ready(Ok(Read::End) | Err(_)) => {}
                Poll::Pending => return self.again_unless_asleep(again, cx, now, Some(until)),
            }
        }
        (self.input_ended, self.end_reported) = (true, true);
        let last = self.ending.as_mut().and_then(|it| it.last_input.take());
        if let Some(last) = last.filter(|_| !self.engine.is_closed()) {
            self.engine.handle_io_error(now, last.error);
        }
        self.handle_events(now);
        self.report_steps(now);
        self.close();
        Turn::Over
    }
}
