//! The connections of a server: counted, capped, and the idle ones shut down
//! to make room.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use lacewing_conn::driver::{Alarm, MemoryBudget, facade::wakers};
use slab::Slab;
use tokio::sync::Notify;

/// The cap where the system names no limit of descriptors.
const DEFAULT_MAX: usize = 10_000;

/// One connection in this many is shut down at once: a flood of connections must not wait for a
/// GOAWAY round trip each.
const SHARE: usize = 4;

/// Waits for peers become short when less than one in this many open is free.
const NEARLY_FULL: usize = 8;

/// The `used` of a connection with a request under way.
const BUSY: u64 = 0;

/// All connections of a server's listeners.
#[derive(Clone, Debug)]
pub(crate) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: usize,
    /// Counts the connections: a clock that its readers can read without cost.
    turn: AtomicU64,
    open: Mutex<Slab<Weak<Taken>>>,
    left: Notify,
    /// Nearly as many are open as may be.
    near_capacity: Alarm,
    /// The machine has no descriptors left.
    exhausted: Alarm,
}

impl Connections {
    pub(crate) fn new(max: usize, budget: &MemoryBudget) -> Self {
        Self(Arc::new(Shared {
            near_capacity: budget.alarm(),
            exhausted: budget.alarm(),
            max: max.max(1),
            turn: AtomicU64::new(BUSY),
            open: Mutex::default(),
            left: Notify::new(),
        }))
    }

    pub(crate) fn max(&self) -> usize {
        self.0.max
    }

    /// Takes a place; `None` if all are taken.
    pub(crate) fn enter(&self) -> Option<Place> {
        let mut open = self.0.open();
        if open.len() >= self.0.max {
            return None;
        }
        let number = self.0.turn.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let entry = open.vacant_entry();
        let taken = Arc::new(Taken {
            number,
            key: u32::try_from(entry.key()).unwrap_or(u32::MAX),
            used: AtomicU64::new(number),
            leave: AtomicBool::new(false),
            waker: Mutex::default(),
            shared: Arc::clone(&self.0),
        });
        entry.insert(Arc::downgrade(&taken));
        self.0.watch(&open);
        Some(Place(taken))
    }

    /// Asks the connections that are idle longest to leave, unless some are
    /// leaving already. Returns whether any will.
    pub(crate) fn make_room(&self) -> bool {
        // Dropped after the lock, which the last reference to a place takes.
        let all: Vec<Arc<Taken>>;
        let open = self.0.open();
        all = open
            .iter()
            .filter_map(|(_, taken)| taken.upgrade())
            .collect();
        if all.iter().any(|taken| taken.is_leaving()) {
            return true;
        }
        // A connection that was used since the last one was accepted has the same
        // turn as that one, and is the newer of both.
        let mut idle: Vec<_> = all
            .iter()
            .map(|taken| (taken.used.load(Ordering::Relaxed), taken.number, taken))
            .filter(|(used, _, taken)| *used != BUSY && !taken.leave.load(Ordering::Relaxed))
            .map(|(used, number, taken)| ((used, used != number, number), taken))
            .collect();
        let count = (self.0.max / SHARE).max(1).min(idle.len());
        if count < idle.len() {
            idle.select_nth_unstable_by_key(count, |(order, _)| *order);
        }
        for (_, taken) in idle.iter().take(count) {
            taken.leave.store(true, Ordering::Release);
            let waker = taken.waker.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waker) = &*waker {
                waker.wake_by_ref();
            }
        }
        count > 0
    }

    /// Notes whether the machine has run out of what a connection needs.
    pub(crate) fn note_exhausted(&self, exhausted: bool) {
        self.0.exhausted.set(exhausted);
    }

    /// Completes when a connection leaves.
    pub(crate) async fn one_left(&self) {
        self.0.left.notified().await;
    }
}

impl Shared {
    fn watch(&self, open: &Slab<Weak<Taken>>) {
        let few = (self.max / NEARLY_FULL).max(1);
        self.near_capacity
            .set(open.len().saturating_add(few) >= self.max);
    }

    fn open(&self) -> MutexGuard<'_, Slab<Weak<Taken>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection. It is free again after the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Place(Arc<Taken>);

struct Taken {
    number: u64,
    /// Where `Shared::open` has it.
    key: u32,
    /// The turn in which the connection was last seen idle, or [`BUSY`].
    used: AtomicU64,
    leave: AtomicBool,
    waker: Mutex<Option<Waker>>,
    shared: Arc<Shared>,
}

impl Taken {
    /// It is asked to leave, and has no request that keeps it.
    fn is_leaving(&self) -> bool {
        self.leave.load(Ordering::Relaxed) && self.used.load(Ordering::Relaxed) != BUSY
    }
}

impl Place {
    pub(crate) fn max(&self) -> usize {
        self.0.shared.max
    }

    /// Notes whether a request is under way.
    pub(crate) fn note(&self, idle: bool) {
        let relaxed = Ordering::Relaxed;
        let used = match idle {
            true => self.0.shared.turn.load(relaxed),
            false => BUSY,
        };
        let last = &self.0.used;
        // Most polls change nothing; a read keeps the cache line shared.
        if last.load(relaxed) != used {
            last.store(used, relaxed);
        }
    }

    /// Ready once the connection has to make room. The task's waker is registered if it has
    /// `moved` since the last call.
    pub(crate) fn poll_leave(&self, cx: &Context<'_>, moved: bool) -> Poll<()> {
        if moved {
            let waker = self.0.waker.lock();
            *waker.unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        }
        match self.0.leave.load(Ordering::Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Completes once the connection has to make room.
    pub(crate) async fn leave(&self) {
        let mut seen = None;
        std::future::poll_fn(|cx| {
            let moved = wakers::register_new(&mut seen, cx.waker());
            self.poll_leave(cx, moved)
        })
        .await;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut open = self.shared.open();
        open.try_remove(self.key as usize);
        self.shared.watch(&open);
        drop(open);
        self.shared.left.notify_one();
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.0.number).finish()
    }
}

/// The default cap: five eighths of the descriptors that the system grants. The
/// rest is for files, and for what handlers connect to.
pub(crate) fn default_max() -> usize {
    #[cfg(unix)]
    {
        let granted = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let granted = granted.and_then(|granted| usize::try_from(granted).ok());
        granted.map_or(DEFAULT_MAX, |granted| {
            (granted / 8).saturating_mul(5).max(1)
        })
    }
    #[cfg(not(unix))]
    DEFAULT_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(place: &Place) -> bool {
        let cx = Context::from_waker(Waker::noop());
        place.poll_leave(&cx, true).is_ready()
    }

    #[test]
    fn the_longest_idle_connection_leaves_first() {
        let connections = Connections::new(3, &MemoryBudget::new(1 << 30));
        let open: Vec<_> = (0..3).map_while(|_| connections.enter()).collect();
        assert!(connections.enter().is_none());
        // The first is the newest now, and the second is busy.
        open[0].note(true);
        open[1].note(false);
        assert!(connections.make_room());
        assert_eq!(
            open.iter().map(asked).collect::<Vec<_>>(),
            [false, false, true]
        );
        // It is on its way: no other has to go.
        assert!(connections.make_room());
        assert!(!asked(&open[0]));
    }

    #[test]
    fn no_busy_connection_leaves() {
        let connections = Connections::new(1, &MemoryBudget::new(1 << 30));
        let place = connections.enter().unwrap();
        place.note(false);
        assert!(!connections.make_room() && !asked(&place));
        drop(place);
        assert!(connections.enter().is_some());
    }

    #[test]
    fn waits_become_short_while_nearly_all_places_are_taken() {
        use lacewing_conn::driver::MemoryStep;

        let budget = MemoryBudget::new(1 << 30);
        let connections = Connections::new(16, &budget);
        let mut open: Vec<_> = (0..13).map_while(|_| connections.enter()).collect();
        assert_eq!(budget.step(), MemoryStep::None);
        open.extend(connections.enter());
        assert_eq!(budget.step(), MemoryStep::Strict);
        open.pop();
        assert_eq!(budget.step(), MemoryStep::None);
        connections.note_exhausted(true);
        assert_eq!(budget.step(), MemoryStep::Strict);
        drop((open, connections));
        assert_eq!(budget.step(), MemoryStep::None);
    }
}
