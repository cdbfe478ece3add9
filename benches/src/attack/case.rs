//! A case: who plays what against whom, and what must follow.

use super::dialect::Dialect;
use super::peer::Peer;
use super::play::Play;

/// Plays a case and gives the connections that a verdict looks at.
pub(crate) type Script = fn(&mut Play<'_>) -> Result<Vec<Peer>, String>;

/// One kind of hostile or honest traffic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// `family/what`.
    pub(crate) name: &'static str,
    /// The row of the list of known attacks, or a keyword of its own.
    pub(crate) answers: &'static str,
    pub(crate) dialects: &'static [Dialect],
    pub(crate) victim: VictimSide,
    pub(crate) script: Script,
    pub(crate) expect: Expect,
    /// Seconds for the expected reaction after the script: small run, full run.
    pub(crate) within: (u64, u64),
    /// The honest case beside it.
    pub(crate) honest: &'static str,
    /// Limits of the victim in the small run, in seconds.
    pub(crate) limits: &'static [(&'static str, u64)],
    /// Files that the victim may have open.
    pub(crate) descriptors: Option<u32>,
    /// MiB that all of the victim's connections may hold together.
    pub(crate) memory: Option<u64>,
    pub(crate) load: Load,
    /// Further arguments of the victim's program.
    pub(crate) arguments: &'static [&'static str],
    /// MiB that each connection may hold, where they are not those of all cases.
    pub(crate) peak: Option<u64>,
    /// The limit that the victim's error must name.
    pub(crate) names: Option<fn(Dialect) -> &'static str>,
}

/// The side that is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VictimSide {
    Server,
    Client,
    /// The program lacewingd.
    Program,
}

/// The required reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The victim closes every connection; over HTTP/2 with this code, if named.
    Close(Option<&'static str>),
    /// Every stream ends, or its connection does.
    Release,
    /// GOAWAY, RST_STREAM, a status of 400 or more, or a close.
    Refuse,
    /// The bounds hold; the reaction is the victim's choice.
    Bounded,
    /// No error, no close, every request answered.
    Unharmed,
}

/// The load of a case on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Mostly waits: many run at a time.
    Quiet,
    /// Keeps a core busy.
    Busy,
}

/// The limits on time, lowered so that a small run sees them pass.
pub(crate) const LOWERED: &[(&str, u64)] = &[
    ("preface", 1),
    ("headers", 1),
    ("settings", 1),
    ("stall", 1),
    ("drain", 1),
];

impl Case {
    const fn new(
        name: &'static str,
        answers: &'static str,
        dialects: &'static [Dialect],
        script: Script,
    ) -> Case {
        Case {
            name,
            answers,
            dialects,
            victim: VictimSide::Server,
            script,
            expect: Expect::Bounded,
            within: (1, 5),
            honest: "",
            limits: &[],
            descriptors: None,
            memory: None,
            load: Load::Quiet,
            arguments: &[],
            peak: None,
            names: None,
        }
    }

    /// A case whose bounds must hold.
    pub(crate) const fn bounded(
        name: &'static str,
        answers: &'static str,
        dialects: &'static [Dialect],
        script: Script,
    ) -> Case {
        Case::new(name, answers, dialects, script)
    }

    /// A case that must end its connections.
    pub(crate) const fn closed(
        name: &'static str,
        answers: &'static str,
        dialects: &'static [Dialect],
        script: Script,
    ) -> Case {
        Case {
            expect: Expect::Close(None),
            ..Case::new(name, answers, dialects, script)
        }
    }

    /// A case that must be refused.
    pub(crate) const fn refused(
        name: &'static str,
        answers: &'static str,
        dialects: &'static [Dialect],
        script: Script,
    ) -> Case {
        Case {
            expect: Expect::Refuse,
            ..Case::new(name, answers, dialects, script)
        }
    }

    /// A wait that must end: limits lowered to a second in the small run, the
    /// defaults in the full one.
    pub(crate) const fn wait(
        name: &'static str,
        answers: &'static str,
        dialects: &'static [Dialect],
        script: Script,
    ) -> Case {
        Case {
            expect: Expect::Release,
            within: (4, 100),
            limits: LOWERED,
            ..Case::new(name, answers, dialects, script)
        }
    }

    /// Honest traffic.
    pub(crate) const fn honest(
        name: &'static str,
        answers: &'static str,
        dialects: &'static [Dialect],
        script: Script,
    ) -> Case {
        Case {
            expect: Expect::Unharmed,
            ..Case::new(name, answers, dialects, script)
        }
    }

    /// With the GOAWAY code of HTTP/2.
    pub(crate) const fn code(self, code: &'static str) -> Case {
        Case {
            expect: Expect::Close(Some(code)),
            ..self
        }
    }

    /// With the honest case that resembles it.
    pub(crate) const fn beside(self, honest: &'static str) -> Case {
        Case { honest, ..self }
    }

    pub(crate) const fn busy(self) -> Case {
        Case {
            load: Load::Busy,
            ..self
        }
    }

    pub(crate) const fn within(self, small: u64, full: u64) -> Case {
        Case {
            within: (small, full),
            ..self
        }
    }

    pub(crate) const fn limits(self, limits: &'static [(&'static str, u64)]) -> Case {
        Case { limits, ..self }
    }

    pub(crate) const fn descriptors(self, most: u32) -> Case {
        Case {
            descriptors: Some(most),
            ..self
        }
    }

    /// Against the program lacewingd.
    pub(crate) const fn program(self) -> Case {
        Case {
            victim: VictimSide::Program,
            ..self
        }
    }

    /// With a budget of the process, in MiB.
    pub(crate) const fn memory(self, mib: u64) -> Case {
        Case {
            memory: Some(mib),
            ..self
        }
    }

    /// Against a client.
    pub(crate) const fn client(self, arguments: &'static [&'static str]) -> Case {
        Case {
            victim: VictimSide::Client,
            arguments,
            ..self
        }
    }

    /// Against a server with further arguments.
    pub(crate) const fn arguments(self, arguments: &'static [&'static str]) -> Case {
        Case { arguments, ..self }
    }

    /// With a bound of its own for each connection, in MiB.
    pub(crate) const fn peak(self, mib: u64) -> Case {
        Case {
            peak: Some(mib),
            ..self
        }
    }

    /// The victim's error must name this limit.
    pub(crate) const fn names(self, limit: fn(Dialect) -> &'static str) -> Case {
        Case {
            names: Some(limit),
            ..self
        }
    }

    pub(crate) fn is_honest(&self) -> bool {
        self.expect == Expect::Unharmed
    }
}
