//! Rules for the frames of the tested side, checked in every case.

use lacewing_frames::spdy::{Block, Message, SettingId, Settings};

use lacewing_frames::{Side, Version};

use crate::{
    record::Record,
    windows::{Exceeded, Refill, Windows},
};

use super::{
    frame::Frame,
    protocol::{List, SessionWindow, Spdy, setting},
};

/// The initial window, in bytes.
const WINDOW: i64 = 65_536;

/// The tested side and the session's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    /// It must obey the window.
    Binding,
    /// It cannot know of the window yet.
    NotShown,
    /// It has exceeded the window before it could know of it: it took us for a client of SPDY/3,
    /// and need not count backwards when credit shows that we are none.
    Ignored,
}

/// Checks the frames of the tested side on one connection.
#[derive(Debug)]
pub(super) struct Monitor {
    tested: Side,
    version: Version,
    /// Its initial window is the largest that we have sent in SETTINGS: SPDY has
    /// no acknowledgement that shows when a smaller one is in force.
    windows: Windows,
    /// A stream was opened, by either side.
    streams: bool,
    session: Session,
    /// The section whose rules for every connection are checked.
    pub(super) habits: Option<&'static str>,
    /// Violations, with their sections.
    pub(super) violations: Vec<String>,
}

impl Monitor {
    pub(super) fn new(tested: Side, version: Version, session_window: SessionWindow) -> Self {
        Self {
            tested,
            version,
            windows: Windows::new(WINDOW),
            streams: tested == Side::Client,
            session: match session_window {
                SessionWindow::Known => Session::Binding,
                SessionWindow::ShownByCredit => Session::NotShown,
            },
            habits: None,
            violations: Vec::new(),
        }
    }

    /// Records a frame that we send.
    pub(super) fn sent(&mut self, frame: &Frame, requests: &[u32]) {
        let stream = frame.stream.resolve(requests);
        self.windows.send(stream, frame.content());
        if let Some(delta) = frame.delta() {
            self.windows.credit(stream, delta);
            if stream == 0 && self.session == Session::NotShown {
                self.session = Session::Binding;
            }
        }
        if let Some(value) = frame.setting(SettingId::INITIAL_WINDOW_SIZE) {
            let value = i64::from(value);
            if !self.streams || value > self.windows.initial() {
                self.windows.set_initial(value);
            }
        }
        self.streams |= frame.kind == Some(lacewing_frames::spdy::Kind::SYN_STREAM);
    }

    /// Checks a frame of the tested side; `before` is the record without it.
    pub(super) fn received(&mut self, message: &Message<List>, before: &Record<Spdy>) {
        match message {
            Message::SynStream {
                stream_id,
                associated,
                block,
                ..
            } => self.syn_stream(*stream_id, *associated, block, before),
            Message::SynReply {
                stream_id, block, ..
            } => self.syn_reply(*stream_id, block, before),
            Message::Headers {
                stream_id, block, ..
            } => {
                self.over("HEADERS", *stream_id, before);
                self.block(block);
            }
            Message::Data {
                stream_id, payload, ..
            } => {
                self.over("DATA", *stream_id, before);
                if !is_opened(*stream_id, before) {
                    let what = format!("DATA on stream {stream_id} before SYN_REPLY");
                    self.violation(what, "2.2.2");
                }
                self.debit(*stream_id, payload.len());
            }
            Message::RstStream(frame) => {
                let known = match self.version {
                    Version::Spdy2 => 1..=7,
                    _ => 1..=11,
                };
                if !known.contains(&frame.code.0) {
                    let what = format!("RST_STREAM with the code {}", frame.code.0);
                    self.violation(what, "2.6.3");
                }
            }
            Message::Settings(settings) => self.settings(settings),
            Message::WindowUpdate(frame)
                if frame.stream_id == 0 && self.version != Version::Spdy31 =>
            {
                self.violation("WINDOW_UPDATE on stream 0, which SPDY/3.1 brought", "2.6.8");
            }
            Message::Unknown(frame) => {
                let (kind, version) = (frame.kind, frame.version);
                let what = format!("{kind} of version {version}, which this version does not have");
                self.violation(what, "2.2.1");
            }
            _ => {}
        }
    }

    /// The streams to give credit for received DATA, with its bytes: this one unless its DATA has
    /// ended, and in SPDY/3.1 the session (0).
    pub(super) fn unreturned(
        &mut self,
        stream: u32,
        record: &Record<Spdy>,
        which: Refill,
    ) -> Vec<(u32, u32)> {
        let session = (self.version == Version::Spdy31).then_some(0);
        let open = (!record.is_over(stream)).then_some(stream);
        let ids = [session, open].into_iter().flatten();
        self.windows.take_unreturned(ids, which)
    }

    /// The remaining windows of the stream and of the connection for our DATA.
    pub(super) fn windows(&self, record: &Record<Spdy>, stream: u32) -> [u64; 2] {
        let initial = setting(record, SettingId::INITIAL_WINDOW_SIZE).unwrap_or(65_536);
        let initial = match self.version {
            Version::Spdy2 => [u32::MAX, u32::MAX],
            Version::Spdy31 => [initial, 65_536],
            _ => [initial, u32::MAX],
        };
        self.windows.left(record, stream, initial)
    }

    fn violation(&mut self, what: impl Into<String>, section: &str) {
        let what = what.into();
        self.violations.push(format!("{what} ({section})"));
    }

    /// Records a violation that a peer commits on every connection: only the
    /// cases of its section fail, not all of them.
    fn habit(&mut self, what: impl Into<String>, section: &str) {
        if self.habits == Some(section) {
            self.violation(what, section);
        }
    }

    fn syn_stream(
        &mut self,
        stream: u32,
        associated: u32,
        block: &Block<List>,
        before: &Record<Spdy>,
    ) {
        let even = u32::from(self.tested == Side::Client);
        if stream % 2 != even {
            self.violation(format!("SYN_STREAM with the id {stream}"), "2.3.2");
        }
        let mut opened = before.streams.iter().filter(|(_, stream)| stream.opened);
        if opened.any(|(earlier, _)| earlier % 2 == even && *earlier >= stream) {
            self.violation(format!("SYN_STREAM {stream} after a higher id"), "2.3.2");
        }
        match self.tested {
            Side::Client => self.required(block, REQUEST, "3.2.1"),
            Side::Server if associated == 0 => {
                self.violation("a pushed stream with no associated stream", "3.3.1");
            }
            Side::Server => self.required(block, PUSH, "3.3.1"),
        }
        self.block(block);
    }

    fn syn_reply(&mut self, stream: u32, block: &Block<List>, before: &Record<Spdy>) {
        if is_opened(stream, before) {
            self.violation(format!("a second SYN_REPLY on stream {stream}"), "2.6.2");
        }
        self.over("SYN_REPLY", stream, before);
        if self.tested == Side::Server {
            self.required(block, RESPONSE, "3.2.2");
        }
        self.block(block);
    }

    fn over(&mut self, what: &str, stream: u32, before: &Record<Spdy>) {
        if before.is_over(stream) {
            self.violation(format!("{what} on stream {stream} after its end"), "2.3.7");
        }
    }

    fn debit(&mut self, stream: u32, length: usize) {
        if self.version == Version::Spdy2 {
            return;
        }
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        for exceeded in self.windows.debit(stream, length) {
            match exceeded {
                Exceeded::Stream => {
                    let what = format!("DATA on stream {stream} beyond its window");
                    self.violation(what, "2.6.8");
                }
                Exceeded::Connection if self.version == Version::Spdy31 => self.beyond_session(),
                Exceeded::Connection => {}
            }
        }
    }

    fn beyond_session(&mut self) {
        match self.session {
            Session::Binding => self.violation("DATA beyond the connection's window", "2.6.8"),
            Session::NotShown => self.session = Session::Ignored,
            Session::Ignored => {}
        }
    }

    fn settings(&mut self, settings: &Settings) {
        if self.tested == Side::Client && settings.clear {
            self.habit("a client that clears settings", "2.6.4");
        }
        for (nth, entry) in settings.entries.iter().enumerate() {
            if self.tested == Side::Client && entry.persist_value() {
                self.habit("PERSIST_VALUE from a client", "2.6.4");
            }
            if self.tested == Side::Server && entry.persisted() {
                self.habit("PERSISTED from a server", "2.6.4");
            }
            if matches!(entry.id.0.swap_bytes() >> 8, 1..=8) {
                self.habit("a SETTINGS id in the wrong byte order", "2.6.4");
            }
            let mut earlier = settings.entries.iter().take(nth);
            if earlier.any(|earlier| earlier.id == entry.id) {
                self.habit(format!("{} twice in SETTINGS", entry.id), "2.6.4");
            }
        }
    }

    fn required(&mut self, block: &Block<List>, names: [&[&str]; 2], section: &str) {
        let names = match self.version {
            Version::Spdy2 => names[0],
            _ => names[1],
        };
        for name in names {
            if !block.fields().iter().any(|(known, _)| known == name) {
                self.violation(format!("a header block without {name}"), section);
            }
        }
    }

    fn block(&mut self, block: &Block<List>) {
        if let Err(error) = &block.list {
            self.violation(error.to_string(), "2.6.10");
        }
        for (name, _) in block.fields() {
            let forbidden = [
                "connection",
                "keep-alive",
                "proxy-connection",
                "transfer-encoding",
            ];
            // SPDY/2 does not name it.
            let unnamed = self.version == Version::Spdy2 && name == "proxy-connection";
            if !unnamed && forbidden.iter().any(|forbidden| name == forbidden) {
                let name = name.escape_ascii();
                self.habit(format!("the header {name}, which is not valid"), "3.2");
            }
        }
    }
}

/// Returns whether the head of the stream's message was received.
fn is_opened(stream: u32, before: &Record<Spdy>) -> bool {
    before.stream(stream).is_some_and(|stream| stream.opened)
}

/// The required names, in SPDY/2 and later.
const REQUEST: [&[&str]; 2] = [
    &["method", "scheme", "url", "version"],
    &[":method", ":scheme", ":path", ":version", ":host"],
];
const RESPONSE: [&[&str]; 2] = [&["status", "version"], &[":status", ":version"]];
const PUSH: [&[&str]; 2] = [&["url"], &[":scheme", ":host", ":path"]];
