//! Cases as data: the steps that a scripted peer plays, and the rows of tables.

use lacewing_frames::{Side, Version};

use crate::{
    case::{Case, Need, Play, Requirement},
    expect::{Expect, Moment},
    protocol::Protocol,
    stream_id::Id,
    target::Target,
};

/// The setup and steps of a case.
#[derive(Debug)]
pub(crate) struct Script<P: Protocol> {
    pub(crate) version: Version,
    pub(crate) setup: P::Setup,
    pub(crate) steps: Vec<Step<P>>,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step<P: Protocol> {
    /// Send frames, in one write.
    Send(Vec<P::Frame>),
    /// Send bytes.
    Bytes(Vec<u8>),
    /// Wait for a reaction.
    Expect(Expect<P>),
    /// Check without waiting: the frames so far must not contradict this.
    Holds(Expect<P>),
    /// The connection still works: PING is answered.
    Alive,
    /// PING is answered, and then the tested side is silent for a moment.
    Settle,
    /// Send DATA on a stream, one byte more than the windows of the tested side
    /// allow. It must report a flow-control error, unless it has advertised
    /// credit meanwhile.
    Overrun(Id),
    /// Send this many bytes of DATA, as the windows of the tested side allow,
    /// and end the stream.
    Upload(Id, u64),
    /// Wait for this many requests of a client under test.
    Requests(usize),
    /// The first request of a client under test has a body, or the case is
    /// skipped.
    Body,
    /// Remember how many requests were received.
    Mark,
    /// Answer every request since the mark with 200, and set the mark.
    AnswerAll,
    /// Wait for another request than those remembered, or skip the case.
    Another,
    /// Close the transport's write half.
    Finish,
    /// A step that only this protocol has.
    Own(P::Step),
}

/// A case in a table.
#[derive(Debug)]
pub(crate) struct Row<P: Protocol> {
    /// The id, or the section in which `cases` numbers it.
    pub(crate) place: String,
    title: String,
    requirement: Requirement,
    needs: Vec<Need>,
    pub(crate) setup: P::Setup,
    steps: Vec<Step<P>>,
}

/// A MUST case.
pub(crate) fn must<P: Protocol>(
    place: impl Into<String>,
    title: impl Into<String>,
    steps: impl IntoIterator<Item = Step<P>>,
) -> Row<P> {
    Row {
        place: place.into(),
        title: title.into(),
        requirement: Requirement::Must,
        needs: Vec::new(),
        setup: P::Setup::default(),
        steps: steps.into_iter().collect(),
    }
}

/// A SHOULD case: the rule is recommended, or customary.
pub(crate) fn should<P: Protocol>(
    place: impl Into<String>,
    title: impl Into<String>,
    steps: impl IntoIterator<Item = Step<P>>,
) -> Row<P> {
    must(place, title, steps).advised()
}

impl<P: Protocol> Row<P> {
    /// Makes it a SHOULD case: the specification recommends it or leaves it open.
    pub(crate) fn advised(mut self) -> Self {
        self.requirement = Requirement::Should;
        self
    }

    /// Skips the case unless the tested side meets the need.
    pub(crate) fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    /// The case of this row.
    pub(crate) fn into_case(mut self, id: String, version: Version, tested: Side) -> Case
    where
        Script<P>: Play,
    {
        let waits = |step: &Step<P>| match step {
            Step::Expect(expect) => !expect.whole_responses().is_empty(),
            _ => false,
        };
        if tested == Side::Server && self.steps.iter().any(waits) {
            self.needs.push(Need::Page(Target::MAX_PAGE));
        }
        Case {
            specification: P::specification(version, &id),
            id,
            title: self.title,
            requirement: self.requirement,
            tested,
            needs: self.needs,
            version,
            script: Box::new(Script {
                version,
                setup: self.setup,
                steps: self.steps,
            }),
        }
    }
}

/// Sends a frame.
pub(crate) fn send<P: Protocol>(frame: P::Frame) -> Step<P> {
    Step::Send(vec![frame])
}

/// Sends frames in one write.
pub(crate) fn send_all<P: Protocol>(frames: impl IntoIterator<Item = P::Frame>) -> Step<P> {
    Step::Send(frames.into_iter().collect())
}

/// Sends bytes.
pub(crate) fn bytes<P: Protocol>(bytes: &[u8]) -> Step<P> {
    Step::Bytes(bytes.to_vec())
}

/// Waits for this many requests of a client under test.
pub(crate) fn requests<P: Protocol>(number: usize) -> Step<P> {
    Step::Requests(number)
}

/// Waits for the first request of a client under test.
pub(crate) fn await_request<P: Protocol>() -> Step<P> {
    Step::Requests(1)
}

/// Waits for the first request of a client under test, which must have a body.
pub(crate) fn await_upload<P: Protocol>() -> [Step<P>; 2] {
    [Step::Requests(1), Step::Body]
}

/// No request was received since the mark.
pub(crate) fn no_request_since_mark<P: Protocol>() -> Step<P> {
    Step::Holds(Expect::AtMostSinceMark(0))
}

/// The connection still works: PING is answered.
pub(crate) fn alive<P: Protocol>() -> Step<P> {
    Step::Alive
}

/// PING is answered, and then the tested side is silent for a moment.
pub(crate) fn settle<P: Protocol>() -> Step<P> {
    Step::Settle
}

/// Until now the stream was not reset.
pub(crate) fn not_reset<P: Protocol>(stream: impl Into<Id>) -> Step<P> {
    Step::Holds(Expect::NotReset(stream.into()))
}

/// Until now at most this many bytes of content were received.
pub(crate) fn at_most<P: Protocol>(stream: impl Into<Id>, bytes: u64) -> Step<P> {
    Step::Holds(Expect::AtMost(stream.into(), bytes))
}

/// Waits for a reaction.
pub(crate) fn expect<P: Protocol>(expect: Expect<P>) -> Step<P> {
    Step::Expect(expect)
}

/// A connection error with one of these reasons.
pub(crate) fn connection_error<P: Protocol>(reasons: &[P::GoAway]) -> Step<P> {
    expect(Expect::ConnectionError(reasons.to_vec()))
}

/// A session error (SPDY/3 §2.4.1): a connection error with any reason.
pub(crate) fn session_error<P: Protocol>() -> Step<P> {
    connection_error(&[])
}

/// A stream error with one of these codes.
pub(crate) fn stream_error<P: Protocol>(stream: impl Into<Id>, codes: &[P::Code]) -> Step<P> {
    expect(Expect::StreamError(stream.into(), codes.to_vec()))
}

/// An error of the stream with any code, or one of the session: the drafts
/// forbid something, and name no reaction.
pub(crate) fn any_error<P: Protocol>(stream: impl Into<Id>) -> Step<P> {
    any([
        Expect::Reset(stream.into()),
        Expect::ConnectionError(Vec::new()),
    ])
}

/// The request is refused: a stream error, a response of 4xx or 5xx, or an error
/// of the session.
pub(crate) fn refused<P: Protocol>(stream: impl Into<Id>) -> Step<P> {
    let stream = stream.into();
    any([
        Expect::Reset(stream),
        Expect::Head(stream, 400..=599),
        Expect::ConnectionError(Vec::new()),
    ])
}

/// The answer is 400 (SPDY/3 §3.2.1).
pub(crate) fn bad_request<P: Protocol>(stream: impl Into<Id>) -> Step<P> {
    expect(Expect::Head(stream.into(), 400..=400))
}

/// The tested side refuses the message when it has received the head.
pub(crate) fn malformed<P: Protocol>(stream: impl Into<Id>) -> Step<P> {
    expect(Expect::Malformed(stream.into(), Moment::Head))
}

/// The tested side refuses the message, perhaps after it has sent a response.
pub(crate) fn malformed_late<P: Protocol>(stream: impl Into<Id>) -> Step<P> {
    expect(Expect::Malformed(stream.into(), Moment::Late))
}

/// A whole response with any final status.
pub(crate) fn response<P: Protocol>(stream: impl Into<Id>) -> Step<P> {
    expect(Expect::Response(stream.into(), 200..=599))
}

/// A whole response with a status of 2xx.
pub(crate) fn success<P: Protocol>(stream: impl Into<Id>) -> Step<P> {
    expect(Expect::Response(stream.into(), 200..=299))
}

/// A response's head.
pub(crate) fn response_head<P: Protocol>(stream: impl Into<Id>) -> Step<P> {
    expect(Expect::Head(stream.into(), 200..=599))
}

/// At least this many bytes of content.
pub(crate) fn content<P: Protocol>(stream: impl Into<Id>, bytes: u64) -> Step<P> {
    expect(Expect::Content(stream.into(), bytes))
}

/// One of several reactions.
pub(crate) fn any<P: Protocol>(expects: impl IntoIterator<Item = Expect<P>>) -> Step<P> {
    expect(Expect::Any(expects.into_iter().collect()))
}
