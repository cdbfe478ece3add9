//! The location of the vectors, and their reader.

use std::path::{Path, PathBuf};

use lacewing_spdy_zlib::WireVersion;
use serde::Deserialize;

/// Consecutive header blocks of one direction of a connection.
#[derive(Debug, Deserialize)]
pub(crate) struct Sequence {
    version: u16,
    pub(crate) blocks: Vec<Block>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Block {
    hex: String,
    headers: Vec<(String, String)>,
}

impl Sequence {
    pub(crate) fn version(&self) -> WireVersion {
        WireVersion::from_number(self.version).unwrap()
    }
}

impl Block {
    pub(crate) fn compressed(&self) -> Vec<u8> {
        unhex(&self.hex)
    }

    pub(crate) fn headers(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.headers
            .iter()
            .map(|(name, value)| (latin1(name), latin1(value)))
            .collect()
    }
}

/// Every header sequence with its file name.
pub(crate) fn sequences() -> Vec<(String, Sequence)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../frames/tests/vectors/spdy");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("header-sequences"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 22, "header sequences");
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

/// The files write bytes as the Latin-1 characters of the same values.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}
