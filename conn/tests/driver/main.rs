//! The connection's task: its polls, reads and writes, the calls to its application, and the bodies
//! of received messages.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::large_enum_variant,
    missing_docs
)]

mod application;
mod contents;
#[cfg(unix)]
mod fairness;
mod lateness;
mod memory;
mod short_memory;
mod support;
mod turns;
mod watched;
