//! The pooled client and the program: over loopback, with TLS and without, and
//! over connectors in memory whose servers come and go.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[cfg(feature = "cli")]
mod cli;
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
#[cfg(all(feature = "cli", unix))]
mod pipes;
mod retry;
#[path = "../support/lib.rs"]
mod support;
