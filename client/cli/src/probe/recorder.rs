//! The frames of a connection, kept.

use std::sync::{Arc, Mutex, PoisonError};

use lacewing_client::Version;
use lacewing_conform::Side;

use crate::{conversation::Conversation, frame_text::FrameText, watched::Watcher};

/// The frames that are kept; a probe has a few.
const MAX_FRAMES: usize = 1_000;

/// The frames of the server.
#[derive(Clone, Default)]
pub(super) struct Frames(Arc<Mutex<Vec<FrameText>>>);

/// Keeps the frames of a transport.
pub(super) struct Recorder {
    conversation: Conversation,
    frames: Frames,
}

impl Frames {
    /// The details of the frames of this type, frame by frame.
    pub(super) fn details(&self, kind: &str) -> Vec<Vec<String>> {
        let frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = frames.iter().filter(|frame| frame.kind() == kind);
        of_kind.map(|frame| frame.details().to_vec()).collect()
    }
}

impl Recorder {
    pub(super) fn new(version: Version, frames: &Frames) -> Self {
        Self {
            conversation: Conversation::new(Some(version)),
            frames: frames.clone(),
        }
    }
}

impl Watcher for Recorder {
    fn sent(&mut self, bytes: &[u8]) {
        self.conversation.take(Side::Client, bytes);
    }

    fn received(&mut self, bytes: &[u8]) {
        let taken = self.conversation.take(Side::Server, bytes);
        let mut frames = self.frames.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_FRAMES.saturating_sub(frames.len());
        let new = taken.frames.into_iter().map(|(_, frame)| frame);
        frames.extend(new.take(room));
    }
}
