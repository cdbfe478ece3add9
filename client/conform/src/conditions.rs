//! How cases are run.

use std::time::Duration;

/// How cases are run.
///
/// ```
/// use std::time::Duration;
/// use lacewing_conform::{Conditions, Strictness};
///
/// let conditions = Conditions { strictness: Strictness::Strict, ..Conditions::default() };
/// assert_eq!(conditions.timeout, Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// How long a reaction is waited for.
    pub timeout: Duration,
    /// Whether recommendations bind.
    pub strictness: Strictness,
    /// How bytes are handed to the transport.
    pub segmentation: Segmentation,
}

/// Whether recommendations bind.
///
/// ```
/// use lacewing_conform::Strictness;
///
/// assert_eq!(Strictness::default(), Strictness::Usual);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// A deviation from a SHOULD is advice, and a connection error may be just
    /// the end of the connection (RFC 9113 §5.4.1, SPDY/3 §2.4.1).
    #[default]
    Usual,
    /// A deviation from a SHOULD is a failure, and a connection error has to
    /// be told by GOAWAY.
    Strict,
}

/// How bytes are handed to the transport.
///
/// ```
/// use lacewing_conform::Segmentation;
///
/// assert_eq!(Segmentation::default(), Segmentation::Whole);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Segmentation {
    /// The frames of one step at once.
    #[default]
    Whole,
    /// Byte by byte; of a long write, its first KiB.
    Bytes,
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
