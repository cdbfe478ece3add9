//! The outcome of one case.

use std::fmt;

/// What became of one case.
///
/// ```
/// use lacewing_conform::Outcome;
///
/// assert!(Outcome::Passed.is_success());
/// assert!(Outcome::Skipped("needs POST".into()).is_success());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reaction was right.
    Passed,
    /// The reaction was wrong, or there was none.
    Failed(Failure),
    /// The reaction was not as the specification recommends, which is a
    /// failure in strict runs only.
    Advised(Failure),
    /// The case means nothing here; why.
    Skipped(String),
}

/// A wrong reaction.
///
/// ```
/// use lacewing_conform::Failure;
///
/// let failure = Failure { expected: "PING ACK".into(), got: "nothing".into(), frames: vec![] };
/// assert_eq!(failure.to_string(), "expected PING ACK; got nothing");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reactions that would have been right.
    pub expected: String,
    /// What came instead.
    pub got: String,
    /// The frames of the connection in words, sent (`>`) and received (`<`).
    pub frames: Vec<String>,
}

impl Outcome {
    /// Whether it is not a failure.
    pub fn is_success(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }

    /// The outcome in a word, for reports.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Advised(_) => "advice",
            Self::Skipped(_) => "skipped",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}; got {}", self.expected, self.got)
    }
}
