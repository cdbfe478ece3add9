//! The outcome of a run.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{machine::CpuTime, schedule::Arrival, segment::Segment, tally::Tally, times::Times};

/// What a run brought.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// The load, in a line.
    pub(super) headline: String,
    pub(super) origin: String,
    pub(super) segment: Segment,
    /// What follows the protocol's name.
    pub(super) security: String,
    /// What ended the run.
    pub(super) end: String,
    /// The end of the warm-up.
    pub(super) start: SystemTime,
    /// From the end of the warm-up to the end of the run.
    pub(super) elapsed: Duration,
    /// The plan of an open loop.
    pub(super) open_loop: Option<OpenLoop>,
    /// Requests of `-n` or of an open loop that were never sent.
    pub(super) unsent: u64,
    pub(super) tally: Tally,
    /// The CPU time of this program; none where runs were merged, or the system does not tell it.
    #[serde(skip)]
    pub(super) cpu_time: Option<CpuTime>,
    /// `--abort-if` ended the run.
    #[serde(skip)]
    pub(super) aborted: bool,
    /// The thresholds that do not hold, each with the value found.
    #[serde(skip)]
    pub(super) broken: Vec<String>,
    /// What a reader of a merged outcome must know.
    #[serde(skip)]
    pub(super) notes: Vec<String>,
}

/// The plan of an open loop, and what was left undone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpenLoop {
    /// Requests in a second, those of this segment.
    pub(super) rate: f64,
    pub(super) arrival: Arrival,
    /// Requests that were due.
    pub(super) planned: u64,
    /// Requests that were given up, since too many waited.
    pub(super) dropped: u64,
}

/// The least part of a planned rate that counts as sustained.
const SUSTAINED: f64 = 0.99;

impl Outcome {
    /// The times that conditions are about: what a user would have waited.
    pub(super) fn judged(&self) -> &Times {
        match self.open_loop {
            Some(_) => &self.tally.response,
            None => &self.tally.service,
        }
    }

    /// Says that a planned rate was not reached.
    pub(super) fn shortfall(&self) -> Option<String> {
        let plan = self.open_loop.as_ref()?;
        let (planned, done) = (plan.planned, self.tally.answered());
        #[expect(clippy::cast_precision_loss, reason = "a comparison with a percentage")]
        let sustained = done as f64 >= planned as f64 * SUSTAINED;
        (!sustained).then(|| {
            format!(
                "The rate was not sustained: {done} of {planned} planned requests were answered, \
                 {:.1} of {:.1} in a second. The server or this client is too slow, or -c and -m \
                 are too small.",
                self.rate(),
                plan.rate
            )
        })
    }

    /// Complete responses in a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(super) fn rate(&self) -> f64 {
        self.tally.answered() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Requests that failed or, after a failure to connect, were never sent.
    pub(super) fn bad(&self) -> u64 {
        let answered_badly = self.tally.answered() - self.tally.succeeded();
        let dropped = self.open_loop.as_ref().map_or(0, |plan| plan.dropped);
        answered_badly + self.tally.failures.total() + self.unsent + dropped
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
        let mut text = match (self.bad(), self.tally.succeeded()) {
            (_, 0) => "No request succeeded.".to_owned(),
            (0, _) => "All requests succeeded.".to_owned(),
            (bad, _) => format!("{bad} requests failed ({rate:.2} %)."),
        };
        let refused = self.tally.answered() - self.tally.succeeded();
        if refused > 0 {
            text += &format!(
                " {refused} of them were answered with a status of 400 or above, which is a failure."
            );
        }
        text
    }
}
