//! A service behind the facade, with a client on the engine: every test of an exchange runs on all
//! four versions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod advertisements;
mod bodies;
mod connect;
mod failures;
mod gone;
mod half_close;
#[cfg(feature = "http1")]
mod http1;
#[cfg(feature = "http1")]
mod http1_stats;
#[cfg(feature = "http1")]
mod http1_waits;
mod interim;
mod layers;
mod lengths;
mod malformed;
#[cfg(feature = "http1")]
mod memory;
mod messages;
mod peer;
mod push;
mod requests;
mod reservations;
mod router;
mod stop;
mod websocket;
