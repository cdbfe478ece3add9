//! Any bytes as header blocks: the outcome is the same in one piece or in several.

use lacewing_spdy_zlib::{DecodeError, Decoder, ListLimits, Summary, WireVersion};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

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
    }
}

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
