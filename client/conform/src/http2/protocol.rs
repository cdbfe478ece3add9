//! HTTP/2 as a protocol of cases: its types, and its judgement of errors.

use lacewing_frames::Version;
use lacewing_frames::http2::{ErrorCode, HeaderField, Message, Sensitivity, Setting, SettingId};

use crate::{
    conditions::Strictness,
    expect::Judge,
    protocol::Protocol,
    record::{Record, Stream},
    stream_id::Id,
    verdict::Verdict,
};

use super::frame::Frame;

/// HTTP/2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Http2;

/// A decoded header list.
pub(super) type List = Vec<(HeaderField, Sensitivity)>;

/// The start of the connection.
#[derive(Clone, Debug)]
pub(super) enum Start {
    /// Preface and SETTINGS with these entries; both sides acknowledge.
    Handshake(Vec<(SettingId, u32)>),
    /// The steps send everything.
    Nothing,
}

/// A step that only HTTP/2 has.
#[derive(Clone, Debug)]
pub(super) enum OwnStep {
    /// Send a frame one byte longer than the tested side allows.
    TooLong(Frame),
    /// Send this many DATA frames of one byte and 255 of padding, and
    /// END_STREAM.
    PaddedUpload(Id, u64),
    /// Skip the case unless the client under test allows push.
    PushAllowed,
    /// Skip the case unless the client under test forbids push.
    PushForbidden,
    /// Do not acknowledge SETTINGS from here on.
    WithholdAck,
}

impl Default for Start {
    fn default() -> Self {
        Self::Handshake(Vec::new())
    }
}

impl Protocol for Http2 {
    type Frame = Frame;
    type Message = Message<List>;
    type Code = ErrorCode;
    type GoAway = ErrorCode;
    type Settings = Vec<Setting>;
    type Ping = [u8; 8];
    type Step = OwnStep;
    type Setup = Start;

    const MALFORMED: ErrorCode = ErrorCode::PROTOCOL_ERROR;
    const END_OF_STREAM: &str = "END_STREAM";
    const STREAM_ERROR: &str = "a stream error";

    fn specification(_: Version, id: &str) -> &'static str {
        match id.split_once('/') {
            Some(("7541", _)) => "RFC 7541",
            Some(("9110", _)) => "RFC 9110",
            Some(("8441", _)) => "RFC 8441",
            Some(("9218", _)) => "RFC 9218",
            Some(("8336", _)) => "RFC 8336",
            Some(("7838", _)) => "RFC 7838",
            _ => "RFC 9113",
        }
    }

    fn ping_answer(ping: [u8; 8]) -> String {
        format!("PING ACK \"{}\"", ping.escape_ascii())
    }
}

impl Judge for Http2 {
    fn judge_connection_error(
        record: &Record<Self>,
        codes: &[ErrorCode],
        strictness: Strictness,
    ) -> Verdict {
        match (Self::connection_error(record), &record.closed) {
            (Some(code), _) if is_right(code, codes, strictness) => Verdict::Met,
            (Some(code), _) => Verdict::Missed(format!("GOAWAY with {code}")),
            // GOAWAY with NO_ERROR does not report the error.
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

    fn judge_stream_error(
        record: &Record<Self>,
        stream: Option<&Stream<Self>>,
        codes: &[ErrorCode],
        strictness: Strictness,
    ) -> Verdict {
        match stream.and_then(Stream::reset) {
            Some(code) if is_right(code, codes, strictness) => Verdict::Met,
            // §8.1: after a complete response, a server may ask the client to stop its upload.
            // Until then it ignores the content.
            Some(ErrorCode::NO_ERROR) if stream.is_some_and(|stream| stream.ended) => Verdict::Met,
            Some(code) => Verdict::Missed(format!("RST_STREAM with {code}")),
            None => Self::judge_connection_error(record, codes, strictness),
        }
    }

    fn connection_error(record: &Record<Self>) -> Option<ErrorCode> {
        let mut codes = record.go_aways.iter().filter_map(|(_, code)| *code);
        codes.find(|code| *code != ErrorCode::NO_ERROR)
    }
}

/// Returns whether the code is one of those that the rule names. A generic code
/// can always replace it (§5.4); strict runs require the named one.
fn is_right(code: ErrorCode, named: &[ErrorCode], strictness: Strictness) -> bool {
    let generic = [ErrorCode::PROTOCOL_ERROR, ErrorCode::INTERNAL_ERROR];
    named.contains(&code) || strictness == Strictness::Usual && generic.contains(&code)
}

/// The value of a setting in the last frame that has it.
pub(super) fn setting(record: &Record<Http2>, id: SettingId) -> Option<u32> {
    let entries = record.settings.iter().flatten();
    let entry = entries.rev().find(|entry| entry.id == id);
    entry.map(|entry| entry.value)
}
