//! `cargo xtask deny`: checks the rules of `deny.toml` with cargo-deny. It does not check
//! advisories, which need a database from the network; `cargo deny check` does.

use crate::shell;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some(arg) = args.first() {
        return Err(format!("`deny` takes no argument, got `{arg}`"));
    }
    if !is_installed() {
        return Err("needs cargo-deny (cargo install cargo-deny --locked)".into());
    }
    let args = [
        "deny",
        "--log-level",
        "warn",
        "check",
        "--hide-inclusion-graph",
    ];
    let mut command = shell::cargo(args);
    shell::run(command.args(["licenses", "bans", "sources"]))
}

/// Skips the check, with a message, if cargo-deny is not installed.
pub(crate) fn in_ci() -> Result<(), String> {
    if is_installed() {
        return run(&[]);
    }
    say!("left out: cargo-deny is not installed (cargo install cargo-deny --locked)");
    Ok(())
}

fn is_installed() -> bool {
    let version = shell::output(&mut shell::cargo(["deny", "--version"]));
    version.is_ok()
}
