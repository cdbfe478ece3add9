//! Schedules with faults: two engines in virtual time; a seed chooses their users, transports and
//! limits. Handlers panic, bodies fail, handles are dropped, and transports break at any byte,
//! stall or deliver late. Every stream and every wait must still end, and nothing may remain.
//!
//! `cargo xtask schedules` runs many; it sets the two variables.

mod found;
mod node;
mod schedule;
mod transport;
mod user;

use schedule::Schedule;

use crate::seeds::run_seeds;

#[test]
fn every_schedule_ends_and_leaves_nothing() {
    run_seeds("cargo xtask schedules", 2_000, |seed, verbose| {
        Schedule::new(seed).run(verbose);
    });
}
