//! Raw streams over every transport, on all four protocols.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::result_large_err,
    missing_docs
)]

mod bulk;
mod chunks;
mod compat;
mod compression;
mod delivery;
mod endings;
mod espdy;
mod exchanges;
mod flow;
mod kinds;
mod peer;
mod support;
mod transports;
#[path = "../driver/watched.rs"]
mod watched;
