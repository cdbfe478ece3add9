//! `cargo xtask loom`: tests every interleaving of the cells that the driver's tasks share.

use crate::shell;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut test = shell::cargo([
        "test",
        "--package",
        "lacewing-conn",
        "--lib",
        "interleavings",
    ]);
    test.args(args)
        .env("RUSTFLAGS", "--cfg lacewing_loom")
        // These flags cause a full build, which must not replace the normal one.
        .env("CARGO_TARGET_DIR", shell::root().join("target/loom"))
        .env("LOOM_MAX_PREEMPTIONS", "3");
    shell::run(&mut test)
}
