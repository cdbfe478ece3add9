//! Builds the Go programs of `xtask/peers/go`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// Builds a program into a folder, which has Go's cache as well. The libraries come from the
/// system's packages, in GOPATH mode.
pub(crate) fn build(program: &str, folder: &Path) -> Result<PathBuf, String> {
    let to = folder.join(program);
    let mut command = go(program, folder)?;
    shell::output(command.args(["build", "-o"]).arg(&to).arg("."))?;
    Ok(to)
}

/// Runs the tests of a program. Go's cache is in the folder.
pub(crate) fn test(program: &str, folder: &Path) -> Result<String, String> {
    let mut command = go(program, folder)?;
    shell::output(command.args(["test", "-count", "1", "."]))
}

fn go(program: &str, folder: &Path) -> Result<Command, String> {
    let go = shell::find("go").ok_or("`go` is not installed (.ci/run installs it)")?;
    let mut command = Command::new(go);
    command
        .current_dir(shell::root().join("xtask/peers/go").join(program))
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .env("GOCACHE", folder.join("go-cache"))
        .env("GOFLAGS", "");
    Ok(command)
}
