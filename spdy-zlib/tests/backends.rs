//! flate2 takes one backend for the whole build: what other crates turn on decides with us. Each
//! of them must set dictionaries.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::path::Path;
use std::process::{Command, Stdio};

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress};
use lacewing_spdy_zlib::Version;

/// This build has flate2's default backend on, through the dev-dependencies, beside our `zlib-rs`.
#[test]
fn a_dictionary_can_be_set_beside_the_default_backend() {
    for version in [Version::V2, Version::V3] {
        let mut deflate = Compress::new(flate2::Compression::default(), true);
        let id = deflate.set_dictionary(version.dictionary()).unwrap();
        assert_eq!(id, version.dictionary_id());
        let mut block = Vec::with_capacity(256);
        deflate
            .compress_vec(b"accept-encoding", &mut block, FlushCompress::Sync)
            .unwrap();

        let mut inflate = Decompress::new(true);
        let mut out = Vec::with_capacity(256);
        let needed = inflate
            .decompress_vec(&block, &mut out, FlushDecompress::Sync)
            .unwrap_err();
        assert_eq!(needed.needs_dictionary(), Some(id));
        assert_eq!(inflate.set_dictionary(version.dictionary()).unwrap(), id);
        let rest = &block[usize::try_from(inflate.total_in()).unwrap()..];
        inflate
            .decompress_vec(rest, &mut out, FlushDecompress::Sync)
            .unwrap();
        assert_eq!(out, b"accept-encoding");
    }
}

#[test]
fn with_miniz_oxide() {
    run_with("rust_backend", &[]);
}

#[test]
fn with_zlib() {
    run_with("zlib", &["cc"]);
}

#[test]
fn with_cloudflare_zlib() {
    run_with("cloudflare_zlib", &["cc"]);
}

#[test]
fn with_zlib_ng() {
    run_with("zlib-ng", &["cc", "cmake"]);
}

/// Builds and runs `backends/`, a crate that depends on us and turns on this feature of flate2,
/// which needs these tools to build.
fn run_with(backend: &str, tools: &[&str]) {
    for tool in tools {
        let found = Command::new(tool)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if found.is_err() {
            println!("{backend} is left out: it is built with {tool}, which this machine lacks");
            return;
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends");
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--features", backend])
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join(backend))
        .status()
        .unwrap();
    assert!(status.success(), "{backend}: {status}");
}
