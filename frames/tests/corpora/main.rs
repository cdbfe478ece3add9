//! The http2-frame-test-case collection, read from its own folder. `cargo xtask test --corpora`
//! runs this; a plain `cargo test` does not.
#![cfg(feature = "http2")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[path = "../http2/vector.rs"]
mod vector;

use std::path::{Path, PathBuf};

use serde_json::Value;

#[test]
fn every_vector_of_the_collection() {
    let mut cases = 0;
    for path in json_files(&folder()) {
        let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        vector::check(&case, &path.display().to_string());
        cases += 1;
    }
    assert!(cases >= 34, "the collection has 34 cases, found {cases}");
}

/// The folder of the collection. If it is absent, the test fails: it runs only on request.
fn folder() -> PathBuf {
    let shared = std::env::var_os("LACEWING_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let folder = shared.join("vectors/h2-frames");
    assert!(
        folder.is_dir(),
        "the HTTP/2 frames are not in {}: set LACEWING_SHARED to the folder that has \
         vectors/h2-frames",
        folder.display()
    );
    folder
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    files.sort();
    files
}
