//! HTTP/2 frames: one test program, a module for each concern.
#![cfg(feature = "http2")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[path = "http2/blocks.rs"]
mod blocks;
#[path = "http2/garbage.rs"]
mod garbage;
#[path = "http2/golden.rs"]
mod golden;
#[path = "http2/limits.rs"]
mod limits;
#[path = "http2/rules.rs"]
mod rules;
#[path = "http2/support.rs"]
mod support;
#[path = "http2/vector.rs"]
mod vector;
#[path = "http2/vectors.rs"]
mod vectors;
