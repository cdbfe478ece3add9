//! The frames of a run, with their times.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lacewing_client::{Connect, Connected, Connecting, Origin, Version};
use lacewing_conform::Side;

use crate::{
    conversation::Conversation,
    frame_text::FrameText,
    get::dials::{DialTimes, Dials},
    watched::{Watched, Watcher},
};

/// The most frames that are kept; further ones are counted.
const MAX_FRAMES: usize = 200_000;

/// The most letters of a path that are kept.
const MAX_PATH: usize = 300;

/// The frames of a run. Clones share them.
#[derive(Clone, Debug)]
pub(in crate::get) struct Trace {
    start: Instant,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) connections: Vec<Recording>,
    frames: usize,
    /// The number of frames that were not kept.
    pub(super) lost: usize,
}

/// The frames of a connection.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) origin: String,
    pub(super) version: Version,
    pub(super) dial: Option<DialTimes>,
    pub(super) frames: Vec<Frame>,
}

/// A frame that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Since the start of the trace.
    pub(super) at: Duration,
    pub(super) from: Side,
    /// 0 for the connection.
    pub(super) stream: u32,
    pub(super) title: String,
    /// The last one of its side on the stream.
    pub(super) fin: bool,
    pub(super) what: What,
}

/// The meaning of a frame, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A request: `GET /`. A push, if the server sent it.
    Open(String),
    /// The head of a response, with its status.
    Head(String),
    Data(u64),
    Credit(i64),
    /// The initial window of streams, from now on.
    InitialWindow(i64),
    Reset(String),
    Other,
}

impl Trace {
    pub(in crate::get) fn new() -> Self {
        Self {
            start: Instant::now(),
            kept: Arc::default(),
        }
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the start.
    pub(super) fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }
}

/// A connector that traces its connections.
pub(in crate::get) struct Tracing<C> {
    connector: C,
    trace: Trace,
    dials: Dials,
}

impl<C> Tracing<C> {
    pub(in crate::get) fn new(connector: C, trace: &Trace, dials: &Dials) -> Self {
        Self {
            connector,
            trace: trace.clone(),
            dials: dials.clone(),
        }
    }
}

impl<C: Connect> Connect for Tracing<C> {
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            let connected = self.connector.connect(origin).await?;
            let Some(version) = connected.version else {
                return Ok(connected);
            };
            let Connected { io, address, .. } = connected;
            let mut kept = self.trace.kept();
            let number = kept.connections.len();
            kept.connections.push(Recording {
                origin: origin.to_string(),
                version,
                dial: self.dials.of(origin),
                frames: Vec::new(),
            });
            drop(kept);
            let recorder = Recorder {
                conversation: Conversation::new(Some(version)),
                trace: self.trace.clone(),
                number,
            };
            Ok(Connected::new(Watched::new(io, recorder), version).at(address))
        })
    }
}

/// Records the frames of a transport.
struct Recorder {
    conversation: Conversation,
    trace: Trace,
    /// The number of the connection.
    number: usize,
}

impl Recorder {
    fn take(&mut self, sender: Side, bytes: &[u8]) {
        let taken = self.conversation.take(sender, bytes);
        if taken.frames.is_empty() {
            return;
        }
        let at = self.trace.since(Instant::now());
        let mut kept = self.trace.kept();
        let room = MAX_FRAMES.saturating_sub(kept.frames);
        let new = taken.frames.len().min(room);
        kept.frames = kept.frames.saturating_add(new);
        kept.lost = kept
            .lost
            .saturating_add(taken.frames.len().saturating_sub(new));
        if let Some(recording) = kept.connections.get_mut(self.number) {
            let frames = taken.frames.iter().take(room);
            for (from, frame) in frames {
                recording
                    .frames
                    .extend(read(frame).into_iter().map(|(stream, what, fin)| Frame {
                        at,
                        from: *from,
                        stream,
                        title: frame.title().to_owned(),
                        fin,
                        what,
                    }));
            }
        }
    }
}

impl Watcher for Recorder {
    fn sent(&mut self, bytes: &[u8]) {
        self.take(Side::Client, bytes);
    }

    fn received(&mut self, bytes: &[u8]) {
        self.take(Side::Server, bytes);
    }
}

/// What a frame says: about one stream, or in a push about two.
fn read(frame: &FrameText) -> Vec<(u32, What, bool)> {
    let stream = frame.stream().unwrap_or(0);
    let title = frame.title();
    let fin = title.contains("END_STREAM") || title.contains("FLAG_FIN");
    let detail = |names: &[&str]| {
        let found = frame.details().iter().find_map(|line| {
            let name = names.iter().find(|name| line.starts_with(**name))?;
            line.get(name.len()..)
        });
        found.map(str::to_owned)
    };
    let number = |names: &[&str]| {
        let text = detail(names)?;
        text.split(' ').next()?.parse::<i64>().ok()
    };
    let opens = || {
        let method = detail(&[":method: ", "method: "]).unwrap_or_else(|| "GET".to_owned());
        let path = detail(&[":path: ", "url: "])?;
        let path: String = path.chars().take(MAX_PATH).collect();
        Some(What::Open(format!("{method} {path}")))
    };
    let status = detail(&[":status: ", "status: "]).map(|status| {
        let code = status.split(' ').next().unwrap_or_default();
        What::Head(code.to_owned())
    });
    let what = match frame.kind() {
        "DATA" => frame.length().map(What::Data),
        "WINDOW_UPDATE" => number(&["increment=", "delta="]).map(What::Credit),
        "SETTINGS" => number(&["SETTINGS_INITIAL_WINDOW_SIZE = "]).map(What::InitialWindow),
        "RST_STREAM" => frame.details().first().cloned().map(What::Reset),
        "PUSH_PROMISE" => {
            let promised = detail(&["promised stream="]).and_then(|id| id.parse().ok());
            return vec![(promised.unwrap_or(0), opens().unwrap_or(What::Other), false)];
        }
        // A pushed SYN_STREAM has both.
        "SYN_STREAM" if status.is_some() => {
            let open = (stream, opens().unwrap_or(What::Other), false);
            return vec![open, (stream, status.unwrap_or(What::Other), fin)];
        }
        "HEADERS" | "SYN_STREAM" | "SYN_REPLY" => status.or_else(opens),
        _ => None,
    };
    vec![(stream, what.unwrap_or(What::Other), fin)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame_text::group;

    fn of(lines: &[&str]) -> Vec<(u32, What, bool)> {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        group(lines).iter().flat_map(read).collect()
    }

    #[test]
    fn frames_of_all_protocols_have_their_meaning() {
        let text = str::to_owned;
        let request = [
            "HEADERS stream=3 length=5 flags=END_STREAM|END_HEADERS",
            "    :method: GET",
            "    :path: /a",
        ];
        assert_eq!(of(&request), [(3, What::Open(text("GET /a")), true)]);
        let reply = [
            "SYN_REPLY stream=1 version=2 length=9",
            "    status: 200 OK",
        ];
        assert_eq!(of(&reply), [(1, What::Head(text("200")), false)]);
        let push = [
            "PUSH_PROMISE stream=1 length=9 flags=END_HEADERS",
            "    promised stream=2",
            "    :method: GET",
            "    :path: /b",
        ];
        assert_eq!(of(&push), [(2, What::Open(text("GET /b")), false)]);
        let push = [
            "SYN_STREAM stream=2 version=3 length=9 flags=FLAG_FIN",
            "    :path: /b",
            "    :status: 200",
        ];
        let both = [
            (2, What::Open(text("GET /b")), false),
            (2, What::Head(text("200")), true),
        ];
        assert_eq!(of(&push), both);
        let others = [
            "DATA stream=1 length=300 flags=FLAG_FIN",
            "WINDOW_UPDATE stream=0 length=4",
            "    increment=1000",
            "WINDOW_UPDATE stream=5 version=3 length=8",
            "    delta=7",
            "SETTINGS version=3 length=12",
            "    SETTINGS_INITIAL_WINDOW_SIZE = 65536 flags=FLAG_SETTINGS_PERSISTED",
            "RST_STREAM stream=1 length=4",
            "    CANCEL",
            "PING id=1 version=3 length=4",
        ];
        let expected = [
            (1, What::Data(300), true),
            (0, What::Credit(1000), false),
            (5, What::Credit(7), false),
            (0, What::InitialWindow(65_536), false),
            (1, What::Reset(text("CANCEL")), false),
            (0, What::Other, false),
        ];
        assert_eq!(of(&others), expected);
    }
}
