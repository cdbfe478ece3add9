//! Any bytes as an inflated header list: valid zlib data never ends the connection.

use flate2::{Compress, Compression, FlushCompress};
use lacewing_spdy_zlib::{DecodeError, Decoder, ListLimits, WireVersion};

/// Runs the target on one input.
pub fn run(data: &[u8]) {
    for version in [WireVersion::V2, WireVersion::V3] {
        let mut stream = Compress::new(Compression::fast(), true);
        stream.set_dictionary(version.dictionary()).unwrap();
        let mut decoder = Decoder::new(version);
        for _ in 0..2 {
            let mut block = Vec::with_capacity(data.len() * 2 + 256);
            stream
                .compress_vec(data, &mut block, FlushCompress::Sync)
                .unwrap();
            let mut size = 0;
            let limits = ListLimits::default().with(|limits| {
                limits.max_size = 1 << 20;
                limits.max_fields = 100;
            });
            let result = decoder.decode(&block, limits, |name, values| {
                size += name.len() + values.joined().len() + 32;
            });
            let summary = match result {
                Ok(summary) => summary,
                Err(DecodeError::List(error)) => error.summary,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(summary.size, size);
        }
    }
}
