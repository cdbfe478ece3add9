//! Schedules of whole programs: a client and a server of this project, over a pipe in memory, in
//! tokio's paused time. A seed chooses the protocol, the limits, the exchanges and the faults:
//! transports that break at any byte, delays, futures and bodies that are dropped, handlers that
//! panic, bodies that fail, shutdowns of either side. Whatever happens, every request has one
//! outcome, every body that ended well is whole, and nothing is left.
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
mod rng;
mod schedule;
mod server;
mod transport;

use std::{
    env,
    panic::{self, AssertUnwindSafe},
    str::FromStr,
};

use schedule::Schedule;

/// The first seed.
const SEED: &str = "LACEWING_SEED";

/// The number of schedules.
const COUNT: &str = "LACEWING_SCHEDULES";

#[test]
fn every_schedule_ends_and_leaves_nothing() {
    let (first, count): (u64, u64) = (variable(SEED, 0), variable(COUNT, 150));
    content::silence_planned_panics();
    let mut failed = 0;
    for seed in first..first.saturating_add(count) {
        let run = AssertUnwindSafe(|| Schedule::new(seed).run(count == 1));
        if panic::catch_unwind(run).is_err() {
            println!("cargo xtask schedules --facades --count 1 --seed {seed}");
            failed += 1;
            // More of them rarely say more.
            if failed == 10 {
                break;
            }
        }
    }
    assert!(
        failed == 0,
        "{failed} schedules failed; the commands above repeat them"
    );
}

fn variable<T: FromStr>(name: &str, default: T) -> T {
    let value = env::var(name).ok().map(|value| value.parse().ok());
    value.map_or(default, |value| value.expect("a number"))
}
