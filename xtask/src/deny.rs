//! `cargo xtask deny`: `deny.toml` held by cargo-deny. Advisories are not among
//! it: they need a database from the network (`cargo deny check` has them too).

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

/// Left out, aloud, where it is not installed.
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
