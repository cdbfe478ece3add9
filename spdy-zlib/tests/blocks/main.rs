//! Header blocks in both directions: one test program, a module for each concern.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod crime;
mod dictionary;
mod hostile;
mod inflater;
mod sequences;
mod trace;
mod units;
mod vectors;
mod whole_field;
