//! Frames on the wire as lines of text.

mod http2;
mod spdy;
mod text;

use std::fmt;

use bytes::{Buf as _, BytesMut};
use lacewing_frames::{Side, Version};

/// Decodes one direction of a connection and describes its frames.
///
/// Each frame is a line, followed by indented lines for its fields. The content
/// of DATA frames is not shown.
///
/// ```
/// use lacewing_conform::{FrameLog, Side, Version};
///
/// let mut log = FrameLog::new(Version::Http2, Side::Server);
/// let mut lines = Vec::new();
/// log.decode(b"\0\0\x04\x08\0\0\0\0\0\0\0\x03\xe8", &mut lines);
/// assert_eq!(lines, ["WINDOW_UPDATE stream=0 length=4", "    increment=1000"]);
/// ```
pub struct FrameLog {
    frames: Box<dyn Frames>,
    buffer: BytesMut,
    /// The rest of a DATA frame.
    skip: usize,
    /// The later bytes cannot be decoded.
    lost: bool,
}

/// The frames of a protocol in one direction.
trait Frames: Send {
    /// Takes one frame, or its head, from the buffer.
    fn take(&mut self, buffer: &mut BytesMut, lines: &mut Vec<String>) -> Taken;
}

/// The outcome of taking a frame.
enum Taken {
    Frame,
    /// The head of a frame whose payload of this many bytes is not shown.
    Head(usize),
    /// More bytes are needed.
    Nothing,
    /// A frame that makes all later bytes undecodable.
    Lost,
}

impl FrameLog {
    /// A log of the bytes that `sender` sends.
    pub fn new(version: Version, sender: Side) -> Self {
        use lacewing_frames::spdy::WireVersion;
        let frames: Box<dyn Frames> = match version {
            Version::Http2 => Box::new(http2::Http2Frames::new(sender)),
            Version::Spdy2 => Box::new(spdy::SpdyFrames::new(WireVersion::V2)),
            Version::Spdy3 | Version::Spdy31 => Box::new(spdy::SpdyFrames::new(WireVersion::V3)),
        };
        Self {
            frames,
            buffer: BytesMut::new(),
            skip: 0,
            lost: false,
        }
    }

    /// Decodes bytes, and adds the lines of the frames that they complete.
    ///
    /// An error of the codec is a line that starts with `    ! `. After an error
    /// of the connection the log ignores all bytes.
    pub fn decode(&mut self, mut bytes: &[u8], lines: &mut Vec<String>) {
        if self.lost {
            return;
        }
        let skipped = self.skip.min(bytes.len());
        bytes.advance(skipped);
        self.skip = self.skip.saturating_sub(skipped);
        self.buffer.extend_from_slice(bytes);
        while self.skip == 0 {
            match self.frames.take(&mut self.buffer, lines) {
                Taken::Frame => {}
                Taken::Nothing => return,
                Taken::Head(length) => {
                    let skipped = length.min(self.buffer.len());
                    self.buffer.advance(skipped);
                    self.skip = length.saturating_sub(skipped);
                }
                Taken::Lost => {
                    lines.push("    ! what follows cannot be shown".into());
                    self.lost = true;
                    self.buffer = BytesMut::new();
                    return;
                }
            }
        }
    }

    /// The bytes of an incomplete frame so far.
    pub fn unfinished(&self) -> usize {
        self.buffer.len()
    }

    /// Returns whether an error of the connection made all later bytes undecodable.
    pub fn is_lost(&self) -> bool {
        self.lost
    }
}

impl fmt::Debug for FrameLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameLog").finish_non_exhaustive()
    }
}
