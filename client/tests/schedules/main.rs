//! Schedules of whole programs: a client and a server of this project, over a pipe in memory, in
//! tokio's paused time. A seed chooses the protocol, the limits, the exchanges and the faults.
//! Transports break at any byte or delay it, and either side shuts down. Futures and bodies are
//! dropped, handlers panic, and bodies fail. Whatever happens, every request has one outcome, every
//! body that ended well is whole, and nothing is left.
//!
//! `cargo xtask schedules --facades` runs many; it sets the two variables.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod client;
mod content;
mod ledger;
mod limits;
mod plan;
mod schedule;
#[path = "../../../conn/tests/simulation/seeds.rs"]
mod seeds;
mod server;
mod transport;

use schedule::Schedule;
use seeds::run_seeds;

#[test]
fn every_schedule_ends_and_leaves_nothing() {
    content::silence_planned_panics();
    run_seeds("cargo xtask schedules --facades", 150, |seed, verbose| {
        Schedule::new(seed).run(verbose);
    });
}
