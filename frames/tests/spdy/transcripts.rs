//! All frames of whole connections, both directions.

use bytes::BytesMut;
use lacewing_frames::spdy::{Frame, FrameHead, Message, WireVersion};
use serde::Deserialize;

use crate::support::{List, Random, decoder, headers, list, read, round_trip, unhex};

#[derive(Debug, Deserialize)]
struct Transcript {
    frames: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    from: String,
    frame: Description,
    hex: Option<String>,
    hex_prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Description {
    #[serde(rename = "type")]
    kind: String,
    stream_id: Option<u32>,
    headers: Option<Vec<(String, String)>>,
    length: Option<usize>,
    fill: Option<String>,
}

impl Entry {
    fn wire(&self) -> Vec<u8> {
        if let Some(hex) = &self.hex {
            return unhex(hex);
        }
        let mut wire = unhex(self.hex_prefix.as_ref().unwrap());
        let fill = self.frame.fill.as_ref().unwrap().as_bytes()[0];
        wire.resize(wire.len() + self.frame.length.unwrap(), fill);
        wire
    }
}

fn transcripts() -> Vec<(WireVersion, Transcript)> {
    [("2", 77), ("3", 77), ("3.1", 84)]
        .into_iter()
        .map(|(protocol, frames)| {
            let transcript: Transcript =
                read(&format!("transcripts/spdy-transport-{protocol}.json"));
            assert_eq!(transcript.frames.len(), frames);
            let version = if protocol == "2" {
                WireVersion::V2
            } else {
                WireVersion::V3
            };
            (version, transcript)
        })
        .collect()
}

#[test]
fn every_frame_encodes_back_byte_for_byte() {
    for (version, transcript) in transcripts() {
        for entry in &transcript.frames {
            let frame = round_trip(version, &entry.wire());
            let name = format!("{frame:?}").to_uppercase().replace('_', "");
            let kind = entry.frame.kind.replace('_', "");
            // spdy-transport sends WINDOW_UPDATE in SPDY/2, which doesn't define it.
            let unknown = version == WireVersion::V2 && kind == "WINDOWUPDATE";
            assert_eq!(matches!(frame, Frame::Unknown(_)), unknown);
            assert!(unknown || name.starts_with(&kind), "{kind}: {name}");
        }
    }
}

#[test]
fn every_connection_decodes_frame_by_frame() {
    for (version, transcript) in transcripts() {
        for side in ["client", "server"] {
            let mut decoder = decoder(version);
            for entry in transcript.frames.iter().filter(|entry| entry.from == side) {
                let mut src = BytesMut::from(&entry.wire()[..]);
                let message = decoder.decode(&mut src).unwrap().unwrap();
                assert!(src.is_empty());
                let expected = entry.frame.headers.as_deref().map(headers);
                assert_eq!(list(&message), expected.as_ref());
                match message {
                    Message::SynStream {
                        stream_id, block, ..
                    }
                    | Message::SynReply {
                        stream_id, block, ..
                    }
                    | Message::Headers {
                        stream_id, block, ..
                    } => {
                        assert_eq!(Some(stream_id), entry.frame.stream_id);
                        assert!(block.list.is_ok());
                    }
                    Message::Data {
                        stream_id,
                        payload,
                        remaining,
                        ..
                    } => {
                        assert_eq!(Some(stream_id), entry.frame.stream_id);
                        assert_eq!(Some(payload.len()), entry.frame.length);
                        assert_eq!(remaining, 0);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The messages are the same for every segmentation, with pieces of DATA joined.
#[test]
fn the_segmentation_of_the_input_makes_no_difference() {
    let mut random = Random(7);
    for (version, transcript) in transcripts() {
        for side in ["client", "server"] {
            let wire: Vec<u8> = transcript
                .frames
                .iter()
                .filter(|entry| entry.from == side)
                .flat_map(Entry::wire)
                .collect();
            let whole = joined(version, wire.chunks(wire.len()));
            assert!(whole.len() > 20);
            for size in [1, 3, 8, 1000, 1024, 16_384] {
                assert!(joined(version, wire.chunks(size)) == whole, "{size}");
            }
            for _ in 0..10 {
                let mut rest = &wire[..];
                let pieces = std::iter::from_fn(|| {
                    let length = rest.len().min(1 + random.next() % 3000);
                    let (piece, after) = rest.split_at(length);
                    rest = after;
                    (!piece.is_empty()).then_some(piece)
                });
                assert!(joined(version, pieces) == whole);
            }
        }
    }
}

fn joined<'a>(version: WireVersion, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Message<List>> {
    let mut decoder = decoder(version);
    let mut src = BytesMut::new();
    let mut messages: Vec<Message<List>> = Vec::new();
    let mut open: Option<BytesMut> = None;
    for piece in pieces {
        src.extend_from_slice(piece);
        while let Some(message) = decoder.decode(&mut src).unwrap() {
            let Message::Data {
                stream_id,
                payload,
                fin,
                remaining,
                undefined_flags,
            } = message
            else {
                assert!(open.is_none(), "the message is inside of a DATA frame");
                messages.push(message);
                continue;
            };
            let data = open.get_or_insert_default();
            data.extend_from_slice(&payload);
            if remaining == 0 {
                messages.push(Message::Data {
                    stream_id,
                    payload: open.take().map(BytesMut::freeze).unwrap_or_default(),
                    fin,
                    remaining,
                    undefined_flags,
                });
            } else {
                assert!(!fin, "only the last piece has fin");
                assert!(!payload.is_empty() && remaining <= FrameHead::MAX_LENGTH);
            }
        }
    }
    assert!(src.is_empty() && open.is_none());
    messages
}
