//! Rules for the frames of the tested side, checked in every case.

use std::collections::VecDeque;

use lacewing_frames::http2::{Kind, Message, SettingId, flags};

use lacewing_frames::Side;

use crate::{
    record::Record,
    windows::{Exceeded, Refill, Windows},
};

use super::{
    frame::Frame,
    protocol::{Http2, List, setting},
};

/// Checks the frames of the tested side on one connection.
#[derive(Debug)]
pub(super) struct Monitor {
    tested: Side,
    windows: Windows,
    /// Entries of our SETTINGS that are not acknowledged.
    unacknowledged: VecDeque<Vec<(SettingId, u32)>>,
    /// The highest stream that we opened; streams above are idle.
    opened: u32,
    /// We sent bytes that are not a frame: the state of our streams is unknown.
    opaque: bool,
    /// Violations, with their sections.
    pub(super) violations: Vec<String>,
}

/// The initial window of the connection, and the default of streams.
const WINDOW: u32 = 65_535;

/// The settings that an acknowledgement puts into force.
#[derive(Debug, Default)]
pub(super) struct InForce {
    pub(super) header_table_size: Option<u32>,
    pub(super) max_frame_size: Option<u32>,
}

impl Monitor {
    pub(super) fn new(tested: Side) -> Self {
        Self {
            tested,
            windows: Windows::new(i64::from(WINDOW)),
            unacknowledged: VecDeque::new(),
            opened: 0,
            opaque: false,
            violations: Vec::new(),
        }
    }

    /// Records that we send bytes that are not a [`Frame`].
    pub(super) fn sent_bytes(&mut self) {
        self.opaque = true;
    }

    /// Records a frame that we send.
    pub(super) fn sent(&mut self, frame: &Frame, requests: &[u32]) {
        let stream = frame.stream.resolve(requests);
        let payload = frame.payload(requests);
        match frame.kind {
            Kind::DATA => {
                let length = u64::try_from(payload.len()).unwrap_or(u64::MAX);
                self.windows.send(stream, length);
            }
            Kind::HEADERS if self.tested == Side::Server => self.opened = self.opened.max(stream),
            Kind::WINDOW_UPDATE => {
                let Ok(increment) = <[u8; 4]>::try_from(payload.as_slice()) else {
                    return;
                };
                let increment = u32::from_be_bytes(increment) & 0x7fff_ffff;
                self.windows.credit(stream, increment);
            }
            Kind::SETTINGS if frame.flags & flags::ACK == 0 => {
                let entries: Vec<_> = payload
                    .chunks_exact(6)
                    .filter_map(|entry| <[u8; 6]>::try_from(entry).ok())
                    .map(|[i0, i1, v0, v1, v2, v3]| {
                        let id = SettingId(u16::from_be_bytes([i0, i1]));
                        (id, u32::from_be_bytes([v0, v1, v2, v3]))
                    })
                    .collect();
                if let Some((_, value)) = last(&entries, SettingId::INITIAL_WINDOW_SIZE) {
                    // The tested side may use a larger window before it sends the
                    // acknowledgement.
                    if i64::from(value) > self.windows.initial() {
                        self.windows.set_initial(i64::from(value));
                    }
                }
                self.unacknowledged.push_back(entries);
            }
            _ => {}
        }
    }

    /// The tested side acknowledged our SETTINGS.
    pub(super) fn acknowledged(&mut self) -> InForce {
        let Some(entries) = self.unacknowledged.pop_front() else {
            self.violation("SETTINGS ACK for no SETTINGS", "§6.5.3");
            return InForce::default();
        };
        let mut force = InForce::default();
        for (id, value) in entries {
            match id {
                SettingId::INITIAL_WINDOW_SIZE => self.windows.set_initial(i64::from(value)),
                SettingId::HEADER_TABLE_SIZE => force.header_table_size = Some(value),
                SettingId::MAX_FRAME_SIZE => force.max_frame_size = Some(value),
                _ => {}
            }
        }
        force
    }

    /// Checks a frame of the tested side; `before` is the record without it.
    pub(super) fn received(&mut self, message: &Message<List>, before: &Record<Http2>) {
        if before.messages == 0 && !matches!(message, Message::Settings(_)) {
            self.violation("the first frame is not SETTINGS", "§3.4");
        }
        match message {
            Message::Data {
                stream_id,
                flow_controlled_len,
                ..
            } => {
                self.on_open_stream("DATA", *stream_id, before);
                self.debit(*stream_id, *flow_controlled_len);
            }
            Message::Headers {
                stream_id,
                fin,
                list,
                ..
            } => {
                self.on_open_stream("HEADERS", *stream_id, before);
                let list = list.as_ref().unwrap_or_else(|bad| &bad.fields);
                match self.tested {
                    Side::Server => self.response(*stream_id, *fin, list, before),
                    Side::Client => self.request(*stream_id, *fin, list, before),
                }
            }
            Message::PushPromise { .. } if self.tested == Side::Client => {
                self.violation("PUSH_PROMISE from a client", "§8.4");
            }
            Message::RstStream { stream_id, .. } => {
                self.not_idle("RST_STREAM", *stream_id, before);
            }
            Message::WindowUpdate { stream_id, .. } if *stream_id != 0 => {
                self.not_idle("WINDOW_UPDATE", *stream_id, before);
            }
            Message::Settings(settings)
                if self.tested == Side::Server
                    && settings.value(SettingId::ENABLE_PUSH) == Some(1) =>
            {
                self.violation("ENABLE_PUSH=1 from a server", "§6.5.2");
            }
            Message::GoAway { last_stream_id, .. } => {
                let earlier = before.go_aways.last();
                if earlier.is_some_and(|(earlier, _)| last_stream_id > earlier) {
                    self.violation("GOAWAY with a higher last stream than before", "§6.8");
                }
            }
            _ => {}
        }
    }

    /// The streams to give credit for received DATA, with its bytes: this one unless its DATA has
    /// ended, and the connection (0).
    pub(super) fn unreturned(
        &mut self,
        stream: u32,
        record: &Record<Http2>,
        which: Refill,
    ) -> Vec<(u32, u32)> {
        let open = (!record.is_over(stream)).then_some(stream);
        let ids = [Some(0), open].into_iter().flatten();
        self.windows.take_unreturned(ids, which)
    }

    /// The remaining windows of the stream and of the connection for our DATA.
    pub(super) fn windows(&self, record: &Record<Http2>, stream: u32) -> [u64; 2] {
        let initial = setting(record, SettingId::INITIAL_WINDOW_SIZE).unwrap_or(WINDOW);
        self.windows.left(record, stream, [initial, WINDOW])
    }

    fn violation(&mut self, what: impl Into<String>, section: &str) {
        let what = what.into();
        self.violations.push(format!("{what} (RFC 9113 {section})"));
    }

    fn debit(&mut self, stream: u32, length: u32) {
        for exceeded in self.windows.debit(stream, i64::from(length)) {
            let what = match exceeded {
                Exceeded::Stream => format!("DATA on stream {stream} beyond its window"),
                Exceeded::Connection => "DATA beyond the connection's window".into(),
            };
            self.violation(what, "§6.9.1");
        }
    }

    fn is_idle(&self, stream: u32, before: &Record<Http2>) -> bool {
        match self.tested {
            // Pushed streams are not checked.
            Side::Server => !self.opaque && stream % 2 == 1 && stream > self.opened,
            Side::Client => stream % 2 == 1 && !before.streams.contains_key(&stream),
        }
    }

    fn not_idle(&mut self, what: &str, stream: u32, before: &Record<Http2>) {
        if self.is_idle(stream, before) {
            self.violation(format!("{what} on stream {stream}, which is idle"), "§5.1");
        }
    }

    fn on_open_stream(&mut self, what: &str, stream: u32, before: &Record<Http2>) {
        if before.is_over(stream) {
            self.violation(format!("{what} on stream {stream} after its end"), "§5.1");
        }
        if self.tested == Side::Server || what == "DATA" {
            self.not_idle(what, stream, before);
        }
    }

    fn response(&mut self, id: u32, fin: bool, list: &List, before: &Record<Http2>) {
        let is_trailers = before.stream(id).is_some_and(|stream| stream.opened);
        self.fields(list);
        if is_trailers {
            self.trailers(fin, list);
            return;
        }
        let statuses: Vec<&[u8]> = pseudo(list)
            .filter(|(name, _)| *name == b":status")
            .map(|(_, value)| value)
            .collect();
        match statuses.as_slice() {
            [[b'1', ..]] if fin => {
                self.violation("an informational response with END_STREAM", "§8.1");
            }
            [[b'1'..=b'9', b'0'..=b'9', b'0'..=b'9']] => {}
            _ => self.violation("a response without one :status of three digits", "§8.3.2"),
        }
        if pseudo(list).any(|(name, _)| name != b":status") {
            self.violation("a response with another pseudo-header field", "§8.3");
        }
    }

    fn request(&mut self, id: u32, fin: bool, list: &List, before: &Record<Http2>) {
        self.fields(list);
        if before.streams.contains_key(&id) {
            self.trailers(fin, list);
            return;
        }
        if id % 2 == 0 || before.requests.last().is_some_and(|last| id <= *last) {
            self.violation(format!("a request on stream {id}"), "§5.1.1");
        }
        let count = |wanted: &[u8]| pseudo(list).filter(|(name, _)| *name == wanted).count();
        let connect = pseudo(list).any(|(name, value)| name == b":method" && value == b"CONNECT");
        for name in [&b":method"[..], b":scheme", b":path"] {
            if count(name) != 1 && !connect {
                let name = name.escape_ascii();
                self.violation(format!("a request without one {name}"), "§8.3.1");
            }
        }
        if pseudo(list).any(|(name, value)| name == b":path" && value.is_empty()) {
            self.violation("an empty :path", "§8.3.1");
        }
        if pseudo(list).any(|(name, _)| name == b":status") {
            self.violation("a request with :status", "§8.3");
        }
    }

    fn trailers(&mut self, fin: bool, list: &List) {
        if !fin {
            self.violation("trailers without END_STREAM", "§8.1");
        }
        if pseudo(list).next().is_some() {
            self.violation("a pseudo-header field in trailers", "§8.1");
        }
    }

    /// Rules of all header lists.
    fn fields(&mut self, list: &List) {
        let mut regular = false;
        for (field, _) in list {
            let (name, value) = (field.name(), field.value());
            let shown = name.escape_ascii();
            if name.first() == Some(&b':') {
                if regular {
                    self.violation(format!("{shown} behind regular fields"), "§8.3");
                }
                continue;
            }
            regular = true;
            let token =
                |byte: &u8| byte.is_ascii_graphic() && !b"(),/:;<=>?@[\\]{}\"".contains(byte);
            if name.is_empty() || name.iter().any(u8::is_ascii_uppercase) || !name.iter().all(token)
            {
                self.violation(format!("the field name '{shown}'"), "§8.2.1");
            }
            let blank = |byte: Option<&u8>| byte.is_some_and(|byte| b" \t".contains(byte));
            if blank(value.first())
                || blank(value.last())
                || value.iter().any(|byte| b"\0\r\n".contains(byte))
            {
                let value = value.escape_ascii();
                self.violation(format!("the value '{value}' of {shown}"), "§8.2.1");
            }
            let specific: [&[u8]; 5] = [
                b"connection",
                b"proxy-connection",
                b"keep-alive",
                b"transfer-encoding",
                b"upgrade",
            ];
            if specific.contains(&name) || name == b"te" && value != b"trailers" {
                self.violation(format!("the connection-specific field {shown}"), "§8.2.2");
            }
        }
    }
}

fn pseudo(list: &List) -> impl Iterator<Item = (&[u8], &[u8])> {
    list.iter()
        .map(|(field, _)| (field.name(), field.value()))
        .filter(|(name, _)| name.first() == Some(&b':'))
}

/// The last entry with this id, which is in force.
fn last(entries: &[(SettingId, u32)], id: SettingId) -> Option<(SettingId, u32)> {
    let mut backwards = entries.iter().copied().rev();
    backwards.find(|entry| entry.0 == id)
}
