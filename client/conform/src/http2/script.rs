//! A case as data: steps to play, and how a connection starts.

use lacewing_frames::http2::SettingId;

use crate::{Case, Need, Requirement, Side, case::Script as AnyScript};

use super::{
    expect::Expect,
    frame::{Frame, Id},
};

/// What a case plays.
#[derive(Debug)]
pub(crate) struct Script {
    pub(super) start: Start,
    pub(super) steps: Vec<Step>,
}

/// How the connection starts.
#[derive(Clone, Debug)]
pub(super) enum Start {
    /// Preface and SETTINGS with these entries; both sides acknowledge.
    Handshake(Vec<(SettingId, u32)>),
    /// Not at all: the steps do it.
    Nothing,
}

/// One step.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Send frames, in one write.
    Send(Vec<Frame>),
    /// Send bytes.
    Bytes(Vec<u8>),
    /// Wait for a reaction.
    Expect(Expect),
    /// The connection still works: PING is answered.
    Alive,
    /// PING is answered, and then nothing more is said for a moment.
    Settle,
    /// Send DATA on a stream, one byte more than the windows of the tested side
    /// allow; it calls that an error FLOW_CONTROL_ERROR, or has opened them
    /// meanwhile.
    Overrun(Id),
    /// Send a frame one byte longer than the tested side allows.
    TooLong(Frame),
    /// Wait for so many requests of a client under test.
    Requests(usize),
    /// Push is allowed by a client under test, or is not; else the case is
    /// skipped.
    Push(Need),
    /// Remember how many requests came.
    Mark,
    /// Answer all requests that were not answered yet with 200, and remember
    /// how many came.
    AnswerAll,
    /// Wait for another request than those remembered, or skip the case.
    Another,
    /// The first request of a client under test has a body, or the case is
    /// skipped.
    Body,
    /// The reactions up to now must leave this true.
    Holds(Expect),
    /// Send so many bytes of DATA, as the windows of the tested side allow, and
    /// END_STREAM.
    Upload(Id, u64),
    /// Send so many DATA frames of one byte and 255 of padding, and END_STREAM.
    PaddedUpload(Id, u64),
    /// Close the transport's write half.
    Finish,
    /// Do not acknowledge SETTINGS from here on.
    WithholdAck,
}

/// A case in a table.
#[derive(Debug)]
pub(super) struct Row {
    id: String,
    title: String,
    requirement: Requirement,
    needs: Vec<Need>,
    start: Start,
    steps: Vec<Step>,
}

/// A rule that binds.
pub(super) fn must(
    id: impl Into<String>,
    title: impl Into<String>,
    steps: impl IntoIterator<Item = Step>,
) -> Row {
    Row {
        id: id.into(),
        title: title.into(),
        requirement: Requirement::Must,
        needs: Vec::new(),
        start: Start::Handshake(Vec::new()),
        steps: steps.into_iter().collect(),
    }
}

/// A rule that is recommended.
pub(super) fn should(
    id: impl Into<String>,
    title: impl Into<String>,
    steps: impl IntoIterator<Item = Step>,
) -> Row {
    Row {
        requirement: Requirement::Should,
        ..must(id, title, steps)
    }
}

impl Row {
    /// Starts with these entries in SETTINGS.
    pub(super) fn settings(mut self, entries: &[(SettingId, u32)]) -> Self {
        self.start = Start::Handshake(entries.to_vec());
        self
    }

    /// Starts with nothing.
    pub(super) fn bare(mut self) -> Self {
        self.start = Start::Nothing;
        self
    }

    /// Is recommended, or left open by the specification: advice.
    pub(super) fn advised(mut self) -> Self {
        self.requirement = Requirement::Should;
        self
    }

    /// Is skipped unless this is there.
    pub(super) fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    pub(super) fn into_case(self, tested: Side) -> Case {
        Case {
            id: self.id,
            title: self.title,
            requirement: self.requirement,
            tested,
            needs: self.needs,
            script: AnyScript::Http2(Script {
                start: self.start,
                steps: self.steps,
            }),
        }
    }
}

/// Sends a frame.
pub(super) fn send(frame: Frame) -> Step {
    Step::Send(vec![frame])
}

/// Sends frames in one write.
pub(super) fn send_all(frames: impl IntoIterator<Item = Frame>) -> Step {
    Step::Send(frames.into_iter().collect())
}

/// Sends bytes.
pub(super) fn bytes(bytes: &[u8]) -> Step {
    Step::Bytes(bytes.to_vec())
}

/// Waits for so many requests of a client under test.
pub(super) fn requests(number: usize) -> Step {
    Step::Requests(number)
}

/// Waits for the first request of a client under test.
pub(super) fn request_comes() -> Step {
    Step::Requests(1)
}

/// Waits for the first request of a client under test, which must have a body.
pub(super) fn upload_comes() -> [Step; 2] {
    [Step::Requests(1), Step::Body]
}

/// No request came since the mark.
pub(super) fn no_request_since_mark() -> Step {
    Step::Holds(Expect::AtMostSinceMark(0))
}

/// The connection still works: PING is answered.
pub(super) fn alive() -> Step {
    Step::Alive
}

/// PING is answered, and nothing more is said for a moment.
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
