//! Describes received frames for the transcript.

use lacewing_frames::http2::{BadList, Message};

use super::protocol::List;

/// The most fields of a header list in the transcript.
const SHOWN: usize = 12;

pub(super) fn describe(message: &Message<List>) -> String {
    let end = |fin: bool| if fin { " END_STREAM" } else { "" };
    match message {
        Message::Data {
            stream_id,
            fin,
            payload,
            ..
        } => format!(
            "< DATA stream={stream_id} length={}{}",
            payload.len(),
            end(*fin)
        ),
        Message::Headers {
            stream_id,
            fin,
            list,
            ..
        } => format!("< HEADERS stream={stream_id}{}{}", end(*fin), fields(list)),
        Message::RstStream { stream_id, code } => {
            format!("< RST_STREAM stream={stream_id} {code}")
        }
        Message::Settings(settings) => {
            let entries: Vec<String> = settings
                .entries
                .iter()
                .map(|entry| format!("{}={}", entry.id, entry.value))
                .collect();
            format!("< SETTINGS {}", entries.join(" "))
        }
        Message::SettingsAck => "< SETTINGS ACK".into(),
        Message::PushPromise {
            stream_id,
            promised_id,
            list,
            ..
        } => format!(
            "< PUSH_PROMISE stream={stream_id} promised={promised_id}{}",
            fields(list)
        ),
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
    let mut text = String::new();
    for (field, _) in list.iter().take(SHOWN) {
        let name = field.name().escape_ascii();
        let value = field.value();
        let shown = value.get(..40).unwrap_or(value);
        text.push_str(&format!(" {name}={}", shown.escape_ascii()));
    }
    if list.len() > SHOWN {
        text.push_str(" …");
    }
    text
}
