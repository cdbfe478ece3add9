//! CPU time of this process.

use std::fs;
use std::time::Duration;

/// CPU time that all threads of this process have used so far, as the scheduler
/// counts it (nanoseconds, not ticks). `None` if the kernel has no figures.
pub fn used() -> Option<Duration> {
    let mut nanoseconds = 0_u64;
    for thread in fs::read_dir("/proc/self/task").ok()? {
        let path = thread.ok()?.path().join("schedstat");
        let text = fs::read_to_string(path).ok()?;
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}
