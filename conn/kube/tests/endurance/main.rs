//! Both sides for long and in numbers: a slow reader of much output, many sessions at once, and one
//! after another. `LACEWING_KUBE_FULL=1` makes them as large as a cluster's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod many;
mod slow_reader;
#[path = "../support/waits.rs"]
mod waits;

/// The tests count descriptors and memory of the whole process, so that only one may run.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Returns the size of a test: a part of the full one by default.
fn size(part: usize, full: usize) -> usize {
    match std::env::var_os("LACEWING_KUBE_FULL") {
        Some(_) => full,
        None => part,
    }
}
