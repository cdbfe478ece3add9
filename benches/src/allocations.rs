//! Heap allocations, counted: a [`Counting`] allocator around the system's.
//!
//! The bench servers install it with the feature `count-allocations` only: two
//! atomic additions an allocation would show in the figures.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The system's allocator, counting.
#[derive(Debug)]
pub struct Counting;

/// The counts since the program's start; all zero if [`Counting`] is not the
/// global allocator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Calls that allocated: `alloc`, `alloc_zeroed`, and `realloc`.
    pub allocations: u64,
    /// Bytes asked for by these calls (of a `realloc`, the new size).
    pub bytes: u64,
    /// Bytes allocated and not freed yet.
    pub live_bytes: u64,
}

impl Counts {
    /// The counts now.
    pub fn now() -> Counts {
        Counts {
            allocations: ALLOCATIONS.load(Relaxed),
            bytes: BYTES.load(Relaxed),
            live_bytes: BYTES_LIVE.load(Relaxed),
        }
    }
}

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static BYTES_LIVE: AtomicU64 = AtomicU64::new(0);

fn count(size: usize) {
    ALLOCATIONS.fetch_add(1, Relaxed);
    BYTES.fetch_add(size as u64, Relaxed);
    BYTES_LIVE.fetch_add(size as u64, Relaxed);
}

fn uncount(size: usize) {
    BYTES_LIVE.fetch_sub(size as u64, Relaxed);
}

// SAFETY: every call goes to `System` with its arguments unchanged; the
// counters are atomics and never allocate.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        uncount(layout.size());
        // SAFETY: `pointer` came from `System` with this `layout`, as all of ours.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        uncount(layout.size());
        count(new_size);
        // SAFETY: `pointer` came from `System` with this `layout`, as all of ours.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
