//! Describes received frames for the transcript.

use lacewing_frames::spdy::{Block, Message};

use crate::describe::{self, data, head, settings};

use super::protocol::List;

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
            let one_way = match unidirectional {
                true => " UNIDIRECTIONAL",
                false => "",
            };
            let flags = format!(" associated={associated}{}{one_way}", end(*fin));
            head("SYN_STREAM", *stream_id, &flags, &fields(block))
        }
        Message::SynReply {
            stream_id,
            fin,
            block,
        } => head("SYN_REPLY", *stream_id, end(*fin), &fields(block)),
        Message::Headers {
            stream_id,
            fin,
            block,
        } => head("HEADERS", *stream_id, end(*fin), &fields(block)),
        Message::Data {
            stream_id,
            fin,
            payload,
            ..
        } => data(*stream_id, payload.len(), end(*fin)),
        Message::RstStream(frame) => {
            format!("< RST_STREAM stream={} {}", frame.stream_id, frame.code)
        }
        Message::Settings(frame) => settings(
            frame
                .entries
                .iter()
                .map(|entry| format!("{}={} (flags {})", entry.id, entry.value, entry.flags)),
        ),
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
    let list = block.fields().iter();
    describe::fields(list.map(|(name, value)| (&name[..], &value[..])))
}
