//! Expectations and row options of SPDY alone.

use std::collections::BTreeMap;

use lacewing_frames::spdy::Compression;
use lacewing_frames::{Side, Version};

use crate::{case::Case, script};

use super::protocol::{SessionWindow, Spdy};

pub(super) type Step = script::Step<Spdy>;
pub(super) type Row = script::Row<Spdy>;
pub(super) type Expect = crate::expect::Expect<Spdy>;

impl Expect {
    /// A session error (section 2.4.1).
    pub(super) const SESSION_ERROR: Self = Self::ConnectionError(Vec::new());
}

impl Row {
    /// Limits the case to SPDY/2.
    pub(super) fn in_2(mut self) -> Self {
        self.setup.versions = &[Version::Spdy2];
        self
    }

    /// Limits the case to SPDY/3 and SPDY/3.1.
    pub(super) fn since_3(mut self) -> Self {
        self.setup.versions = &[Version::Spdy3, Version::Spdy31];
        self
    }

    /// Limits the case to SPDY/3.
    pub(super) fn in_3(mut self) -> Self {
        self.setup.versions = &[Version::Spdy3];
        self
    }

    /// Limits the case to SPDY/3.1.
    pub(super) fn in_31(mut self) -> Self {
        self.setup.versions = &[Version::Spdy31];
        self
    }

    /// A MUST in SPDY/2 alone: later drafts lack the rule.
    pub(super) fn binding_in_2(self, version: Version) -> Self {
        match version != Version::Spdy2 {
            true => self.advised(),
            false => self,
        }
    }

    /// A MUST in SPDY/3 and SPDY/3.1: SPDY/2 lacks the rule.
    pub(super) fn binding_since_3(self, version: Version) -> Self {
        match version == Version::Spdy2 {
            true => self.advised(),
            false => self,
        }
    }

    /// A MUST in SPDY/3.1 alone: earlier drafts lack the rule.
    pub(super) fn binding_in_31(self, version: Version) -> Self {
        match version != Version::Spdy31 {
            true => self.advised(),
            false => self,
        }
    }

    /// Checks the section's rules for every connection. In other cases a peer
    /// that breaks them would fail every case.
    pub(super) fn habits(mut self, section: &'static str) -> Self {
        self.setup.habits = Some(section);
        self
    }

    /// Sets when a server under test must obey the session's window.
    pub(super) fn session_window(mut self, session_window: SessionWindow) -> Self {
        self.setup.session_window = session_window;
        self
    }

    /// Compresses header blocks.
    pub(super) fn compressed(mut self, compression: Compression) -> Self {
        self.setup.compression = Some(compression);
        self
    }
}

/// The cases of a table. Numbers count the rows of a section in all versions, so
/// that a rule has one id in all of them. Add new rows at the end of their
/// section.
pub(super) fn cases(rows: Vec<Row>, version: Version, tested: Side) -> Vec<Case> {
    let mut numbers = BTreeMap::new();
    let mut cases = Vec::new();
    for mut row in rows {
        let number = numbers.entry(row.place.clone()).or_insert(0_usize);
        *number = number.saturating_add(1);
        if row.setup.versions.contains(&version) {
            // Rows with the same steps are one case.
            row.setup.versions = &[];
            let id = format!("{}/{number}", row.place);
            cases.push(row.into_case(id, version, tested));
        }
    }
    cases
}
