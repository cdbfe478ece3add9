//! Conditions on the outcome of a run: `p99<50ms`.

use std::time::Duration;

use super::{condition::Condition, outcome::Outcome, report::Shown};

/// A condition on the outcome.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    text: String,
    condition: Condition,
}

impl Threshold {
    /// Reads `p99<50ms`, `mean<5ms`, `max<1s`, `rate>1000` or `errors<1%`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let condition = match text.split_once(['<', '>']) {
            Some((name, bound)) if text.contains('<') => {
                Condition::at_most(name.trim(), bound.trim())?.ok_or_else(expected)?
            }
            Some((name, bound)) if name.trim() == "rate" => {
                let bound = bound.trim().parse();
                Condition::Rate(bound.map_err(|_| "give responses in a second: rate>1000")?)
            }
            _ => return Err(expected()),
        };
        let text = text.to_owned();
        Ok(Self { text, condition })
    }

    /// Says what was found instead; `None` if the condition holds.
    pub(super) fn broken(&self, outcome: &Outcome) -> Option<String> {
        let times = outcome.judged();
        let late = |found: Duration, bound: Duration| {
            (found >= bound).then(|| format!("found {}", Shown(found)))
        };
        let found = match self.condition {
            _ if times.len() == 0 => Some("no response came".to_owned()),
            Condition::Percentile(percent, bound) => match times.percentile(percent) {
                Some(found) => late(found, bound),
                None => Some("fewer than 10 samples are above it; run longer".to_owned()),
            },
            Condition::Mean(bound) => late(times.mean(), bound),
            Condition::Max(bound) => late(times.max(), bound),
            Condition::Rate(bound) => {
                let found = outcome.rate();
                (found <= bound).then(|| format!("found {found:.1}/s"))
            }
            Condition::Errors(bound) => {
                let found = outcome.error_rate();
                (found >= bound).then(|| format!("found {:.2} %", found * 100.0))
            }
        };
        found.map(|found| format!("{} does not hold: {found}", self.text))
    }
}

fn expected() -> String {
    "write p99<50ms, mean<5ms, max<1s, rate>1000 or errors<1%".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read() {
        let read = |text| Threshold::parse(text).map(|threshold| threshold.condition);
        let ms = Duration::from_millis;
        assert_eq!(read("p99.9<50ms"), Ok(Condition::Percentile(99.9, ms(50))));
        assert_eq!(read("mean < 5ms"), Ok(Condition::Mean(ms(5))));
        assert_eq!(read("rate>1000"), Ok(Condition::Rate(1000.0)));
        assert_eq!(read("errors<1%"), Ok(Condition::Errors(0.01)));
        for wrong in [
            "p99", "p100<1s", "p99>1s", "rate<5", "x<1s", "p99<5x", "<", "",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
