//! The bytes that all connections of a process hold together, and the steps that
//! keep them below a cap.

mod account;
mod available;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use slab::Slab;

use self::account::Member;
pub use self::account::{MemoryAccount, MemoryOrder};

/// The share of the memory that the process may use, as a divisor. The other half
/// is for handlers, the kernel's buffers, and the losses of the allocator.
const SHARE: usize = 2;

/// The capacity where the system names no amount of memory.
const FALLBACK: usize = 1 << 30;

/// The least default capacity: with less, one connection at its limits would end.
const LEAST: usize = 32 << 20;

/// The parts of the capacity at which the steps begin, in hundredths. The last one is well below
/// the whole. The figures of connections are exact to some percent, and connections take more
/// memory before an order reaches one of them.
const PAUSE_AT: u64 = 65;
const REFUSE_AT: u64 = 72;
const SHED_AT: u64 = 78;
const CLOSE_AT: u64 = 85;

/// The part from which nothing is read that can wait, in hundredths: connections that were ordered
/// to end must have their turns first.
const FULL_AT: u64 = 95;

/// The part of the capacity to which connections are closed once the last step is
/// reached.
const CLOSED_TO: usize = 80;

/// The least that counts as a connection's share.
const LEAST_SHARE: usize = 64 << 10;

/// A budget of memory that the connections of a process share, servers' and clients'
/// alike. Each connection reports the bytes that it holds. As the sum approaches the capacity,
/// the budget acts in steps ([`MemoryStep`]). Each step acts on the connections that hold
/// most; the others continue as before.
///
/// The allocations of handlers and the kernel's buffers do not count.
///
/// ```
/// use lacewing_conn::{Side, driver::{ConnectionConfig, MemoryBudget}};
///
/// // The server and the client of a proxy hold 256 MiB together.
/// let budget = MemoryBudget::new(256 << 20);
/// let with_budget = |side| ConnectionConfig::new(side)
///     .with(|config| config.memory_budget = budget.clone());
/// let (server, client) = (with_budget(Side::Server), with_budget(Side::Client));
/// # let _ = (server, client);
/// assert_eq!(budget.stats().held, 0);
/// ```
#[derive(Clone)]
pub struct MemoryBudget(Arc<Shared>);

struct Shared {
    capacity: usize,
    held: AtomicUsize,
    connections: AtomicUsize,
    /// Other resources that run short: connections, file handles.
    alarms: AtomicUsize,
    members: Mutex<Slab<Arc<Member>>>,
    counts: Counts,
}

/// The number of times that each step was taken.
#[derive(Debug, Default)]
struct Counts {
    paused: AtomicU64,
    refused: AtomicU64,
    shed: AtomicU64,
    closed: AtomicU64,
}

/// The step that a [`MemoryBudget`] takes, by the part of its capacity that is
/// held. Each one includes those before it.
///
/// ```
/// use lacewing_conn::driver::{MemoryBudget, MemoryStep};
///
/// let budget = MemoryBudget::new(64 << 20);
/// assert_eq!(budget.step(), MemoryStep::None);
/// assert!(MemoryStep::Shed > MemoryStep::Refuse);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MemoryStep {
    /// Less than 65 % is held: nothing happens.
    #[default]
    None,
    /// Something else runs short ([`MemoryBudget::alarm`]): streams that wait for
    /// their peer get [`pressed_stall_timeout`] and no more.
    ///
    /// [`pressed_stall_timeout`]: crate::Limits::pressed_stall_timeout
    Strict,
    /// From 65 %: connections that hold more than their share, mostly content that
    /// waits for handlers, are read slowly.
    Pause,
    /// From 72 %: new streams of connections that hold more than their share are
    /// refused (REFUSED_STREAM; HTTP/1.1: 503).
    Refuse,
    /// From 78 %: the costliest stalled stream of the costliest connection ends.
    Shed,
    /// From 85 %: the costliest connection ends (ENHANCE_YOUR_CALM where the
    /// protocol has it). From 95 %, others wait for that before they read.
    Close,
}

/// A step that a connection took to save memory, and the limit that is near.
///
/// ```
/// use lacewing_conn::driver::facade::MemoryReport;
///
/// fn log(report: &MemoryReport) {
///     let MemoryReport { step, limit, held, capacity, .. } = report;
///     eprintln!("{step:?}: {held} of {capacity} bytes are held (limit {limit})");
/// }
/// # let _ = log;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryReport {
    /// The step.
    pub step: MemoryStep,
    /// The limit: `memory_budget` or `max_connection_bytes`.
    pub limit: &'static str,
    /// The bytes that counted against the limit: of all connections, or of this one.
    pub held: usize,
    /// The bytes that the limit permits.
    pub capacity: usize,
}

/// The figures of a [`MemoryBudget`] at one moment, and its counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Bytes that connections hold, exact to some KiB for each connection.
    pub held: usize,
    /// Connections that report to the budget.
    pub connections: usize,
    /// The number of pauses in which a connection was read slowly.
    pub paused: u64,
    /// The number of streams and requests that were refused.
    pub refused: u64,
    /// The number of streams that were ended.
    pub shed: u64,
    /// The number of connections that were ended.
    pub closed: u64,
}

impl MemoryBudget {
    /// Creates a budget of `capacity` bytes, and at least one.
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(Shared {
            capacity: capacity.max(1),
            held: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            alarms: AtomicUsize::new(0),
            members: Mutex::default(),
            counts: Counts::default(),
        }))
    }

    /// Returns the budget that all connections of the process share unless they are
    /// given another. It has the [default capacity](Self::default_capacity).
    pub fn global() -> Self {
        static GLOBAL: OnceLock<MemoryBudget> = OnceLock::new();
        GLOBAL
            .get_or_init(|| Self::new(Self::default_capacity()))
            .clone()
    }

    /// Returns half of the memory that the process may use, and at least 32 MiB.
    /// That memory is the machine's, or less by the limit of a control group
    /// (`memory.max`, as containers have one). The other half is for handlers, for
    /// the kernel's buffers, and for what the allocator loses. Where the system
    /// names no amount (it is asked on Linux only): 1 GiB.
    pub fn default_capacity() -> usize {
        available::memory().map_or(FALLBACK, |memory| (memory / SHARE).max(LEAST))
    }

    /// Returns the bytes that connections may hold together.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Returns the bytes that connections hold now.
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Returns the step that is taken now.
    pub fn step(&self) -> MemoryStep {
        let step = MemoryStep::at(self.held(), self.0.capacity);
        if step == MemoryStep::None && self.0.alarms.load(Ordering::Relaxed) > 0 {
            return MemoryStep::Strict;
        }
        step
    }

    /// Returns the figures of this moment.
    pub fn stats(&self) -> MemoryStats {
        let counts = &self.0.counts;
        MemoryStats {
            held: self.held(),
            connections: self.0.connections.load(Ordering::Relaxed),
            paused: counts.paused.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
            shed: counts.shed.load(Ordering::Relaxed),
            closed: counts.closed.load(Ordering::Relaxed),
        }
    }

    /// Counts a step that a connection took, as [`MemoryAccount::note`] does.
    pub fn count(&self, step: MemoryStep) {
        let counts = &self.0.counts;
        let count = match step {
            MemoryStep::None | MemoryStep::Strict => return,
            MemoryStep::Pause => &counts.paused,
            MemoryStep::Refuse => &counts.refused,
            MemoryStep::Shed => &counts.shed,
            MemoryStep::Close => &counts.closed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Creates an alarm for another resource of the process, such as file handles.
    /// While it is on, streams that wait for their peer are ended sooner
    /// ([`MemoryStep::Strict`]).
    ///
    /// ```
    /// use lacewing_conn::driver::{MemoryBudget, MemoryStep};
    ///
    /// let budget = MemoryBudget::new(64 << 20);
    /// let handles = budget.alarm();
    /// handles.set(true);
    /// assert_eq!(budget.step(), MemoryStep::Strict);
    /// drop(handles);
    /// assert_eq!(budget.step(), MemoryStep::None);
    /// ```
    pub fn alarm(&self) -> Alarm {
        Alarm {
            budget: self.clone(),
            on: AtomicUsize::new(0),
        }
    }

    /// Opens the account of a connection, which holds nothing yet. The driver does
    /// so for each of its connections; call it for those of other libraries.
    pub fn open_account(&self) -> MemoryAccount {
        MemoryAccount::open(self.clone())
    }

    /// Returns `true` if a connection that holds this much must free memory, or take no more. It
    /// then holds more than its share: half of the capacity in equal parts. Before
    /// [`MemoryStep::Close`], 64 KiB are never more than that.
    pub fn is_above_share(&self, held: usize) -> bool {
        let connections = self.0.connections.load(Ordering::Relaxed).max(1);
        let share = self.0.capacity / 2 / connections;
        let least = match self.step() {
            MemoryStep::Close => 0,
            _ => LEAST_SHARE,
        };
        held > share.max(least)
    }

    /// Returns `true` from 95 %: connections that were ordered to end are not gone yet, and what is
    /// read now may need more than is left. Reads wait for these, for two seconds at most.
    pub(super) fn is_full(&self) -> bool {
        is_part(self.held(), self.0.capacity, FULL_AT)
    }

    /// Orders the costliest connections to free memory, as far as the step asks for
    /// it and earlier orders do not free enough.
    fn relieve(&self) {
        let step = self.step();
        if step < MemoryStep::Shed {
            return;
        }
        let members = self.members();
        let mut leaving = 0_usize;
        let mut shedding = false;
        for (_, member) in members.iter() {
            match member.order() {
                Some(MemoryOrder::Close) => leaving = leaving.saturating_add(member.held()),
                Some(MemoryOrder::Shed) => shedding = true,
                None => {}
            }
        }
        // Frees more than is needed: otherwise the next order follows at once.
        let enough = self.0.capacity / 100 * CLOSED_TO;
        let close = self.step_without(leaving) >= MemoryStep::Close;
        while close && self.held().saturating_sub(leaving) > enough {
            let costliest = members
                .iter()
                .map(|(_, member)| member)
                .filter(|member| member.order() != Some(MemoryOrder::Close))
                .max_by_key(|member| member.held());
            let Some(member) = costliest.filter(|member| member.held() > 0) else {
                return;
            };
            leaving = leaving.saturating_add(member.held());
            member.give(MemoryOrder::Close);
        }
        if shedding || self.step_without(leaving) < MemoryStep::Shed {
            return;
        }
        let costliest = members
            .iter()
            .map(|(_, member)| member)
            .filter(|member| member.order().is_none() && member.may_shed())
            .max_by_key(|member| member.held());
        if let Some(member) = costliest {
            member.give(MemoryOrder::Shed);
        }
    }

    fn step_without(&self, leaving: usize) -> MemoryStep {
        MemoryStep::at(self.held().saturating_sub(leaving), self.0.capacity)
    }

    fn members(&self) -> MutexGuard<'_, Slab<Arc<Member>>> {
        self.0
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStep {
    /// Returns the step for `held` bytes of a capacity.
    fn at(held: usize, capacity: usize) -> Self {
        let reached = |percent| is_part(held, capacity, percent);
        if !reached(PAUSE_AT) {
            Self::None
        } else if !reached(REFUSE_AT) {
            Self::Pause
        } else if !reached(SHED_AT) {
            Self::Refuse
        } else if !reached(CLOSE_AT) {
            Self::Shed
        } else {
            Self::Close
        }
    }
}

/// Returns `true` if `held` is so many hundredths of a capacity, or more.
fn is_part(held: usize, capacity: usize, percent: u64) -> bool {
    let held = u64::try_from(held).unwrap_or(u64::MAX).saturating_mul(100);
    let capacity = u64::try_from(capacity).unwrap_or(u64::MAX);
    held >= capacity.saturating_mul(percent)
}

impl MemoryReport {
    /// Creates the report of a step under the limit of the process.
    pub fn of_budget(step: MemoryStep, budget: &MemoryBudget) -> Self {
        Self {
            step,
            limit: "memory_budget",
            held: budget.held(),
            capacity: budget.capacity(),
        }
    }
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::global()
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBudget")
            .field("capacity", &self.0.capacity)
            .field("stats", &self.stats())
            .finish()
    }
}

/// Reports that another resource runs short; made by [`MemoryBudget::alarm`]. Dropping
/// it turns it off.
#[derive(Debug)]
pub struct Alarm {
    budget: MemoryBudget,
    on: AtomicUsize,
}

impl Alarm {
    /// Turns the alarm on or off.
    pub fn set(&self, on: bool) {
        let on = usize::from(on);
        // Most calls change nothing.
        if self.on.load(Ordering::Relaxed) == on {
            return;
        }
        let before = self.on.swap(on, Ordering::Relaxed);
        let alarms = &self.budget.0.alarms;
        match (before, on) {
            (0, 1) => alarms.fetch_add(1, Ordering::Relaxed),
            (1, 0) => alarms.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: usize = 100 << 17;

    /// An account that holds so many hundredths of the capacity.
    fn account(budget: &MemoryBudget, percent: usize) -> MemoryAccount {
        let mut account = budget.open_account();
        account.report(CAPACITY / 100 * percent);
        account
    }

    #[test]
    fn steps_follow_the_held_bytes() {
        let budget = MemoryBudget::new(CAPACITY);
        let mut all = budget.open_account();
        let steps = [
            (64, MemoryStep::None),
            (65, MemoryStep::Pause),
            (72, MemoryStep::Refuse),
            (78, MemoryStep::Shed),
            (85, MemoryStep::Close),
            (110, MemoryStep::Close),
            (1, MemoryStep::None),
        ];
        for (percent, step) in steps {
            all.report(CAPACITY / 100 * percent);
            assert_eq!(budget.step(), step, "{percent}");
        }
        drop(all);
        assert_eq!(budget.stats(), MemoryStats::default());
    }

    #[test]
    fn the_costliest_connection_is_closed_and_only_that() {
        let budget = MemoryBudget::new(CAPACITY);
        let (small, large, middle) = (
            account(&budget, 5),
            account(&budget, 45),
            account(&budget, 25),
        );
        assert_eq!(large.order(), None);
        let late = account(&budget, 12);
        let orders = [&small, &large, &middle, &late].map(MemoryAccount::order);
        assert_eq!(orders, [None, Some(MemoryOrder::Close), None, None]);
        // The memory that it will free is enough: no other connection is closed.
        let more = account(&budget, 2);
        assert_eq!(middle.order(), None);
        drop(large);
        assert_eq!(budget.step(), MemoryStep::None);
        drop(more);
    }

    #[test]
    fn as_many_go_as_are_needed_at_once() {
        let budget = MemoryBudget::new(CAPACITY);
        let accounts: Vec<_> = (0..10).map(|_| account(&budget, 7)).collect();
        let last = account(&budget, 20);
        let closed = |account: &&MemoryAccount| account.order() == Some(MemoryOrder::Close);
        // 90 of 100 are held: without the last one 70 are.
        assert!(closed(&&last));
        assert_eq!(accounts.iter().filter(closed).count(), 0);
        let other = account(&budget, 20);
        assert!(closed(&&other));
    }

    #[test]
    fn a_stream_is_shed_by_one_connection_after_another() {
        let budget = MemoryBudget::new(CAPACITY);
        let (mut first, second) = (account(&budget, 41), account(&budget, 38));
        assert_eq!(first.order(), Some(MemoryOrder::Shed));
        assert_eq!(second.order(), None);
        // It has no stalled stream.
        first.finish_order(0);
        assert_eq!(
            (first.order(), second.order()),
            (None, Some(MemoryOrder::Shed))
        );
        second.note(MemoryStep::Shed);
        assert_eq!(budget.stats().shed, 1);
    }

    #[test]
    fn a_connection_is_woken_for_its_order() {
        use std::task::{Wake, Waker};

        #[derive(Default)]
        struct Count(AtomicUsize);

        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }

        let budget = MemoryBudget::new(CAPACITY);
        let woken = Arc::new(Count::default());
        let costly = account(&budget, 60);
        costly.register(&Waker::from(Arc::clone(&woken)));
        let _more = account(&budget, 26);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn only_those_above_their_share_are_paused() {
        let budget = MemoryBudget::new(CAPACITY);
        let costly = account(&budget, 60);
        let others: Vec<_> = (0..4).map(|_| account(&budget, 2)).collect();
        assert_eq!(budget.step(), MemoryStep::Pause);
        assert!(costly.is_above_share());
        assert!(others.iter().all(|other| !other.is_above_share()));
    }

    #[test]
    fn several_alarms_are_counted() {
        let budget = MemoryBudget::new(CAPACITY);
        let alarms = [budget.alarm(), budget.alarm()];
        for alarm in &alarms {
            alarm.set(true);
            alarm.set(true);
        }
        alarms[0].set(false);
        assert_eq!(budget.step(), MemoryStep::Strict);
        alarms[1].set(false);
        assert_eq!(budget.step(), MemoryStep::None);
    }
}
