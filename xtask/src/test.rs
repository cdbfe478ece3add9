//! `cargo xtask test`: the one command that runs the tests.

use crate::shell;
use std::process::{Command, Stdio};

/// A target without `std`, to prove that `lacewing-hpack` needs none.
const NO_STD_TARGET: &str = "thumbv7m-none-eabi";

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut left_out: Vec<String> = Vec::new();

    let mut test = shell::cargo(["test", "--workspace", "--all-features", "--no-fail-fast"]);
    if !(shell::exists("cc") || shell::exists("gcc") || shell::exists("clang")) {
        test.args(["--exclude", "lacewing-benches"]);
        left_out
            .push("lacewing-benches: libnghttp2-sys needs a C compiler (`cc` not found)".into());
    }
    test.args(args);
    let tests = shell::run(&mut test);

    let no_std = if has_target(NO_STD_TARGET) {
        shell::run(&mut shell::cargo([
            "check",
            "--quiet",
            "--package",
            "lacewing-hpack",
            "--no-default-features",
            "--target",
            NO_STD_TARGET,
        ]))
    } else {
        left_out.push(format!(
            "lacewing-hpack without std: target not installed (rustup target add {NO_STD_TARGET})"
        ));
        Ok(())
    };

    if !vectors().is_dir() {
        left_out.push(format!(
            "the vector corpora: {} is absent (LACEWING_SHARED names another place)",
            vectors().display()
        ));
    }
    left_out.push("fuzz targets: they need a nightly toolchain and cargo-fuzz".into());
    left_out.push("real peers: run `cargo xtask interop`".into());

    println!("\nLeft out:");
    for line in &left_out {
        println!("  {line}");
    }
    tests.and(no_std)
}

fn vectors() -> std::path::PathBuf {
    let shared = match std::env::var_os("LACEWING_SHARED") {
        Some(dir) => shell::root().join(dir),
        None => shell::root().join("..").join("shared"),
    };
    let vectors = shared.join("vectors");
    vectors.canonicalize().unwrap_or(vectors)
}

/// Whether the standard libraries of `target` (here: `core` and `alloc`) are
/// installed.
fn has_target(target: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let Ok(out) = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", target])
        .stderr(Stdio::null())
        .output()
    else {
        return false;
    };
    out.status.success()
        && std::path::Path::new(String::from_utf8_lossy(&out.stdout).trim()).is_dir()
}
