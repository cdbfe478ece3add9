//! The limits of a side, mostly the default; some hardly allow anything.

use std::time::Duration;

use lacewing_client::{ConnectionConfig, HeaderCompression, MemoryBudget, Side};

use crate::{
    ledger::Weather,
    seeds::{Rng, tighten},
};

pub(crate) fn config(
    side: Side,
    budget: &MemoryBudget,
    weather: Weather,
    rng: &mut Rng,
) -> ConnectionConfig {
    let compression = rng.one_of(&[
        HeaderCompression::Zlib(6),
        HeaderCompression::WholeField,
        HeaderCompression::Stored,
    ]);
    ConnectionConfig::new(side).with(|config| {
        config.header_compression = compression;
        config.memory_budget = budget.clone();
        match weather {
            Weather::Calm => {}
            // Long enough for every plan.
            Weather::Leaving => config.limits.drain_timeout = Duration::from_secs(3600),
            Weather::Storm => {
                for _ in 0..rng.one_of(&[0, 0, 1, 3, 20]) {
                    tighten(&mut config.limits, rng);
                }
                // Two engines without programs would never become idle with these.
                let time = Duration::from_millis(1 << rng.below(15));
                if rng.chance(5) {
                    config.limits.idle_timeout = Some(time);
                }
                if rng.chance(5) {
                    config.limits.keep_alive_interval = Some(time);
                }
            }
        }
    })
}
