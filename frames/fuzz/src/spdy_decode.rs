//! Any bytes as a SPDY connection: the decoder makes progress, and its messages do not depend on
//! the segmentation of the input.

use bytes::{Bytes, BytesMut};
use lacewing_frames::spdy::{DecodeError, Decoder, DecoderLimits, Message, Scope, WireVersion};

type Outcome = Result<Message<Vec<(Bytes, Bytes)>>, DecodeError>;

/// Runs the target on one input.
pub fn run(data: &[u8]) {
    for version in [WireVersion::V2, WireVersion::V3] {
        let whole = decode(version, [data].into_iter());
        let pieces = decode(version, data.chunks(5));
        assert_eq!(whole, pieces);
    }
}

fn decode<'a>(version: WireVersion, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Outcome> {
    let mut decoder = Decoder::new(version, DecoderLimits::default());
    let mut src = BytesMut::new();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for piece in pieces {
        src.extend_from_slice(piece);
        loop {
            let before = src.len();
            match decoder.decode(&mut src) {
                Ok(None) => break,
                Ok(Some(message)) => {
                    assert!(src.len() < before);
                    join(&mut outcomes, message);
                }
                Err(error) => {
                    outcomes.push(Err(error));
                    if error.scope() == Scope::Connection {
                        assert_eq!(decoder.decode(&mut src), Err(error));
                        return outcomes;
                    }
                    assert!(src.len() < before);
                }
            }
        }
    }
    outcomes
}

/// Appends a message. Joins a piece of DATA with the piece before it.
fn join(outcomes: &mut Vec<Outcome>, message: Message<Vec<(Bytes, Bytes)>>) {
    if let (
        Some(Ok(Message::Data {
            payload: before,
            fin: before_fin,
            remaining: before_remaining @ 1..,
            ..
        })),
        Message::Data {
            payload,
            fin,
            remaining,
            ..
        },
    ) = (outcomes.last_mut(), &message)
    {
        *before = [&before[..], payload].concat().into();
        (*before_fin, *before_remaining) = (*fin, *remaining);
    } else {
        outcomes.push(Ok(message));
    }
}
