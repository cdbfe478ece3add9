//! The hpack-test-case collection: the blocks of other encoders, and the size of our own blocks in
//! comparison. `cargo xtask test --corpora` runs this; a plain `cargo test` does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[path = "../codec/story.rs"]
mod story;

use std::path::PathBuf;

use lacewing_hpack::{Encoder, EncoderConfig, Indexing, StringCoding};
use serde_json::Value;

use story::{Case, Story, check_round_trip, check_story, encode, hex};

#[test]
fn every_encoder_is_understood() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder().join("hpack-test-case")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() && name != "raw-data" {
            for story in stories(&name) {
                check_story(&story);
                seen += 1;
            }
        }
    }
    assert!(seen > 250, "only {seen} stories");
}

#[test]
fn what_we_encode_we_decode() {
    let stories = stories("raw-data");
    let check = |config| {
        for story in &stories {
            check_round_trip(story, config);
        }
    };
    for max_table_size in [0, 64, 256, 1024, 4096, 16384] {
        check(EncoderConfig::DEFAULT.with(|config| config.max_table_size = max_table_size));
    }
    for indexing in [Indexing::Sensible, Indexing::Everything, Indexing::Nothing] {
        for strings in [
            StringCoding::HuffmanWhenShorter,
            StringCoding::Huffman,
            StringCoding::Plain,
        ] {
            check(EncoderConfig::DEFAULT.with(|config| {
                config.max_table_size = 1024;
                config.indexing = indexing;
                config.strings = strings;
            }));
        }
    }
}

/// nghttp2 reaches 0.3149 on these stories.
#[test]
fn the_ratio_is_that_of_nghttp2() {
    let (mut encoded, mut plain) = (0, 0);
    for story in stories("raw-data") {
        let number: u32 = story.name[story.name.len() - 7..][..2].parse().unwrap();
        if !(20..=30).contains(&number) {
            continue;
        }
        let mut encoder = Encoder::new();
        for case in &story.cases {
            encoded += encode(&mut encoder, &case.headers).len();
            let sizes = case
                .headers
                .iter()
                .map(|(name, value)| name.len() + value.len());
            plain += sizes.sum::<usize>();
        }
    }
    let ratio = encoded as f64 / plain as f64;
    println!("ratio on raw-data 20-30: {ratio:.4}");
    assert!(ratio <= 0.315, "{ratio}");
}

/// The folder of the HPACK corpora. If it is absent, the tests fail: they run only on request.
fn folder() -> PathBuf {
    let shared = match std::env::var_os("LACEWING_SHARED") {
        Some(shared) => PathBuf::from(shared),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    let folder = shared.join("vectors/hpack");
    assert!(
        folder.is_dir(),
        "the HPACK corpora are not in {}: set LACEWING_SHARED to the folder that has vectors/hpack",
        folder.display()
    );
    folder
}

/// The stories of one encoder, or `raw-data`.
fn stories(folder: &str) -> Vec<Story> {
    let mut files: Vec<_> = std::fs::read_dir(self::folder().join("hpack-test-case").join(folder))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder}");
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let story: Value = serde_json::from_str(&text).unwrap();
            Story {
                name: format!("{folder}/{}", path.file_name().unwrap().to_string_lossy()),
                cases: story["cases"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(case)
                    .collect(),
            }
        })
        .collect()
}

fn case(case: &Value) -> Case {
    Case {
        wire: case["wire"].as_str().map(hex).unwrap_or_default(),
        header_table_size: case["header_table_size"]
            .as_u64()
            .map(|size| size.try_into().unwrap()),
        headers: case["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| {
                let (name, value) = field.as_object().unwrap().iter().next().unwrap();
                (name.clone().into(), value.as_str().unwrap().into())
            })
            .collect(),
    }
}
