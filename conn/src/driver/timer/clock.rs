//! Long waits. The connections of a runtime share one clock, which ticks once a second. A wait
//! takes 16 bytes there, and a timer of tokio 128: most connections of a server are idle.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Waker,
    time::{Duration, Instant},
};

use slab::Slab;
use tokio::{
    runtime::{Handle, Id},
    task::AbortHandle,
    time::{MissedTickBehavior, interval_at},
};

const TICK: Duration = Duration::from_secs(1);

/// The shortest wait for which there is a tick between now and its end.
const SHORTEST: Duration = Duration::from_secs(2);

/// The clocks of all runtimes. A clock lives as long as something waits for it.
static CLOCKS: Mutex<Vec<(Id, Weak<Clock>)>> = Mutex::new(Vec::new());

/// The clock of one runtime.
#[derive(Debug)]
struct Clock {
    start: Instant,
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    /// The tasks to wake, by the number of seconds since the start.
    ticks: BTreeMap<u32, Slab<Waker>>,
    /// The last tick. Its places, and those of earlier ones, belong to nobody.
    passed: u32,
    /// The task that ticks while somebody waits.
    task: Option<AbortHandle>,
}

/// A wait of one task, which ends when it is dropped.
#[derive(Debug)]
pub(in crate::driver) struct Wait {
    clock: Arc<Clock>,
    tick: u32,
    /// One more than its place among the wakers of the tick.
    number: NonZeroU32,
}

impl Wait {
    /// Wakes a task at the last tick before `until`, at most a second earlier. `None` if that is
    /// soon: such a wait needs a timer of its own.
    pub(super) fn new(waker: &Waker, now: Instant, until: Instant) -> Option<Self> {
        if until.saturating_duration_since(now) < SHORTEST {
            return None;
        }
        let clock = Clock::current(now);
        let seconds = until.saturating_duration_since(clock.start).as_secs();
        let tick = u32::try_from(seconds).unwrap_or(u32::MAX);
        let number = clock.add(tick, waker.clone())?;
        Some(Self {
            clock,
            tick,
            number,
        })
    }

    /// The time of the tick.
    pub(super) fn end(&self) -> Instant {
        let ticks = TICK.checked_mul(self.tick);
        let end = ticks.and_then(|ticks| self.clock.start.checked_add(ticks));
        end.unwrap_or(self.clock.start)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // Dropped after the lock: the waker may be the last reference to its task.
        let _waker = self.clock.remove(self.tick, self.number);
    }
}

impl Clock {
    /// Returns the clock of the runtime in which the caller runs.
    fn current(now: Instant) -> Arc<Self> {
        let runtime = Handle::current().id();
        let mut clocks = CLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clocks.iter().find(|(id, _)| *id == runtime);
        if let Some(clock) = known.and_then(|(_, clock)| clock.upgrade()) {
            return clock;
        }
        clocks.retain(|(_, clock)| clock.strong_count() > 0);
        let clock = Arc::new(Self {
            start: now,
            waits: Mutex::default(),
        });
        clocks.push((runtime, Arc::downgrade(&clock)));
        clock
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the waker among those of its tick, unless that has passed.
    fn add(self: &Arc<Self>, tick: u32, waker: Waker) -> Option<NonZeroU32> {
        let mut waits = self.waits();
        if tick <= waits.passed {
            return None;
        }
        let place = waits.ticks.entry(tick).or_default().insert(waker);
        if waits.task.is_none() {
            let task = tokio::spawn(run(Arc::clone(self)));
            waits.task = Some(task.abort_handle());
        }
        // There are fewer connections.
        let number = u32::try_from(place).ok()?.checked_add(1)?;
        NonZeroU32::new(number)
    }

    fn remove(&self, tick: u32, number: NonZeroU32) -> Option<Waker> {
        let mut waits = self.waits();
        let wakers = waits.ticks.get_mut(&tick)?;
        let waker = wakers.try_remove(number.get().checked_sub(1)? as usize);
        if wakers.is_empty() {
            waits.ticks.remove(&tick);
        }
        if waits.ticks.is_empty() {
            // A runtime without connections has no task of theirs.
            if let Some(task) = waits.task.take() {
                task.abort();
            }
        }
        waker
    }

    /// Wakes those whose tick has come. Returns `false` if nobody waits for a later one.
    fn tick(&self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.start).as_secs();
        let mut due = Vec::new();
        let mut waits = self.waits();
        waits.passed = u32::try_from(seconds).unwrap_or(u32::MAX);
        let passed = waits.passed;
        while let Some(first) = waits.ticks.first_entry() {
            if *first.key() > passed {
                break;
            }
            due.push(first.remove());
        }
        let goes_on = !waits.ticks.is_empty();
        if !goes_on {
            waits.task = None;
        }
        drop(waits);
        for wakers in due {
            wakers.into_iter().for_each(|(_, waker)| waker.wake());
        }
        goes_on
    }
}

async fn run(clock: Arc<Clock>) {
    let mut ticks = interval_at(clock.start.into(), TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let now = ticks.tick().await;
        if !clock.tick(super::now().max(now.into_std())) {
            return;
        }
    }
}
