//! The words of tables that only SPDY has.

use std::collections::BTreeMap;

use lacewing_conn::{Side, Version};
use lacewing_frames::spdy::Compression;

use crate::{case::Case, script};

use super::protocol::Spdy;

pub(super) type Step = script::Step<Spdy>;
pub(super) type Row = script::Row<Spdy>;
pub(super) type Expect = crate::expect::Expect<Spdy>;

impl Expect {
    /// A session error (section 2.4.1).
    pub(super) const SESSION_ERROR: Self = Self::ConnectionError(Vec::new());
}

impl Row {
    /// Of SPDY/2 alone.
    pub(super) fn in_2(mut self) -> Self {
        self.setup.versions = &[Version::Spdy2];
        self
    }

    /// Of SPDY/3 and SPDY/3.1.
    pub(super) fn since_3(mut self) -> Self {
        self.setup.versions = &[Version::Spdy3, Version::Spdy31];
        self
    }

    /// Of SPDY/3 alone.
    pub(super) fn in_3(mut self) -> Self {
        self.setup.versions = &[Version::Spdy3];
        self
    }

    /// Of SPDY/3.1 alone.
    pub(super) fn in_31(mut self) -> Self {
        self.setup.versions = &[Version::Spdy31];
        self
    }

    /// Binds in SPDY/2 alone: later drafts do not say it.
    pub(super) fn binding_in_2(self, version: Version) -> Self {
        match version != Version::Spdy2 {
            true => self.advised(),
            false => self,
        }
    }

    /// Binds in SPDY/3 and SPDY/3.1: SPDY/2 does not say it.
    pub(super) fn binding_since_3(self, version: Version) -> Self {
        match version == Version::Spdy2 {
            true => self.advised(),
            false => self,
        }
    }

    /// Binds in SPDY/3.1 alone: earlier drafts do not say it.
    pub(super) fn binding_in_31(self, version: Version) -> Self {
        match version != Version::Spdy31 {
            true => self.advised(),
            false => self,
        }
    }

    /// Watches what is done on every connection, as far as that section is about
    /// it. Elsewhere it would fail all cases there are.
    pub(super) fn habits(mut self, section: &'static str) -> Self {
        self.setup.habits = Some(section);
        self
    }

    /// With blocks that a compressor made.
    pub(super) fn compressed(mut self, compression: Compression) -> Self {
        self.setup.compression = Some(compression);
        self
    }
}

/// The cases of a table. Rows are numbered through in their section, whatever
/// versions have them: a rule has one id in all of them. New rows come last in
/// their section.
pub(super) fn cases(rows: Vec<Row>, version: Version, tested: Side) -> Vec<Case> {
    let mut numbers = BTreeMap::new();
    let mut cases = Vec::new();
    for mut row in rows {
        let number = numbers.entry(row.place.clone()).or_insert(0_usize);
        *number = number.saturating_add(1);
        if row.setup.versions.contains(&version) {
            // The same steps are the same case, whatever other versions have it.
            row.setup.versions = &[];
            let id = format!("{}/{number}", row.place);
            cases.push(row.into_case(id, version, tested));
        }
    }
    cases
}
