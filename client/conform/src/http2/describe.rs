//! Describes received frames for the transcript.

use lacewing_frames::http2::{BadList, Message};

use crate::describe::{self, data, head, settings};

use super::protocol::List;

pub(super) fn describe(message: &Message<List>) -> String {
    let end = |fin: bool| if fin { " END_STREAM" } else { "" };
    match message {
        Message::Data {
            stream_id,
            fin,
            payload,
            ..
        } => data(*stream_id, payload.len(), end(*fin)),
        Message::Headers {
            stream_id,
            fin,
            list,
            ..
        } => head("HEADERS", *stream_id, end(*fin), &fields(list)),
        Message::RstStream { stream_id, code } => {
            format!("< RST_STREAM stream={stream_id} {code}")
        }
        Message::Settings(frame) => {
            let entries = frame.entries.iter();
            settings(entries.map(|entry| format!("{}={}", entry.id, entry.value)))
        }
        Message::SettingsAck => "< SETTINGS ACK".into(),
        Message::PushPromise {
            stream_id,
            promised_id,
            list,
            ..
        } => {
            let promised = format!(" promised={promised_id}");
            head("PUSH_PROMISE", *stream_id, &promised, &fields(list))
        }
        Message::Ping { payload } => format!("< PING \"{}\"", payload.escape_ascii()),
        Message::PingAck { payload } => format!("< PING ACK \"{}\"", payload.escape_ascii()),
        Message::GoAway {
            last_stream_id,
            code,
            debug_data,
        } => format!(
            "< GOAWAY {code} last stream={last_stream_id} \"{}\"",
            debug_data.escape_ascii()
        ),
        Message::WindowUpdate {
            stream_id,
            increment,
        } => format!("< WINDOW_UPDATE stream={stream_id} increment={increment}"),
        Message::Priority { stream_id, .. } => format!("< PRIORITY stream={stream_id}"),
        Message::PriorityUpdate { prioritized_id, .. } => {
            format!("< PRIORITY_UPDATE prioritized={prioritized_id}")
        }
        Message::AltSvc(_) => "< ALTSVC".into(),
        Message::Origin(_) => "< ORIGIN".into(),
        Message::Unknown {
            kind, stream_id, ..
        } => format!("< frame of type {kind} stream={stream_id}"),
        _ => "< a frame".into(),
    }
}

fn fields(list: &Result<List, BadList<List>>) -> String {
    let list = list.as_ref().unwrap_or_else(|bad| &bad.fields);
    describe::fields(list.iter().map(|(field, _)| (field.name(), field.value())))
}
