//! A case as data: steps to play, and the versions that have it.

use lacewing_frames::spdy::Compression;

use crate::{Case, Need, Requirement, Side, Version, case::Script as AnyScript};

use super::{
    expect::Expect,
    frame::{Frame, Id},
};

/// What a case plays.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) version: Version,
    /// The section whose habits are watched.
    pub(super) habits: Option<&'static str>,
    pub(super) compression: Option<Compression>,
    pub(super) steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Send frames, in one write.
    Send(Vec<Frame>),
    /// Wait for a reaction.
    Expect(Expect),
    /// The connection still works: PING comes back.
    Alive,
    /// PING comes back, and then nothing more is said for a moment.
    Settle,
    /// The reactions up to now must leave this true.
    Holds(Expect),
    /// Send DATA on a stream, one byte more than the windows of the tested side
    /// allow; it calls that an error, or has opened them meanwhile.
    Overrun(Id),
    /// Send so many bytes of DATA, as the windows of the tested side allow, and
    /// FLAG_FIN.
    Upload(Id, u64),
    /// Wait for so many requests of a client under test.
    Requests(usize),
    /// The first request of a client under test has a body, or the case is
    /// skipped.
    Body,
    /// Remember how many requests came.
    Mark,
    /// Answer all requests that were not answered yet with 200, and remember
    /// how many came.
    AnswerAll,
    /// Wait for another request than those remembered, or skip the case.
    Another,
}

/// A case in a table.
#[derive(Debug)]
pub(super) struct Row {
    section: &'static str,
    title: String,
    requirement: Requirement,
    needs: Vec<Need>,
    versions: &'static [Version],
    compression: Option<Compression>,
    habits: Option<&'static str>,
    steps: Vec<Step>,
}

const ALL: &[Version] = &[Version::Spdy2, Version::Spdy3, Version::Spdy31];
const SINCE_3: &[Version] = &[Version::Spdy3, Version::Spdy31];

/// A rule that binds.
pub(super) fn must(
    section: &'static str,
    title: impl Into<String>,
    steps: impl IntoIterator<Item = Step>,
) -> Row {
    Row {
        section,
        title: title.into(),
        requirement: Requirement::Must,
        needs: Vec::new(),
        versions: ALL,
        compression: None,
        habits: None,
        steps: steps.into_iter().collect(),
    }
}

/// A rule that is recommended, or folklore.
pub(super) fn should(
    section: &'static str,
    title: impl Into<String>,
    steps: impl IntoIterator<Item = Step>,
) -> Row {
    Row {
        requirement: Requirement::Should,
        ..must(section, title, steps)
    }
}

impl Row {
    /// Of SPDY/2 alone.
    pub(super) fn in_2(mut self) -> Self {
        self.versions = &[Version::Spdy2];
        self
    }

    /// Of SPDY/3 and SPDY/3.1.
    pub(super) fn since_3(mut self) -> Self {
        self.versions = SINCE_3;
        self
    }

    /// Of SPDY/3 alone.
    pub(super) fn in_3(mut self) -> Self {
        self.versions = &[Version::Spdy3];
        self
    }

    /// Of SPDY/3.1 alone.
    pub(super) fn in_31(mut self) -> Self {
        self.versions = &[Version::Spdy31];
        self
    }

    /// Binds in SPDY/2 alone: later drafts do not say it.
    pub(super) fn binding_in_2(mut self, version: Version) -> Self {
        if version != Version::Spdy2 {
            self.requirement = Requirement::Should;
        }
        self
    }

    /// Binds in SPDY/3 and SPDY/3.1: SPDY/2 does not say it.
    pub(super) fn binding_since_3(mut self, version: Version) -> Self {
        if version == Version::Spdy2 {
            self.requirement = Requirement::Should;
        }
        self
    }

    /// Binds in SPDY/3.1 alone: earlier drafts do not say it.
    pub(super) fn binding_in_31(mut self, version: Version) -> Self {
        if version != Version::Spdy31 {
            self.requirement = Requirement::Should;
        }
        self
    }

    /// Is skipped unless this is there.
    pub(super) fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    /// Watches what is done on every connection, as far as that section is about
    /// it. Elsewhere it would fail all cases there are.
    pub(super) fn habits(mut self, section: &'static str) -> Self {
        self.habits = Some(section);
        self
    }

    /// With blocks that a compressor made.
    pub(super) fn compressed(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }
}

/// The cases of a table. Rows are numbered through in their section, whatever
/// versions have them: a rule has one id in all of them. New rows come last in
/// their section.
pub(super) fn cases(rows: Vec<Row>, version: Version, tested: Side) -> Vec<Case> {
    let mut numbers = std::collections::BTreeMap::new();
    let mut cases = Vec::new();
    for row in rows {
        let number = numbers.entry(row.section).or_insert(0_usize);
        *number = number.saturating_add(1);
        if !row.versions.contains(&version) {
            continue;
        }
        cases.push(Case {
            id: format!("{}/{number}", row.section),
            title: row.title,
            requirement: row.requirement,
            tested,
            needs: row.needs,
            script: AnyScript::Spdy(Script {
                version,
                habits: row.habits,
                compression: row.compression,
                steps: row.steps,
            }),
        });
    }
    cases
}

/// Sends a frame.
pub(super) fn send(frame: Frame) -> Step {
    Step::Send(vec![frame])
}

/// Sends frames in one write.
pub(super) fn send_all(frames: impl IntoIterator<Item = Frame>) -> Step {
    Step::Send(frames.into_iter().collect())
}

/// The connection still works: PING comes back.
pub(super) fn alive() -> Step {
    Step::Alive
}

/// PING comes back, and nothing more is said for a moment.
pub(super) fn settle() -> Step {
    Step::Settle
}

/// Until now the stream was not reset.
pub(super) fn not_reset(stream: impl Into<Id>) -> Step {
    Step::Holds(Expect::NotReset(stream.into()))
}

/// Until now the stream has at most so many bytes of DATA.
pub(super) fn at_most(stream: impl Into<Id>, bytes: u64) -> Step {
    Step::Holds(Expect::AtMost(stream.into(), bytes))
}

/// Waits for the first request of a client under test.
pub(super) fn request_comes() -> Step {
    Step::Requests(1)
}

/// No request came since the mark.
pub(super) fn no_request_since_mark() -> Step {
    Step::Holds(Expect::AtMostSinceMark(0))
}
