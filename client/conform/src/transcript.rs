//! The frames of a connection in words, and how a script ended.

use crate::case::Need;
use crate::outcome::{Failure, Outcome};

/// Lines that are kept.
const MAX_LINES: usize = 300;

/// What went over a connection: sent (`>`) and received (`<`).
#[derive(Debug, Default)]
pub(super) struct Transcript {
    lines: Vec<String>,
    /// The last line, and how often it came in a row.
    latest: (String, u32),
}

/// Why a script is not played to its end.
#[derive(Debug)]
pub(super) enum Stop {
    Failed { expected: String, got: String },
    Skipped(String),
}

impl Stop {
    /// The case is skipped, as the tested side does not meet the need.
    pub(super) fn needs(need: Need) -> Self {
        Self::Skipped(format!("needs {need}"))
    }
}

impl Transcript {
    /// Adds a line; what repeats is counted.
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

    /// What came last.
    pub(super) fn latest(&self) -> String {
        let latest = self.lines.iter().rev().find(|line| line.starts_with('<'));
        match latest {
            Some(line) => format!("no such thing in time; the last was '{line}'"),
            None => "nothing in time".into(),
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }

    /// What became of a script; rules for what the tested side sends hold in
    /// every one.
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
