//! Describes received frames for the transcript.

use lacewing_frames::spdy::{Block, Message};

use super::protocol::List;

/// The most fields of a header list in the transcript.
const SHOWN: usize = 12;

pub(super) fn describe(message: &Message<List>) -> String {
    let end = |fin: bool| if fin { " FIN" } else { "" };
    match message {
        Message::SynStream {
            stream_id,
            associated,
            fin,
            unidirectional,
            block,
            ..
        } => {
            let one_way = if *unidirectional {
                " UNIDIRECTIONAL"
            } else {
                ""
            };
            format!(
                "< SYN_STREAM stream={stream_id} associated={associated}{}{one_way}{}",
                end(*fin),
                fields(block)
            )
        }
        Message::SynReply {
            stream_id,
            fin,
            block,
        } => format!(
            "< SYN_REPLY stream={stream_id}{}{}",
            end(*fin),
            fields(block)
        ),
        Message::Headers {
            stream_id,
            fin,
            block,
        } => format!("< HEADERS stream={stream_id}{}{}", end(*fin), fields(block)),
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
        Message::RstStream(frame) => {
            format!("< RST_STREAM stream={} {}", frame.stream_id, frame.code)
        }
        Message::Settings(settings) => {
            let entries: Vec<String> = settings
                .entries
                .iter()
                .map(|entry| format!("{}={} (flags {})", entry.id, entry.value, entry.flags))
                .collect();
            format!("< SETTINGS {}", entries.join(" "))
        }
        Message::Ping(ping) => format!("< PING {}", ping.id),
        Message::GoAway(frame) => {
            let status = frame.status.map(|status| status.to_string());
            format!(
                "< GOAWAY last stream={} {}",
                frame.last_good_stream_id,
                status.unwrap_or_default()
            )
        }
        Message::WindowUpdate(frame) => format!(
            "< WINDOW_UPDATE stream={} delta={}",
            frame.stream_id, frame.delta
        ),
        Message::Unknown(frame) => format!("< {} of version {}", frame.kind, frame.version),
        Message::Noop(_) => "< NOOP".into(),
        _ => "< a frame".into(),
    }
}

fn fields(block: &Block<List>) -> String {
    let mut text = String::new();
    for (name, value) in block.fields().iter().take(SHOWN) {
        let shown = value.get(..40).unwrap_or(value);
        text.push_str(&format!(
            " {}={}",
            name.escape_ascii(),
            shown.escape_ascii()
        ));
    }
    text
}
