//! Steps and row options of HTTP/2 alone.

use lacewing_frames::http2::SettingId;

use crate::{script, stream_id::Id};

use super::{
    frame::Frame,
    protocol::{Http2, OwnStep, Start},
};

pub(super) type Step = script::Step<Http2>;
pub(super) type Row = script::Row<Http2>;
pub(super) type Expect = crate::expect::Expect<Http2>;

impl Row {
    /// Starts with these entries in SETTINGS.
    pub(super) fn settings(mut self, entries: &[(SettingId, u32)]) -> Self {
        self.setup = Start::Handshake(entries.to_vec());
        self
    }

    /// Starts without preface and SETTINGS: the steps send everything.
    pub(super) fn bare(mut self) -> Self {
        self.setup = Start::Nothing;
        self
    }
}

/// Sends a frame one byte longer than the tested side allows.
pub(super) fn too_long(frame: Frame) -> Step {
    Step::Own(OwnStep::TooLong(frame))
}

/// Sends this many DATA frames of one byte and 255 of padding, and END_STREAM.
pub(super) fn padded_upload(stream: impl Into<Id>, frames: u64) -> Step {
    Step::Own(OwnStep::PaddedUpload(stream.into(), frames))
}

/// The client under test allows push, or the case is skipped.
pub(super) fn push_allowed() -> Step {
    Step::Own(OwnStep::PushAllowed)
}

/// The client under test forbids push, or the case is skipped.
pub(super) fn push_forbidden() -> Step {
    Step::Own(OwnStep::PushForbidden)
}

/// Does not acknowledge SETTINGS from here on.
pub(super) fn withhold_ack() -> Step {
    Step::Own(OwnStep::WithholdAck)
}
