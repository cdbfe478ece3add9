//! The transcript of a connection, and the outcome of its script.

use crate::case::Need;
use crate::outcome::{Failure, Outcome};

/// The most lines of a transcript.
const MAX_LINES: usize = 300;

/// The frames of a connection as lines: sent (`>`) and received (`<`).
#[derive(Debug, Default)]
pub(super) struct Transcript {
    lines: Vec<String>,
    /// The last line, and the number of its repetitions in a row.
    latest: (String, u32),
}

/// The reason for stopping a script before its end.
#[derive(Debug)]
pub(super) enum Stop {
    Failed { expected: String, got: String },
    Skipped(String),
}

impl Stop {
    /// Skips the case: the tested side does not meet the need.
    pub(super) fn needs(need: Need) -> Self {
        Self::Skipped(format!("needs {need}"))
    }
}

impl Transcript {
    /// Adds a line; counts repetitions.
    pub(super) fn line(&mut self, line: String) {
        if self.latest.0 == line {
            let (line, times) = &mut self.latest;
            *times = times.saturating_add(1);
            self.lines.pop();
            self.lines.push(format!("{line} ({times} times)"));
        } else if self.lines.len() < MAX_LINES {
            self.lines.push(line.clone());
            self.latest = (line, 1);
        }
    }

    /// Names the last received frame, for a reaction that is missing.
    pub(super) fn latest(&self) -> String {
        let latest = self.lines.iter().rev().find(|line| line.starts_with('<'));
        match latest {
            Some(line) => format!("no such reaction in time; the last frame was '{line}'"),
            None => "nothing in time".into(),
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }

    /// The outcome of a script. A violation by the tested side fails any script.
    pub(super) fn outcome(self, played: Result<(), Stop>, violations: &[String]) -> Outcome {
        let stop = match (played, violations.first()) {
            (Ok(()), None) => return Outcome::Passed,
            (Ok(()), Some(violation)) => Stop::Failed {
                expected: "frames that obey the specification".into(),
                got: violation.clone(),
            },
            (Err(stop), _) => stop,
        };
        match stop {
            Stop::Skipped(reason) => Outcome::Skipped(reason),
            Stop::Failed { expected, got } => Outcome::Failed(Failure {
                expected,
                got,
                frames: self.lines,
            }),
        }
    }
}
