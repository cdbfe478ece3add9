//! `cargo xtask attack`: builds the attacker and its victim, and runs them. What
//! they play is in `benches/src/attack`.

use crate::shell;
use std::process::Command;

/// The whole list at small size, as CI runs it.
pub(crate) fn in_ci() -> Result<(), String> {
    run(&[])
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut build = shell::cargo(["build", "--release", "--quiet"]);
    build.args(["--package", "lacewing-benches"]);
    build.args(["--bin", "attack", "--bin", "attack-victim"]);
    shell::run(&mut build)?;
    // A victim too, as it is by default.
    let mut build = shell::cargo(["build", "--release", "--quiet"]);
    build.args(["--package", "lacewingd"]);
    shell::run(&mut build)?;
    let attack = shell::target_dir().join("release").join("attack");
    let status = Command::new(&attack)
        .args(args)
        .status()
        .map_err(|error| format!("{}: {error}", attack.display()))?;
    if status.success() {
        Ok(())
    } else {
        Err("a case is over its bounds, or the suite did not run".into())
    }
}
