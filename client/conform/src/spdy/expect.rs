//! Reactions that are right, judged on all that came so far.

use std::{fmt, ops::RangeInclusive};

use lacewing_frames::spdy::{ErrorCode, GoAwayStatus};

use crate::{Strictness, verdict::Verdict};

use super::{
    frame::Id,
    record::{Record, Stream},
    script::Step,
};

/// A right reaction.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    /// GOAWAY with PROTOCOL_ERROR (SPDY/2 has no status) and the end of the
    /// connection; the end alone will do, unless the suite is strict: that
    /// GOAWAY is "a best-effort attempt" (section 2.4.1).
    SessionError,
    /// The transport ends.
    Closed,
    /// RST_STREAM with one of these codes.
    StreamError(Id, Vec<ErrorCode>),
    /// RST_STREAM with any code.
    Reset(Id),
    /// A whole response with such a status.
    Response(Id, RangeInclusive<u16>),
    /// The head of a response with such a status.
    Head(Id, RangeInclusive<u16>),
    /// At least so many bytes of content.
    Content(Id, u64),
    /// WINDOW_UPDATE of so many bytes, all together.
    Credit(Id, u64),
    /// The tested side ended its half of the stream.
    Ended(Id),
    /// PING with this id.
    Ping(u32),
    /// No PING with this id.
    NoPing(u32),
    /// Not reset, and the session is not given up.
    NotReset(Id),
    /// Not reset.
    NoReset(Id),
    /// No SYN_REPLY, and no DATA.
    Silent(Id),
    /// At most so many bytes of content.
    AtMost(Id, u64),
    /// At most so many requests since the mark.
    AtMostSinceMark(usize),
    /// GOAWAY names a stream of at most this number as the last good one.
    LastGood(u32),
    /// Any of these.
    Any(Vec<Expect>),
}

/// A session error (section 2.4.1).
pub(super) fn session_error() -> Step {
    Step::Expect(Expect::SessionError)
}

/// A stream error (section 2.4.2) with one of these codes.
pub(super) fn stream_error(stream: impl Into<Id>, codes: &[ErrorCode]) -> Step {
    Step::Expect(Expect::StreamError(stream.into(), codes.to_vec()))
}

/// An error of the stream with any code or one of the session: the drafts
/// forbid something, and name no reaction.
pub(super) fn any_error(stream: impl Into<Id>) -> Step {
    any([Expect::Reset(stream.into()), Expect::SessionError])
}

/// The request is refused: a stream error, a response of 4xx or an error of the
/// session.
pub(super) fn refused(stream: impl Into<Id>) -> Step {
    let stream = stream.into();
    any([
        Expect::Reset(stream),
        Expect::Head(stream, 400..=499),
        Expect::SessionError,
    ])
}

/// The answer is 400 (section 3.2.1).
pub(super) fn bad_request(stream: impl Into<Id>) -> Step {
    Step::Expect(Expect::Head(stream.into(), 400..=400))
}

/// A whole response with any status.
pub(super) fn response(stream: impl Into<Id>) -> Step {
    Step::Expect(Expect::Response(stream.into(), 200..=599))
}

/// A whole response with a status of 2xx.
pub(super) fn success(stream: impl Into<Id>) -> Step {
    Step::Expect(Expect::Response(stream.into(), 200..=299))
}

/// At least so many bytes of content.
pub(super) fn content(stream: impl Into<Id>, bytes: u64) -> Step {
    Step::Expect(Expect::Content(stream.into(), bytes))
}

/// One of several reactions.
pub(super) fn any(expects: impl IntoIterator<Item = Expect>) -> Step {
    Step::Expect(Expect::Any(expects.into_iter().collect()))
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
            Self::SessionError => session_ended(record, strictness),
            // What follows may be answered with another one (section 2.4.2).
            Self::StreamError(id, codes) => match resets(stream(id)) {
                came if came.iter().any(|code| codes.contains(code)) => Verdict::Met,
                _ => still_open(record, None),
            },
            Self::Reset(id) => match resets(stream(id)) {
                [] => still_open(record, None),
                _ => Verdict::Met,
            },
            Self::Closed => match record.closed {
                Some(_) => Verdict::Met,
                None => Verdict::Open,
            },
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
                    still_open(record, stream(id))
                }
            }
            Self::Ended(id) => match stream(id) {
                Some(stream) if stream.ended => Verdict::Met,
                stream => still_open(record, stream),
            },
            Self::Ping(id) if record.pings.contains(id) => Verdict::Met,
            Self::Ping(_) => still_open(record, None),
            Self::NoPing(id) => Verdict::met_unless(record.pings.contains(id), || "one".into()),
            Self::NotReset(id) => match still_open(record, stream(id)) {
                Verdict::Open => Verdict::Met,
                verdict => verdict,
            },
            Self::NoReset(id) => match resets(stream(id)) {
                [] => Verdict::Met,
                [code, ..] => Verdict::Missed(format!("RST_STREAM with {code}")),
            },
            Self::Silent(id) => {
                let spoke = stream(id).is_some_and(|stream| stream.opened || stream.content > 0);
                Verdict::met_unless(spoke, || "SYN_REPLY or DATA".into())
            }
            Self::AtMost(id, most) => {
                let came = stream(id).map_or(0, |stream| stream.content);
                Verdict::met_unless(came > *most, || format!("{came} bytes of content"))
            }
            Self::AtMostSinceMark(most) => {
                let came = record.requests.len().saturating_sub(record.mark);
                Verdict::met_unless(came > *most, || format!("{came} more requests"))
            }
            Self::LastGood(most) => match record.go_aways.last() {
                None => Verdict::Met,
                Some((last, _)) => {
                    Verdict::met_unless(last > most, || format!("{last} as the last"))
                }
            },
            Self::Any(expects) => Verdict::any(
                expects
                    .iter()
                    .map(|expect| expect.judge(record, strictness)),
            ),
        }
    }
}

/// Whether the session was given up for an error.
fn session_ended(record: &Record, strictness: Strictness) -> Verdict {
    let Some(how) = &record.closed else {
        return Verdict::Open;
    };
    match record.go_aways.last() {
        None if strictness == Strictness::Strict => {
            Verdict::Missed(format!("{how} without GOAWAY"))
        }
        Some((_, Some(GoAwayStatus::OK))) => Verdict::Missed(format!("GOAWAY with OK, then {how}")),
        _ => Verdict::Met,
    }
}

fn resets(stream: Option<&Stream>) -> &[ErrorCode] {
    stream.map_or(&[], |stream| &stream.resets)
}

/// Open, unless the stream or the connection was given up.
fn still_open(record: &Record, stream: Option<&Stream>) -> Verdict {
    if let [code, ..] = resets(stream) {
        return Verdict::Missed(format!("RST_STREAM with {code}"));
    }
    let error = |status: &GoAwayStatus| *status != GoAwayStatus::OK;
    match record.go_aways.last() {
        Some((_, Some(status))) if error(status) => {
            Verdict::Missed(format!("GOAWAY with {status}"))
        }
        _ => Verdict::Open,
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionError => f.write_str("a session error (GOAWAY and the end)"),
            Self::Closed => f.write_str("the end of the connection"),
            Self::StreamError(id, codes) => {
                let names: Vec<String> = codes.iter().map(ErrorCode::to_string).collect();
                write!(f, "RST_STREAM {} on {id}", names.join(" or "))
            }
            Self::Reset(id) => write!(f, "RST_STREAM on {id}"),
            Self::Head(id, statuses) => write!(f, "a reply with {statuses:?} on {id}"),
            Self::Response(id, statuses) => write!(f, "a response with {statuses:?} on {id}"),
            Self::Content(id, bytes) => write!(f, "{bytes} bytes of content on {id}"),
            Self::Credit(id, bytes) => write!(f, "WINDOW_UPDATE of {bytes} in all on {id}"),
            Self::Ended(id) => write!(f, "FLAG_FIN on {id}"),
            Self::Ping(id) => write!(f, "PING {id} back"),
            Self::NoPing(id) => write!(f, "no PING {id}"),
            Self::NotReset(id) | Self::NoReset(id) => write!(f, "no RST_STREAM on {id}"),
            Self::Silent(id) => write!(f, "neither SYN_REPLY nor DATA on {id}"),
            Self::AtMost(id, bytes) => {
                write!(f, "no more than {bytes} bytes of content on {id}")
            }
            Self::AtMostSinceMark(0) => f.write_str("no more requests"),
            Self::AtMostSinceMark(most) => write!(f, "no more than {most} requests more"),
            Self::LastGood(most) => write!(f, "GOAWAY with a last stream of {most} at most"),
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
