//! A program whose build enables another backend of flate2 than lacewing-spdy-zlib does.

use bytes::BytesMut;
use lacewing_spdy_zlib::{Compression, DecodeError, Decoder, Encoder, ListLimits, WireVersion};

fn main() {
    for version in [WireVersion::V2, WireVersion::V3] {
        let mut encoder = Encoder::new(version, Compression::Zlib(9));
        let mut decoder = Decoder::new(version);
        for round in 0..3 {
            let mut wire = BytesMut::new();
            let mut block = encoder.block(&mut wire);
            block.field(b"accept-encoding", [b"gzip"]);
            block.field(b"user-agent", [format!("round {round}")]);
            block.finish().expect("compresses");
            let mut names = Vec::new();
            decoder
                .decode(&wire, ListLimits::default(), |name, _| {
                    names.push(name.to_vec());
                })
                .expect("inflates");
            assert_eq!(names, [&b"accept-encoding"[..], b"user-agent"]);
            // Both names are in the dictionary, so they were not written out.
            assert!(wire.len() < 60, "{} bytes", wire.len());
        }
    }
    for version in [WireVersion::V2, WireVersion::V3] {
        whole_fields(version);
    }
    let mut wire = BytesMut::new();
    let mut encoder = Encoder::new(WireVersion::V2, Compression::Zlib(9));
    encoder.block(&mut wire).finish().expect("compresses");
    let error = Decoder::new(WireVersion::V3)
        .decode(&wire, ListLimits::default(), |_, _| {})
        .expect_err("the other dictionary");
    assert!(matches!(error, DecodeError::WrongDictionary { .. }));
}

/// Our own deflate data, inflated by this backend.
fn whole_fields(version: WireVersion) {
    let mut encoder = Encoder::new(version, Compression::WholeField);
    let mut decoder = Decoder::new(version);
    for round in 0..300_usize {
        let fields = [
            ("accept-encoding", "gzip".to_owned()),
            ("user-agent", "of some length ".repeat(40)),
            ("x-round", (round / 3).to_string()),
            ("x-long", "l".repeat(round * 40 % 9000 + 1)),
        ];
        let mut wire = BytesMut::new();
        let mut block = encoder.block(&mut wire);
        for (name, value) in &fields {
            block.field(name.as_bytes(), [value]);
        }
        block.finish().expect("compresses");
        let mut expected = fields.iter();
        decoder
            .decode(&wire, ListLimits::default(), |name, values| {
                let (expected, value) = expected.next().expect("no more fields");
                assert_eq!(name, expected.as_bytes());
                assert_eq!(values.joined(), value.as_bytes());
            })
            .expect("inflates");
        assert_eq!(expected.next(), None);
    }
}
