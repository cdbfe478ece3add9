//! What a user of the client meets: what may be sent and what becomes of
//! uploads that go wrong, on all four protocols; transports of the user's own
//! making, TLS from files, and tower's layers.

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
