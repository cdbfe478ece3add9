//! The two directions of a connection whose bytes pass by, and the frames in them.

use lacewing_conform::{FrameLog, Side, Version};

use crate::{
    detect::{Content, detect},
    frame_text::{FrameText, group},
};

/// The bytes of a side that may come before the protocol is known.
const MAX_UNDECIDED: usize = 64 << 10;

/// A connection that somebody else speaks.
pub(crate) struct Conversation {
    version: Option<Version>,
    content: Content,
    client: Direction,
    server: Direction,
}

#[derive(Default)]
struct Direction {
    /// The bytes from before the protocol was known.
    undecided: Vec<u8>,
    log: Option<FrameLog>,
}

/// The result of some bytes.
#[derive(Default)]
pub(crate) struct Taken {
    /// The frames that they complete, with their senders.
    pub(crate) frames: Vec<(Side, FrameText)>,
    /// They show the protocol.
    pub(crate) detected: Option<Version>,
    /// The other side is the client than the one that was taken for it.
    pub(crate) reversed: bool,
}

impl Conversation {
    /// A connection in this protocol; `None` if its first bytes decide.
    pub(crate) fn new(version: Option<Version>) -> Self {
        Self {
            version,
            content: Content::Undecided,
            client: Direction::default(),
            server: Direction::default(),
        }
    }

    /// Takes the bytes that follow those of `sender` so far.
    pub(crate) fn take(&mut self, sender: Side, bytes: &[u8]) -> Taken {
        let mut taken = Taken::default();
        if self.version.is_some() {
            self.decode(sender, bytes, &mut taken.frames);
            return taken;
        }
        if !matches!(self.content, Content::Undecided) {
            return taken;
        }
        let direction = self.direction(sender);
        direction.undecided.extend_from_slice(bytes);
        let content = detect(&direction.undecided);
        let too_long = direction.undecided.len() > MAX_UNDECIDED;
        match content {
            Content::Undecided if !too_long => return taken,
            Content::Undecided => self.content = Content::Unknown,
            content => self.content = content,
        }
        let Content::Frames(version, side) = content else {
            self.client.undecided = Vec::new();
            self.server.undecided = Vec::new();
            return taken;
        };
        self.version = Some(version);
        taken.detected = Some(version);
        if side.is_some_and(|side| side != sender) {
            std::mem::swap(&mut self.client, &mut self.server);
            taken.reversed = true;
        }
        for side in [Side::Client, Side::Server] {
            let bytes = std::mem::take(&mut self.direction(side).undecided);
            self.decode(side, &bytes, &mut taken.frames);
        }
        taken
    }

    /// The content that its first bytes show.
    pub(crate) fn content(&self) -> Content {
        self.content
    }

    pub(crate) fn version(&self) -> Option<Version> {
        self.version
    }

    /// The bytes of an incomplete frame of this side.
    pub(crate) fn unfinished(&self, sender: Side) -> usize {
        let direction = match sender {
            Side::Client => &self.client,
            Side::Server => &self.server,
        };
        direction.log.as_ref().map_or(0, FrameLog::unfinished)
    }

    fn direction(&mut self, sender: Side) -> &mut Direction {
        match sender {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn decode(&mut self, sender: Side, bytes: &[u8], frames: &mut Vec<(Side, FrameText)>) {
        let Some(version) = self.version else { return };
        let direction = self.direction(sender);
        let log = direction
            .log
            .get_or_insert_with(|| FrameLog::new(version, sender));
        let mut lines = Vec::new();
        log.decode(bytes, &mut lines);
        frames.extend(group(lines).into_iter().map(|frame| (sender, frame)));
    }
}
