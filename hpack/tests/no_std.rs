//! Proves that the crate needs no standard library.
//!
//! A target without one can't be assumed to be installed, so the proof is made on the
//! host: a crate that depends on this one and has a panic handler of its own. The
//! standard library has one too, and no program can have two, so the compiler refuses
//! the crate if anything below it links `std`. That this is so is checked as well.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::Path;
use std::process::Command;

const MAIN: &str = r#"
#![no_std]

use lacewing_hpack::{Decoder, Encoder, HeaderField, ListLimits, Sensitivity};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

pub fn round_trip() -> bool {
    let mut block = bytes::BytesMut::new();
    Encoder::new().block(&mut block).field(b"name", b"value", Sensitivity::Normal);
    let mut decoder = Decoder::<HeaderField>::new(4096);
    decoder.decode(&block, ListLimits::default(), |_, _| {}).is_ok()
}
"#;

#[test]
#[cfg_attr(miri, ignore = "starts a compiler")]
fn compiles_without_std() {
    let (compiled, messages) = check("without-std", "");
    assert!(compiled, "{messages}");
}

#[test]
#[cfg_attr(miri, ignore = "starts a compiler")]
fn the_check_would_notice_std() {
    let (compiled, messages) = check("with-std", r#""std""#);
    assert!(!compiled && messages.contains("panic_impl"), "{messages}");
}

fn check(name: &str, features: &str) -> (bool, String) {
    let hpack = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(folder.join("src")).unwrap();
    std::fs::write(folder.join("src/lib.rs"), MAIN).unwrap();
    std::fs::write(
        folder.join("Cargo.toml"),
        format!(
            "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
             bytes = {{ version = \"1\", default-features = false }}\n\
             lacewing-hpack = {{ path = {hpack:?}, default-features = false, features = [{features}] }}\n"
        ),
    )
    .unwrap();
    // The versions that the workspace has fetched.
    let _ = std::fs::copy(hpack.join("../Cargo.lock"), folder.join("Cargo.lock"));
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--target-dir"])
        .arg(folder.join("target"))
        .current_dir(&folder)
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), messages)
}
