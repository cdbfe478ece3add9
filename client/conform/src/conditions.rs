//! The conditions of a run: timeout, strictness, segmentation.

use std::time::Duration;

/// The conditions under which cases run.
///
/// ```
/// use std::time::Duration;
/// use lacewing_conform::{Conditions, Strictness};
///
/// let conditions = Conditions::default().with(|conditions| {
///     conditions.timeout = Duration::from_secs(5);
///     conditions.strictness = Strictness::Strict;
/// });
/// # let _ = conditions;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conditions {
    /// The time to wait for a reaction; 2 seconds by default.
    pub timeout: Duration,
    /// The treatment of recommendations.
    pub strictness: Strictness,
    /// The sizes of writes to the transport.
    pub segmentation: Segmentation,
}

/// The treatment of recommendations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strictness {
    /// A deviation from a SHOULD is advice, and a connection error may be just
    /// the end of the connection (RFC 9113 §5.4.1, SPDY/3 §2.4.1).
    #[default]
    Usual,
    /// A deviation from a SHOULD is a failure, and a connection error must be
    /// reported by GOAWAY.
    Strict,
}

/// The sizes of writes to the transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Segmentation {
    /// One write for the frames of a step.
    #[default]
    Whole,
    /// Writes of one byte; after the first KiB of a step, larger pieces.
    Bytes,
}

impl Conditions {
    /// Changes fields.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            strictness: Strictness::default(),
            segmentation: Segmentation::default(),
        }
    }
}
