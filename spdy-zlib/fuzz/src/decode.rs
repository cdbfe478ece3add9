//! Any bytes as header blocks: the outcome is the same in one piece or in several, and if zlib's state
//! goes to another decoder between the blocks.

use lacewing_spdy_zlib::{DecodeError, Decoder, ListLimits, Summary, WireVersion};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The smallest window that reaches the dictionary from the end of both blocks. Behind a pause, a
/// decoder knows no more than the window that the stream declares.
const WINDOW: usize = 16 << 10;

/// Runs the target on one input.
pub fn run(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let version = if first & 1 == 0 {
        WireVersion::V2
    } else {
        WireVersion::V3
    };
    let limits = ListLimits::default().with(|limits| {
        limits.max_size = 4096;
        limits.max_fields = 50;
    });
    // Two blocks of one stream.
    let (one, two) = data.split_at(data.len() * usize::from(first >> 1) / 128);
    let mut whole = Decoder::new(version);
    let mut pieces = Decoder::new(version);
    let mut idle = Decoder::new(version);
    let window = one.first().map_or(0, |first| 256 << (first >> 4).min(7));
    for block in [one, two] {
        let mut fields = Fields::new();
        let expected = whole.decode(block, limits, |name, values| {
            fields.push((name.to_vec(), values.joined().to_vec()));
        });
        let summary = match expected {
            Ok(summary) => Some(summary),
            Err(DecodeError::List(error)) => Some(error.summary),
            Err(_) => None,
        };
        if let Some(summary) = summary {
            assert_eq!(summary.fields, fields.len());
            assert!(summary.fields <= limits.max_fields && summary.size <= limits.max_size);
        }
        let mut again = Fields::new();
        let result = in_pieces(&mut pieces, block, limits, &mut again);
        assert_eq!(result.is_ok(), expected.is_ok());
        if summary.is_some() {
            assert_eq!(result, expected);
            assert_eq!(again, fields);
        }
        let mut again = Fields::new();
        let result = in_pieces(&mut idle, block, limits, &mut again);
        if window >= WINDOW && expected.is_ok() {
            assert_eq!(result, expected);
            assert_eq!(again, fields);
        }
        hand_on(&mut idle);
    }
}

/// Lets another decoder use zlib's state, and gives it back.
fn hand_on(idle: &mut Decoder) {
    let Some(spare) = idle.take_spare() else {
        return;
    };
    let mut other = Decoder::new(WireVersion::V3);
    other.lend_spare(spare);
    let _ = other.decode(OTHER, ListLimits::default(), |_, _| {});
    if let Some(spare) = other.take_spare() {
        idle.lend_spare(spare);
    }
}

/// A block without fields.
const OTHER: &[u8] = &[
    0x38, 0x30, 0xe3, 0xc6, 0xa7, 0xc2, 0x00, 0x04, 0x00, 0xfb, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0xff, 0xff,
];

fn in_pieces(
    decoder: &mut Decoder,
    block: &[u8],
    limits: ListLimits,
    fields: &mut Fields,
) -> Result<Summary, DecodeError> {
    for piece in block.chunks(3) {
        decoder.feed(piece, limits)?;
    }
    decoder.finish(limits, |name, values| {
        fields.push((name.to_vec(), values.joined().to_vec()));
    })
}
