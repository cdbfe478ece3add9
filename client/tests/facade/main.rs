//! The client in the view of its users, on all four protocols. The tests cover permitted fields,
//! uploads that fail, the user's own transports, TLS from files, and tower's layers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[cfg(feature = "tls")]
mod certificates;
mod dialling;
mod fields;
mod layers;
#[path = "../support/lib.rs"]
mod support;
mod uploads;
