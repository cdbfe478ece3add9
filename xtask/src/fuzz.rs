//! `cargo xtask fuzz`: every fuzz target under libFuzzer, each for a time; or, with `--smoke`, as an
//! ordinary test over the seeds in the repository.
//!
//! `--pack` minimises the corpora that the fuzzer left and writes the shortest inputs of each back
//! as seeds.

mod seeds;

use std::{fs, path::PathBuf, process::Command};

use crate::{miri::nightly, shell};

/// The packages, and the targets of each.
const TARGETS: [(&str, &[&str]); 5] = [
    ("hpack", &["decode", "huffman", "nghttp2", "round_trip"]),
    ("spdy-zlib", &["decode", "list", "round_trip", "zlib"]),
    (
        "frames",
        &[
            "http2_decode",
            "http2_round_trip",
            "spdy_decode",
            "spdy_round_trip",
        ],
    ),
    (
        "conn",
        &[
            "server_http2",
            "server_spdy31",
            "server_spdy3",
            "server_spdy2",
            "client_http2",
            "client_spdy31",
            "client_spdy3",
            "client_spdy2",
        ],
    ),
    (
        "conn/kube",
        &["values", "bare_request", "channels", "tunnel"],
    ),
];

/// The longest input that the fuzzer makes, in bytes.
const MAX_LEN: &str = "-max_len=4096";

struct Options {
    minutes: f64,
    only: String,
    action: Action,
}

enum Action {
    Fuzz,
    Pack,
    Smoke,
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let options = parse(args)?;
    if let Action::Smoke = options.action {
        return smoke();
    }
    needs_fuzzer()?;
    let mut failed = Vec::new();
    for (package, target) in chosen(&options.only)? {
        let result = match options.action {
            Action::Pack => pack(package, target),
            _ => fuzz(package, target, options.minutes),
        };
        if let Err(message) = result {
            say!("{message}");
            failed.push(format!("{package}/{target}"));
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        let failed = failed.join(", ");
        Err(format!(
            "failed: {failed}; the inputs are in <package>/fuzz/artifacts/<target>, and \
             `cargo +nightly fuzz run <target> <input>` in <package> plays one"
        ))
    }
}

/// Every target as an ordinary function, on the compiler that runs this command.
pub(crate) fn smoke() -> Result<(), String> {
    let mut test = shell::cargo(["test", "--no-default-features", "--test", "smoke"]);
    test.arg("--manifest-path")
        .arg(shell::root().join("conn/fuzz/Cargo.toml"))
        .arg("--target-dir")
        .arg(shell::target_dir().join("fuzz-smoke"));
    shell::run(&mut test)
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        minutes: 1.0,
        only: String::new(),
        action: Action::Fuzz,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--smoke" => options.action = Action::Smoke,
            "--pack" => options.action = Action::Pack,
            "--minutes" => {
                let minutes = args.next().and_then(|value| value.parse().ok());
                options.minutes = minutes.ok_or("`--minutes` takes a number")?;
            }
            "--only" => options.only = args.next().ok_or("`--only` takes a text")?.clone(),
            other => return Err(format!("`fuzz` does not know `{other}`")),
        }
    }
    Ok(options)
}

fn chosen(only: &str) -> Result<Vec<(&'static str, &'static str)>, String> {
    let all = TARGETS.iter().flat_map(|(package, targets)| {
        let pairs = targets.iter().map(|target| (*package, *target));
        pairs.collect::<Vec<_>>()
    });
    let chosen: Vec<_> = all
        .filter(|(package, target)| format!("{package}/{target}").contains(only))
        .collect();
    if chosen.is_empty() {
        return Err(format!("no target has `{only}` in its name"));
    }
    Ok(chosen)
}

fn needs_fuzzer() -> Result<(), String> {
    let version = shell::output(&mut nightly(&["fuzz", "--version"]));
    version.map(drop).map_err(|_| {
        "needs a nightly toolchain (rustup toolchain install nightly) and cargo-fuzz (cargo \
         install cargo-fuzz --locked); `cargo xtask fuzz --smoke` needs neither"
            .to_owned()
    })
}

fn fuzz(package: &str, target: &str, minutes: f64) -> Result<(), String> {
    let corpus = fill(package, target)?;
    let mut fuzzer = command(package, "run", target);
    // One target after the other: all use the same folder of builds.
    fuzzer.arg(corpus).args(["--", MAX_LEN, "-timeout=10"]);
    fuzzer.arg(format!("-max_total_time={:.0}", minutes * 60.0));
    fuzzer.arg("-print_final_stats=1");
    shell::run(&mut fuzzer)
}

/// The folder of a target's corpus, with the seeds of the repository in it.
fn fill(package: &str, target: &str) -> Result<PathBuf, String> {
    let corpus = folder(package).join("corpus").join(target);
    let io = |error| format!("{}: {error}", corpus.display());
    fs::create_dir_all(&corpus).map_err(io)?;
    let packed = fs::read(seeds_of(package, target)).unwrap_or_default();
    for (number, seed) in seeds::unpack(&packed)?.iter().enumerate() {
        fs::write(corpus.join(format!("seed-{number:04}")), seed).map_err(io)?;
    }
    Ok(corpus)
}

fn pack(package: &str, target: &str) -> Result<(), String> {
    let corpus = fill(package, target)?;
    let mut minimise = command(package, "cmin", target);
    minimise.arg(&corpus).args(["--", MAX_LEN]);
    shell::run(&mut minimise)?;
    let packed = seeds::pack(&corpus)?;
    let file = seeds_of(package, target);
    let io = |error| format!("{}: {error}", file.display());
    fs::create_dir_all(folder(package).join("seeds")).map_err(io)?;
    fs::write(&file, &packed).map_err(io)?;
    say!("{}: {} bytes", file.display(), packed.len());
    Ok(())
}

fn command(package: &str, action: &str, target: &str) -> Command {
    // Our crates forbid unsafe code, and without a sanitizer there are more runs
    // in the same time; zlib's backend has such code.
    let sanitizer = match package {
        "spdy-zlib" => "address",
        _ => "none",
    };
    let mut command = nightly(&["fuzz", action, "--sanitizer", sanitizer, "--fuzz-dir"]);
    command.arg(folder(package)).arg("--target-dir");
    command.arg(shell::target_dir().join("fuzz")).arg(target);
    command
}

fn folder(package: &str) -> PathBuf {
    shell::root().join(package).join("fuzz")
}

fn seeds_of(package: &str, target: &str) -> PathBuf {
    let seeds = folder(package).join("seeds");
    seeds.join(format!("{target}.seeds"))
}
