//! Stream ids in tables of cases.

use std::fmt;

/// A stream id in a table. The ids of a client's requests are known at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// This number.
    Number(u32),
    /// The id of the n-th request of a client under test, counted from 0, plus
    /// an offset.
    Request(usize, u32),
}

/// The first request of a client under test.
pub(super) const REQUEST: Id = Id::Request(0, 0);
/// The second.
pub(super) const SECOND_REQUEST: Id = Id::Request(1, 0);

impl From<u32> for Id {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

/// A number in a table without a type suffix is an `i32`.
impl From<i32> for Id {
    fn from(number: i32) -> Self {
        Self::Number(number.unsigned_abs())
    }
}

impl Id {
    /// The id that is higher by `more`.
    pub(super) fn plus(self, more: u32) -> Self {
        match self {
            Self::Number(number) => Self::Number(number.saturating_add(more)),
            Self::Request(nth, above) => Self::Request(nth, above.saturating_add(more)),
        }
    }

    /// The number of the stream; `requests` are the ids of the requests so far.
    pub(super) fn resolve(self, requests: &[u32]) -> u32 {
        match self {
            Self::Number(number) => number,
            Self::Request(nth, above) => requests
                .get(nth)
                .copied()
                .unwrap_or_else(|| u32::try_from(nth).unwrap_or(0).saturating_mul(2) | 1)
                .saturating_add(above),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(0) => f.write_str("the connection"),
            Self::Number(number) => write!(f, "stream {number}"),
            Self::Request(nth, 0) => write!(f, "request {}", nth.saturating_add(1)),
            Self::Request(nth, above) => {
                let nth = nth.saturating_add(1);
                write!(f, "the stream {above} above request {nth}")
            }
        }
    }
}
