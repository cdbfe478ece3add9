//! The budget that the growing windows of many connections share.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A budget of bytes that many connections share: their receive windows may grow
/// by no more than this, all together. It bounds the process against many
/// connections that each stay within their own limits.
///
/// ```
/// use lacewing_conn::proto::WindowPool;
///
/// let pool = WindowPool::new(64 << 20);
/// assert_eq!((pool.used(), pool.capacity()), (0, 64 << 20));
/// ```
#[derive(Clone, Debug)]
pub struct WindowPool(Arc<PoolState>);

#[derive(Debug)]
struct PoolState {
    capacity: usize,
    used: AtomicUsize,
}

impl WindowPool {
    /// The capacity of the pool that connections share unless they are given
    /// another: 256 MiB.
    pub const GLOBAL_CAPACITY: usize = 256 << 20;

    /// A pool of its own.
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(PoolState {
            capacity,
            used: AtomicUsize::new(0),
        }))
    }

    /// Bytes that windows may grow by, all together.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Bytes that they have grown by.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self, bytes: usize) -> bool {
        let taken = self
            .0
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes)
                    .filter(|sum| *sum <= self.0.capacity)
            });
        taken.is_ok()
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
