//! The limits of a side, mostly the default; some hardly allow anything.

use std::time::Duration;

use lacewing_client::{ConnectionConfig, HeaderCompression, Limits, MemoryBudget, Side};

use crate::{ledger::Weather, rng::Rng};

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
            }
        }
    })
}

fn tighten(limits: &mut Limits, rng: &mut Rng) {
    let few = rng.below(4);
    let size = 1 + rng.below(200);
    let time = Duration::from_millis(1 << rng.below(15));
    let (small, short) = (few as u32, size as u32);
    match rng.below(29) {
        0 => limits.max_concurrent_streams = small,
        1 => limits.max_pushed_streams = small,
        2 => limits.stream_window = short,
        3 => limits.connection_window = short * 100,
        4 => limits.max_stream_window = short * 100,
        5 => limits.max_connection_window = short * 100,
        6 => limits.max_buffered_bytes = size * 10,
        7 => limits.header_table_size = short,
        8 => limits.encoder_table_size = short,
        9 => limits.max_header_list_size = size * 4,
        10 => limits.max_header_fields = few + 4,
        11 => limits.max_held_headers = size,
        12 => limits.max_output_backlog = size,
        13 => limits.cut_ahead = size,
        14 => limits.resets.burst = small,
        15 => limits.glitches.burst = small,
        16 => limits.max_unsent_bytes = size * 100,
        17 => limits.preface_timeout = time,
        18 => limits.settings_timeout = time,
        19 => limits.drain_timeout = time,
        20 => limits.upload_linger = Duration::ZERO,
        21 => limits.frame_timeout = time,
        22 => limits.body_timeout = time,
        23 => limits.stall_timeout = time,
        24 => limits.write_stall_timeout = time,
        25 => limits.max_connection_age = Some(time * 10),
        26 => limits.idle_timeout = Some(time),
        27 => limits.keep_alive_interval = Some(time),
        _ => limits.max_stalled_streams = small,
    }
}
