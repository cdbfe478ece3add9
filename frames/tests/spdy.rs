//! SPDY frames: one test program, a module for each concern.
#![cfg(feature = "spdy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[path = "spdy/data.rs"]
mod data;
#[path = "spdy/errors.rs"]
mod errors;
#[path = "spdy/garbage.rs"]
mod garbage;
#[path = "spdy/limits.rs"]
mod limits;
#[path = "spdy/support.rs"]
mod support;
// Miri takes minutes to parse the recorded connections.
#[cfg(not(miri))]
#[path = "spdy/transcripts.rs"]
mod transcripts;
#[path = "spdy/vectors.rs"]
mod vectors;
