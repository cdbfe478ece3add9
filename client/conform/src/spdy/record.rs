//! What came from the tested side, as far as expectations ask.

use std::collections::BTreeMap;

use bytes::Bytes;
use lacewing_frames::spdy::{ErrorCode, GoAwayStatus, Message, SettingId, Settings};

use crate::Side;

/// A decoded header list.
pub(super) type List = Vec<(Bytes, Bytes)>;

/// What came on a connection.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) settings: Vec<Settings>,
    /// PINGs, by id: answers, or the tested side's own.
    pub(super) pings: Vec<u32>,
    /// Last stream and status of each GOAWAY.
    pub(super) go_aways: Vec<(u32, Option<GoAwayStatus>)>,
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
    /// SYN_STREAM or SYN_REPLY came.
    pub(super) opened: bool,
    pub(super) status: Option<u16>,
    /// Content of DATA frames, in bytes.
    pub(super) content: u64,
    pub(super) ended: bool,
    /// The codes of RST_STREAM.
    pub(super) resets: Vec<ErrorCode>,
    /// WINDOW_UPDATE, added up.
    pub(super) credit: u64,
}

impl Stream {
    pub(super) fn is_over(&self) -> bool {
        self.ended || !self.resets.is_empty()
    }
}

impl Record {
    /// The stream, if anything came on it.
    pub(super) fn stream(&self, id: u32) -> Option<&Stream> {
        self.streams.get(&id)
    }

    /// The value of a setting, as the last frame that has it says.
    pub(super) fn setting(&self, id: SettingId) -> Option<u32> {
        let mut backwards = self.settings.iter().rev();
        backwards.find_map(|settings| settings.value(id))
    }

    /// Takes a message of the tested side.
    pub(super) fn take(&mut self, message: &Message<List>, tested: Side) {
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
                let stream = self.entry(*stream_id);
                let length = u64::try_from(payload.len()).unwrap_or(u64::MAX);
                stream.content = stream.content.saturating_add(length);
                stream.ended |= fin;
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
            Message::WindowUpdate(frame) => {
                let credit = match frame.stream_id {
                    0 => &mut self.credit,
                    id => &mut self.entry(id).credit,
                };
                *credit = credit.saturating_add(u64::from(frame.delta));
            }
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

    fn entry(&mut self, id: u32) -> &mut Stream {
        self.streams.entry(id).or_default()
    }
}
