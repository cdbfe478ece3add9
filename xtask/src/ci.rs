//! `cargo xtask ci`: the steps of CI, in order. `.ci/run` installs the tools that they need and
//! then calls this.

use crate::packages::LIBRARIES;
use crate::shell::{self, cargo};
use std::process::Command;
use std::time::Instant;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some(arg) = args.first() {
        return Err(format!("`ci` takes no argument, got `{arg}`"));
    }
    let start = Instant::now();
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        say!("\n=== {name}");
        let began = Instant::now();
        let result = step();
        let seconds = began.elapsed().as_secs();
        match result {
            Ok(()) => say!("=== {name}: ok ({seconds} s)"),
            Err(message) => {
                say!("=== {name}: FAILED ({seconds} s)\n{message}");
                failed.push(*name);
            }
        }
    }
    say!("\n{} steps in {} s", STEPS.len(), start.elapsed().as_secs());
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")))
    }
}

type Step = (&'static str, fn() -> Result<(), String>);

/// Every step runs, even after a failed one: one run shows all failures.
const STEPS: &[Step] = &[
    ("fmt", || {
        shell::run(&mut cargo(["fmt", "--all", "--check"]))
    }),
    ("codegen --check", || {
        crate::codegen::run(&["--check".to_owned()])
    }),
    ("tidy", || crate::tidy::run(&[])),
    ("deny", || crate::deny::in_ci()),
    ("clippy, all features", || {
        // The workspace enables the lint `incompatible_msrv`, so this step also checks
        // `rust-version`.
        let args = ["clippy", "--workspace", "--all-targets", "--all-features"];
        shell::run(deny_warnings(&mut cargo(args)))
    }),
    ("clippy, no default features", || {
        LIBRARIES.iter().try_for_each(|library| {
            let args = [
                "clippy",
                "--quiet",
                "--package",
                library,
                "--no-default-features",
            ];
            shell::run(deny_warnings(&mut cargo(args)))
        })
    }),
    ("test", || {
        // Not part of a clone. If they are absent, the table says so.
        let corpora = crate::test::has_corpora().then(|| "--corpora".to_owned());
        crate::test::run(corpora.as_slice())
    }),
    ("standalone", || crate::standalone::run(&[])),
    ("platforms", || crate::platforms::run(&[])),
    ("publish, dry run", crate::packages::publish_dry_run),
    ("loom", || crate::loom::run(&[])),
    ("fuzz, smoke", crate::fuzz::smoke),
    ("doc, all features", || {
        let mut command = cargo(["doc", "--no-deps", "--all-features"]);
        for library in LIBRARIES {
            command.args(["--package", library]);
        }
        shell::run(command.env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("doc, default features", || {
        // One package at a time: in a common build, one crate enables features of another.
        LIBRARIES.iter().try_for_each(|library| {
            let mut command = cargo(["doc", "--quiet", "--no-deps", "--package", library]);
            shell::run(command.env("RUSTDOCFLAGS", "-D warnings"))
        })
    }),
    ("instructions", crate::bench::instructions_in_ci),
    ("interop", || crate::interop::run(&[])),
    ("attack", crate::attack::in_ci),
    ("soak, small", crate::soak::in_ci),
];

fn deny_warnings(command: &mut Command) -> &mut Command {
    command.args(["--", "-D", "warnings"])
}
