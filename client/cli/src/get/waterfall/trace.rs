//! The frames of a run, with their times.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lacewing_client::{Connect, Connected, Connecting, Origin, Version};
use lacewing_conform::Side;

use crate::{
    conversation::Conversation,
    frame_meaning::{What, meanings},
    get::dials::{DialTimes, Dials},
    watched::{Watched, Watcher},
};

/// The most frames that are kept; further ones are counted.
const MAX_FRAMES: usize = 200_000;

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

    /// HTTP/1.1 has no frames.
    fn connect_http1<'a>(&'a self, origin: &'a Origin) -> Option<Connecting<'a>> {
        self.connector.connect_http1(origin)
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
                    .extend(
                        meanings(frame)
                            .into_iter()
                            .map(|(stream, what, fin)| Frame {
                                at,
                                from: *from,
                                stream,
                                title: frame.title().to_owned(),
                                fin,
                                what,
                            }),
                    );
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
