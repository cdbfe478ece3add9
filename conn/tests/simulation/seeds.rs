//! Seeded schedules: random numbers, tight limits, and the runner that repeats a failed seed.
//! The schedules of `client/tests/schedules` use this file too.

use std::{
    env,
    panic::{self, AssertUnwindSafe},
    str::FromStr,
    time::Duration,
};

use lacewing_conn::Limits;

/// A small generator of pseudo-random numbers, splitmix64: equal seeds give equal scripts.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    /// Neighbouring seeds give numbers that have nothing in common.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `below` - 1.
    pub(crate) fn below(&mut self, below: usize) -> usize {
        (self.next() % below as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Makes one limit so small that it permits almost nothing.
pub(crate) fn tighten(limits: &mut Limits, rng: &mut Rng) {
    let few = rng.below(4);
    let size = 1 + rng.below(200);
    let time = Duration::from_millis(1 << rng.below(15));
    let (small, short) = (few as u32, size as u32);
    match rng.below(34) {
        0 => limits.max_concurrent_streams = small,
        1 => limits.max_pushed_streams = small,
        2 => limits.stream_window = short,
        3 => limits.connection_window = short,
        4 => limits.max_stream_window = short * 100,
        5 => limits.max_connection_window = short * 100,
        6 => limits.max_buffered_bytes = size,
        7 => limits.header_table_size = short,
        8 => limits.encoder_table_size = short,
        9 => limits.max_header_list_size = size * 2,
        10 => limits.max_header_fields = few + 1,
        11 => limits.max_held_headers = size,
        12 => limits.max_continuations = few,
        13 => limits.max_settings_entries = few,
        14 => limits.max_output_backlog = size,
        15 => limits.cut_ahead = size,
        16 => limits.resets.burst = small,
        17 => limits.glitches.burst = small,
        18 => limits.max_remembered_resets = few,
        19 => limits.max_skipped_ids = few,
        20 => limits.late_frames = small,
        21 => limits.preface_timeout = time,
        22 => limits.headers_timeout = time,
        23 => limits.settings_timeout = time,
        24 => limits.drain_timeout = time,
        25 => limits.max_push_delay = time,
        26 => limits.upload_linger = Duration::ZERO,
        27 => limits.frame_timeout = time,
        28 => limits.body_timeout = time,
        29 => limits.stall_timeout = time,
        30 => limits.write_stall_timeout = time,
        31 => limits.max_connection_age = Some(time * 10),
        32 => limits.max_unsent_bytes = size * 100,
        _ => limits.max_stalled_streams = small,
    }
}

/// The first seed.
const SEED: &str = "LACEWING_SEED";

/// The number of schedules.
const COUNT: &str = "LACEWING_SCHEDULES";

/// Runs `run` for `count` seeds, or for those that the two variables name. `run` prints its steps
/// when it gets `true`.
///
/// # Panics
///
/// If schedules failed: after all seeds, or after ten failures, since more rarely say more. The
/// output then has a line of `command` for each, which repeats it.
pub(crate) fn run_seeds(command: &str, count: u64, run: impl Fn(u64, bool)) {
    let (first, count): (u64, u64) = (variable(SEED, 0), variable(COUNT, count));
    let mut failed = 0;
    for seed in first..first.saturating_add(count) {
        if panic::catch_unwind(AssertUnwindSafe(|| run(seed, count == 1))).is_err() {
            println!("{command} --count 1 --seed {seed}");
            failed += 1;
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
