//! The figures of a program, each with its course over time.

use std::time::Duration;

use serde::Serialize;

/// The figures of a board.
pub(super) const MAX_FIGURES: usize = 16;

/// A figure that a program measures. The page draws its course.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    name: &'static str,
    value: Option<f64>,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Count,
    Rate,
    /// Milliseconds.
    Time,
}

impl Figure {
    /// A number of things.
    pub fn count(name: &'static str, count: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let value = Some(count as f64);
        Self {
            name,
            value,
            unit: Unit::Count,
        }
    }

    /// A number of things in a second; `None` while nothing was measured.
    pub fn rate(name: &'static str, per_second: impl Into<Option<f64>>) -> Self {
        Self {
            name,
            value: per_second.into(),
            unit: Unit::Rate,
        }
    }

    /// A length of time; `None` while nothing was measured.
    pub fn time(name: &'static str, time: Option<Duration>) -> Self {
        Self {
            name,
            value: time.map(|time| time.as_secs_f64() * 1e3),
            unit: Unit::Time,
        }
    }
}
