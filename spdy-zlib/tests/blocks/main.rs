//! Header blocks in both directions: one test program, a module for each concern.
//!
//! Miri is a thousand times slower: tests that need a deflater or more than a window are not built for
//! it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[cfg(not(miri))]
mod crime;
mod dictionary;
mod hostile;
#[cfg(not(miri))]
mod idle;
mod inflater;
#[cfg(not(miri))]
mod sequences;
mod trace;
mod units;
mod vectors;
mod whole_field;
