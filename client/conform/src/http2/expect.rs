//! Reactions that are right, judged on all that came so far.

use std::{fmt, ops::RangeInclusive};

use lacewing_frames::http2::ErrorCode;

use crate::{Strictness, verdict::Verdict};

use super::{
    frame::Id,
    record::{Record, Stream},
    script::Step,
};

/// A right reaction.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    /// GOAWAY with one of these codes; the end of the connection alone will
    /// do, unless the suite is strict (RFC 9113 §5.4.1).
    ConnectionError(Vec<ErrorCode>),
    /// RST_STREAM with one of these codes, or a connection error with one of
    /// them (§5.4).
    StreamError(Id, Vec<ErrorCode>),
    /// The message is refused: a stream error PROTOCOL_ERROR, or a response of
    /// 4xx (§8.1.1).
    Malformed(Id, Moment),
    /// The transport ends.
    Closed,
    /// GOAWAY with this code.
    GoAway(ErrorCode),
    /// The head of a final response with such a status.
    Head(Id, RangeInclusive<u16>),
    /// A whole response with such a status.
    Response(Id, RangeInclusive<u16>),
    /// An informational response.
    Informational(Id, u16),
    /// At least so many bytes of content.
    Content(Id, u64),
    /// WINDOW_UPDATE of so many bytes, all together.
    Credit(Id, u64),
    /// RST_STREAM, with any code.
    Reset(Id),
    /// The tested side ended its half of the stream.
    Ended(Id),
    /// So many acknowledgements of SETTINGS.
    SettingsAcks(usize),
    /// The answer to a PING.
    PingAck([u8; 8]),
    /// No such answer to a PING.
    NoPingAck([u8; 8]),
    /// Not reset.
    NotReset(Id),
    /// At most so many bytes of content.
    AtMost(Id, u64),
    /// At most so many requests since the mark.
    AtMostSinceMark(usize),
    /// The connection was neither ended nor given up.
    Open,
    /// Any of these.
    Any(Vec<Expect>),
}

/// When the tested side could know that a message is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// From its head: any 2xx is wrong.
    Head,
    /// Later, when a response may be out already.
    Late,
}

pub(super) fn expect(expect: Expect) -> Step {
    Step::Expect(expect)
}

/// A connection error with one of these codes.
pub(super) fn connection_error(codes: &[ErrorCode]) -> Step {
    expect(Expect::ConnectionError(codes.to_vec()))
}

/// A stream error with one of these codes.
pub(super) fn stream_error(stream: impl Into<Id>, codes: &[ErrorCode]) -> Step {
    expect(Expect::StreamError(stream.into(), codes.to_vec()))
}

/// The message is refused from its head.
pub(super) fn malformed(stream: impl Into<Id>) -> Step {
    expect(Expect::Malformed(stream.into(), Moment::Head))
}

/// The message is refused, though a response may be out already.
pub(super) fn malformed_late(stream: impl Into<Id>) -> Step {
    expect(Expect::Malformed(stream.into(), Moment::Late))
}

/// A whole response with any final status.
pub(super) fn response(stream: impl Into<Id>) -> Step {
    expect(Expect::Response(stream.into(), 200..=599))
}

/// A whole response with a status of 2xx.
pub(super) fn success(stream: impl Into<Id>) -> Step {
    expect(Expect::Response(stream.into(), 200..=299))
}

/// A response's head.
pub(super) fn response_head(stream: impl Into<Id>) -> Step {
    expect(Expect::Head(stream.into(), 200..=599))
}

/// At least so many bytes of content.
pub(super) fn content(stream: impl Into<Id>, bytes: u64) -> Step {
    expect(Expect::Content(stream.into(), bytes))
}

/// One of several reactions.
pub(super) fn any(expects: impl IntoIterator<Item = Expect>) -> Step {
    expect(Expect::Any(expects.into_iter().collect()))
}

impl Expect {
    pub(super) fn judge(&self, record: &Record, strictness: Strictness) -> Verdict {
        let verdict = self.judge_frames(record, strictness);
        // Nothing more will come.
        match (&record.closed, verdict) {
            (Some(how), Verdict::Open) => Verdict::Missed(how.clone()),
            (_, verdict) => verdict,
        }
    }

    fn judge_frames(&self, record: &Record, strictness: Strictness) -> Verdict {
        let number = |id: &Id| id.resolve(&record.requests);
        let stream = |id: &Id| record.stream(number(id));
        match self {
            Self::ConnectionError(codes) => ended_by(record, codes, strictness),
            Self::StreamError(id, codes) => match stream(id).and_then(|stream| stream.reset) {
                Some(code) if codes.contains(&code) => Verdict::Met,
                // §8.1: the rest of a request is not wanted after the whole
                // response; what comes then is not looked at.
                Some(ErrorCode::NO_ERROR) if stream(id).is_some_and(|stream| stream.ended) => {
                    Verdict::Met
                }
                Some(code) => Verdict::Missed(format!("RST_STREAM with {code}")),
                None => ended_by(record, codes, strictness),
            },
            Self::Malformed(id, moment) => {
                let error = Self::StreamError(*id, vec![ErrorCode::PROTOCOL_ERROR]);
                match (stream(id).and_then(|stream| stream.status), moment) {
                    (Some(400..=499), _) => Verdict::Met,
                    (Some(status), Moment::Head) => {
                        Verdict::Missed(format!("a response with status {status}"))
                    }
                    _ => error.judge_frames(record, strictness),
                }
            }
            Self::Closed => match record.closed {
                Some(_) => Verdict::Met,
                None => Verdict::Open,
            },
            Self::GoAway(code) => {
                if record.go_aways.iter().any(|(_, came)| came == code) {
                    return Verdict::Met;
                }
                match record.connection_error() {
                    Some(other) => Verdict::Missed(format!("GOAWAY with {other}")),
                    None => Verdict::Open,
                }
            }
            Self::Head(id, statuses) => match stream(id).and_then(|stream| stream.status) {
                Some(status) => Verdict::status(status, statuses),
                None => still_open(record, stream(id)),
            },
            Self::Response(id, statuses) => match stream(id) {
                Some(Stream {
                    status: Some(status),
                    ended: true,
                    ..
                }) => Verdict::status(*status, statuses),
                stream => still_open(record, stream),
            },
            Self::Informational(id, status) => match stream(id) {
                Some(stream) if stream.informational.contains(status) => Verdict::Met,
                stream => still_open(record, stream),
            },
            Self::Content(id, bytes) => match stream(id) {
                Some(stream) if stream.content >= *bytes => Verdict::Met,
                Some(stream) if stream.ended => {
                    Verdict::Missed(format!("{} bytes of content", stream.content))
                }
                stream => still_open(record, stream),
            },
            Self::Credit(id, bytes) => {
                let credit = match number(id) {
                    0 => record.credit,
                    _ => stream(id).map_or(0, |stream| stream.credit),
                };
                if credit >= *bytes {
                    Verdict::Met
                } else {
                    still_open(record, stream(id).filter(|stream| stream.reset.is_some()))
                }
            }
            Self::Reset(id) => match stream(id).and_then(|stream| stream.reset) {
                Some(_) => Verdict::Met,
                None => still_open(record, None),
            },
            Self::Ended(id) => match stream(id) {
                Some(stream) if stream.ended => Verdict::Met,
                stream => still_open(record, stream),
            },
            Self::SettingsAcks(acks) if record.settings_acks >= *acks => Verdict::Met,
            Self::PingAck(payload) if record.ping_acks.contains(payload) => Verdict::Met,
            Self::SettingsAcks(_) | Self::PingAck(_) => still_open(record, None),
            Self::NoPingAck(payload) => match record.ping_acks.contains(payload) {
                true => Verdict::Missed("one".into()),
                false => Verdict::Met,
            },
            Self::NotReset(id) => match stream(id).and_then(|stream| stream.reset) {
                Some(code) => Verdict::Missed(format!("RST_STREAM with {code}")),
                None => match still_open(record, None) {
                    Verdict::Open => Verdict::Met,
                    verdict => verdict,
                },
            },
            Self::AtMost(id, most) => {
                let came = stream(id).map_or(0, |stream| stream.content);
                if came <= *most {
                    Verdict::Met
                } else {
                    Verdict::Missed(format!("{came} bytes of content"))
                }
            }
            Self::AtMostSinceMark(most) => {
                match record.requests.len().saturating_sub(record.mark) {
                    came if came > *most => Verdict::Missed(format!("{came} more requests")),
                    _ => Verdict::Met,
                }
            }
            Self::Open => match still_open(record, None) {
                Verdict::Open if record.closed.is_none() => Verdict::Met,
                Verdict::Open => Verdict::Missed("the end of the connection".into()),
                verdict => verdict,
            },
            Self::Any(expects) => Verdict::any(
                expects
                    .iter()
                    .map(|expect| expect.judge(record, strictness)),
            ),
        }
    }
}

/// Whether the connection was given up with one of these codes.
fn ended_by(record: &Record, codes: &[ErrorCode], strictness: Strictness) -> Verdict {
    match (record.connection_error(), &record.closed) {
        (Some(code), _) if codes.contains(&code) => Verdict::Met,
        (Some(code), _) => Verdict::Missed(format!("GOAWAY with {code}")),
        // A GOAWAY that calls it no error is the wrong one.
        (None, Some(how)) if !record.go_aways.is_empty() => {
            Verdict::Missed(format!("GOAWAY with NO_ERROR, then {how}"))
        }
        (None, Some(how)) => match strictness {
            Strictness::Usual => Verdict::Met,
            Strictness::Strict => Verdict::Missed(format!("{how} without GOAWAY")),
        },
        (None, None) => Verdict::Open,
    }
}

/// Open, unless the stream or the connection was given up.
fn still_open(record: &Record, stream: Option<&Stream>) -> Verdict {
    if let Some(code) = stream.and_then(|stream| stream.reset) {
        return Verdict::Missed(format!("RST_STREAM with {code}"));
    }
    match record.connection_error() {
        Some(code) => Verdict::Missed(format!("GOAWAY with {code}")),
        None => Verdict::Open,
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionError(codes) => write!(f, "a connection error {}", list(codes)),
            Self::StreamError(id, codes) => {
                write!(f, "a stream error {} on {id}", list(codes))
            }
            Self::Malformed(id, _) => {
                write!(f, "a stream error PROTOCOL_ERROR (or 4xx) on {id}")
            }
            Self::Closed => f.write_str("the end of the connection"),
            Self::GoAway(code) => write!(f, "GOAWAY with {code}"),
            Self::Head(id, statuses) => {
                write!(f, "a response's head with {statuses:?} on {id}")
            }
            Self::Response(id, statuses) => write!(f, "a response with {statuses:?} on {id}"),
            Self::Informational(id, status) => write!(f, "a response {status} on {id}"),
            Self::Content(id, bytes) => write!(f, "{bytes} bytes of content on {id}"),
            Self::Credit(id, bytes) => write!(f, "WINDOW_UPDATE of {bytes} in all on {id}"),
            Self::Reset(id) => write!(f, "RST_STREAM on {id}"),
            Self::Ended(id) => write!(f, "END_STREAM on {id}"),
            Self::SettingsAcks(1) => f.write_str("an acknowledgement of SETTINGS"),
            Self::SettingsAcks(acks) => write!(f, "{acks} acknowledgements of SETTINGS"),
            Self::PingAck(payload) => write!(f, "PING ACK \"{}\"", payload.escape_ascii()),
            Self::NoPingAck(payload) => {
                write!(f, "no PING ACK \"{}\"", payload.escape_ascii())
            }
            Self::NotReset(id) => write!(f, "no RST_STREAM on {id}"),
            Self::AtMost(id, bytes) => {
                write!(f, "no more than {bytes} bytes of content on {id}")
            }
            Self::AtMostSinceMark(0) => f.write_str("no more requests"),
            Self::AtMostSinceMark(most) => write!(f, "no more than {most} requests more"),
            Self::Open => f.write_str("the connection to go on"),
            Self::Any(expects) => {
                for (number, expect) in expects.iter().enumerate() {
                    if number > 0 {
                        f.write_str(", or ")?;
                    }
                    expect.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

fn list(codes: &[ErrorCode]) -> String {
    let names: Vec<String> = codes.iter().map(ErrorCode::to_string).collect();
    names.join(" or ")
}
