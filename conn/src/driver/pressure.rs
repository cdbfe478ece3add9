//! The steps of the process's memory budget, as one connection takes them, and the
//! first step of its own cap.

use std::time::{Duration, Instant};

use super::memory_budget::{MemoryAccount, MemoryBudget, MemoryOrder, MemoryReport, MemoryStep};
use crate::proto::{self, Engine};

/// A limit of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// That of the process.
    Budget,
    /// That of the connection, which counts so many bytes against it.
    Connection { held: usize },
}

/// The time between two reads of a connection that holds too much. Its reads must not
/// stop: a frame of the peer, a WINDOW_UPDATE or RST_STREAM behind the content, may free
/// its memory.
const SLOW_READ: Duration = Duration::from_millis(100);

/// The most reads in a row that wait while nearly all memory is held: two seconds of them. Then the
/// connection is read slowly.
const MOST_SKIPPED: u8 = 20;

/// The bytes of header compression that are enough to keep a stream from being ended.
const LEAST_SHRUNK: usize = 16 << 10;

/// The least time between two reports of a pause of one connection.
const REPORT_AGAIN: Duration = Duration::from_secs(10);

/// A connection under the budget of its process.
#[derive(Debug)]
pub(super) struct Pressure {
    account: MemoryAccount,
    /// The step of the budget in this turn, of which the engine knows.
    step: MemoryStep,
    /// Made at the first step that concerns this connection.
    steps: Option<Box<Steps>>,
}

/// The steps that concern one connection.
#[derive(Debug, Default)]
struct Steps {
    /// The time of the next read, while the connection is read slowly.
    next_read: Option<Instant>,
    /// The reads in a row that waited since nearly all memory was held.
    skipped: u8,
    pause_reported: Option<Instant>,
    refusal_reported: Option<Instant>,
    /// The steps to report to the application: each kind at most once for each limit.
    reports: Vec<MemoryReport>,
}

impl Pressure {
    pub(super) fn new(budget: &MemoryBudget) -> Self {
        Self {
            account: budget.open_account(),
            step: MemoryStep::None,
            steps: None,
        }
    }

    pub(super) fn account(&mut self) -> &mut MemoryAccount {
        &mut self.account
    }

    /// Takes the steps that are to be reported, in this order.
    #[inline]
    pub(super) fn take_reports(&mut self) -> Vec<MemoryReport> {
        let steps = self.steps.as_mut();
        steps.map_or_else(Vec::new, |steps| std::mem::take(&mut steps.reports))
    }

    fn report(&mut self, step: MemoryStep, limit: Limit, engine: &Engine) {
        let report = match limit {
            Limit::Budget => MemoryReport::of_budget(step, self.account.budget()),
            Limit::Connection { held } => MemoryReport {
                step,
                limit: "max_connection_bytes",
                held,
                capacity: engine.max_held_bytes(),
            },
        };
        self.steps().reports.push(report);
    }

    fn steps(&mut self) -> &mut Steps {
        self.steps.get_or_insert_default()
    }

    /// Counts and reports the steps that the engine took.
    #[inline]
    pub(super) fn note_steps(&mut self, engine: &mut Engine, now: Instant) {
        if let Some(steps) = engine.take_memory_steps() {
            self.note_each(engine, now, steps);
        }
    }

    #[cold]
    fn note_each(&mut self, engine: &Engine, now: Instant, steps: proto::MemorySteps) {
        let connection = Limit::Connection { held: steps.held };
        for (limit, refused) in [
            (Limit::Budget, steps.refused_under_pressure),
            (connection, steps.refused),
        ] {
            (0..refused).for_each(|_| self.account.note(MemoryStep::Refuse));
            if refused > 0 && is_reported(&mut self.steps().refusal_reported, now) {
                self.report(MemoryStep::Refuse, limit, engine);
            }
        }
        (0..steps.shed).for_each(|_| self.account.note(MemoryStep::Shed));
        if steps.shed > 0 {
            self.report(MemoryStep::Shed, connection, engine);
        }
        if steps.closed {
            self.account.note(MemoryStep::Close);
            self.report(MemoryStep::Close, connection, engine);
        }
    }

    /// Takes the step that the budget orders, at the start of a turn.
    #[inline]
    pub(super) fn follow_budget(&mut self, engine: &mut Engine, now: Instant) {
        let step = self.account.step();
        let calm = step == MemoryStep::None && self.step == MemoryStep::None;
        if !calm || self.account.order().is_some() {
            self.take_step(engine, now, step);
        }
    }

    fn take_step(&mut self, engine: &mut Engine, now: Instant, step: MemoryStep) {
        self.step = step;
        engine.set_pressure(match step {
            MemoryStep::None => proto::Pressure::Normal,
            MemoryStep::Strict | MemoryStep::Pause => proto::Pressure::High,
            // Those that hold little continue.
            _ if !self.account.is_above_share() => proto::Pressure::High,
            _ => proto::Pressure::Critical,
        });
        match self.account.order() {
            Some(MemoryOrder::Close) if step >= MemoryStep::Shed && !engine.is_closed() => {
                let text = self.close_text();
                self.report(MemoryStep::Close, Limit::Budget, engine);
                engine.end_over_budget(now, text);
                self.account.note(MemoryStep::Close);
            }
            Some(MemoryOrder::Shed) if step >= MemoryStep::Shed => {
                // What costs no stream goes first.
                let shrunk = engine.shrink();
                if shrunk >= LEAST_SHRUNK {
                    self.account.finish_order(shrunk);
                    return;
                }
                let freed = engine.shed(now, "memory_budget").unwrap_or(0);
                self.account.finish_order(freed);
                if freed > 0 {
                    self.account.note(MemoryStep::Shed);
                    self.report(MemoryStep::Shed, Limit::Budget, engine);
                }
            }
            // Others have freed enough meanwhile.
            Some(_) if step < MemoryStep::Shed => self.account.forget_order(),
            _ => {}
        }
    }

    fn close_text(&self) -> String {
        let budget = self.account.budget();
        format!(
            "memory_budget: the connections of this process hold {} of {} bytes, and this one, with \
             {}, holds most",
            budget.held(),
            budget.capacity(),
            self.account.held()
        )
    }

    /// The budget is nearly used up: each connection reads little at once, since many may read.
    #[inline]
    pub(super) fn is_tight(&self) -> bool {
        self.account.step() >= MemoryStep::Pause
    }

    /// The budget was nearly used up at the start of this turn. The connection reports what it holds
    /// after each turn, and keeps nothing while it sleeps that it can make again.
    #[inline]
    pub(super) fn was_tight(&self) -> bool {
        self.step >= MemoryStep::Pause
    }

    /// The budget has ordered the connection to end, and memory is still short: its last output does
    /// not wait for the peer. A connection that holds little by now may wait.
    pub(super) fn must_leave(&self) -> bool {
        let ordered = self.account.order() == Some(MemoryOrder::Close);
        ordered && self.account.step() >= MemoryStep::Shed && self.account.is_above_share()
    }

    /// Returns `true` if the connection may be read now.
    #[inline]
    pub(super) fn may_read(&mut self, engine: &Engine, now: Instant) -> bool {
        let full = engine.is_nearly_full();
        if self.step < MemoryStep::Pause && self.next_read().is_none() && !full {
            return true;
        }
        self.may_read_slowly(engine, now)
    }

    fn may_read_slowly(&mut self, engine: &Engine, now: Instant) -> bool {
        if self.account.budget().is_full() {
            return self.may_read_at_full(engine, now);
        }
        // Handlers free content, and need little input for it. Other memory may wait
        // for a frame of the peer.
        // The last report was made at the end of a poll: this one may have read much since.
        let held = self.account.held().max(engine.held_bytes());
        let mostly_content = engine.buffered_bytes().saturating_mul(2) > held;
        let above = self.step >= MemoryStep::Pause && self.account.budget().is_above_share(held);
        let slowly = (above || engine.is_nearly_full()) && mostly_content;
        if !slowly {
            if let Some(steps) = &mut self.steps {
                steps.next_read = None;
                steps.skipped = 0;
            }
            return true;
        }
        let begins = self.next_read().is_none();
        if self.next_read().is_some_and(|next| now < next) {
            return false;
        }
        self.steps().next_read = now.checked_add(SLOW_READ);
        if begins {
            let limit = match above {
                true => Limit::Budget,
                false => Limit::Connection {
                    held: engine.held_bytes(),
                },
            };
            self.note_pause(limit, engine, now);
        }
        !begins
    }

    /// Nearly all memory is held. All connections that wait would read in the same moment, before those
    /// that must leave have their turns. Reads wait for these, and not for ever: an account may belong
    /// to something that does not obey.
    fn may_read_at_full(&mut self, engine: &Engine, now: Instant) -> bool {
        let begins = self.next_read().is_none();
        let steps = self.steps();
        if steps.next_read.is_some_and(|next| now < next) {
            return false;
        }
        steps.next_read = now.checked_add(SLOW_READ);
        steps.skipped = steps.skipped.saturating_add(1);
        let reads = steps.skipped > MOST_SKIPPED;
        if begins {
            self.note_pause(Limit::Budget, engine, now);
        }
        reads
    }

    fn note_pause(&mut self, limit: Limit, engine: &Engine, now: Instant) {
        self.account.note(MemoryStep::Pause);
        if is_reported(&mut self.steps().pause_reported, now) {
            self.report(MemoryStep::Pause, limit, engine);
        }
    }

    /// The time of the next read, while the connection is read slowly.
    #[inline]
    pub(super) fn next_read(&self) -> Option<Instant> {
        self.steps.as_ref()?.next_read
    }
}

/// Returns `true` if a step is to be reported, given the time of its last report.
fn is_reported(last: &mut Option<Instant>, now: Instant) -> bool {
    let again = last.and_then(|last| last.checked_add(REPORT_AGAIN));
    let reported = again.is_none_or(|again| again <= now);
    if reported {
        *last = Some(now);
    }
    reported
}
