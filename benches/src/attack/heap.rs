//! Live heap bytes and their peak: the system's allocator, counting.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counting live bytes and their peak.
#[derive(Debug)]
pub struct Peak;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Bytes allocated and not freed.
pub(crate) fn live() -> usize {
    LIVE.load(Relaxed)
}

/// The most live bytes since the last [`restart`].
pub(crate) fn peak() -> usize {
    PEAK.load(Relaxed)
}

/// Makes the live bytes of now the peak.
pub(crate) fn restart() {
    PEAK.store(live(), Relaxed);
}

fn add(size: usize) {
    let now = LIVE.fetch_add(size, Relaxed) + size;
    if now > PEAK.load(Relaxed) {
        PEAK.fetch_max(now, Relaxed);
    }
}

fn remove(size: usize) {
    LIVE.fetch_sub(size, Relaxed);
}

// SAFETY: every call goes to `System` with its arguments unchanged; the
// counters are atomics and never allocate.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Peak {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        remove(layout.size());
        // SAFETY: `pointer` came from `System` with this `layout`, as all of ours.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        remove(layout.size());
        add(new_size);
        // SAFETY: `pointer` came from `System` with this `layout`, as all of ours.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
