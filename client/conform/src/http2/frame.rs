//! Frames to send, valid or malformed: any type, flags, length and stream.

use lacewing_frames::http2::{ErrorCode, FrameHead, Kind, SettingId, flags};

use crate::stream_id::Id;

use super::block::Block;

/// A frame to send.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: Id,
    payload: Vec<Piece>,
    /// A length field that differs from the payload's length.
    length: Option<u32>,
    reserved_bit: bool,
}

#[derive(Clone, Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Id(Id),
}

/// A frame of any type.
pub(super) fn frame(kind: Kind, flags: u8, stream: impl Into<Id>, payload: &[u8]) -> Frame {
    Frame {
        kind,
        flags,
        stream: stream.into(),
        payload: vec![Piece::Bytes(payload.to_vec())],
        length: None,
        reserved_bit: false,
    }
}

pub(super) fn data(stream: impl Into<Id>, content: &[u8]) -> Frame {
    frame(Kind::DATA, 0, stream, content)
}

/// DATA of this many bytes.
pub(super) fn data_of(stream: impl Into<Id>, length: usize) -> Frame {
    data(stream, &vec![b'x'; length])
}

/// HEADERS with END_HEADERS.
pub(super) fn headers(stream: impl Into<Id>, block: &Block) -> Frame {
    frame(Kind::HEADERS, flags::END_HEADERS, stream, block.bytes())
}

/// CONTINUATION with END_HEADERS.
pub(super) fn continuation(stream: impl Into<Id>, fragment: &[u8]) -> Frame {
    frame(Kind::CONTINUATION, flags::END_HEADERS, stream, fragment)
}

/// A header block cut into HEADERS and CONTINUATION frames at the given place
/// and every this many bytes after it.
pub(super) fn split(stream: impl Into<Id>, block: &Block, size: usize) -> Vec<Frame> {
    let stream = stream.into();
    let chunks: Vec<&[u8]> = block.bytes().chunks(size.max(1)).collect();
    let mut frames: Vec<Frame> = chunks
        .iter()
        .enumerate()
        .map(|(number, chunk)| match number {
            0 => frame(Kind::HEADERS, 0, stream, chunk),
            _ => frame(Kind::CONTINUATION, 0, stream, chunk),
        })
        .collect();
    if let Some(last) = frames.last_mut() {
        last.flags |= flags::END_HEADERS;
    }
    frames
}

pub(super) fn priority(stream: impl Into<Id>, dependency: u32, weight: u8) -> Frame {
    let mut payload = dependency.to_be_bytes().to_vec();
    payload.push(weight);
    frame(Kind::PRIORITY, 0, stream, &payload)
}

pub(super) fn rst_stream(stream: impl Into<Id>, code: ErrorCode) -> Frame {
    frame(Kind::RST_STREAM, 0, stream, &code.0.to_be_bytes())
}

pub(super) fn settings(entries: &[(SettingId, u32)]) -> Frame {
    let mut payload = Vec::new();
    for (id, value) in entries {
        payload.extend_from_slice(&id.0.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(Kind::SETTINGS, 0, 0, &payload)
}

pub(super) fn settings_ack() -> Frame {
    frame(Kind::SETTINGS, flags::ACK, 0, b"")
}

pub(super) fn push_promise(stream: impl Into<Id>, promised: impl Into<Id>, block: &Block) -> Frame {
    let mut frame = frame(Kind::PUSH_PROMISE, flags::END_HEADERS, stream, b"");
    frame.payload = vec![
        Piece::Id(promised.into()),
        Piece::Bytes(block.bytes().to_vec()),
    ];
    frame
}

pub(super) fn ping(payload: &[u8; 8]) -> Frame {
    frame(Kind::PING, 0, 0, payload)
}

pub(super) fn ping_ack(payload: &[u8; 8]) -> Frame {
    frame(Kind::PING, flags::ACK, 0, payload)
}

pub(super) fn go_away(last: impl Into<Id>, code: ErrorCode) -> Frame {
    let mut frame = frame(Kind::GOAWAY, 0, 0, b"");
    frame.payload = vec![
        Piece::Id(last.into()),
        Piece::Bytes(code.0.to_be_bytes().to_vec()),
    ];
    frame
}

pub(super) fn window_update(stream: impl Into<Id>, increment: u32) -> Frame {
    frame(Kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// PRIORITY_UPDATE (RFC 9218 §7.1).
pub(super) fn priority_update(prioritized: impl Into<Id>, value: &str) -> Frame {
    let mut frame = frame(Kind::PRIORITY_UPDATE, 0, 0, b"");
    frame.payload = vec![
        Piece::Id(prioritized.into()),
        Piece::Bytes(value.as_bytes().to_vec()),
    ];
    frame
}

impl Frame {
    /// With END_STREAM.
    pub(super) fn end_stream(self) -> Self {
        self.with(flags::END_STREAM)
    }

    /// Without END_HEADERS.
    pub(super) fn unfinished(mut self) -> Self {
        self.flags &= !flags::END_HEADERS;
        self
    }

    /// With more flags.
    pub(super) fn with(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    /// On another stream.
    pub(super) fn on(mut self, stream: impl Into<Id>) -> Self {
        self.stream = stream.into();
        self
    }

    /// With this many bytes of padding, and the flag.
    pub(super) fn padded(self, padding: u8) -> Self {
        self.padded_with(padding, &vec![0; usize::from(padding)])
    }

    /// With the flag, this padding length, and padding of perhaps another length.
    pub(super) fn padded_with(mut self, length: u8, padding: &[u8]) -> Self {
        self.flags |= flags::PADDED;
        self.payload.insert(0, Piece::Bytes(vec![length]));
        self.payload.push(Piece::Bytes(padding.to_vec()));
        self
    }

    /// With the priority fields of HEADERS, and the flag; before `padded`.
    pub(super) fn prioritized(mut self, dependency: impl Into<Id>, weight: u8) -> Self {
        self.flags |= flags::PRIORITY;
        self.payload.insert(0, Piece::Bytes(vec![weight]));
        self.payload.insert(0, Piece::Id(dependency.into()));
        self
    }

    /// With a dynamic table size update in front of the header block, unless it
    /// has one. HEADERS too short for a block stay as they are.
    pub(super) fn with_table_size(mut self, size: usize) -> Self {
        let before = usize::from(self.flags & flags::PADDED != 0)
            + match self.kind {
                // The promised stream.
                Kind::PUSH_PROMISE => 1,
                _ => 2 * usize::from(self.flags & flags::PRIORITY != 0),
            };
        if let Some(Piece::Bytes(block)) = self.payload.get_mut(before) {
            // A size update begins with 001 (RFC 7541 §6.3).
            if block.first().is_none_or(|byte| byte & 0xe0 != 0x20) {
                block.splice(..0, Block::new().table_size(size).bytes().to_vec());
            }
        }
        self
    }

    /// With a payload of this many bytes, all `x`.
    pub(super) fn sized(mut self, length: usize) -> Self {
        self.payload = vec![Piece::Bytes(vec![b'x'; length])];
        self
    }

    /// With a length field that differs from the payload's length.
    pub(super) fn of_length(mut self, length: u32) -> Self {
        self.length = Some(length);
        self
    }

    /// With the reserved bit of the stream id set.
    pub(super) fn with_reserved_bit(mut self) -> Self {
        self.reserved_bit = true;
        self
    }

    /// The payload; `requests` are the ids of the client's requests.
    pub(super) fn payload(&self, requests: &[u32]) -> Vec<u8> {
        let mut payload = Vec::new();
        for piece in &self.payload {
            match piece {
                Piece::Bytes(bytes) => payload.extend_from_slice(bytes),
                Piece::Id(id) => payload.extend_from_slice(&id.resolve(requests).to_be_bytes()),
            }
        }
        payload
    }

    /// Head and payload on the wire.
    pub(super) fn encode(&self, requests: &[u32]) -> Vec<u8> {
        let payload = self.payload(requests);
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut bytes = FrameHead {
            length: self.length.unwrap_or(length),
            kind: self.kind,
            flags: self.flags,
            stream_id: self.stream.resolve(requests),
        }
        .to_bytes()
        .to_vec();
        if let Some(byte) = bytes.get_mut(5).filter(|_| self.reserved_bit) {
            *byte |= 0x80;
        }
        bytes.extend_from_slice(&payload);
        bytes
    }

    /// Describes the frame for the transcript.
    pub(super) fn describe(&self, requests: &[u32]) -> String {
        let payload = self.payload(requests);
        let mut text = format!(
            "> {} stream={} length={}",
            self.kind,
            self.stream.resolve(requests),
            self.length.map_or_else(
                || payload.len().to_string(),
                |length| format!("{length} (in truth {})", payload.len())
            ),
        );
        if self.flags != 0 {
            text.push_str(&format!(" flags={:#04x}", self.flags));
        }
        if !payload.is_empty() {
            let shown = payload.get(..48).unwrap_or(&payload);
            text.push_str(&format!(" \"{}", shown.escape_ascii()));
            text.push_str(if shown.len() < payload.len() {
                "…\""
            } else {
                "\""
            });
        }
        text
    }
}
