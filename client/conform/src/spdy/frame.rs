//! Frames to send, valid or malformed: any type, version, flags and length.

use lacewing_frames::spdy::{ErrorCode, GoAwayStatus, Kind, SettingId, WireVersion, flags};

use crate::stream_id::Id;

use super::block::{Block, Zlib};

/// A frame to send.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// `None` for DATA.
    pub(super) kind: Option<Kind>,
    pub(super) stream: Id,
    pub(super) flags: u8,
    /// The version of a control frame, if not the connection's.
    version: Option<u16>,
    parts: Vec<Part>,
}

/// A part of a payload, whose layout depends on the version.
#[derive(Clone, Debug)]
enum Part {
    Bytes(Vec<u8>),
    Stream,
    Id(Id),
    /// Two unused bytes in SPDY/2, absent later.
    Unused,
    /// Two or three bits, and the rest of two bytes.
    Priority(u8),
    /// Flags, id, value.
    Entry(u8, u32, u32),
    /// The status of GOAWAY, which SPDY/2 does not have.
    Status(u32),
    Block(Block),
}

/// An entry of SETTINGS: flags, id, value.
pub(super) type Entry = (u8, SettingId, u32);

/// A control frame of any type.
pub(super) fn control(kind: Kind, payload: &[u8]) -> Frame {
    of(kind, 0, vec![Part::Bytes(payload.to_vec())])
}

pub(super) fn syn_stream(stream: impl Into<Id>, block: &Block) -> Frame {
    let parts = vec![
        Part::Stream,
        Part::Id(Id::Number(0)),
        Part::Priority(0),
        Part::Block(block.clone()),
    ];
    of(Kind::SYN_STREAM, stream, parts)
}

/// SYN_STREAM of a pushed stream.
pub(super) fn push(stream: impl Into<Id>, associated: impl Into<Id>, block: &Block) -> Frame {
    let mut frame = syn_stream(stream, block).with(flags::UNIDIRECTIONAL);
    if let Some(part) = frame.parts.get_mut(1) {
        *part = Part::Id(associated.into());
    }
    frame
}

pub(super) fn syn_reply(stream: impl Into<Id>, block: &Block) -> Frame {
    let parts = vec![Part::Stream, Part::Unused, Part::Block(block.clone())];
    of(Kind::SYN_REPLY, stream, parts)
}

pub(super) fn headers(stream: impl Into<Id>, block: &Block) -> Frame {
    let parts = vec![Part::Stream, Part::Unused, Part::Block(block.clone())];
    of(Kind::HEADERS, stream, parts)
}

pub(super) fn rst_stream(stream: impl Into<Id>, code: ErrorCode) -> Frame {
    let parts = vec![Part::Stream, Part::Bytes(code.0.to_be_bytes().to_vec())];
    of(Kind::RST_STREAM, stream, parts)
}

pub(super) fn settings(entries: &[Entry]) -> Frame {
    settings_counting(u32::try_from(entries.len()).unwrap_or(u32::MAX), entries)
}

/// SETTINGS with this value in the number of entries.
pub(super) fn settings_counting(count: u32, entries: &[Entry]) -> Frame {
    let mut parts = vec![Part::Bytes(count.to_be_bytes().to_vec())];
    for (flags, id, value) in entries {
        parts.push(Part::Entry(*flags, id.0, *value));
    }
    of(Kind::SETTINGS, 0, parts)
}

pub(super) fn ping(id: u32) -> Frame {
    control(Kind::PING, &id.to_be_bytes())
}

pub(super) fn go_away(last: impl Into<Id>, status: GoAwayStatus) -> Frame {
    of(
        Kind::GOAWAY,
        0,
        vec![Part::Id(last.into()), Part::Status(status.0)],
    )
}

pub(super) fn window_update(stream: impl Into<Id>, delta: u32) -> Frame {
    let parts = vec![Part::Stream, Part::Bytes(delta.to_be_bytes().to_vec())];
    of(Kind::WINDOW_UPDATE, stream, parts)
}

pub(super) fn data(stream: impl Into<Id>, content: &[u8]) -> Frame {
    Frame {
        kind: None,
        ..of(Kind(0), stream, vec![Part::Bytes(content.to_vec())])
    }
}

/// DATA of this many bytes.
pub(super) fn data_of(stream: impl Into<Id>, length: usize) -> Frame {
    data(stream, &vec![b'x'; length])
}

fn of(kind: Kind, stream: impl Into<Id>, parts: Vec<Part>) -> Frame {
    Frame {
        kind: Some(kind),
        stream: stream.into(),
        flags: 0,
        version: None,
        parts,
    }
}

impl Frame {
    /// With FLAG_FIN.
    pub(super) fn fin(self) -> Self {
        self.with(flags::FIN)
    }

    /// With more flags.
    pub(super) fn with(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    /// With another version.
    pub(super) fn version(mut self, version: u16) -> Self {
        self.version = Some(version);
        self
    }

    /// With that priority.
    pub(super) fn priority(mut self, priority: u8) -> Self {
        for part in &mut self.parts {
            if let Part::Priority(known) = part {
                *known = priority;
            }
        }
        self
    }

    /// With all unused bits set: those beside the priority, and the one before
    /// the stream id.
    pub(super) fn reserved_bits(mut self) -> Self {
        for part in &mut self.parts {
            match part {
                Part::Priority(_) => *part = Part::Bytes(vec![0x1f, 0]),
                Part::Stream => {
                    let id = self.stream.resolve(&[]) | 0x8000_0000;
                    *part = Part::Bytes(id.to_be_bytes().to_vec());
                }
                _ => {}
            }
        }
        self
    }

    /// Bytes of content of DATA.
    pub(super) fn content(&self) -> u64 {
        match (self.kind, self.parts.as_slice()) {
            (None, [Part::Bytes(bytes)]) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            _ => 0,
        }
    }

    /// The delta of WINDOW_UPDATE.
    pub(super) fn delta(&self) -> Option<u32> {
        match (self.kind, self.parts.as_slice()) {
            (Some(Kind::WINDOW_UPDATE), [Part::Stream, Part::Bytes(delta)]) => {
                let delta = <[u8; 4]>::try_from(delta.as_slice()).ok()?;
                Some(u32::from_be_bytes(delta) & 0x7fff_ffff)
            }
            _ => None,
        }
    }

    /// The value in force of a setting: the first.
    pub(super) fn setting(&self, id: SettingId) -> Option<u32> {
        self.parts.iter().find_map(|part| match part {
            Part::Entry(_, known, value) if *known == id.0 => Some(*value),
            _ => None,
        })
    }

    /// Head and payload on the wire.
    pub(super) fn encode(&self, layout: WireVersion, zlib: &mut Zlib, requests: &[u32]) -> Vec<u8> {
        let payload = self.payload(layout, zlib, requests);
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let [_, l0, l1, l2] = length.to_be_bytes();
        let mut bytes = Vec::with_capacity(payload.len().saturating_add(8));
        match self.kind {
            None => {
                let stream = self.stream.resolve(requests) & 0x7fff_ffff;
                bytes.extend_from_slice(&stream.to_be_bytes());
            }
            Some(kind) => {
                let version = self.version.unwrap_or_else(|| layout.number());
                bytes.extend_from_slice(&(version | 0x8000).to_be_bytes());
                bytes.extend_from_slice(&kind.0.to_be_bytes());
            }
        }
        bytes.extend_from_slice(&[self.flags, l0, l1, l2]);
        bytes.extend_from_slice(&payload);
        bytes
    }

    fn payload(&self, layout: WireVersion, zlib: &mut Zlib, requests: &[u32]) -> Vec<u8> {
        let mut payload = Vec::new();
        let older = layout == WireVersion::V2;
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => payload.extend_from_slice(bytes),
                Part::Stream => {
                    payload.extend_from_slice(&self.stream.resolve(requests).to_be_bytes());
                }
                Part::Id(id) => payload.extend_from_slice(&id.resolve(requests).to_be_bytes()),
                Part::Unused if older => payload.extend_from_slice(&[0, 0]),
                Part::Status(status) if !older => payload.extend_from_slice(&status.to_be_bytes()),
                Part::Unused | Part::Status(_) => {}
                Part::Priority(priority) => {
                    let shift = if older { 6 } else { 5 };
                    payload.extend_from_slice(&[priority << shift, 0]);
                }
                Part::Entry(flags, id, value) => {
                    let [_, i0, i1, i2] = id.to_be_bytes();
                    // SPDY/2 sends the id in little-endian order, before its flags.
                    payload.extend_from_slice(&match older {
                        true => [i2, i1, i0, *flags],
                        false => [*flags, i0, i1, i2],
                    });
                    payload.extend_from_slice(&value.to_be_bytes());
                }
                Part::Block(block) => payload.extend_from_slice(&zlib.compress(layout, block)),
            }
        }
        payload
    }

    /// Describes the frame for the transcript.
    pub(super) fn describe(&self, requests: &[u32]) -> String {
        let mut text = match self.kind {
            None => format!("> DATA length={}", self.content()),
            Some(kind) => format!("> {kind}"),
        };
        let stream = self.stream.resolve(requests);
        if stream != 0 || self.kind.is_none() {
            text.push_str(&format!(" stream={stream}"));
        }
        if self.flags != 0 {
            text.push_str(&format!(" flags={:#04x}", self.flags));
        }
        if let Some(version) = self.version {
            text.push_str(&format!(" version={version}"));
        }
        if self.kind.is_none() {
            return text;
        }
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => {
                    let shown = bytes.get(..32).unwrap_or(bytes);
                    text.push_str(&format!(" \"{}\"", shown.escape_ascii()));
                }
                Part::Entry(flags, id, value) => {
                    let id = SettingId(*id);
                    text.push_str(&format!(" {id}={value} (flags {flags})"));
                }
                Part::Block(block) => text.push_str(&block.describe()),
                Part::Id(id) => text.push_str(&format!(" {}", id.resolve(requests))),
                Part::Stream | Part::Unused | Part::Priority(_) | Part::Status(_) => {}
            }
        }
        text
    }
}
