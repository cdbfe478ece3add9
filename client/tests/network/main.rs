//! The pooled client: over loopback, with TLS and without, and over connectors
//! in memory, with servers that start and end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[cfg(feature = "tls")]
mod client;
mod foreign;
mod go_away;
#[cfg(feature = "h2c")]
mod h2c;
mod keepalive;
#[cfg(feature = "npn")]
mod npn;
mod persistence;
mod retry;
#[path = "../support/lib.rs"]
mod support;
