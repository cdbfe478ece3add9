//! The end of a connection: its error, the last output, and the wait for the peer to close its side.

use std::{
    io,
    task::{self, Poll},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Driver, Phase, Turn, last_input::LastInput};
use crate::{
    Error,
    driver::{application::Application, io::Read},
};

/// The time for the peer to close its side after we closed ours, so that our last
/// bytes reach it. After a graceful end it starts again while the peer still sends.
/// A transport that is closed over unread input is reset, and the peer loses the
/// bytes that it has not read (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);

/// What a connection needs at its end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// The error that ended it.
    pub(super) error: Option<Error>,
    /// The transport takes no more output.
    pub(super) last_input: Option<LastInput>,
    linger: Option<Linger>,
}

/// The time for the last output, and then for the peer to close its side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linger {
    pub(super) until: Instant,
    pub(super) latest: Instant,
}

impl<IO, A: Application> Driver<IO, A> {
    /// Returns the error that ended the connection.
    pub(super) fn error(&self) -> Option<&Error> {
        self.ending.as_ref()?.error.as_ref()
    }

    /// Begins a phase with a time.
    pub(super) fn enter(&mut self, phase: Phase, linger: Linger) {
        self.phase = phase;
        self.ending.get_or_insert_default().linger = Some(linger);
    }

    /// Returns the time of this phase.
    pub(super) fn time(&self, now: Instant) -> Linger {
        let linger = self.ending.as_ref().and_then(|ending| ending.linger);
        linger.unwrap_or(Linger {
            until: now,
            latest: now,
        })
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, A: Application> Driver<IO, A> {
    /// Writes the last output.
    pub(super) fn finish_writing(&mut self, cx: &mut task::Context<'_>, now: Instant) -> Turn {
        match self.flush(cx) {
            Poll::Ready(Ok(())) => {
                self.handle_written(now);
                if self.input_ended {
                    return Turn::Over;
                }
                let until = now.checked_add(LINGER).unwrap_or(now);
                let drain = now.checked_add(self.engine.limits().drain_timeout);
                let latest = drain.filter(|_| self.outcome().is_ok());
                let latest = latest.unwrap_or(until);
                self.enter(Phase::Lingering, Linger { until, latest });
                Turn::Again
            }
            Poll::Ready(Err(_)) => Turn::Over,
            Poll::Pending if now >= self.time(now).until || self.pressure.must_leave() => {
                Turn::Over
            }
            Poll::Pending => {
                let until = self.time(now).until;
                self.again_unless_asleep(false, cx, now, Some(until))
            }
        }
    }

    /// Waits for the peer to close its side.
    pub(super) fn linger(&mut self, cx: &mut task::Context<'_>, now: Instant) -> Turn {
        let Linger { until, latest } = self.time(now);
        match self.transport.poll_discard(cx) {
            Poll::Ready(Read::End) => Turn::Over,
            Poll::Ready(Read::Bytes) if now >= latest => Turn::Over,
            Poll::Ready(Read::Bytes) => {
                let later = now.checked_add(LINGER).unwrap_or(latest);
                let until = later.min(latest).max(until);
                self.enter(Phase::Lingering, Linger { until, latest });
                Turn::Again
            }
            Poll::Pending if now >= until || self.pressure.must_leave() => Turn::Over,
            Poll::Pending => self.again_unless_asleep(false, cx, now, Some(until)),
        }
    }

    /// Writes the remaining output, and closes our side of the transport.
    fn flush(&mut self, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        task::ready!(self.transport.poll_write(cx, self.engine.output()))?;
        task::ready!(self.transport.poll_flush(cx))?;
        self.transport.poll_shutdown(cx)
    }
}
