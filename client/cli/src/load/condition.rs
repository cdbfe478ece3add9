//! What a condition on a run is about, and its bound: the left and the right of `p99<50ms`.

use std::time::Duration;

use super::units::{rate, time};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Condition {
    /// A percentile of the times.
    Percentile(f64, Duration),
    Mean(Duration),
    Max(Duration),
    /// Responses in a second.
    Rate(f64),
    /// The part of the requests that fails.
    Errors(f64),
}

impl Condition {
    /// Reads `p99`, `mean`, `max` or `errors`, and its bound. `None` if there is no such name: the rate,
    /// which is better the higher it is, is not among them.
    pub(super) fn at_most(name: &str, bound: &str) -> Result<Option<Self>, String> {
        Ok(Some(match name {
            "mean" => Self::Mean(time(bound)?),
            "max" => Self::Max(time(bound)?),
            "errors" => Self::Errors(rate(bound)?),
            _ => {
                let percent = name.strip_prefix('p').map(str::parse::<f64>);
                match percent {
                    Some(Ok(percent)) if (0.0..100.0).contains(&percent) => {
                        Self::Percentile(percent, time(bound)?)
                    }
                    _ => return Ok(None),
                }
            }
        }))
    }
}
