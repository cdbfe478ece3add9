//! The Node programs of `xtask/peers/node`, and the packages that they need.

use std::path::PathBuf;
use std::process::Command;

use crate::shell;

/// Installs the packages unless they are there. Returns the folder of the programs.
pub(crate) fn peers() -> Result<PathBuf, String> {
    let folder = folder();
    if !folder.join("node_modules/spdy-transport").is_dir() {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent", "--no-progress"]);
        shell::run(npm.current_dir(&folder))?;
    }
    Ok(folder)
}

pub(crate) fn folder() -> PathBuf {
    shell::root().join("xtask/peers/node")
}
