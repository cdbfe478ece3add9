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
    let (first, count): (u64, u64) = (variable(SEED, 0), variable(COUNT, 2_000));
    for seed in first..first.saturating_add(count) {
        let run = AssertUnwindSafe(|| Schedule::new(seed).run(count == 1));
        if let Err(reason) = panic::catch_unwind(run) {
            println!("cargo xtask schedules --count 1 --seed {seed}");
            panic::resume_unwind(reason);
        }
    }
}

fn variable<T: FromStr>(name: &str, default: T) -> T {
    let value = env::var(name).ok().map(|value| value.parse().ok());
    value.map_or(default, |value| value.expect("a number"))
}
