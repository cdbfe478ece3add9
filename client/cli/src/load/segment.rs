//! One of several processes that share a plan.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most segments of a plan.
const MAX_SEGMENTS: u64 = 10_000;

/// A segment of a plan: the requests with the numbers `index`, `index + of`, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Segment {
    index: u64,
    of: u64,
}

impl Segment {
    /// The only segment of a plan.
    pub(super) const WHOLE: Self = Self { index: 0, of: 1 };

    /// A segment of `of`, from 0; `None` if there is no such segment.
    pub(super) fn new(index: u64, of: u64) -> Option<Self> {
        (index < of && of <= MAX_SEGMENTS).then_some(Self { index, of })
    }

    /// Reads `0/4`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("write it as 0/4, 1/4, 2/4 and 3/4, with {MAX_SEGMENTS} segments at most");
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let index = index.parse().map_err(|_| wrong())?;
        let of = of.parse().map_err(|_| wrong())?;
        Self::new(index, of).ok_or_else(wrong)
    }

    pub(super) fn index(self) -> u64 {
        self.index
    }

    pub(super) fn of(self) -> u64 {
        self.of
    }

    /// The part of this segment of a rate.
    #[expect(clippy::cast_precision_loss, reason = "at most MAX_SEGMENTS")]
    pub(super) fn part(self, rate: f64) -> f64 {
        rate / self.of as f64
    }

    /// The part of this segment of a number of requests.
    pub(super) fn share(self, requests: u64) -> u64 {
        requests / self.of + u64::from(self.index < requests % self.of)
    }
}

impl From<Segment> for String {
    fn from(segment: Segment) -> Self {
        segment.to_string()
    }
}

impl TryFrom<String> for Segment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_add_up() {
        for requests in [0, 1, 2, 7, 100] {
            let shares = (0..3).map(|index| Segment::new(index, 3).unwrap().share(requests));
            assert_eq!(shares.sum::<u64>(), requests);
        }
        for wrong in ["", "1", "4/4", "0/0", "-1/2", "0/10001", "a/b"] {
            assert!(Segment::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Segment::parse("3/4").unwrap().to_string(), "3/4");
    }
}
