//! `cargo xtask test`: the one command that runs the tests. What this machine
//! cannot build is left out, and named at the end.

use crate::report::Report;
use crate::{features, shell};
use std::process::{Command, Stdio};

/// A target without `std`, to prove that `lacewing-hpack` needs none.
const NO_STD_TARGET: &str = "thumbv7m-none-eabi";

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut report = Report::default();
    let tests = workspace(args, &mut report);
    let no_std = no_std(&mut report);
    let vectors = vectors();
    if vectors.is_dir() {
        report.ran("the vector corpora", &vectors.display().to_string());
    } else {
        let why = format!(
            "{} is absent (LACEWING_SHARED names another place)",
            vectors.display()
        );
        report.left_out("the vector corpora", &why);
    }
    report.left_out(
        "fuzz targets",
        "they need a nightly toolchain and cargo-fuzz",
    );
    report.left_out("real peers", "run `cargo xtask interop`");
    println!("\n{report}");
    tests.and(no_std)
}

fn workspace(args: &[String], report: &mut Report) -> Result<(), String> {
    let mut test = shell::cargo(["test", "--workspace", "--no-fail-fast"]);
    let mut shown = "all features";
    match features::missing_openssl() {
        None => {
            test.arg("--all-features");
            report.ran("feature `npn`", "OpenSSL's headers are there");
        }
        Some(why) => {
            test.arg("--features");
            test.arg(features::without_npn(&shell::root())?.join(","));
            shown = "all features but `npn`";
            report.left_out("feature `npn`", &why);
        }
    }
    if ["cc", "gcc", "clang"].into_iter().any(shell::exists) {
        report.ran("lacewing-benches", "there is a C compiler");
    } else {
        test.args(["--exclude", "lacewing-benches"]);
        let why = "libnghttp2-sys needs a C compiler (`cc` not found)";
        report.left_out("lacewing-benches", why);
    }
    report.ran("tests of the workspace", shown);
    shell::run(test.args(args))
}

fn no_std(report: &mut Report) -> Result<(), String> {
    let what = "lacewing-hpack without std";
    if !has_target(NO_STD_TARGET) {
        let why = format!("target not installed (rustup target add {NO_STD_TARGET})");
        report.left_out(what, &why);
        return Ok(());
    }
    report.ran(what, NO_STD_TARGET);
    shell::run(&mut shell::cargo([
        "check",
        "--quiet",
        "--package",
        "lacewing-hpack",
        "--no-default-features",
        "--target",
        NO_STD_TARGET,
    ]))
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
