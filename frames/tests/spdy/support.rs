//! Readers and encoders for the tests.

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use lacewing_frames::spdy::{Decoder, DecoderLimits, Frame, FrameHead, Kind, Message, WireVersion};
use serde::de::DeserializeOwned;

pub(crate) type List = Vec<(Bytes, Bytes)>;

pub(crate) const VERSIONS: [WireVersion; 2] = [WireVersion::V2, WireVersion::V3];

pub(crate) fn decoder(version: WireVersion) -> Decoder<List> {
    Decoder::new(version, DecoderLimits::default())
}

/// One complete message from exactly these bytes; two only for DATA.
pub(crate) fn decode_one(decoder: &mut Decoder<List>, wire: &[u8]) -> Message<List> {
    let mut src = BytesMut::from(wire);
    let message = decoder.decode(&mut src).unwrap().unwrap();
    assert!(src.is_empty(), "{} bytes left", src.len());
    message
}

/// Decodes `wire` as one frame, and checks that it encodes to the same bytes.
pub(crate) fn round_trip(version: WireVersion, wire: &[u8]) -> Frame {
    let mut src = BytesMut::from(wire);
    let frame = Frame::decode(version, &mut src, FrameHead::MAX_LENGTH)
        .unwrap()
        .unwrap();
    assert!(src.is_empty(), "{} bytes left", src.len());
    assert_eq!(encode(version, &frame), wire, "{frame:?}");
    frame
}

pub(crate) fn encode(version: WireVersion, frame: &Frame) -> Vec<u8> {
    let mut dst = BytesMut::from(&b"before"[..]);
    frame.encode(version, &mut dst).unwrap();
    assert!(dst.starts_with(b"before"));
    dst[6..].to_vec()
}

/// The bytes of a control frame, valid or not.
pub(crate) fn control(version: WireVersion, kind: Kind, flags: u8, payload: &[u8]) -> Vec<u8> {
    let head = FrameHead::Control {
        version: version.number(),
        kind,
        flags,
        length: payload.len() as u32,
    };
    [&head.to_bytes()[..], payload].concat()
}

/// The fields of a message that has a header block.
pub(crate) fn list(message: &Message<List>) -> Option<&List> {
    match message {
        Message::SynStream { block, .. }
        | Message::SynReply { block, .. }
        | Message::Headers { block, .. } => Some(block.fields()),
        _ => None,
    }
}

/// A JSON file of the vectors.
pub(crate) fn read<T: DeserializeOwned>(path: &str) -> T {
    let file = folder().join(path);
    let text = std::fs::read_to_string(&file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files write bytes as the Latin-1 characters of the same values.
pub(crate) fn latin1(text: &str) -> Bytes {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

pub(crate) fn headers(headers: &[(String, String)]) -> List {
    headers
        .iter()
        .map(|(name, value)| (latin1(name), latin1(value)))
        .collect()
}

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    assert_eq!(hex.len() % 2, 0);
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/spdy")
}

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize
    }
}
