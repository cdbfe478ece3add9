//! The outcome of one case.

use std::fmt;

/// The outcome of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reaction was right.
    Passed,
    /// The reaction was wrong, or there was none.
    Failed(Failure),
    /// The reaction differs from what the specification recommends. In strict
    /// runs that is a failure.
    Advised(Failure),
    /// The case does not apply, for this reason.
    Skipped(String),
}

/// A wrong reaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The right reactions.
    pub expected: String,
    /// The actual reaction.
    pub got: String,
    /// The frames of the connection in words, sent (`>`) and received (`<`).
    pub frames: Vec<String>,
}

impl Outcome {
    /// Returns `true` unless the case failed.
    pub fn is_success(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }

    /// Returns the outcome as one word, for reports.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Advised(_) => "advice",
            Self::Skipped(_) => "skipped",
        }
    }
}

impl Failure {
    /// Creates a failure without frames, for example of a check beside the suite.
    pub fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            got: got.into(),
            frames: Vec::new(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}; got {}", self.expected, self.got)
    }
}
