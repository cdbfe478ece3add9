//! The tokio runtime, the same for every program.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// One thread: the current one, nothing shared. More: that many workers.
///
/// # Errors
///
/// The operating system's error when it starts no more threads.
pub fn build(threads: usize) -> io::Result<Runtime> {
    if threads <= 1 {
        return Builder::new_current_thread().enable_all().build();
    }
    Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
}
