//! `cargo xtask test [--corpora]`: runs the tests. The table at its end lists the parts that ran,
//! and the omitted parts with their reasons. Passes other arguments to `cargo test`.

use crate::report::Report;
use crate::{features, shell};
use std::path::PathBuf;

/// The test programs that read third-party corpora: package, and folder.
const CORPORA: [(&str, &str); 2] = [
    ("lacewing-hpack", "hpack"),
    ("lacewing-frames", "h2-frames"),
];

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (asked, args): (Vec<String>, Vec<String>) =
        args.iter().cloned().partition(|arg| arg == "--corpora");
    if !asked.is_empty() {
        corpora_are_there()?;
    }
    let mut report = Report::default();
    let mut failed: Vec<String> = Vec::new();
    failed.extend(workspace(&args, &mut report).err());
    failed.extend(python(&mut report).err());
    failed.extend(corpora(!asked.is_empty(), &mut report).err());
    report.left_out(
        "builds of their own",
        "run `cargo xtask standalone` (hpack without std, backends of flate2)",
    );
    report.left_out("interleavings", "run `cargo xtask loom`");
    report.left_out(
        "fuzz targets",
        "run `cargo xtask fuzz` (needs a nightly toolchain and cargo-fuzz)",
    );
    report.left_out("real peers", "run `cargo xtask interop`");
    say!("\n{report}");
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
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

/// Inflates the blocks of lacewing-spdy-zlib with C's zlib, through Python.
fn python(report: &mut Report) -> Result<(), String> {
    let what = "zlib of Python on our blocks";
    if !shell::exists("python3") {
        report.left_out(what, "`python3` not found");
        return Ok(());
    }
    report.ran(what, "python3 is there");
    shell::run(&mut test_program("lacewing-spdy-zlib", "python"))
}

fn corpora(asked: bool, report: &mut Report) -> Result<(), String> {
    let mut failed: Vec<String> = Vec::new();
    for (package, folder) in CORPORA {
        let what = format!("third-party corpus {folder}");
        if asked {
            report.ran(&what, &vectors().join(folder).display().to_string());
            failed.extend(shell::run(&mut test_program(package, "corpora")).err());
        } else {
            report.left_out(&what, "ask for it with --corpora");
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

/// Fails at once, not after the other tests, if a corpus is requested and absent.
fn corpora_are_there() -> Result<(), String> {
    let folders = CORPORA.map(|(_, folder)| vectors().join(folder));
    match folders.iter().find(|folder| !folder.is_dir()) {
        None => Ok(()),
        Some(folder) => Err(format!(
            "the corpus {} is absent (LACEWING_SHARED names the folder that has vectors/)",
            folder.display()
        )),
    }
}

/// Returns whether this machine has the third-party corpora.
pub(crate) fn has_corpora() -> bool {
    corpora_are_there().is_ok()
}

/// A test program that a plain `cargo test` does not run.
fn test_program(package: &str, name: &str) -> std::process::Command {
    let mut test = shell::cargo(["test", "--package", package, "--test", name]);
    // The programs resolve paths from the folder of their package.
    test.env("LACEWING_SHARED", shared());
    test
}

fn vectors() -> PathBuf {
    shared().join("vectors")
}

fn shared() -> PathBuf {
    let shared = match std::env::var_os("LACEWING_SHARED") {
        Some(dir) => shell::root().join(dir),
        None => shell::root().join("..").join("shared"),
    };
    shared.canonicalize().unwrap_or(shared)
}
