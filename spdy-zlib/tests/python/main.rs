//! Python's zlib, which is the C library, inflates our blocks. `cargo xtask test` runs this if
//! `python3` exists; a plain `cargo test` does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[allow(
    dead_code,
    reason = "the compressed bytes are for the other test program"
)]
#[path = "../blocks/vectors.rs"]
mod vectors;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use bytes::BytesMut;
use lacewing_spdy_zlib::{Compression, Encoder, WireVersion};

/// Each line is a dictionary, or a block and its inflated bytes, all in hex. The second run has the
/// window size of our zlib header.
const SCRIPT: &str = "
import sys, zlib
blocks = 0
for line in sys.stdin:
    words = [bytes.fromhex(word) for word in line.split()]
    if len(words) == 1:
        streams = [zlib.decompressobj(zdict=words[0]), zlib.decompressobj(wbits=0, zdict=words[0])]
        continue
    for stream in streams:
        assert stream.decompress(words[0]) == words[1]
        assert not stream.eof and not stream.unconsumed_tail
    blocks += 1
print(blocks)
";

#[test]
fn python_inflates_every_block() {
    let mut python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs python3");
    let (mut lines, mut blocks) = (String::new(), 0);
    for version in [WireVersion::V2, WireVersion::V3] {
        for compression in [Compression::WholeField, Compression::Stored] {
            writeln!(lines, "{}", hex(version.dictionary())).unwrap();
            let mut encoder = Encoder::new(version, compression);
            for list in lists(version) {
                let mut wire = BytesMut::new();
                let mut block = encoder.block(&mut wire);
                for (name, value) in &list {
                    block.field(name, value.split(|&byte| byte == 0));
                }
                block.finish().unwrap();
                writeln!(lines, "{} {}", hex(&wire), hex(&raw(version, &list))).unwrap();
                blocks += 1;
            }
        }
    }
    let mut input = python.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let counted = String::from_utf8(output.stdout).unwrap();
    assert_eq!(counted.trim(), blocks.to_string());
}

type List = Vec<(Vec<u8>, Vec<u8>)>;

/// The lists of the vectors, and a hundred lists of growing length.
fn lists(version: WireVersion) -> Vec<List> {
    let mut lists: Vec<List> = (0..100_usize)
        .map(|number| {
            vec![
                (b"accept".to_vec(), b"text/html".to_vec()),
                (b"url".to_vec(), format!("/{}", number / 3).into_bytes()),
                (b"x-long".to_vec(), vec![b'v'; 1 + 97 * number]),
                (b"accept-encoding".to_vec(), b"gzip".to_vec()),
            ]
        })
        .collect();
    for (_, sequence) in vectors::sequences() {
        if sequence.version() == version {
            lists.extend(sequence.blocks.iter().map(vectors::Block::headers));
        }
    }
    lists
}

fn raw(version: WireVersion, list: &List) -> Vec<u8> {
    let mut raw = Vec::new();
    let number = |raw: &mut Vec<u8>, number: usize| {
        let number = u32::try_from(number).unwrap().to_be_bytes();
        raw.extend_from_slice(match version {
            WireVersion::V2 => &number[2..],
            WireVersion::V3 => &number,
        });
    };
    number(&mut raw, list.len());
    for text in list.iter().flat_map(|(name, value)| [name, value]) {
        number(&mut raw, text.len());
        raw.extend_from_slice(text);
    }
    raw
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}
