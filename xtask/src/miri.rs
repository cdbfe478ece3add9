//! `cargo xtask miri`: the tests of the codecs under Miri, which finds undefined behaviour and
//! overflows that an ordinary test does not. Tests that are too long for it are shorter, or are
//! left out, where they ask `cfg(miri)`.

use std::{process::Command, time::Instant};

use crate::shell;

/// The packages, and the test programs of each.
const PACKAGES: [(&str, &[&str]); 3] = [
    ("lacewing-hpack", &["--lib", "--test=codec"]),
    ("lacewing-spdy-zlib", &["--lib", "--test=blocks"]),
    ("lacewing-frames", &["--test=http2", "--test=spdy"]),
];

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if shell::output(&mut nightly(&["miri", "--version"])).is_err() {
        return Err(
            "needs a nightly toolchain with Miri (rustup component add miri rust-src \
                    --toolchain nightly)"
                .into(),
        );
    }
    let mut times = Vec::new();
    for (package, targets) in PACKAGES {
        let start = Instant::now();
        let mut test = nightly(&["miri", "test", "--package", package]);
        test.args(targets)
            .args(args)
            .env("CARGO_TARGET_DIR", shell::target_dir().join("miri"))
            // Some tests read their vectors from files.
            .env("MIRIFLAGS", "-Zmiri-disable-isolation");
        shell::run(&mut test)?;
        times.push(format!("{package}: {} s", start.elapsed().as_secs()));
    }
    say!("{}", times.join("\n"));
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
