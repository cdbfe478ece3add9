//! The project's own commands: `cargo xtask <command>`.
//!
//! Needs only cargo and rustc. Some commands need other programs (the real peers of `interop`, the
//! load generator of `bench`). A command names each missing program.

/// Prints a line, as `println!` does. A closed pipe (`… | head`) is no failure.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($line)*);
    }};
}

mod attack;
mod bench;
mod ci;
mod codegen;
mod deny;
mod features;
mod fuzz;
mod go;
mod interop;
mod loom;
mod miri;
mod node;
mod packages;
mod platforms;
mod report;
mod schedules;
mod semver;
mod shell;
mod soak;
mod standalone;
mod test;
mod tidy;

use std::io::Write as _;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  codegen [--check]     write the generated files from xtask/spec (or fail if they differ)
  tidy                  check the rules that a compiler cannot check
  deny                  check licences and dependencies against deny.toml (needs cargo-deny)
  test [--corpora]      run every test that this machine can build; list the omitted ones
                        (--corpora: the third-party corpora too, which must be present)
  standalone            test hpack without std, spdy-zlib with each backend of flate2
  platforms             compile for the oldest Rust, WebAssembly, Windows and macOS
  loom                  test every interleaving of the cells that the driver's tasks share
  interop [--only TEXT] drive real clients and servers against ours
          [--list]      print the cases without running them
  conform-peers [NAME]  run the conformance suite on other servers, and print their results
  netpath               measure one stream over a long, fast path, and HTTP/1.1 (needs root)
  bench [--quick]       measure Lacewing and its peers in turns, and print the ratios
        [--only TEXT]   only the workloads whose name contains TEXT
        [--json FILE]   write all figures; --svg FOLDER: one picture for each table
        [--instructions] count instructions by callgrind instead; --check compares them with
                        benches/instructions.txt, --write replaces it
  attack [--only TEXT]  play attacks and honest traffic against Lacewing, and print their cost
         [--list]       name the cases; `attack --help` has the rest: --full, --json, --peers, …
  schedules [--count N] play scripts with faults, chosen by seeds, against two engines
            [--seed N]  the first seed; prints the command that repeats a failure
            [--facades] against a whole client and server instead
  soak [--minutes N]    run mixed traffic, many connections, restarts, kills; check for leaks
                        (--idle N, --busy N, --restarts N: the other parts)
  semver --since REV    compare the libraries' public API with a revision of git (needs
         [--only TEXT]  cargo-semver-checks); only the libraries with TEXT in their names
  miri                  run the unit tests of the codecs under Miri (needs nightly)
  fuzz [--minutes N]    run every fuzz target under libFuzzer (needs nightly and cargo-fuzz)
       [--only TEXT]    only the targets with TEXT in their names; --pack writes the seeds
       [--smoke]        the seeds and mutations of them, as a test on any compiler
  ci                    run all steps of CI, in order
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = args.split_first() else {
        let _ = write!(std::io::stderr(), "{HELP}");
        return ExitCode::from(2);
    };
    let result = match command.as_str() {
        "codegen" => codegen::run(rest),
        "tidy" => tidy::run(rest),
        "deny" => deny::run(rest),
        "test" => test::run(rest),
        "standalone" => standalone::run(rest),
        "platforms" => platforms::run(rest),
        "loom" => loom::run(rest),
        "interop" => interop::run(rest),
        "conform-peers" => interop::conform::scores(rest),
        "netpath" => interop::netpath::run(rest),
        "bench" => bench::run(rest),
        "attack" => attack::run(rest),
        "schedules" => schedules::run(rest),
        "soak" => soak::run(rest),
        "semver" => semver::run(rest),
        "miri" => miri::run(rest),
        "fuzz" => fuzz::run(rest),
        "ci" => ci::run(rest),
        "help" | "--help" | "-h" => {
            say!("{}", HELP.trim_end());
            return ExitCode::SUCCESS;
        }
        other => {
            let _ = write!(std::io::stderr(), "no command `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "\nxtask {command}: {message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HELP;

    /// The flags that the commands match by name stand in the help.
    #[test]
    fn the_help_has_every_flag() {
        let sources = [
            include_str!("bench.rs"),
            include_str!("fuzz.rs"),
            include_str!("interop.rs"),
            include_str!("schedules.rs"),
            include_str!("semver.rs"),
            include_str!("test.rs"),
        ];
        let flags: Vec<&str> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" =>"))
            .map(|(flag, _)| flag)
            .filter(|flag| flag.starts_with("--"))
            .collect();
        assert!(flags.len() > 12, "{flags:?}");
        for flag in flags {
            assert!(HELP.contains(flag), "{flag} is not in the help");
        }
    }
}
