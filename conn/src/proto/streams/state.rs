//! The states of a stream: one state machine of two halves (RFC 9113 §5.1; the
//! SPDY drafts §2.3).
//!
//! ```text
//!            head            fin
//!   Waiting ------>  Open  ------->  Closed
//!      |                               ^
//!      +------------ head + fin -------+
//! ```
//!
//! A request's receiver starts with an open (or closed) receive half and a
//! waiting send half; its sender the other way round. A reset ends the stream
//! at once and has no state. In the words of RFC 9113 §5.1:
//!
//! ```text
//!   send \ recv   Waiting           Open              Closed
//!   Waiting       –                 open              half-closed (remote),
//!                                                     reserved (local)
//!   Open          open              open              half-closed (remote)
//!   Closed        half-closed       half-closed       closed
//!                 (local), reserved (local)
//!                 (remote)
//! ```

use std::fmt;

use http::StatusCode;

use crate::proto::Rule;

/// One direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// No head yet: the reply is missing (informational ones do not count).
    Waiting,
    /// Between the head and the end.
    Open,
    /// Ended, or never existed (a unidirectional stream).
    Closed,
}

/// Both directions. Only this file makes one from another. Its debug text is the name
/// of RFC 9113 §5.1, which SPDY's drafts use too (§2.3.7).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    send: Half,
    recv: Half,
}

/// The part of a message that a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// An informational head.
    Informational,
    /// A head.
    Head { fin: bool },
    /// A piece of the body.
    Data { fin: bool },
    /// Header fields after the head.
    Trailers { fin: bool },
}

/// The part is not allowed in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misplaced {
    /// Data or trailers before the head.
    BeforeHead,
    /// A second head.
    SecondHead,
    /// Anything after the end.
    AfterEnd,
}

impl Part {
    /// Checks the status of a response's head (RFC 9110 §15.2, RFC 9113 §8.6). An informational
    /// response does not end a stream, and these protocols have no 101.
    pub(crate) fn check_status(self, status: Option<StatusCode>) -> Result<(), Rule> {
        match status.filter(StatusCode::is_informational) {
            Some(StatusCode::SWITCHING_PROTOCOLS) => Err(Rule::InvalidInformational),
            Some(_) if self != Self::Informational => Err(Rule::InvalidInformational),
            _ => Ok(()),
        }
    }
}

impl Half {
    /// The half after `part`.
    fn after(self, part: Part) -> Result<Self, Misplaced> {
        let end = |fin| if fin { Self::Closed } else { Self::Open };
        match (self, part) {
            (Self::Closed, _) => Err(Misplaced::AfterEnd),
            (Self::Waiting, Part::Informational) => Ok(Self::Waiting),
            (Self::Waiting, Part::Head { fin }) => Ok(end(fin)),
            (Self::Waiting, Part::Data { .. } | Part::Trailers { .. }) => {
                Err(Misplaced::BeforeHead)
            }
            (Self::Open, Part::Head { .. } | Part::Informational) => Err(Misplaced::SecondHead),
            (Self::Open, Part::Data { fin } | Part::Trailers { fin }) => Ok(end(fin)),
        }
    }
}

impl State {
    /// A stream that we opened, having sent its head.
    pub(crate) fn opened(fin: bool) -> Self {
        Self {
            send: if fin { Half::Closed } else { Half::Open },
            recv: Half::Waiting,
        }
    }

    /// The same, if the stream is unidirectional: the peer sends nothing.
    pub(crate) fn opened_one_way(fin: bool) -> Self {
        Self {
            recv: Half::Closed,
            ..Self::opened(fin)
        }
    }

    /// A stream that the peer opened with its head.
    pub(crate) fn accepted(fin: bool, unidirectional: bool) -> Self {
        Self {
            send: if unidirectional {
                Half::Closed
            } else {
                Half::Waiting
            },
            recv: if fin { Half::Closed } else { Half::Open },
        }
    }

    /// A stream that we promised: only we send.
    pub(crate) fn pushed() -> Self {
        Self {
            send: Half::Waiting,
            recv: Half::Closed,
        }
    }

    /// A stream that the peer promised: only it sends.
    pub(crate) fn promised() -> Self {
        Self {
            send: Half::Closed,
            recv: Half::Waiting,
        }
    }

    /// A stream of the peer that has its whole reply, while its own body goes
    /// on.
    pub(crate) fn answered() -> Self {
        Self {
            send: Half::Closed,
            recv: Half::Open,
        }
    }

    /// The direction from us to the peer.
    pub(super) fn send(self) -> Half {
        self.send
    }

    /// The direction from the peer to us.
    pub(super) fn recv(self) -> Half {
        self.recv
    }

    /// The state after we send `part`.
    pub(super) fn after_send(self, part: Part) -> Result<Self, Misplaced> {
        let send = self.send.after(part)?;
        Ok(Self { send, ..self })
    }

    /// The state after the peer sends `part`.
    pub(super) fn after_recv(self, part: Part) -> Result<Self, Misplaced> {
        let recv = self.recv.after(part)?;
        Ok(Self { recv, ..self })
    }

    /// The state after the end of our direction.
    pub(super) fn with_send_closed(self) -> Self {
        Self {
            send: Half::Closed,
            ..self
        }
    }

    pub(crate) fn is_closed(self) -> bool {
        self.send == Half::Closed && self.recv == Half::Closed
    }

    /// The name in RFC 9113 §5.1. A promised stream, which is "reserved" there, has the
    /// name of a half-closed one.
    fn name(self) -> &'static str {
        match (self.send, self.recv) {
            (Half::Waiting, Half::Waiting) => "idle",
            (Half::Closed, Half::Closed) => "closed",
            (_, Half::Closed) => "half-closed (remote)",
            (Half::Closed, _) => "half-closed (local)",
            _ => "open",
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALVES: [Half; 3] = [Half::Waiting, Half::Open, Half::Closed];
    const PARTS: [Part; 7] = [
        Part::Informational,
        Part::Head { fin: false },
        Part::Head { fin: true },
        Part::Data { fin: false },
        Part::Data { fin: true },
        Part::Trailers { fin: false },
        Part::Trailers { fin: true },
    ];

    #[test]
    fn states_have_the_names_of_the_specification() {
        for (state, name) in [
            (State::opened(false), "open"),
            (State::opened(true), "half-closed (local)"),
            (State::accepted(false, false), "open"),
            (State::accepted(true, false), "half-closed (remote)"),
            (State::accepted(true, true), "closed"),
            (State::answered(), "half-closed (local)"),
            (State::answered().with_send_closed(), "half-closed (local)"),
            (
                State::opened(false).with_send_closed(),
                "half-closed (local)",
            ),
        ] {
            assert_eq!(format!("{state:?}"), name);
        }
    }

    /// The whole product of states and parts, against the rules in words.
    #[test]
    fn the_table_is_total() {
        for half in HALVES {
            for part in PARTS {
                let fin = matches!(
                    part,
                    Part::Head { fin: true }
                        | Part::Data { fin: true }
                        | Part::Trailers { fin: true }
                );
                let head = matches!(part, Part::Head { .. } | Part::Informational);
                match half.after(part) {
                    Ok(next) => {
                        assert_ne!(half, Half::Closed, "nothing comes after the end");
                        assert_eq!(head, half == Half::Waiting, "a head comes first and once");
                        assert_eq!(fin, next == Half::Closed, "fin and only fin closes");
                    }
                    Err(Misplaced::AfterEnd) => assert_eq!(half, Half::Closed),
                    Err(Misplaced::SecondHead) => assert!(head && half == Half::Open),
                    Err(Misplaced::BeforeHead) => assert!(!head && half == Half::Waiting),
                }
            }
        }
    }
}
