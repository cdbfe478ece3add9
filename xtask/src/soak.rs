//! `cargo xtask soak`: builds the soak and the programs that it starts, and runs it. Its parts are in
//! `benches/src/soak`.

use std::process::Command;

use crate::shell;

/// Every part at small size, as CI runs it: about a minute.
pub(crate) fn in_ci() -> Result<(), String> {
    run(&[])
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut build = shell::cargo(["build", "--release", "--quiet"]);
    build.args(["--package", "lacewing-benches"]);
    build.args([
        "--bin",
        "soak",
        "--bin",
        "idle-clients",
        "--bin",
        "bench-server",
    ]);
    shell::run(&mut build)?;
    let soak = shell::target_dir().join("release").join("soak");
    shell::run(Command::new(soak).args(args))
}
