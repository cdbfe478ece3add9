//! The corpora of `../shared/vectors/hpack`, which may be absent.

use std::path::PathBuf;

use serde_json::Value;

pub type List = Vec<(Vec<u8>, Vec<u8>)>;

/// One context: blocks that share their tables.
pub struct Story {
    pub name: String,
    pub cases: Vec<Case>,
}

pub struct Case {
    /// Absent in raw data.
    pub wire: Vec<u8>,
    /// What the decoder announced before this block.
    pub header_table_size: Option<usize>,
    pub headers: List,
}

/// The folder of the HPACK vectors; says so when it isn't there.
pub fn folder() -> Option<PathBuf> {
    let shared = match std::env::var_os("LACEWING_SHARED") {
        Some(shared) => PathBuf::from(shared),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    let folder = shared.join("vectors/hpack");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("shared vectors absent: not run");
    None
}

/// The stories of one encoder, or `raw-data`.
pub fn stories(folder: &str) -> Vec<Story> {
    let Some(vectors) = self::folder() else {
        return Vec::new();
    };
    let mut files: Vec<_> = std::fs::read_dir(vectors.join("hpack-test-case").join(folder))
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

pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|place| u8::from_str_radix(&text[place..place + 2], 16).unwrap())
        .collect()
}
