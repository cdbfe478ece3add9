//! One connection at a time, mostly over a pipe in memory. Every test of an exchange runs on all
//! four protocols.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod advertisements;
mod concurrency;
mod exchanges;
#[path = "../../examples/proxy/forward.rs"]
mod forward;
mod informational;
mod lifecycle;
mod no_content;
mod proxy;
mod push_rules;
mod pushes;
mod ranges;
mod reverse_tunnel;
#[path = "../support/lib.rs"]
mod support;
mod tunnels;
mod with_server;
