//! Any bytes to the HTTP/2 decoder, whole and in pieces. It does not panic, every call makes
//! progress, and the messages do not depend on the division into pieces.

use bytes::BytesMut;
use lacewing_frames::http2::{
    DecodeError, Decoder, DecoderLimits, HeaderField, Message, Scope, Sensitivity,
};

type List = Vec<(HeaderField, Sensitivity)>;

/// Runs the target on one input, whose first byte is the length of the pieces.
pub fn run(input: &[u8]) {
    let Some((&piece, bytes)) = input.split_first() else {
        return;
    };
    let piece = usize::from(piece).max(1);
    assert_eq!(decode(bytes, bytes.len().max(1)), decode(bytes, piece));
}

fn decode(bytes: &[u8], piece: usize) -> Vec<Result<Message<List>, DecodeError>> {
    let mut decoder = Decoder::<List>::new(DecoderLimits::default());
    let mut src = BytesMut::new();
    let mut results = Vec::new();
    for piece in bytes.chunks(piece) {
        src.extend_from_slice(piece);
        loop {
            let before = src.len();
            match decoder.decode(&mut src) {
                Ok(None) => break,
                Ok(Some(message)) => results.push(Ok(message)),
                Err(error) => {
                    let scope = error.scope();
                    results.push(Err(error));
                    if scope == Scope::Connection {
                        return results;
                    }
                }
            }
            assert!(src.len() < before, "no progress");
        }
    }
    results
}
