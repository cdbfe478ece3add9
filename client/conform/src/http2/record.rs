//! What came from the tested side, as far as expectations ask.

use std::collections::BTreeMap;

use lacewing_frames::http2::{ErrorCode, HeaderField, Message, Sensitivity, Setting};

use crate::Side;

/// A decoded header list.
pub(super) type List = Vec<(HeaderField, Sensitivity)>;

/// What came on a connection.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The frames, header blocks counted once.
    pub(super) messages: usize,
    pub(super) settings: Vec<Vec<Setting>>,
    pub(super) settings_acks: usize,
    pub(super) ping_acks: Vec<[u8; 8]>,
    /// Last stream and code of each GOAWAY.
    pub(super) go_aways: Vec<(u32, ErrorCode)>,
    /// WINDOW_UPDATE for the connection, added up.
    pub(super) credit: u64,
    pub(super) streams: BTreeMap<u32, Stream>,
    /// The streams of a client's requests, in their order.
    pub(super) requests: Vec<u32>,
    /// How many requests there were when it was asked to be remembered.
    pub(super) mark: usize,
    /// How the transport ended, in words.
    pub(super) closed: Option<String>,
}

/// What came on a stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Of the final response.
    pub(super) status: Option<u16>,
    pub(super) informational: Vec<u16>,
    pub(super) head: Vec<HeaderField>,
    pub(super) trailers: Option<Vec<HeaderField>>,
    /// Content of DATA frames, in bytes.
    pub(super) content: u64,
    pub(super) ended: bool,
    pub(super) reset: Option<ErrorCode>,
    /// WINDOW_UPDATE, added up.
    pub(super) credit: u64,
}

impl Stream {
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.reset.is_some()
    }
}

impl Record {
    /// The stream, if anything came on it.
    pub(super) fn stream(&self, id: u32) -> Option<&Stream> {
        self.streams.get(&id)
    }

    /// The value of a setting, as the last frame that has it says.
    pub(super) fn setting(&self, id: lacewing_frames::http2::SettingId) -> Option<u32> {
        self.settings
            .iter()
            .flatten()
            .rev()
            .find(|setting| setting.id == id)
            .map(|setting| setting.value)
    }

    /// The code of the connection error that was told, if any.
    pub(super) fn connection_error(&self) -> Option<ErrorCode> {
        self.go_aways
            .iter()
            .map(|(_, code)| *code)
            .find(|code| *code != ErrorCode::NO_ERROR)
    }

    /// Takes a message of the tested side.
    pub(super) fn take(&mut self, message: &Message<List>, tested: Side) {
        self.messages = self.messages.saturating_add(1);
        match message {
            Message::Data {
                stream_id,
                fin,
                payload,
                ..
            } => {
                let stream = self.entry(*stream_id);
                let length = u64::try_from(payload.len()).unwrap_or(u64::MAX);
                stream.content = stream.content.saturating_add(length);
                stream.ended |= fin;
            }
            Message::Headers {
                stream_id,
                fin,
                list,
                ..
            } => {
                // No list exceeds the limits of this decoder.
                let list = list.as_ref().unwrap_or_else(|bad| &bad.fields);
                self.headers(*stream_id, *fin, list, tested);
            }
            Message::RstStream { stream_id, code } => {
                self.entry(*stream_id).reset.get_or_insert(*code);
            }
            Message::Settings(settings) => self.settings.push(settings.entries.clone()),
            Message::SettingsAck => self.settings_acks = self.settings_acks.saturating_add(1),
            Message::PingAck { payload } => self.ping_acks.push(*payload),
            Message::GoAway {
                last_stream_id,
                code,
                ..
            } => self.go_aways.push((*last_stream_id, *code)),
            Message::WindowUpdate {
                stream_id,
                increment,
            } => {
                let credit = match stream_id {
                    0 => &mut self.credit,
                    id => &mut self.entry(*id).credit,
                };
                *credit = credit.saturating_add(u64::from(*increment));
            }
            _ => {}
        }
    }

    fn headers(&mut self, id: u32, fin: bool, list: &List, tested: Side) {
        let fields = || list.iter().map(|(field, _)| field.clone()).collect();
        let known = self.streams.contains_key(&id);
        if tested == Side::Client && !known {
            self.requests.push(id);
        }
        let stream = self.entry(id);
        stream.ended |= fin;
        if !stream.head.is_empty() {
            stream.trailers = Some(fields());
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
                stream.head = fields();
            }
        }
    }

    fn entry(&mut self, id: u32) -> &mut Stream {
        self.streams.entry(id).or_default()
    }
}
