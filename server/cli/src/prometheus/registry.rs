//! The values of all metrics, as the macros of the crate `metrics` change them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// The most series of all metrics. Labels are bounded where they are made; this bounds
/// mistakes.
const MAX_SERIES: usize = 20_000;

/// The upper bounds of histograms, in seconds, as OpenTelemetry recommends them for HTTP.
pub(super) const BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The values of all metrics. A clone has the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry(Arc<RwLock<Series>>);

type Series = BTreeMap<Key, Value>;

/// The value of one series.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Counter(Arc<AtomicU64>),
    /// The bits of a number.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Counts>),
}

/// The observations of a histogram.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// One for each bound, and one for what is larger than all.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Counts {
    /// The observations up to each bound, all observations, and their sum.
    pub(super) fn cumulative(&self) -> ([u64; BUCKETS.len()], u64, f64) {
        let mut sum = 0_u64;
        let mut all = self.buckets.iter().map(|bucket| {
            sum = sum.saturating_add(bucket.load(Ordering::Relaxed));
            sum
        });
        let mut up_to = [0; BUCKETS.len()];
        for (total, value) in up_to.iter_mut().zip(all.by_ref()) {
            *total = value;
        }
        let total = all.last().unwrap_or_default();
        let seconds = std::time::Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
        (up_to, total, seconds.as_secs_f64())
    }
}

impl HistogramFn for Counts {
    fn record(&self, value: f64) {
        if value.is_nan() {
            return;
        }
        let bucket = BUCKETS.partition_point(|bound| *bound < value);
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let time = std::time::Duration::try_from_secs_f64(value).unwrap_or_default();
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Registry {
    /// All series, in the order of their names and labels.
    pub(super) fn series(&self) -> Vec<(Key, Value)> {
        let series = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let pairs = series.iter();
        pairs
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// The series of this key, made if there is room.
    fn value(&self, key: &Key, make: impl FnOnce() -> Value) -> Option<Value> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(key) {
            return Some(value.clone());
        }
        drop(known);
        let mut series = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if series.len() >= MAX_SERIES && !series.contains_key(key) {
            return None;
        }
        Some(series.entry(key.clone()).or_insert_with(make).clone())
    }
}

impl Recorder for Registry {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.value(key, || Value::Counter(Arc::default())) {
            Some(Value::Counter(counter)) => Counter::from_arc(counter),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.value(key, || Value::Gauge(Arc::default())) {
            Some(Value::Gauge(gauge)) => Gauge::from_arc(gauge),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.value(key, || Value::Histogram(Arc::default())) {
            Some(Value::Histogram(counts)) => Histogram::from_arc(counts),
            _ => Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observations_are_in_the_bucket_of_their_size() {
        let counts = Counts::default();
        for value in [0.001, 0.005, 0.006, 20.0, f64::NAN] {
            counts.record(value);
        }
        let (up_to, total, sum) = counts.cumulative();
        assert_eq!((up_to[0], up_to[1], up_to[13]), (2, 3, 3));
        assert_eq!(total, 4, "what is no number is not counted");
        assert!((sum - 20.012).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn the_number_of_series_is_bounded() {
        let registry = Registry::default();
        metrics::with_local_recorder(&registry, || {
            for number in 0..MAX_SERIES + 10 {
                metrics::counter!("many", "number" => number.to_string()).increment(1);
            }
            metrics::counter!("many", "number" => "0").increment(1);
        });
        let series = registry.series();
        assert_eq!(series.len(), MAX_SERIES);
        let Value::Counter(first) = &series[0].1 else {
            panic!("no counter");
        };
        assert_eq!(first.load(Ordering::Relaxed), 2);
    }
}
