//! Status codes of RST_STREAM and GOAWAY, and neutral reasons.

use lacewing_frames::spdy as frames;

use crate::proto::{Reason, Rule, StreamId, Version, Violation};

pub(super) fn violation(error: &frames::DecodeError, max_header_list_size: usize) -> Violation {
    let rule = match error.is_list_too_large() {
        true => Rule::HeaderListTooLarge,
        false => Rule::Malformed,
    };
    let violation = match error.scope() {
        frames::Scope::Connection => {
            Violation::connection(rule, go_away_reason(error.go_away_status()))
        }
        frames::Scope::Stream(id) => {
            Violation::stream(StreamId::new(id), rule, reset_reason(error.error_code()))
        }
    };
    if error.is_list_too_large() {
        return violation.detailed(format!(
            "{error}: more than max_header_list_size ({max_header_list_size} bytes) lets through, \
             and the compression context is lost; raise it in Limits to take larger ones"
        ));
    }
    violation.detailed(error.to_string())
}

pub(super) fn reset_reason(code: frames::ErrorCode) -> Reason {
    match code.0 {
        1 => Reason::ProtocolError,
        2 => Reason::InvalidStream,
        3 => Reason::RefusedStream,
        4 => Reason::UnsupportedVersion,
        5 => Reason::Cancel,
        6 => Reason::InternalError,
        7 => Reason::FlowControlError,
        8 => Reason::StreamInUse,
        9 => Reason::StreamClosed,
        10 => Reason::InvalidCredentials,
        11 => Reason::FrameTooLarge,
        other => Reason::Unknown(other),
    }
}

pub(super) fn reset_code(version: Version, reason: Reason) -> frames::ErrorCode {
    let code = match reason {
        Reason::InvalidStream => 2,
        Reason::RefusedStream => 3,
        Reason::UnsupportedVersion => 4,
        Reason::NoError | Reason::Cancel => 5,
        Reason::InternalError | Reason::ConnectError => 6,
        Reason::FlowControlError => 7,
        Reason::StreamInUse => 8,
        Reason::StreamClosed => 9,
        Reason::InvalidCredentials => 10,
        Reason::FrameTooLarge | Reason::FrameSizeError => 11,
        Reason::Unknown(code) => code,
        _ => 1,
    };
    // SPDY/3 added the codes above 7; 0 is no code.
    let known = if version == Version::Spdy2 {
        code <= 7
    } else {
        true
    };
    frames::ErrorCode(if known && code != 0 { code } else { 1 })
}

pub(super) fn go_away_reason(status: frames::GoAwayStatus) -> Reason {
    match status.0 {
        0 => Reason::NoError,
        1 => Reason::ProtocolError,
        // 11 is an error of the IETF's text.
        2 | 11 => Reason::InternalError,
        other => Reason::Unknown(other),
    }
}
