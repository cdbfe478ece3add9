//! The names that the tables of cases use.

pub(super) use lacewing_frames::http2::{ErrorCode, Kind, PREFACE, SettingId, flags};

pub(super) use super::{
    block::{Block, get, get_large, post, request, status},
    frame::{
        continuation, data, data_of, frame, go_away, headers, ping, ping_ack, priority,
        priority_update, push_promise, rst_stream, settings, settings_ack, split, window_update,
    },
    script::{
        Expect, Row, Step, padded_upload, push_allowed, push_forbidden, too_long, withhold_ack,
    },
};
pub(super) use crate::{
    case::Need,
    script::{
        alive, any, at_most, await_request, await_upload, bytes, connection_error, content, expect,
        malformed, malformed_late, must, no_request_since_mark, not_reset, requests, response,
        response_head, send, send_all, settle, should, stream_error, success,
    },
    stream_id::{Id, REQUEST, SECOND_REQUEST},
    target::Target,
};

pub(super) const NO_ERROR: ErrorCode = ErrorCode::NO_ERROR;
pub(super) const PROTOCOL_ERROR: ErrorCode = ErrorCode::PROTOCOL_ERROR;
pub(super) const FLOW_CONTROL_ERROR: ErrorCode = ErrorCode::FLOW_CONTROL_ERROR;
pub(super) const STREAM_CLOSED: ErrorCode = ErrorCode::STREAM_CLOSED;
pub(super) const FRAME_SIZE_ERROR: ErrorCode = ErrorCode::FRAME_SIZE_ERROR;
pub(super) const REFUSED_STREAM: ErrorCode = ErrorCode::REFUSED_STREAM;
pub(super) const CANCEL: ErrorCode = ErrorCode::CANCEL;
pub(super) const COMPRESSION_ERROR: ErrorCode = ErrorCode::COMPRESSION_ERROR;
pub(super) const ENHANCE_YOUR_CALM: ErrorCode = ErrorCode::ENHANCE_YOUR_CALM;
