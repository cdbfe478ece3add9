//! Frames that are whole in themselves: without a header block and without flow control.

use bytes::Bytes;

use super::DecoderLimits;
use crate::http2::{
    AltSvc, DecodeError, FrameHead, GoAway, HeaderList, Kind, Message, Origin, Ping, Priority,
    PriorityUpdate, RstStream, Settings, StreamPriority, WindowUpdate,
};

/// Decodes frames without a header block and without flow control.
#[inline]
pub(super) fn decode<L: HeaderList>(
    limits: &DecoderLimits,
    head: FrameHead,
    payload: &[u8],
) -> Result<Option<Message<L>>, DecodeError> {
    match head.kind {
        Kind::WINDOW_UPDATE => {
            let WindowUpdate {
                stream_id,
                increment,
                ..
            } = WindowUpdate::parse(head, payload)?;
            Ok(Some(Message::WindowUpdate {
                stream_id,
                increment,
            }))
        }
        Kind::RST_STREAM => {
            let RstStream {
                stream_id, code, ..
            } = RstStream::parse(head, payload)?;
            Ok(Some(Message::RstStream { stream_id, code }))
        }
        Kind::PING => {
            let Ping { ack, payload, .. } = Ping::parse(head, payload)?;
            match ack {
                true => Ok(Some(Message::PingAck { payload })),
                false => Ok(Some(Message::Ping { payload })),
            }
        }
        Kind::PRIORITY => {
            let Priority {
                stream_id,
                priority,
                ..
            } = Priority::parse(head, payload)?;
            check_dependency(head.kind, stream_id, Some(priority))?;
            Ok(Some(Message::Priority {
                stream_id,
                priority,
            }))
        }
        _ => rare(limits, head, payload),
    }
}

fn rare<L: HeaderList>(
    limits: &DecoderLimits,
    head: FrameHead,
    payload: &[u8],
) -> Result<Option<Message<L>>, DecodeError> {
    Ok(Some(match head.kind {
        Kind::SETTINGS => {
            let settings = Settings::parse(head, payload, limits.max_settings_entries)?;
            match settings.ack {
                true => Message::SettingsAck,
                false => Message::Settings(settings),
            }
        }
        Kind::GOAWAY => {
            let (last_stream_id, code, debug_data) = GoAway::split(head, payload)?;
            let debug_data = Bytes::copy_from_slice(debug_data);
            Message::GoAway {
                last_stream_id,
                code,
                debug_data,
            }
        }
        Kind::PRIORITY_UPDATE => {
            let (prioritized_id, value) = PriorityUpdate::split(head, payload)?;
            Message::PriorityUpdate {
                prioritized_id,
                value: Bytes::copy_from_slice(value),
            }
        }
        Kind::ALTSVC => match AltSvc::parse(head, &Bytes::copy_from_slice(payload))? {
            frame if frame.is_valid() => Message::AltSvc(frame),
            _ => unknown(head),
        },
        Kind::ORIGIN => {
            let payload = Bytes::copy_from_slice(payload);
            match Origin::parse(head, &payload, limits.max_origins)? {
                Some(frame) if frame.is_valid() => Message::Origin(frame),
                _ => unknown(head),
            }
        }
        _ => unknown(head),
    }))
}

/// A stream cannot depend on itself (RFC 7540 §5.3.1). RFC 9113 removed the rule together with the
/// dependency tree, but real peers still enforce it. A flood of these frames is MadeYouReset
/// (CVE-2025-8671); the engine must charge them.
#[inline]
pub(super) fn check_dependency(
    kind: Kind,
    stream_id: u32,
    priority: Option<StreamPriority>,
) -> Result<(), DecodeError> {
    match priority {
        Some(priority) if priority.dependency == stream_id => {
            Err(DecodeError::SelfDependency { kind, stream_id })
        }
        _ => Ok(()),
    }
}

fn unknown<L>(head: FrameHead) -> Message<L> {
    let FrameHead {
        length: len,
        kind,
        flags,
        stream_id,
    } = head;
    Message::Unknown {
        kind,
        stream_id,
        flags,
        len,
    }
}
