//! The entries of a directory.

use std::time::{Duration, UNIX_EPOCH};

use humantime::format_rfc3339_seconds;

/// A time with more digits for the year is not shown.
const YEAR_10000: u64 = 253_402_300_800;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// `None` for a directory.
    pub(crate) size: Option<u64>,
    /// Whole seconds since 1970.
    pub(crate) modified: Option<u64>,
}

impl Entry {
    /// The time of the last change, as `1994-11-06T08:49:37Z`.
    pub(super) fn time(&self) -> Option<String> {
        let seconds = self.modified.filter(|seconds| *seconds < YEAR_10000)?;
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
        Some(format_rfc3339_seconds(time).to_string())
    }
}

/// Names that are not on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftOut {
    Exactly(usize),
    /// The counting stopped there.
    AtLeast(usize),
}
