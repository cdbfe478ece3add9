//! The names that the tables of cases use.

pub(super) use lacewing_frames::spdy::{
    Compression, ErrorCode, GoAwayStatus, Kind, SettingId, flags,
};

pub(super) use super::{
    block::{Block, dictionary, layout, store, zlib_head},
    dialect::Dialect,
    frame::{
        control, data, data_of, go_away, headers, ping, push, rst_stream, settings,
        settings_counting, syn_reply, syn_stream, window_update,
    },
    malformed,
    script::{Expect, Row, Step},
};
pub(super) use crate::{
    case::Need,
    script::{
        alive, any, any_error, at_most, await_request, bad_request, content, must,
        no_request_since_mark, not_reset, refused, response, send, send_all, session_error, settle,
        should, stream_error, success,
    },
    stream_id::REQUEST,
};

pub(super) const PROTOCOL_ERROR: ErrorCode = ErrorCode::PROTOCOL_ERROR;
pub(super) const INVALID_STREAM: ErrorCode = ErrorCode::INVALID_STREAM;
pub(super) const REFUSED_STREAM: ErrorCode = ErrorCode::REFUSED_STREAM;
pub(super) const UNSUPPORTED_VERSION: ErrorCode = ErrorCode::UNSUPPORTED_VERSION;
pub(super) const CANCEL: ErrorCode = ErrorCode::CANCEL;
pub(super) const FLOW_CONTROL_ERROR: ErrorCode = ErrorCode::FLOW_CONTROL_ERROR;
pub(super) const STREAM_IN_USE: ErrorCode = ErrorCode::STREAM_IN_USE;
pub(super) const STREAM_ALREADY_CLOSED: ErrorCode = ErrorCode::STREAM_ALREADY_CLOSED;
pub(super) const OK: GoAwayStatus = GoAwayStatus::OK;
pub(super) const WINDOW: SettingId = SettingId::INITIAL_WINDOW_SIZE;
pub(super) const STREAMS: SettingId = SettingId::MAX_CONCURRENT_STREAMS;
