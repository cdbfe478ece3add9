//! The distributions of times, second by second.

use std::{collections::BTreeMap, time::Duration};

use super::times::Times;

/// Seconds that are kept apart, a day; all later ones are kept in the last.
const MAX_SECONDS: u64 = 86_400;

/// A distribution of times for each second, compressed but for the one that is being recorded.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    seconds: BTreeMap<u64, Vec<u8>>,
    open: Option<(u64, Times)>,
}

impl Series {
    /// Records a time in the second of `at`. An earlier second than the latest is over: its times
    /// are recorded in the latest.
    pub(super) fn record(&mut self, at: Duration, time: Duration) {
        let second = at.as_secs().min(MAX_SECONDS - 1);
        match &mut self.open {
            Some((open, times)) if *open >= second => times.record(time),
            _ => {
                self.close();
                let mut times = Times::new();
                times.record(time);
                self.open = Some((second, times));
            }
        }
    }

    /// Ends the second that is being recorded.
    pub(super) fn close(&mut self) {
        if let Some((second, times)) = self.open.take() {
            self.insert(second, &times);
        }
    }

    /// Adds a distribution to that of a second.
    pub(super) fn insert(&mut self, second: u64, times: &Times) {
        let second = second.min(MAX_SECONDS - 1);
        let mut sum = Times::new();
        if let Some(Ok(before)) = self.seconds.get(&second).map(|bytes| Times::decode(bytes)) {
            sum.merge(&before);
        }
        sum.merge(times);
        self.seconds.insert(second, sum.encode());
    }

    /// Adds a series whose seconds were closed, `later` seconds later.
    pub(super) fn merge(&mut self, other: &Self, later: u64) {
        for (second, times) in other.iter() {
            self.insert(second.saturating_add(later), &times);
        }
    }

    /// The seconds that were closed, and in which something was recorded.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Times)> {
        let seconds = self.seconds.iter();
        // What this process encoded, it decodes.
        seconds.filter_map(|(second, bytes)| Some((*second, Times::decode(bytes).ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn seconds_are_kept_apart_and_added() {
        let mut series = Series::default();
        for (at, time) in [(100, 1), (999, 2), (2_500, 3), (1_900, 4)] {
            series.record(MS(at), MS(time));
        }
        series.close();
        let mut other = Series::default();
        other.record(MS(10), MS(9));
        other.close();
        series.merge(&other, 2);
        let found: Vec<_> = series
            .iter()
            .map(|(second, times)| (second, times.len(), times.max().as_millis()))
            .collect();
        assert_eq!(found, [(0, 2, 2), (2, 3, 9)]);
    }

    #[test]
    fn the_last_second_takes_all_later_ones() {
        let mut series = Series::default();
        for day in [1, 2, 3] {
            series.record(Duration::from_secs(day * MAX_SECONDS), MS(1));
        }
        series.close();
        let found: Vec<_> = series
            .iter()
            .map(|(second, times)| (second, times.len()))
            .collect();
        assert_eq!(found, [(MAX_SECONDS - 1, 3)]);
    }
}
