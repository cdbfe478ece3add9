//! The expectation language: right reactions, judged on the record so far.

use std::{fmt, ops::RangeInclusive};

use crate::{
    conditions::Strictness,
    protocol::Protocol,
    record::{Record, Stream},
    stream_id::Id,
    verdict::Verdict,
};

/// A right reaction.
#[derive(Clone, Debug)]
pub(crate) enum Expect<P: Protocol> {
    /// GOAWAY with one of these reasons, and the end of the connection. The end
    /// alone suffices unless the run is strict (RFC 9113 §5.4.1, SPDY/3 §2.4.1).
    /// An empty list admits any reason.
    ConnectionError(Vec<P::GoAway>),
    /// RST_STREAM with one of these codes. In HTTP/2 a connection error with
    /// one of them is right as well (RFC 9113 §5.4).
    StreamError(Id, Vec<P::Code>),
    /// The tested side refuses the message (RFC 9113 §8.1.1): by a stream error PROTOCOL_ERROR, or
    /// by a response of 4xx. Unless the run is strict, a response of 5xx is right too.
    Malformed(Id, Moment),
    /// The transport ends.
    Closed,
    /// GOAWAY with this code.
    GoAway(P::GoAway),
    /// The head of a final response with a status in this range.
    Head(Id, RangeInclusive<u16>),
    /// A whole response with a status in this range.
    Response(Id, RangeInclusive<u16>),
    /// An informational response.
    Informational(Id, u16),
    /// At least this many bytes of content.
    Content(Id, u64),
    /// WINDOW_UPDATE with this many bytes in total.
    Credit(Id, u64),
    /// RST_STREAM, with any code.
    Reset(Id),
    /// The tested side ended its half of the stream.
    Ended(Id),
    /// This many acknowledgements of SETTINGS.
    SettingsAcks(usize),
    /// The answer to this PING.
    PingAnswer(P::Ping),
    /// No answer to this PING.
    NoPingAnswer(P::Ping),
    /// Not reset, and the connection has no error.
    NotReset(Id),
    /// Not reset.
    NoReset(Id),
    /// No head, and no DATA.
    Silent(Id),
    /// GOAWAY names a stream of at most this number as the last one.
    LastStream(u32),
    /// At most this many bytes of content.
    AtMost(Id, u64),
    /// At most this many requests since the mark.
    AtMostSinceMark(usize),
    /// GOAWAY reported no error.
    NoConnectionError,
    /// Any of these.
    Any(Vec<Self>),
}

/// The moment at which the tested side can detect a malformed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// From its head: any 2xx is wrong.
    Head,
    /// Later: a response may be sent before.
    Late,
}

/// A protocol's judgement of errors.
pub(crate) trait Judge: Protocol {
    /// Judges whether the connection ended with one of these reasons.
    fn judge_connection_error(
        record: &Record<Self>,
        reasons: &[Self::GoAway],
        strictness: Strictness,
    ) -> Verdict;

    /// Judges whether the stream was reset with one of these codes.
    fn judge_stream_error(
        record: &Record<Self>,
        stream: Option<&Stream<Self>>,
        codes: &[Self::Code],
        strictness: Strictness,
    ) -> Verdict;

    /// The reason of the connection error that GOAWAY reported, if any.
    fn connection_error(record: &Record<Self>) -> Option<Self::GoAway>;
}

impl<P: Protocol> Expect<P> {
    /// The streams whose whole response meets the expectation.
    pub(crate) fn whole_responses(&self) -> Vec<Id> {
        match self {
            Self::Response(id, _) => vec![*id],
            Self::Any(expects) => expects.iter().flat_map(Self::whole_responses).collect(),
            _ => Vec::new(),
        }
    }
}

impl<P: Judge> Expect<P> {
    /// Judges the record.
    pub(crate) fn judge(&self, record: &Record<P>, strictness: Strictness) -> Verdict {
        let verdict = self.judge_frames(record, strictness);
        // No more frames will be received.
        match (&record.closed, verdict) {
            (Some(how), Verdict::Open) => Verdict::Missed(how.clone()),
            (_, verdict) => verdict,
        }
    }

    /// Names every variant, so that the compiler finds one without a judgement.
    fn judge_frames(&self, record: &Record<P>, strictness: Strictness) -> Verdict {
        let number = |id: &Id| id.resolve(&record.requests);
        let stream = |id: &Id| record.stream(number(id));
        let is_met = |met, stream| Verdict::met_if(met, || still_open(record, stream));
        match self {
            Self::Any(expects) => Verdict::any(
                expects
                    .iter()
                    .map(|expect| expect.judge(record, strictness)),
            ),
            Self::ConnectionError(reasons) => {
                P::judge_connection_error(record, reasons, strictness)
            }
            Self::StreamError(id, codes) => {
                P::judge_stream_error(record, stream(id), codes, strictness)
            }
            Self::Malformed(id, moment) => judge_malformed(record, stream(id), *moment, strictness),
            Self::Closed => Verdict::met_if(record.closed.is_some(), || Verdict::Open),
            Self::NoConnectionError => still_open(record, None).met_if_open(),
            Self::GoAway(reason) => is_met(record.has_go_away(*reason), None),
            Self::LastStream(most) => judge_last_stream(record, *most),
            Self::SettingsAcks(acks) => is_met(record.settings_acks >= *acks, None),
            Self::PingAnswer(ping) => is_met(record.pings.contains(ping), None),
            Self::NoPingAnswer(ping) => {
                Verdict::met_unless(record.pings.contains(ping), || "one".into())
            }
            Self::Reset(id) => is_met(stream(id).and_then(Stream::reset).is_some(), None),
            Self::NotReset(id) => still_open(record, stream(id)).met_if_open(),
            Self::NoReset(id) => match stream(id).and_then(Stream::reset) {
                Some(code) => Verdict::Missed(format!("RST_STREAM with {code}")),
                None => Verdict::Met,
            },
            Self::Head(id, statuses) => match stream(id).and_then(|stream| stream.status) {
                Some(status) => Verdict::status(status, statuses),
                None => still_open(record, stream(id)),
            },
            Self::Response(id, statuses) => judge_response(record, stream(id), statuses),
            Self::Informational(id, status) => {
                let met = stream(id).is_some_and(|stream| stream.informational.contains(status));
                is_met(met, stream(id))
            }
            Self::Content(id, bytes) => judge_content(record, stream(id), *bytes),
            Self::AtMost(id, most) => {
                let content = stream(id).map_or(0, |stream| stream.content);
                Verdict::met_unless(content > *most, || format!("{content} bytes of content"))
            }
            Self::Credit(id, bytes) => is_met(record.credit(number(id)) >= *bytes, stream(id)),
            Self::Ended(id) => is_met(stream(id).is_some_and(|stream| stream.ended), stream(id)),
            Self::Silent(id) => {
                let spoke = stream(id).is_some_and(|stream| stream.opened || stream.content > 0);
                Verdict::met_unless(spoke, || "SYN_REPLY or DATA".into())
            }
            Self::AtMostSinceMark(most) => {
                let since = record.since_mark();
                Verdict::met_unless(since > *most, || format!("{since} more requests"))
            }
        }
    }
}

fn judge_malformed<P: Judge>(
    record: &Record<P>,
    stream: Option<&Stream<P>>,
    moment: Moment,
    strictness: Strictness,
) -> Verdict {
    let most = match strictness {
        Strictness::Usual => 599,
        Strictness::Strict => 499,
    };
    match (stream.and_then(|stream| stream.status), moment) {
        (Some(status), _) if (400..=most).contains(&status) => Verdict::Met,
        (Some(status), Moment::Head) => Verdict::Missed(format!("a response with status {status}")),
        (Some(_), Moment::Late) | (None, _) => {
            P::judge_stream_error(record, stream, &[P::MALFORMED], strictness)
        }
    }
}

fn judge_last_stream<P: Judge>(record: &Record<P>, most: u32) -> Verdict {
    match record.go_aways.last() {
        None => Verdict::Met,
        Some((last, _)) => Verdict::met_unless(*last > most, || format!("{last} as the last")),
    }
}

fn judge_response<P: Judge>(
    record: &Record<P>,
    stream: Option<&Stream<P>>,
    statuses: &RangeInclusive<u16>,
) -> Verdict {
    match stream {
        Some(Stream {
            status: Some(status),
            ended: true,
            ..
        }) => Verdict::status(*status, statuses),
        stream => still_open(record, stream),
    }
}

fn judge_content<P: Judge>(record: &Record<P>, stream: Option<&Stream<P>>, bytes: u64) -> Verdict {
    match stream {
        Some(stream) if stream.content >= bytes => Verdict::Met,
        Some(stream) if stream.ended => {
            Verdict::Missed(format!("{} bytes of content", stream.content))
        }
        stream => still_open(record, stream),
    }
}

/// Open, unless the stream was reset or the connection has an error.
pub(crate) fn still_open<P: Judge>(record: &Record<P>, stream: Option<&Stream<P>>) -> Verdict {
    if let Some(code) = stream.and_then(Stream::reset) {
        return Verdict::Missed(format!("RST_STREAM with {code}"));
    }
    match P::connection_error(record) {
        Some(reason) => Verdict::Missed(format!("GOAWAY with {reason}")),
        None => Verdict::Open,
    }
}

impl<P: Protocol> fmt::Display for Expect<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionError(reasons) if reasons.is_empty() => {
                f.write_str("a session error (GOAWAY and the end)")
            }
            Self::ConnectionError(codes) => write!(f, "a connection error {}", list(codes)),
            Self::StreamError(id, codes) => {
                write!(f, "{} {} on {id}", P::STREAM_ERROR, list(codes))
            }
            Self::Malformed(id, _) => {
                write!(f, "{} {} (or 4xx) on {id}", P::STREAM_ERROR, P::MALFORMED)
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
            Self::Ended(id) => write!(f, "{} on {id}", P::END_OF_STREAM),
            Self::SettingsAcks(1) => f.write_str("an acknowledgement of SETTINGS"),
            Self::SettingsAcks(acks) => write!(f, "{acks} acknowledgements of SETTINGS"),
            Self::PingAnswer(ping) => f.write_str(&P::ping_answer(*ping)),
            Self::NoPingAnswer(ping) => write!(f, "no {}", P::ping_answer(*ping)),
            Self::NotReset(id) | Self::NoReset(id) => write!(f, "no RST_STREAM on {id}"),
            Self::Silent(id) => write!(f, "neither a head nor DATA on {id}"),
            Self::LastStream(most) => write!(f, "GOAWAY with a last stream of {most} at most"),
            Self::AtMost(id, bytes) => {
                write!(f, "no more than {bytes} bytes of content on {id}")
            }
            Self::AtMostSinceMark(0) => f.write_str("no more requests"),
            Self::AtMostSinceMark(most) => write!(f, "no more than {most} requests more"),
            Self::NoConnectionError => f.write_str("no connection error"),
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

fn list(codes: &[impl fmt::Display]) -> String {
    let names: Vec<String> = codes.iter().map(ToString::to_string).collect();
    names.join(" or ")
}
