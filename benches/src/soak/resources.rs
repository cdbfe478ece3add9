//! The resources of a process: heap, descriptors, tasks.

use std::{fmt, fs};

use tokio::runtime::Handle;

use crate::allocations::Counts;

/// Bytes of read and write buffers that each thread keeps for its connections, at most: 16
/// of 64 KiB and 32 of 16 KiB (`driver::buffers`). Mixed traffic needs few of them at once; bulk
/// on many streams fills the pool, and the pool stays full when its connection is gone.
const POOLED: u64 = 16 * (64 << 10) + 32 * (16 << 10);

/// Heap that may be left, in bytes: the pools of the two threads, and a little for tables that
/// grew. A leak of 20 bytes a connection shows in minutes all the same.
const TOLERANCE: u64 = 2 * POOLED + (256 << 10);

/// The resources of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resources {
    heap: u64,
    resident: u64,
    descriptors: usize,
    tasks: usize,
}

impl Resources {
    pub(super) fn now() -> Self {
        let descriptors = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = statm.split_whitespace().nth(1);
        Self {
            heap: Counts::now().live_bytes,
            resident: pages
                .and_then(|pages| pages.parse::<u64>().ok())
                .unwrap_or(0)
                * 4096,
            descriptors,
            tasks: Handle::current().metrics().num_alive_tasks(),
        }
    }

    /// Nothing is left since `before`.
    pub(super) fn is_back_at(self, before: Self) -> bool {
        self.heap <= before.heap + TOLERANCE
            && self.descriptors <= before.descriptors
            && self.tasks <= before.tasks
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} KiB of heap ({} KiB resident), {} descriptors, {} tasks",
            self.heap >> 10,
            self.resident >> 10,
            self.descriptors,
            self.tasks
        )
    }
}
