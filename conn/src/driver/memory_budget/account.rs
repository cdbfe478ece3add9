//! The account of one connection in the budget of its process.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::Waker,
};

use super::{MemoryBudget, MemoryStep};

/// Bytes by which a figure must change before it is reported. With less, each small request would
/// cost an atomic operation on a line that all threads share.
const MOVED: usize = 8 << 10;

/// The bytes of a connection, as its budget knows them; made by
/// [`MemoryBudget::open_account`]. Dropping it returns all.
///
/// ```
/// use lacewing_conn::driver::{MemoryBudget, facade::MemoryOrder};
///
/// let budget = MemoryBudget::new(64 << 20);
/// let mut account = budget.open_account();
/// account.report(63 << 20);
/// assert_eq!(account.order(), Some(MemoryOrder::Close));
/// drop(account);
/// assert_eq!(budget.held(), 0);
/// ```
pub struct MemoryAccount {
    budget: MemoryBudget,
    key: usize,
    member: Arc<Member>,
    reported: usize,
}

/// A budget's order to the connection that costs most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryOrder {
    /// End the costliest stream that stands still.
    Shed,
    /// End the connection.
    Close,
}

/// The part of an account that the budget sees.
#[derive(Debug)]
pub(super) struct Member {
    held: AtomicUsize,
    order: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

/// The values of [`Member::order`].
const NONE: u8 = 0;
const SHED: u8 = 1;
const CLOSE: u8 = 2;
/// No stream stands still: the connection gets no order to shed until its figure has
/// changed.
const BARREN: u8 = 3;

impl Member {
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn order(&self) -> Option<MemoryOrder> {
        match self.order.load(Ordering::Acquire) {
            SHED => Some(MemoryOrder::Shed),
            CLOSE => Some(MemoryOrder::Close),
            _ => None,
        }
    }

    pub(super) fn may_shed(&self) -> bool {
        self.order.load(Ordering::Relaxed) != BARREN
    }

    pub(super) fn give(&self, order: MemoryOrder) {
        let value = match order {
            MemoryOrder::Shed => SHED,
            MemoryOrder::Close => CLOSE,
        };
        self.order.store(value, Ordering::Release);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }
}

impl MemoryAccount {
    pub(super) fn open(budget: MemoryBudget) -> Self {
        let member = Arc::new(Member {
            held: AtomicUsize::new(0),
            order: AtomicU8::new(NONE),
            waker: Mutex::default(),
        });
        let shared = &budget.0;
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let key = budget.members().insert(Arc::clone(&member));
        Self {
            budget,
            key,
            member,
            reported: 0,
        }
    }

    /// Returns the budget.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Reports the bytes that the connection holds now. Touches nothing shared
    /// unless they differ by 8 KiB or more from the last report.
    #[inline]
    pub fn report(&mut self, held: usize) {
        if held.abs_diff(self.reported) >= MOVED {
            self.store(held);
        }
    }

    fn store(&mut self, held: usize) {
        let before = std::mem::replace(&mut self.reported, held);
        self.member.held.store(held, Ordering::Relaxed);
        let total = &self.budget.0.held;
        if held >= before {
            total.fetch_add(held.saturating_sub(before), Ordering::Relaxed);
        } else {
            total.fetch_sub(before.saturating_sub(held), Ordering::Relaxed);
        }
        let (barren, relaxed) = (BARREN, Ordering::Relaxed);
        let _ = self
            .member
            .order
            .compare_exchange(barren, NONE, relaxed, relaxed);
        // To look at all connections takes time, and less memory needs no new order.
        if held > before {
            self.budget.relieve();
        }
    }

    /// Returns the bytes of the last report.
    pub fn held(&self) -> usize {
        self.reported
    }

    /// Returns the step that the budget takes now.
    #[inline]
    pub fn step(&self) -> MemoryStep {
        self.budget.step()
    }

    /// Returns `true` if the connection holds more than its share of the budget.
    pub fn is_above_share(&self) -> bool {
        self.budget.is_above_share(self.reported)
    }

    /// Returns what the budget orders the connection to do.
    pub fn order(&self) -> Option<MemoryOrder> {
        self.member.order()
    }

    /// Reports that the connection has carried out an order to [shed](MemoryOrder::Shed), and
    /// the bytes that it freed. After 0, another connection gets the order.
    pub fn finish_order(&mut self, freed: usize) {
        let (before, after) = match freed {
            0 => (SHED, BARREN),
            _ => (SHED, NONE),
        };
        let acquire = Ordering::AcqRel;
        let _ = self
            .member
            .order
            .compare_exchange(before, after, acquire, Ordering::Relaxed);
        if freed > 0 {
            self.store(self.reported.saturating_sub(freed));
        }
        self.budget.relieve();
    }

    /// Forgets an order that has no use any more.
    pub fn forget_order(&mut self) {
        self.member.order.store(NONE, Ordering::Release);
    }

    /// Counts a step that this connection took.
    pub fn note(&self, step: MemoryStep) {
        self.budget.count(step);
    }

    /// Sets the waker of the connection's task, which an order wakes.
    pub fn register(&self, waker: &Waker) {
        let slot = self.member.waker.lock();
        *slot.unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }
}

impl Drop for MemoryAccount {
    fn drop(&mut self) {
        let shared = &self.budget.0;
        self.budget.members().try_remove(self.key);
        shared.connections.fetch_sub(1, Ordering::Relaxed);
        shared.held.fetch_sub(self.reported, Ordering::Relaxed);
    }
}

impl fmt::Debug for MemoryAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAccount")
            .field("held", &self.reported)
            .field("order", &self.order())
            .finish_non_exhaustive()
    }
}
