//! Adds frames to the record of a connection.

use lacewing_frames::Side;
use lacewing_frames::http2::Message;

use crate::record::Record;

use super::protocol::{Http2, List};

impl Record<Http2> {
    /// Adds a frame of the tested side to the record.
    pub(super) fn add(&mut self, message: &Message<List>, tested: Side) {
        self.messages = self.messages.saturating_add(1);
        match message {
            Message::Data {
                stream_id,
                fin,
                payload,
                ..
            } => {
                self.add_content(*stream_id, payload.len(), *fin);
            }
            Message::Headers {
                stream_id,
                fin,
                list,
                ..
            } => {
                // This decoder has no limits that a list could exceed.
                let list = list.as_ref().unwrap_or_else(|bad| &bad.fields);
                self.headers(*stream_id, *fin, list, tested);
            }
            Message::RstStream { stream_id, code } => {
                self.entry(*stream_id).resets.push(*code);
            }
            Message::Settings(settings) => self.settings.push(settings.entries.clone()),
            Message::SettingsAck => self.settings_acks = self.settings_acks.saturating_add(1),
            Message::PingAck { payload } => self.pings.push(*payload),
            Message::GoAway {
                last_stream_id,
                code,
                ..
            } => self.go_aways.push((*last_stream_id, Some(*code))),
            Message::WindowUpdate {
                stream_id,
                increment,
            } => self.add_credit(*stream_id, *increment),
            _ => {}
        }
    }

    fn headers(&mut self, id: u32, end: bool, list: &List, tested: Side) {
        if tested == Side::Client && !self.streams.contains_key(&id) {
            self.requests.push(id);
        }
        let stream = self.entry(id);
        stream.ended |= end;
        // Trailers.
        if stream.opened {
            return;
        }
        let status = list
            .iter()
            .find(|(field, _)| field.name() == b":status")
            .and_then(|(field, _)| std::str::from_utf8(field.value()).ok()?.parse().ok());
        match status {
            Some(status @ 100..=199) => stream.informational.push(status),
            status => {
                stream.status = status;
                stream.opened = !list.is_empty();
            }
        }
    }
}
