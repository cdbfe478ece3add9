//! `cargo xtask schedules`: many schedules with faults, which seeds choose. Those of two engines are
//! in `conn/tests/simulation/faults`, those of a whole client and server (`--facades`) in
//! `client/tests/schedules`; a few of each run in every test.

use crate::shell;

struct Options {
    count: u64,
    seed: u64,
    level: Level,
}

enum Level {
    Engines,
    Facades,
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let options = parse(args)?;
    let mut command = shell::cargo(["test", "--quiet", "--release"]);
    match options.level {
        Level::Engines => {
            command.args(["--package", "lacewing-conn", "--test", "simulation"]);
            command.args(["faults::every_schedule", "--", "--nocapture"]);
        }
        Level::Facades => {
            command.args(["--package", "lacewing-client", "--test", "schedules"]);
            command.args(["every_schedule", "--", "--nocapture"]);
        }
    }
    command
        .env("LACEWING_SCHEDULES", options.count.to_string())
        .env("LACEWING_SEED", options.seed.to_string())
        // As fast as a release, as strict as a test; in a folder of its own.
        .env("CARGO_TARGET_DIR", shell::target_dir().join("schedules"))
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    shell::run(&mut command)
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        count: 10_000,
        seed: 0,
        level: Level::Engines,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || {
            let value = args.next().and_then(|value| value.parse().ok());
            value.ok_or(format!("`{arg}` takes a number"))
        };
        match arg.as_str() {
            "--count" => options.count = number()?,
            "--seed" => options.seed = number()?,
            "--facades" => options.level = Level::Facades,
            other => return Err(format!("`schedules` does not know `{other}`")),
        }
    }
    Ok(options)
}
