//! A second implementation: miniz_oxide inflates our blocks, and this file parses the list.

use lacewing_spdy_zlib::WireVersion;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// Keeps everything that it ever inflated after the dictionary, so the dictionary needs no special
/// treatment.
pub(crate) struct Inflater {
    version: WireVersion,
    state: DecompressorOxide,
    output: Vec<u8>,
    started: bool,
}

impl Inflater {
    pub(crate) fn new(version: WireVersion) -> Self {
        Inflater {
            version,
            state: DecompressorOxide::new(),
            output: version.dictionary().to_vec(),
            started: false,
        }
    }

    pub(crate) fn inflate(&mut self, mut block: &[u8]) -> Vec<u8> {
        if !self.started {
            let (head, rest) = block.split_at(6);
            // RFC 1950: deflate, a dictionary follows, the check is valid.
            assert_eq!(head[0] & 0x0f, 8);
            assert_eq!(head[1] & 0x20, 0x20);
            assert_eq!(u16::from_be_bytes([head[0], head[1]]) % 31, 0);
            assert_eq!(head[2..], self.version.dictionary_id().to_be_bytes());
            self.started = true;
            block = rest;
        }
        assert!(block.ends_with(&[0x00, 0x00, 0xff, 0xff]), "flushed");
        let start = self.output.len();
        // More than the tests write at once.
        self.output.resize(start + 32 * block.len() + (1 << 15), 0);
        let flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, consumed, produced) =
            decompress(&mut self.state, block, &mut self.output, start, flags);
        assert_eq!(status, TINFLStatus::NeedsMoreInput);
        assert_eq!(consumed, block.len());
        self.output.truncate(start + produced);
        self.output[start..].to_vec()
    }
}

/// The fields of an inflated block.
pub(crate) fn parse(version: WireVersion, mut block: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let count = number(version, &mut block);
    let fields = (0..count)
        .map(|_| (string(version, &mut block), string(version, &mut block)))
        .collect();
    assert!(block.is_empty(), "{} bytes left", block.len());
    fields
}

fn string(version: WireVersion, block: &mut &[u8]) -> Vec<u8> {
    let length = number(version, block);
    let (string, rest) = block.split_at(length);
    *block = rest;
    string.to_vec()
}

fn number(version: WireVersion, block: &mut &[u8]) -> usize {
    let width = match version {
        WireVersion::V2 => 2,
        WireVersion::V3 => 4,
    };
    let (bytes, rest) = block.split_at(width);
    *block = rest;
    bytes
        .iter()
        .fold(0, |number, &byte| number << 8 | usize::from(byte))
}
