//! SPDY as a protocol of cases: its types, and its judgement of errors.

use bytes::Bytes;
use lacewing_frames::Version;
use lacewing_frames::spdy::{Compression, ErrorCode, GoAwayStatus, Message, SettingId, Settings};

use crate::{
    conditions::Strictness,
    expect::{Judge, still_open},
    protocol::Protocol,
    record::{Record, Stream},
    verdict::Verdict,
};

use super::frame::Frame;

/// SPDY/2, SPDY/3 and SPDY/3.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spdy;

/// A decoded header list.
pub(super) type List = Vec<(Bytes, Bytes)>;

/// The versions that have a case, and the start of its connection.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) versions: &'static [Version],
    /// The compression of our header blocks; stored blocks, if there is none.
    pub(super) compression: Option<Compression>,
    /// The section whose rules for every connection are checked.
    pub(super) habits: Option<&'static str>,
    pub(super) session_window: SessionWindow,
}

/// The moment from which the tested side must obey SPDY/3.1's window of the session.
///
/// In cleartext the frames of SPDY/3.1 say version 3. A server then cannot distinguish a client of
/// SPDY/3.1 from one of SPDY/3, which has no such window and never credits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionWindow {
    /// From the start: TLS has negotiated the version, or the tested side has chosen it.
    Known,
    /// From our first WINDOW_UPDATE on stream 0.
    ShownByCredit,
}

/// SPDY has no additional steps.
#[derive(Clone, Copy, Debug)]
pub(super) enum OwnStep {}

impl Default for Setup {
    fn default() -> Self {
        Self {
            versions: &[Version::Spdy2, Version::Spdy3, Version::Spdy31],
            compression: None,
            habits: None,
            session_window: SessionWindow::Known,
        }
    }
}

impl Protocol for Spdy {
    type Frame = Frame;
    type Message = Message<List>;
    type Code = ErrorCode;
    type GoAway = GoAwayStatus;
    type Settings = Settings;
    type Ping = u32;
    type Step = OwnStep;
    type Setup = Setup;

    const MALFORMED: ErrorCode = ErrorCode::PROTOCOL_ERROR;
    const END_OF_STREAM: &str = "FLAG_FIN";
    const STREAM_ERROR: &str = "RST_STREAM";

    fn specification(version: Version, _: &str) -> &'static str {
        match version {
            Version::Spdy2 => "SPDY/2",
            Version::Spdy3 => "SPDY/3",
            _ => "SPDY/3.1",
        }
    }

    fn ping_answer(id: u32) -> String {
        format!("PING {id}")
    }
}

impl Judge for Spdy {
    /// GOAWAY before the end is "a best-effort attempt" (section 2.4.1), and
    /// SPDY/2 has no status in it.
    fn judge_connection_error(
        record: &Record<Self>,
        _any: &[GoAwayStatus],
        strictness: Strictness,
    ) -> Verdict {
        let Some(how) = &record.closed else {
            return Verdict::Open;
        };
        match record.go_aways.last() {
            None if strictness == Strictness::Strict => {
                Verdict::Missed(format!("{how} without GOAWAY"))
            }
            Some((_, Some(GoAwayStatus::OK))) => {
                Verdict::Missed(format!("GOAWAY with OK, then {how}"))
            }
            _ => Verdict::Met,
        }
    }

    fn judge_stream_error(
        record: &Record<Self>,
        stream: Option<&Stream<Self>>,
        codes: &[ErrorCode],
        _strictness: Strictness,
    ) -> Verdict {
        let mut resets = stream.iter().flat_map(|stream| &stream.resets);
        // Later frames may cause another RST_STREAM (section 2.4.2).
        let met = resets.any(|code| codes.contains(code));
        Verdict::met_if(met, || still_open(record, None))
    }

    fn connection_error(record: &Record<Self>) -> Option<GoAwayStatus> {
        let (_, status) = record.go_aways.last()?;
        status.filter(|status| *status != GoAwayStatus::OK)
    }
}

/// The value of a setting in the last frame that has it.
pub(super) fn setting(record: &Record<Spdy>, id: SettingId) -> Option<u32> {
    let mut backwards = record.settings.iter().rev();
    backwards.find_map(|settings| settings.value(id))
}
