//! A broken rule on its way to its outcome. The outcome of each rule differs by
//! protocol and stands in [`rules`](super::rules).

use std::{borrow::Cow, fmt};

use super::{Event, Reason, Rule, StreamId};

/// The outcome of a message: an event, nothing, or a broken rule.
pub(crate) type Outcome = Result<Option<Event>, Broken>;

/// The error of the engine's handlers: a rule that the peer broke. The engine
/// makes the outcome of it in one place, by the table of rules.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The outcome stands in the table, and concerns this stream at most.
    OnStream(StreamId, Rule, Option<Cow<'static, str>>),
    /// The connection ends, whatever the protocol.
    Fatal(Rule, Option<Cow<'static, str>>),
    /// The outcome is decided.
    Decided(Violation),
}

impl Rule {
    /// Broken by a frame of this stream.
    pub(crate) fn on(self, stream: StreamId) -> Broken {
        Broken::OnStream(stream, self, None)
    }

    /// The request is valid, but its target does not fit our types.
    pub(crate) fn is_of_target(self) -> bool {
        matches!(self, Self::UnsupportedTarget | Self::TargetTooLong)
    }

    /// Broken in a way that ends the connection.
    pub(crate) fn fatal(self) -> Broken {
        Broken::Fatal(self, None)
    }
}

impl Broken {
    /// The same with more to say.
    pub(crate) fn detailed(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        match &mut self {
            Self::OnStream(_, _, detail) | Self::Fatal(_, detail) => *detail = Some(text.into()),
            Self::Decided(violation) => violation.detail = Some(text.into()),
        }
        self
    }
}

impl From<Violation> for Broken {
    fn from(violation: Violation) -> Self {
        Self::Decided(violation)
    }
}

/// A broken rule with what follows: a code, and the stream that ends by it, or
/// the whole connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The broken rule.
    pub rule: Rule,
    /// The code that is sent to the peer.
    pub reason: Reason,
    /// The stream that ends; `None`: the connection ends.
    pub stream: Option<StreamId>,
    /// Details beyond the rule, for example the wrong byte.
    pub detail: Option<Cow<'static, str>>,
}

impl Violation {
    /// The connection ends.
    pub(crate) fn connection(rule: Rule, reason: Reason) -> Self {
        Self {
            rule,
            reason,
            stream: None,
            detail: None,
        }
    }

    /// A stream ends.
    pub(crate) fn stream(stream: StreamId, rule: Rule, reason: Reason) -> Self {
        Self {
            rule,
            reason,
            stream: Some(stream),
            detail: None,
        }
    }

    /// The same with more to say.
    pub(crate) fn detailed(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}: {detail}: {}", self.reason, self.rule),
            None => write!(f, "{}: {}", self.reason, self.rule),
        }
    }
}
