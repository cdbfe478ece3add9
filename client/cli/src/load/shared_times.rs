//! A distribution of times that all threads add to while others look at it.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The parts of each power of two: a time is known within 2 %.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 6;
/// Up to more than an hour, in microseconds.
const BUCKETS: usize = 32 * PARTS;

/// A distribution of times that grows.
#[derive(Debug)]
pub(super) struct SharedTimes(Vec<AtomicU64>);

/// The counts of a distribution, of a moment or between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counts(Vec<u64>);

impl SharedTimes {
    pub(super) fn new() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn record(&self, time: Duration) {
        if let Some(count) = self.0.get(bucket(time)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// The counts of now.
    pub(super) fn counts(&self) -> Counts {
        Counts(self.0.iter().map(|count| count.load(Relaxed)).collect())
    }
}

impl Counts {
    /// Nothing was recorded.
    pub(super) fn none() -> Self {
        Self(vec![0; BUCKETS])
    }

    /// What was recorded after those.
    pub(super) fn since(&self, before: &Self) -> Self {
        let both = self.0.iter().zip(&before.0);
        Self(
            both.map(|(now, before)| now.saturating_sub(*before))
                .collect(),
        )
    }

    pub(super) fn len(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The time that this part of all has at most; `None` if there is none. At most 2 % too long.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among counts"
    )]
    pub(super) fn percentile(&self, percent: f64) -> Option<Duration> {
        let all = self.len();
        let rank = (all as f64 * percent / 100.0).ceil() as u64;
        let mut left = rank.clamp(1, all.max(1));
        let reached = self.0.iter().position(|count| {
            let reached = *count >= left;
            left = left.saturating_sub(*count);
            reached
        });
        reached.map(upper)
    }

    /// The mean, at most 2 % too long; `None` if there is none.
    #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
    pub(super) fn mean(&self) -> Option<Duration> {
        let all = self.len();
        let each = self.0.iter().enumerate();
        let sum: f64 = each
            .map(|(bucket, count)| upper(bucket).as_secs_f64() * *count as f64)
            .sum();
        (all > 0).then(|| Duration::from_secs_f64(sum / all as f64))
    }
}

/// The bucket of a time: its power of two, and the part of it.
fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let power = micros.max(1).ilog2();
    let part = match power.checked_sub(PART_BITS) {
        Some(shift) => micros >> shift,
        None => micros << (PART_BITS - power),
    };
    let part = usize::try_from(part).unwrap_or(0) % PARTS;
    let bucket = power as usize * PARTS + part;
    bucket.min(BUCKETS - 1)
}

/// The end of a bucket.
fn upper(bucket: usize) -> Duration {
    let (power, part) = (bucket / PARTS, bucket % PARTS);
    let part = u64::try_from(part + PARTS + 1).unwrap_or(u64::MAX);
    Duration::from_nanos((part * 1000).saturating_mul(1 << power.min(40)) / PARTS as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_at_most_2_percent_above_its_times() {
        for micros in [
            1, 2, 3, 5, 7, 8, 9, 63, 64, 65, 1023, 1024, 999_999, 60_000_000,
        ] {
            let time = Duration::from_micros(micros);
            let end = upper(bucket(time));
            assert!(time <= end, "{time:?} {end:?}");
            let most = time + time / 64 + Duration::from_nanos(1);
            assert!(end <= most, "{time:?} {end:?}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_and_means_are_those_of_what_is_new() {
        let times = SharedTimes::new();
        times.record(Duration::from_secs(60));
        let before = times.counts();
        assert_eq!(times.counts().since(&before), Counts::none());
        for millis in 1..=1000 {
            times.record(Duration::from_millis(millis));
        }
        let new = times.counts().since(&before);
        assert_eq!(new.len(), 1000);
        for (percent, exact) in [
            (0.0, 1),
            (50.0, 500),
            (99.0, 990),
            (99.9, 999),
            (100.0, 1000),
        ] {
            let found = new.percentile(percent).unwrap().as_secs_f64() * 1e3;
            let exact = f64::from(exact);
            assert!(
                found >= exact && found <= exact * 1.02,
                "{percent}: {found}"
            );
        }
        let mean = new.mean().unwrap().as_secs_f64() * 1e3;
        assert!((500.0..=511.0).contains(&mean), "{mean}");
        assert_eq!(
            (Counts::none().percentile(50.0), Counts::none().mean()),
            (None, None)
        );
    }
}
