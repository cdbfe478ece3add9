//! Distributions of times.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer as _, V2DeflateSerializer},
};

/// The longest time that a histogram records, in nanoseconds: an hour.
const LONGEST: u64 = 3_600_000_000_000;
/// The significant digits of a histogram.
const DIGITS: u8 = 3;

/// A distribution of times.
#[derive(Clone, Debug)]
pub(super) struct Times(Option<Histogram<u64>>);

impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

impl Times {
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, DIGITS).ok())
    }

    pub(super) fn record(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(LONGEST);
            histogram.saturating_record(nanos.max(1));
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    pub(super) fn min(&self) -> Duration {
        Duration::from_nanos(self.0.as_ref().map_or(0, Histogram::min))
    }

    pub(super) fn max(&self) -> Duration {
        Duration::from_nanos(self.0.as_ref().map_or(0, Histogram::max))
    }

    pub(super) fn mean(&self) -> Duration {
        let mean = self.0.as_ref().map_or(0.0, Histogram::mean);
        Duration::from_secs_f64(mean / 1e9)
    }

    pub(super) fn deviation(&self) -> Duration {
        let deviation = self.0.as_ref().map_or(0.0, Histogram::stdev);
        Duration::from_secs_f64(deviation / 1e9)
    }

    /// The part of the samples within one standard deviation of the mean, in percent.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounds of times, and a share for people"
    )]
    pub(super) fn near_mean(&self) -> f64 {
        let Some(histogram) = self.0.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return 0.0;
        };
        let (mean, deviation) = (histogram.mean(), histogram.stdev());
        let low = (mean - deviation).max(0.0) as u64;
        let near = histogram.count_between(low, (mean + deviation) as u64);
        near as f64 / histogram.len() as f64 * 100.0
    }

    /// A percentile; `None` if fewer than ten samples are above it: it would be chance.
    pub(super) fn percentile(&self, percent: f64) -> Option<Duration> {
        let histogram = self.0.as_ref()?;
        #[expect(clippy::cast_precision_loss, reason = "a comparison with ten")]
        let above = histogram.len() as f64 * (100.0 - percent) / 100.0;
        // The share of a percentile such as 99.9 is not exact in binary.
        let enough = above + 1e-6 >= 10.0;
        enough.then(|| Duration::from_nanos(histogram.value_at_quantile(percent / 100.0)))
    }

    /// The histogram of nanoseconds.
    pub(super) fn histogram(&self) -> Option<&Histogram<u64>> {
        self.0.as_ref()
    }

    /// The distribution in HdrHistogram's compressed format, V2.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(histogram) = &self.0 {
            // Writing to memory cannot fail, and the counts are below the format's limit.
            let _ = V2DeflateSerializer::new().serialize(histogram, &mut bytes);
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let decoded: Histogram<u64> = Deserializer::new()
            .deserialize(&mut &*bytes)
            .map_err(|error| format!("a distribution cannot be read: {error}"))?;
        let mut times = Self::new();
        if let Some(sum) = &mut times.0 {
            sum.add(decoded)
                .map_err(|_| "a distribution has times above an hour")?;
        }
        Ok(times)
    }

    pub(super) fn decode_base64(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text);
        Self::decode(&bytes.map_err(|error| format!("a distribution cannot be read: {error}"))?)
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if let (Some(sum), Some(other)) = (&mut self.0, &other.0) {
            // Both have the same bounds, so that this cannot fail.
            let _ = sum.add(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_values() {
        let mut halves = [Times::new(), Times::new()];
        let mut values: Vec<u64> = (0..20_000_u64)
            .map(|i| i * i % 99_991 * 1_000 + 1)
            .collect();
        for (i, value) in values.iter().enumerate() {
            halves[i % 2].record(Duration::from_nanos(*value));
        }
        let [mut times, other] = halves;
        times.merge(&other);
        values.sort_unstable();
        assert_eq!(times.len(), 20_000);
        for (percent, rank) in [(50.0, 10_000), (99.0, 19_800), (99.9, 19_980)] {
            let exact = values[rank - 1] as f64;
            let found = times.percentile(percent).unwrap().as_nanos() as f64;
            assert!(
                (found / exact - 1.0).abs() < 0.001,
                "{percent}: {found}, {exact}"
            );
        }
    }

    #[test]
    fn a_percentile_needs_ten_samples_above_it() {
        let mut times = Times::new();
        for _ in 0..999 {
            times.record(Duration::from_millis(1));
        }
        assert!(times.percentile(98.0).is_some());
        assert!(times.percentile(99.0).is_none());
        times.record(Duration::from_millis(1));
        assert!(times.percentile(99.0).is_some());
        assert!(times.percentile(99.9).is_none());
    }
}
