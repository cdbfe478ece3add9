//! Medians and spread.

use std::fmt;

/// The figures of one program, one for each round.
#[derive(Default)]
pub(super) struct Sample {
    values: Vec<f64>,
}

impl Sample {
    pub(super) fn push(&mut self, value: f64) {
        let at = self.values.partition_point(|other| *other < value);
        self.values.insert(at, value);
    }

    /// The middle value, or NaN if there is none.
    pub(super) fn median(&self) -> f64 {
        let count = self.values.len();
        match (
            self.values.get(count.saturating_sub(1) / 2),
            self.values.get(count / 2),
        ) {
            (Some(low), Some(high)) => (low + high) / 2.0,
            _ => f64::NAN,
        }
    }

    /// The number of rounds.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The lowest and the highest value.
    pub(super) fn range(&self) -> (f64, f64) {
        match (self.values.first(), self.values.last()) {
            (Some(low), Some(high)) => (*low, *high),
            _ => (f64::NAN, f64::NAN),
        }
    }

    /// Half of the distance between the lowest and the highest value, relative to the median.
    fn spread(&self) -> f64 {
        let (low, high) = self.range();
        (high - low) / 2.0 / self.median()
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = self.median();
        let decimals = if median < 100.0 { 2 } else { 0 };
        f.pad(&format!(
            "{median:.decimals$} ±{:.0} %",
            self.spread() * 100.0
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let mut sample = Sample::default();
        assert!(sample.median().is_nan());
        for value in [9.0, 1.0, 2.0] {
            sample.push(value);
        }
        assert_eq!(sample.median(), 2.0);
        sample.push(4.0);
        assert_eq!(sample.median(), 3.0);
        assert_eq!(sample.to_string(), "3.00 ±133 %");
    }
}
