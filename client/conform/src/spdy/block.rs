//! Name/value header blocks to send, valid or malformed.

use bytes::BytesMut;
use lacewing_frames::spdy::{Compression, Encoder, FrameHead, WireVersion};

use lacewing_frames::Version;

/// The most bytes of a stored block of deflate.
const STORED: usize = 65_535;

/// A name/value header block (draft 3, section 2.6.10), before compression.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// A count that differs from the number of pairs.
    count: Option<u32>,
    /// Bytes after the pairs.
    rest: Vec<u8>,
    /// Bytes to send in place of the zlib stream.
    wire: Option<Vec<u8>>,
    /// The most bytes of each stored block of deflate; [`STORED`] if absent.
    chunk: Option<usize>,
}

/// The zlib stream of our header blocks.
#[derive(Debug)]
pub(super) enum Zlib {
    /// Stored blocks, which can carry any malformed block.
    Stored {
        /// The zlib header and dictionary id are sent.
        started: bool,
    },
    /// A compressor, for valid blocks.
    Compressor(Box<Encoder>),
}

/// The layout of frames in this version.
pub(super) fn layout(version: Version) -> WireVersion {
    version.spdy_frames().unwrap_or(WireVersion::V3)
}

/// The adler32 of the dictionary.
pub(super) fn dictionary(layout: WireVersion) -> [u8; 4] {
    match layout {
        WireVersion::V2 => [0xdf, 0xa2, 0x51, 0xb2],
        WireVersion::V3 => [0xe3, 0xc6, 0xa7, 0xc2],
    }
}

impl Block {
    pub(super) fn new<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.into(), value.into());
        Self {
            fields: fields.into_iter().map(owned).collect(),
            ..Self::default()
        }
    }

    /// These bytes instead of a zlib stream.
    pub(super) fn on_wire(bytes: &[u8]) -> Self {
        Self {
            wire: Some(bytes.to_vec()),
            ..Self::default()
        }
    }

    /// Appends a pair.
    pub(super) fn and(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let pair = (name.as_ref().to_vec(), value.as_ref().to_vec());
        self.fields.push(pair);
        self
    }

    /// Removes the pair with this name.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| known != name.as_bytes());
        self
    }

    /// With another value.
    pub(super) fn set(mut self, name: &str, value: &str) -> Self {
        for pair in &mut self.fields {
            if pair.0 == name.as_bytes() {
                pair.1 = value.into();
            }
        }
        self
    }

    /// The pairs in the opposite order.
    pub(super) fn reversed(mut self) -> Self {
        self.fields.reverse();
        self
    }

    /// Claims this number of pairs.
    pub(super) fn counting(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// With bytes behind the last pair.
    pub(super) fn trailed_by(mut self, bytes: &[u8]) -> Self {
        self.rest = bytes.to_vec();
        self
    }

    /// In stored blocks of this many bytes.
    pub(super) fn chunked(mut self, bytes: usize) -> Self {
        self.chunk = Some(bytes);
        self
    }

    /// The number of pairs.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.fields.len()).unwrap_or(u32::MAX)
    }

    /// Count, lengths and text, before compression.
    pub(super) fn plain(&self, layout: WireVersion) -> Vec<u8> {
        let mut plain = Vec::new();
        number(&mut plain, layout, self.count.unwrap_or(self.len()));
        for text in self.fields.iter().flat_map(|(name, value)| [name, value]) {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            number(&mut plain, layout, length);
            plain.extend_from_slice(text);
        }
        plain.extend_from_slice(&self.rest);
        plain
    }

    /// Lists the names, for the transcript.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.fields.iter().take(12) {
            let shown = value.get(..40).unwrap_or(value);
            text.push_str(&format!(
                " {}={}",
                name.escape_ascii(),
                shown.escape_ascii()
            ));
        }
        text
    }
}

impl Zlib {
    pub(super) fn stored() -> Self {
        Self::Stored { started: false }
    }

    pub(super) fn compressor(layout: WireVersion, compression: Compression) -> Self {
        Self::Compressor(Box::new(Encoder::new(layout, compression)))
    }

    /// The block on the wire.
    pub(super) fn compress(&mut self, layout: WireVersion, block: &Block) -> Vec<u8> {
        if let Some(wire) = &block.wire {
            return wire.clone();
        }
        match self {
            Self::Stored { started } => {
                let mut wire = Vec::new();
                if !std::mem::replace(started, true) {
                    wire = zlib_head(Some(dictionary(layout)));
                }
                store(
                    &mut wire,
                    &block.plain(layout),
                    block.chunk.unwrap_or(STORED),
                );
                wire
            }
            Self::Compressor(encoder) => {
                let mut frame = BytesMut::new();
                let fields = |pairs: &mut lacewing_frames::spdy::BlockEncoder<'_>| {
                    for (name, value) in &block.fields {
                        pairs.field(name, value.split(|byte| *byte == 0));
                    }
                };
                // Only valid blocks are compressed.
                let _ = encoder.headers(&mut frame, 1, false, fields);
                let fixed = match layout {
                    WireVersion::V2 => 6,
                    WireVersion::V3 => 4,
                };
                frame
                    .get(FrameHead::LEN + fixed..)
                    .unwrap_or_default()
                    .to_vec()
            }
        }
    }
}

/// The header of a zlib stream (RFC 1950), with or without a dictionary.
pub(super) fn zlib_head(dictionary: Option<[u8; 4]>) -> Vec<u8> {
    match dictionary {
        Some([d0, d1, d2, d3]) => vec![0x78, 0x20, d0, d1, d2, d3],
        None => vec![0x78, 0x01],
    }
}

/// Stored blocks of deflate, flushed.
pub(super) fn store(wire: &mut Vec<u8>, plain: &[u8], chunk: usize) {
    for piece in plain.chunks(chunk.clamp(1, STORED)).chain([&[][..]]) {
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        wire.push(0);
        wire.extend_from_slice(&length.to_le_bytes());
        wire.extend_from_slice(&(!length).to_le_bytes());
        wire.extend_from_slice(piece);
    }
}

/// A count or a length: 16 bits in SPDY/2, 32 later.
fn number(plain: &mut Vec<u8>, layout: WireVersion, number: u32) {
    match layout {
        WireVersion::V2 => {
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            plain.extend_from_slice(&number.to_be_bytes());
        }
        WireVersion::V3 => plain.extend_from_slice(&number.to_be_bytes()),
    }
}
