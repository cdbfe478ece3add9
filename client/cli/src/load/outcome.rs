//! The outcome of a run.

use std::time::Duration;

use super::tally::Tally;

/// What a run brought.
pub(super) struct Outcome {
    /// The load, in a line.
    pub(super) headline: String,
    /// What follows the protocol's name.
    pub(super) security: &'static str,
    /// What ended the run.
    pub(super) end: String,
    /// From the end of the warm-up to the end of the run.
    pub(super) elapsed: Duration,
    /// Requests of `-n` that were never sent.
    pub(super) unsent: u64,
    pub(super) tally: Tally,
    /// The thresholds that do not hold, each with the value found.
    pub(super) broken: Vec<String>,
}

impl Outcome {
    /// Complete responses in a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(super) fn rate(&self) -> f64 {
        self.tally.answered() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Requests that failed or, after a failure to connect, were never sent.
    pub(super) fn bad(&self) -> u64 {
        let answered_badly = self.tally.answered() - self.tally.succeeded();
        answered_badly + self.tally.failures.total() + self.unsent
    }

    /// The part of the requests that failed.
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    pub(super) fn error_rate(&self) -> f64 {
        let all = self.tally.succeeded() + self.bad();
        if all == 0 {
            0.0
        } else {
            self.bad() as f64 / all as f64
        }
    }

    /// The outcome in a sentence.
    pub(super) fn verdict(&self) -> String {
        let rate = self.error_rate() * 100.0;
        match (self.bad(), self.tally.succeeded()) {
            (_, 0) => "No request succeeded.".to_owned(),
            (0, _) => "All requests succeeded.".to_owned(),
            (bad, _) => format!("{bad} requests failed ({rate:.2} %)."),
        }
    }
}
