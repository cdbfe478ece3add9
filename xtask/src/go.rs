//! Builds the Go programs of `xtask/peers/go`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// Builds a program into a folder, which has Go's cache as well. The libraries come from the
/// system's packages, in GOPATH mode.
pub(crate) fn build(program: &str, folder: &Path) -> Result<PathBuf, String> {
    let go = shell::find("go").ok_or("`go` is not installed (.ci/run installs it)")?;
    let to = folder.join(program);
    let mut command = Command::new(go);
    command
        .args(["build", "-o"])
        .arg(&to)
        .arg(".")
        .current_dir(shell::root().join("xtask/peers/go").join(program))
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .env("GOCACHE", folder.join("go-cache"))
        .env("GOFLAGS", "");
    shell::output(&mut command)?;
    Ok(to)
}
