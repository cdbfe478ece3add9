//! The planned times of an open loop.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::segment::Segment;

/// The seed of Poisson arrivals: all segments of a run have one plan.
const SEED: u64 = 0x6c61_6365_7769_6e67;

/// How requests of an open loop arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrival {
    /// At even distances.
    Constant,
    /// Independently of each other, as those of many users.
    Poisson,
}

impl Arrival {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
        }
    }
}

/// The times at which the requests of a segment are due, from the start of the plan.
pub(super) struct Schedule {
    /// Requests in a second, those of all segments.
    rate: f64,
    segment: Segment,
    /// The number of the next request, among those of all segments.
    next: u64,
    random: Option<Random>,
}

/// The sum of the distances so far.
struct Random {
    source: fastrand::Rng,
    seconds: f64,
}

impl Schedule {
    pub(super) fn new(rate: f64, arrival: Arrival, segment: Segment) -> Self {
        let random = (arrival == Arrival::Poisson).then(|| Random {
            source: fastrand::Rng::with_seed(SEED),
            seconds: 0.0,
        });
        let mut schedule = Self {
            rate,
            segment,
            next: 0,
            random,
        };
        schedule.advance(segment.index());
        schedule
    }

    /// The number of the next request in the plan of all segments, and its time.
    pub(super) fn next(&mut self) -> (u64, Duration) {
        let number = self.next;
        let seconds = match &self.random {
            Some(random) => random.seconds,
            #[expect(clippy::cast_precision_loss, reason = "2^53 requests are centuries")]
            None => number as f64 / self.rate,
        };
        self.advance(self.segment.of());
        (
            number,
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
        )
    }

    fn advance(&mut self, requests: u64) {
        self.next = self.next.saturating_add(requests);
        if let Some(random) = &mut self.random {
            for _ in 0..requests {
                // The distances of a Poisson process are exponential. 1 - f64() is never 0.
                random.seconds += -(1.0 - random.source.f64()).ln() / self.rate;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(arrival: Arrival, segment: Segment, count: usize) -> Vec<Duration> {
        let mut schedule = Schedule::new(1000.0, arrival, segment);
        (0..count).map(|_| schedule.next().1).collect()
    }

    #[test]
    fn the_rate_is_exact_whatever_its_divisibility() {
        for rate in [1.0, 7.0, 78.0, 333.0, 12_345.0, 0.5] {
            let mut schedule = Schedule::new(rate, Arrival::Constant, Segment::WHOLE);
            let limit = Duration::from_secs(10);
            let mut count = 0.0;
            while schedule.next().1 < limit {
                count += 1.0;
            }
            assert_eq!(count, rate * 10.0);
        }
    }

    #[test]
    fn segments_share_one_plan() {
        for arrival in [Arrival::Constant, Arrival::Poisson] {
            let whole = times(arrival, Segment::WHOLE, 300);
            let mut joined = Vec::new();
            for index in 0..3 {
                joined.extend(times(arrival, Segment::new(index, 3).unwrap(), 100));
            }
            joined.sort_unstable();
            assert_eq!(joined, whole, "{arrival:?}");
        }
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_its_deviation() {
        let times = times(Arrival::Poisson, Segment::WHOLE, 100_000);
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64())
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // Of an exponential distribution, the deviation is the mean.
        assert!((mean * 1000.0 - 1.0).abs() < 0.02, "{mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.03, "{variance}");
    }
}
