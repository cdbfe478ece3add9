//! The reverse proxy of `lacewingd`, between real clients and real upstreams.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod attacker;
mod events;
mod exchanges;
mod failures;
mod peers;
#[path = "../lacewingd/program.rs"]
#[allow(dead_code, reason = "the other test program uses all of it")]
mod program;
mod reasons;
mod recorder;
mod reloads;
mod reverse;
mod setups;
mod smuggling;
mod websockets;
