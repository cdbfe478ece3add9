//! The waits of an HTTP/1.1 connection: each has its end, under the limits that
//! the other protocols have.

use std::{
    hash::{BuildHasher, RandomState},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use lacewing_conn::{Limits, driver::MemoryStep};
use tokio::time::{Instant, Sleep, sleep_until};

use super::exchange::Ledger;
use crate::{ServeError, http1_transport::Probe};

/// Bytes of content that a handler receives in
/// [`body_timeout`](Limits::body_timeout) while it waits for them: a
/// client that sends less attacks slowly (R.U.D.Y.).
const BODY_PROGRESS: u64 = 64;

/// The time between two looks for pressure, while content arrives that would then be too slow.
const PRESSURE_EVERY: Duration = Duration::from_secs(5);

/// The time between two probes of a client that closed its side, and may be gone.
const PROBE_AFTER: Duration = Duration::from_secs(1);
/// The number of probes with bytes, where the protocol has bytes without a meaning. Later probes
/// have none.
const PROBES: u8 = 2;

/// The end of a wait.
pub(super) enum Over {
    /// The connection is idle or old: it is shut down gracefully.
    Close,
    /// The connection makes no progress.
    Fail(ServeError),
}

/// The clock of one connection.
pub(super) struct Waits<'a> {
    ledger: &'a Ledger,
    limits: &'a Limits,
    phase: Phase,
    since: Instant,
    /// Requests so far, and the bytes that were read by the last one's end.
    requests: u32,
    read: u64,
    /// Content of the request: whether any arrives, and how fast.
    body: Stall,
    pace: Stall,
    write: Stall,
    /// The time at which the connection is too old.
    old: Option<Instant>,
    probe_at: Option<Instant>,
    probes: u8,
    timer: Pin<Box<Sleep>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between two requests.
    Idle,
    /// A request's head has begun, or is the first.
    Head,
    /// The handler waits for content.
    Body,
    /// The handler works, or its response's body has no data, as in a long poll or with server-sent
    /// events. This state has no limit.
    Answer,
    /// The client does not read.
    Write,
}

/// The time without enough progress.
struct Stall {
    spent: Duration,
    mark: u64,
    running: Option<Instant>,
}

/// The wait between two requests: `idle_timeout`; without one, as long as a head
/// may take.
pub(super) fn idle_timeout(limits: &Limits) -> Duration {
    limits.idle_timeout.unwrap_or(limits.preface_timeout)
}

impl<'a> Waits<'a> {
    pub(super) fn new(ledger: &'a Ledger) -> Self {
        let limits = &ledger.options.connection.limits;
        let now = Instant::now();
        let old = limits.max_connection_age.and_then(|age| {
            // Up to a tenth earlier, so that clients that connected together do not reconnect
            // together.
            let tenths = RandomState::new().hash_one(0) % 1_000;
            let less = age.saturating_mul(u32::try_from(tenths).unwrap_or(0)) / 10_000;
            now.checked_add(age.saturating_sub(less))
        });
        Self {
            ledger,
            limits,
            phase: Phase::Head,
            since: now,
            requests: 0,
            read: 0,
            body: Stall::new(0),
            pace: Stall::new(0),
            write: Stall::new(0),
            old,
            probe_at: None,
            probes: PROBES,
            timer: Box::pin(sleep_until(now + Duration::from_secs(1))),
        }
    }

    /// Returns the end of the present wait, once it is reached. To be polled while hyper's
    /// connection is pending.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            let now = Instant::now();
            self.observe(now);
            if self.old.is_some_and(|old| old <= now) {
                self.old = None;
                return Poll::Ready(Over::Close);
            }
            if self.probe_at.is_some_and(|at| at <= now) {
                self.probe_at = None;
                let watch = &self.ledger.watch;
                watch.ask_for(match self.probes {
                    1.. if watch.has_ended() => Probe::Bytes,
                    _ => Probe::Empty,
                });
                if watch.has_ended() {
                    self.probes = self.probes.saturating_sub(1);
                }
                cx.waker().wake_by_ref();
            }
            let end = self.end();
            if end.is_some_and(|end| end <= now) {
                return Poll::Ready(self.over(now));
            }
            let look = self.next_look(now);
            let next = [end, look, self.old, self.probe_at];
            let next = next.into_iter().flatten().min();
            let Some(next) = next else {
                return Poll::Pending;
            };
            // A timer that fires too early costs less than one that is set for
            // each request.
            if self.timer.is_elapsed() || self.timer.deadline() > next {
                self.timer.as_mut().reset(next);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Updates the kind of the wait.
    fn observe(&mut self, now: Instant) {
        let watch = &self.ledger.watch;
        let requests = self.ledger.requests();
        if requests != self.requests {
            self.requests = requests;
            self.read = watch.bytes_read();
            self.since = now;
            self.body = Stall::new(watch.bytes_received());
            self.pace = Stall::new(watch.bytes_received());
        }
        let phase = if watch.is_write_blocked() {
            Phase::Write
        } else if self.ledger.is_idle() {
            match requests == 0 || watch.bytes_read() != self.read {
                true => Phase::Head,
                false => Phase::Idle,
            }
        } else if watch.body_is_awaited() {
            Phase::Body
        } else {
            Phase::Answer
        };
        if phase != self.phase {
            if self.phase == Phase::Answer || self.phase == Phase::Body {
                // The bytes of the request that ends.
                self.read = watch.bytes_read();
            }
            self.phase = phase;
            self.since = now;
        }
        match phase {
            Phase::Body => {
                let received = watch.bytes_received();
                self.body.run(now, received, BODY_PROGRESS);
                self.pace.run(now, received, self.limits.least_moved());
            }
            _ => {
                self.body.pause(now);
                self.pace.pause(now);
            }
        }
        match phase {
            Phase::Write => {
                let least = self.limits.least_written();
                self.write.run(now, watch.bytes_written(), least);
            }
            // The transport has taken all bytes so far: the next stall counts from here.
            _ => self.write = Stall::new(watch.bytes_written()),
        }
        if phase == Phase::Answer && watch.may_be_gone() {
            if self.probe_at.is_none() {
                self.probe_at = now.checked_add(PROBE_AFTER);
            }
        } else {
            self.probe_at = None;
        }
    }

    /// The end of the wait.
    fn end(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle => self.since.checked_add(idle_timeout(self.limits)),
            Phase::Head => self.since.checked_add(self.limits.preface_timeout),
            Phase::Body => {
                let pace = self
                    .pace_limit()
                    .and_then(|(_, bound)| self.pace.end(bound));
                let stop = self.body.end(self.limits.body_timeout);
                [pace, stop].into_iter().flatten().min()
            }
            Phase::Write => self.write.end(self.limits.write_stall_timeout),
            Phase::Answer => None,
        }
    }

    /// The time in which content must bring `min_rate`, with the limit's name.
    fn pace_limit(&self) -> Option<(&'static str, Duration)> {
        if self.is_pressed() {
            Some(("pressed_stall_timeout", self.limits.pressed_stall_timeout))
        } else if self.ledger.watch.content_is_declared() {
            Some(("stall_timeout", self.limits.stall_timeout))
        } else {
            None
        }
    }

    /// Memory, files or connections run short.
    fn is_pressed(&self) -> bool {
        let budget = &self.ledger.options.connection.memory_budget;
        budget.step() >= MemoryStep::Strict
    }

    /// Nothing wakes this task when pressure begins.
    fn next_look(&self, now: Instant) -> Option<Instant> {
        if self.phase != Phase::Body || self.is_pressed() {
            return None;
        }
        let pressed = self.pace.end(self.limits.pressed_stall_timeout)?;
        now.checked_add(PRESSURE_EVERY)
            .map(|look| pressed.max(look))
    }

    fn over(&mut self, now: Instant) -> Over {
        let text = match self.phase {
            Phase::Idle | Phase::Answer => {
                self.since = Instant::now();
                return Over::Close;
            }
            Phase::Head => format!(
                "a request's head took longer than {} s (limit preface_timeout)",
                self.limits.preface_timeout.as_secs_f32()
            ),
            Phase::Body => {
                let stops = self.body.end(self.limits.body_timeout);
                let (least, name, bound) = match self.pace_limit() {
                    Some((name, bound)) if stops.is_none_or(|stops| stops > now) => {
                        (self.limits.least_moved(), name, bound)
                    }
                    _ => (BODY_PROGRESS, "body_timeout", self.limits.body_timeout),
                };
                format!(
                    "less than {least} B of a request's body arrived in {} s (limit {name})",
                    bound.as_secs_f32()
                )
            }
            Phase::Write => format!(
                "the client read less than {} B a second (limit min_rate) for {} s (limit \
                 write_stall_timeout)",
                self.limits.min_rate,
                self.limits.write_stall_timeout.as_secs_f32()
            ),
        };
        Over::Fail(ServeError::Http1(text.into()))
    }
}

impl Stall {
    fn new(mark: u64) -> Self {
        Self {
            spent: Duration::ZERO,
            mark,
            running: None,
        }
    }

    /// The clock runs, and begins anew after enough progress.
    fn run(&mut self, now: Instant, count: u64, least: u64) {
        if count.saturating_sub(self.mark) >= least {
            *self = Self::new(count);
        }
        self.running.get_or_insert(now);
    }

    fn pause(&mut self, now: Instant) {
        if let Some(started) = self.running.take() {
            let run = now.saturating_duration_since(started);
            self.spent = self.spent.saturating_add(run);
        }
    }

    /// The time at which the clock reaches the bound.
    fn end(&self, bound: Duration) -> Option<Instant> {
        self.running?.checked_add(bound.saturating_sub(self.spent))
    }
}
