//! Decoders, frames and random numbers for the tests.

use bytes::BytesMut;
use lacewing_frames::http2::{
    DecodeError, Decoder, DecoderLimits, Frame, FrameHead, Kind, Message, flags,
};
use lacewing_hpack::{HeaderField, Sensitivity};

pub(crate) type List = Vec<(HeaderField, Sensitivity)>;

pub(crate) fn decoder() -> Decoder<List> {
    Decoder::new(DecoderLimits::default())
}

pub(crate) fn list(fields: &[(&str, &str)]) -> List {
    fields
        .iter()
        .map(|(name, value)| {
            let field = HeaderField::new(name.as_bytes(), value.as_bytes());
            (field, Sensitivity::Normal)
        })
        .collect()
}

/// The bytes of a frame, valid or not.
pub(crate) fn raw(kind: Kind, flags: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    let mut wire = FrameHead {
        length,
        kind,
        flags,
        stream_id,
    }
    .to_bytes()
    .to_vec();
    wire.extend_from_slice(payload);
    wire
}

/// A SETTINGS payload.
pub(crate) fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
        .collect()
}

/// Decodes one raw frame from exactly these bytes.
pub(crate) fn decode_frame(wire: &[u8]) -> Result<Option<Frame>, DecodeError> {
    Frame::decode(&mut BytesMut::from(wire), 16_384)
}

/// The first message of a new connection.
pub(crate) fn decode_first(wire: &[u8]) -> Result<Option<Message<List>>, DecodeError> {
    decoder().decode(&mut BytesMut::from(wire))
}

/// All messages in `wire`, up to the first error.
pub(crate) fn decode_all(
    decoder: &mut Decoder<List>,
    wire: &[u8],
) -> (Vec<Message<List>>, Option<DecodeError>) {
    let mut src = BytesMut::from(wire);
    let mut messages = Vec::new();
    loop {
        match decoder.decode(&mut src) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, None),
            Err(error) => return (messages, Some(error)),
        }
    }
}

/// `:method: GET` in the static table: a header block of one byte.
pub(crate) const GET: &[u8] = b"\x82";

/// One valid frame of every kind.
pub(crate) fn every_frame() -> Vec<Vec<u8>> {
    let padded = flags::PADDED | flags::END_HEADERS;
    vec![
        raw(Kind::DATA, flags::END_STREAM, 1, b"hello"),
        raw(Kind::DATA, flags::PADDED, 1, b"\x02hello\0\0"),
        raw(Kind::DATA, 0, 1, &[7; 5000]),
        raw(Kind::HEADERS, flags::END_HEADERS, 1, GET),
        raw(
            Kind::HEADERS,
            padded | flags::PRIORITY,
            3,
            b"\x01\x80\x00\x00\x01\x0f\x82\0",
        ),
        raw(Kind::PRIORITY, 0, 3, b"\x00\x00\x00\x01\x0f"),
        raw(Kind::RST_STREAM, 0, 1, b"\x00\x00\x00\x08"),
        raw(
            Kind::SETTINGS,
            0,
            0,
            &settings(&[(1, 8192), (3, 100), (0xabcd, 7)]),
        ),
        raw(Kind::SETTINGS, flags::ACK, 0, b""),
        raw(Kind::PUSH_PROMISE, padded, 1, b"\x01\x00\x00\x00\x02\x82\0"),
        raw(Kind::PING, 0, 0, b"deadbeef"),
        raw(Kind::PING, flags::ACK, 0, b"deadbeef"),
        raw(Kind::GOAWAY, 0, 0, b"\x00\x00\x00\x1e\x00\x00\x00\x09why"),
        raw(Kind::WINDOW_UPDATE, 0, 0, b"\x00\x00\x03\xe8"),
        raw(Kind::ALTSVC, 0, 0, b"\x00\x01ovalue"),
        raw(Kind::ORIGIN, 0, 0, b"\x00\x01a\x00\x00\x00\x02bc"),
        raw(Kind::PRIORITY_UPDATE, 0, 0, b"\x00\x00\x00\x01u=1"),
        raw(Kind(0xbe), 0xef, 9, b"anything"),
    ]
}

/// Pseudo-random numbers, the same in every run (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 33) as usize) % end
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 56) as u8).collect()
    }
}
