//! `cargo xtask miri`: the unit tests of the codecs under Miri, which finds undefined behaviour
//! and overflows that a test does not. Sizes are cut where a test asks `cfg(miri)`.

use std::process::Command;

use crate::shell;

const PACKAGES: [&str; 3] = ["lacewing-hpack", "lacewing-spdy-zlib", "lacewing-frames"];

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if shell::output(&mut nightly(&["miri", "--version"])).is_err() {
        return Err(
            "needs a nightly toolchain with Miri (rustup component add miri rust-src \
                    --toolchain nightly)"
                .into(),
        );
    }
    for package in PACKAGES {
        let mut test = nightly(&["miri", "test", "--package", package, "--lib"]);
        test.args(args)
            .env("CARGO_TARGET_DIR", shell::target_dir().join("miri"));
        shell::run(&mut test)?;
    }
    Ok(())
}

/// `cargo +nightly`, whatever toolchain runs this command.
pub(crate) fn nightly(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .arg("+nightly")
        .args(args)
        .current_dir(shell::root());
    for key in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "CARGO_MANIFEST_DIR"] {
        command.env_remove(key);
    }
    command
}
