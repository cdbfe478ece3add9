//! Adds frames to the record of a connection.

use lacewing_frames::Side;
use lacewing_frames::spdy::Message;

use crate::record::Record;

use super::protocol::{List, Spdy};

impl Record<Spdy> {
    /// Adds a frame of the tested side to the record.
    pub(super) fn add(&mut self, message: &Message<List>, tested: Side) {
        match message {
            Message::SynStream {
                stream_id,
                fin,
                unidirectional,
                block,
                ..
            } => {
                if tested == Side::Client && !unidirectional {
                    self.requests.push(*stream_id);
                }
                self.opened(*stream_id, *fin, block.fields());
            }
            Message::SynReply {
                stream_id,
                fin,
                block,
            } => self.opened(*stream_id, *fin, block.fields()),
            Message::Headers { stream_id, fin, .. } => self.entry(*stream_id).ended |= fin,
            Message::Data {
                stream_id,
                fin,
                payload,
                ..
            } => {
                self.add_content(*stream_id, payload.len(), *fin);
            }
            Message::RstStream(frame) => {
                self.entry(frame.stream_id).resets.push(frame.code);
            }
            Message::Settings(settings) => self.settings.push(settings.clone()),
            Message::Ping(ping) => self.pings.push(ping.id),
            Message::GoAway(frame) => {
                self.go_aways
                    .push((frame.last_good_stream_id, frame.status));
            }
            Message::WindowUpdate(frame) => self.add_credit(frame.stream_id, frame.delta),
            _ => {}
        }
    }

    fn opened(&mut self, id: u32, fin: bool, list: &List) {
        let stream = self.entry(id);
        stream.opened = true;
        stream.ended |= fin;
        let status = list
            .iter()
            .find(|(name, _)| name == ":status" || name == "status")
            // "200" or "200 OK".
            .and_then(|(_, value)| std::str::from_utf8(value.get(..3)?).ok()?.parse().ok());
        stream.status = stream.status.or(status);
    }
}
