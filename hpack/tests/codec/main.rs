//! HPACK in both directions: one test program, a module for each concern.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod appendix_c;
mod decoder;
mod encoder;
mod own_stories;
mod random;
mod stories;
mod story;
