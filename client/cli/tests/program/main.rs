//! The program `lacewing` against servers on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod dialling;
mod foreign;
mod get;
mod load;
#[cfg(unix)]
mod pipes;
#[path = "../../../tests/support/lib.rs"]
mod support;
