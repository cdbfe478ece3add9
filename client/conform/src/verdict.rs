//! The verdict of an expectation.

use std::ops::RangeInclusive;

/// The verdict of an expectation on the record so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    /// The expectation cannot be met any more, for this reason.
    Missed(String),
    /// Later frames decide.
    Open,
}

impl Verdict {
    pub(super) fn met_unless(wrong: bool, got: impl FnOnce() -> String) -> Self {
        match wrong {
            true => Self::Missed(got()),
            false => Self::Met,
        }
    }

    pub(super) fn met_if(met: bool, otherwise: impl FnOnce() -> Self) -> Self {
        match met {
            true => Self::Met,
            false => otherwise(),
        }
    }

    /// Turns `Open` into `Met`.
    pub(super) fn met_if_open(self) -> Self {
        match self {
            Self::Open => Self::Met,
            verdict => verdict,
        }
    }

    pub(super) fn status(status: u16, right: &RangeInclusive<u16>) -> Self {
        Self::met_unless(!right.contains(&status), || format!("status {status}"))
    }

    /// Met if one verdict is; missed if all are.
    pub(super) fn any(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let mut missed = Vec::new();
        let mut open = false;
        for verdict in verdicts {
            match verdict {
                Self::Met => return Self::Met,
                Self::Missed(why) => missed.push(why),
                Self::Open => open = true,
            }
        }
        if open {
            return Self::Open;
        }
        missed.dedup();
        Self::Missed(missed.join(", "))
    }
}
