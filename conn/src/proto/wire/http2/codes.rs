//! Error codes of RFC 9113 §7 and neutral reasons.

use lacewing_frames::http2 as frames;

use crate::proto::{Reason, Rule, StreamId, Violation};

pub(super) fn violation(error: &frames::DecodeError) -> Violation {
    let rule = match error {
        frames::DecodeError::HeaderBlockTooLong { .. } => Rule::HeaderListTooLarge,
        error if error.error_code() == frames::ErrorCode::COMPRESSION_ERROR => Rule::Compression,
        _ => Rule::Malformed,
    };
    let reason = reason(error.error_code());
    let violation = match error.scope() {
        frames::Scope::Connection => Violation::connection(rule, reason),
        frames::Scope::Stream(id) => Violation::stream(StreamId::new(id), rule, reason),
    };
    if let frames::DecodeError::HeaderBlockTooLong {
        stream_id,
        length,
        limit,
    } = error
    {
        // Set to twice that by `Wire::new`.
        let list = limit / 2;
        return violation.detailed(format!(
            "header block of stream {stream_id} has {length} compressed bytes or more, over twice \
             max_header_list_size ({list} bytes); raise max_header_list_size in Limits for this peer"
        ));
    }
    violation.detailed(error.to_string())
}

pub(super) fn reason(code: frames::ErrorCode) -> Reason {
    match code.0 {
        0x0 => Reason::NoError,
        0x1 => Reason::ProtocolError,
        0x2 => Reason::InternalError,
        0x3 => Reason::FlowControlError,
        0x4 => Reason::SettingsTimeout,
        0x5 => Reason::StreamClosed,
        0x6 => Reason::FrameSizeError,
        0x7 => Reason::RefusedStream,
        0x8 => Reason::Cancel,
        0x9 => Reason::CompressionError,
        0xa => Reason::ConnectError,
        0xb => Reason::EnhanceYourCalm,
        0xc => Reason::InadequateSecurity,
        0xd => Reason::Http11Required,
        other => Reason::Unknown(other),
    }
}

pub(super) fn code(reason: Reason) -> frames::ErrorCode {
    frames::ErrorCode(match reason {
        Reason::NoError => 0x0,
        Reason::ProtocolError
        | Reason::InvalidStream
        | Reason::UnsupportedVersion
        | Reason::StreamInUse
        | Reason::InvalidCredentials => 0x1,
        Reason::InternalError => 0x2,
        Reason::FlowControlError => 0x3,
        Reason::SettingsTimeout => 0x4,
        Reason::StreamClosed => 0x5,
        Reason::FrameSizeError | Reason::FrameTooLarge => 0x6,
        Reason::RefusedStream => 0x7,
        Reason::Cancel => 0x8,
        Reason::CompressionError => 0x9,
        Reason::ConnectError => 0xa,
        Reason::EnhanceYourCalm => 0xb,
        Reason::InadequateSecurity => 0xc,
        Reason::Http11Required => 0xd,
        Reason::Unknown(code) => code,
    })
}
