//! The client over HTTP/1.1: with our server, and with servers that misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod exchanges;
mod hostile;
mod layers;
mod negotiation;
mod pool;
mod required;
mod script;
#[path = "../support/lib.rs"]
mod support;
