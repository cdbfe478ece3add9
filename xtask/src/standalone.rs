//! `cargo xtask standalone`: checks that need a build of their own, because the features of the
//! workspace's build would hide a failure. lacewing-hpack needs no `std`. lacewing-spdy-zlib works
//! with each backend of flate2, and a build has only one.

use crate::report::Report;
use crate::shell;
use std::path::Path;
use std::process::Command;

/// A target without `std`.
const NO_STD_TARGET: &str = "thumbv7m-none-eabi";

/// A feature of flate2, and the tools that build it.
const BACKENDS: [(&str, &[&str]); 4] = [
    ("rust_backend", &[]),
    ("zlib", &["cc"]),
    ("cloudflare_zlib", &["cc"]),
    ("zlib-ng", &["cc", "cmake"]),
];

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some(arg) = args.first() {
        return Err(format!("`standalone` takes no argument, got `{arg}`"));
    }
    let mut report = Report::default();
    let mut failed: Vec<String> = Vec::new();
    failed.extend(hpack_on_a_target_without_std(&mut report).err());
    failed.extend(hpack_without_std(&mut report).err());
    for (backend, tools) in BACKENDS {
        failed.extend(spdy_zlib_with(backend, tools, &mut report).err());
    }
    say!("\n{report}");
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

fn hpack_on_a_target_without_std(report: &mut Report) -> Result<(), String> {
    let what = "lacewing-hpack on a target without std";
    if !shell::has_target(NO_STD_TARGET) {
        let why = format!("target not installed (rustup target add {NO_STD_TARGET})");
        report.left_out(what, &why);
        return Ok(());
    }
    shell::run(&mut shell::cargo([
        "check",
        "--quiet",
        "--package",
        "lacewing-hpack",
        "--no-default-features",
        "--target",
        NO_STD_TARGET,
    ]))?;
    report.ran(what, NO_STD_TARGET);
    Ok(())
}

/// The same check on the host, which every machine can run. A crate with a panic handler of its own
/// compiles only if no crate below it links `std`. With the feature `std` it must not compile;
/// otherwise the check would be useless.
fn hpack_without_std(report: &mut Report) -> Result<(), String> {
    let what = "lacewing-hpack beside a panic handler";
    let folder = shell::root().join("hpack/tests/no_std");
    // The versions of the workspace.
    std::fs::copy(shell::root().join("Cargo.lock"), folder.join("Cargo.lock"))
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let manifest = folder.join("Cargo.toml");
    let mut without = check(&manifest);
    shell::run(&mut without)?;
    let mut with = check(&manifest);
    match shell::output(with.args(["--features", "std"])) {
        Err(message) if message.contains("panic_impl") => {
            report.ran(what, "and the check notices `std`");
            Ok(())
        }
        Err(message) => Err(format!("{what}: failed for another reason: {message}")),
        Ok(_) => Err(format!("{what}: the check does not notice `std`")),
    }
}

fn check(manifest: &Path) -> Command {
    let mut check = shell::cargo(["check", "--quiet", "--manifest-path"]);
    check
        .arg(manifest)
        .arg("--target-dir")
        .arg(shell::target_dir().join("standalone/no_std"));
    check
}

/// Builds and runs a program that depends on our crate and enables this backend.
fn spdy_zlib_with(backend: &str, tools: &[&str], report: &mut Report) -> Result<(), String> {
    let what = format!("lacewing-spdy-zlib with {backend}");
    if let Some(tool) = tools.iter().find(|tool| !shell::exists(tool)) {
        return Err(format!(
            "{what}: flate2 builds it with `{tool}`, which is not installed (.ci/run installs it)"
        ));
    }
    let manifest = shell::root().join("spdy-zlib/tests/backends/Cargo.toml");
    let mut program = shell::cargo(["run", "--quiet", "--features", backend, "--manifest-path"]);
    program
        .arg(manifest)
        .arg("--target-dir")
        .arg(shell::target_dir().join("standalone").join(backend));
    shell::run(&mut program)?;
    report.ran(&what, "encodes and decodes blocks");
    Ok(())
}
