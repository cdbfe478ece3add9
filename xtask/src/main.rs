//! The project's own commands: `cargo xtask <command>`.
//!
//! Needs nothing but cargo and rustc; what a single command needs besides (the
//! real peers of `interop`, the load generator of `bench`) it names when it is
//! missing.

/// Prints a line, as `println!` does. A reader that has left (`… | head`) is no failure.
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
mod interop;
mod loom;
mod miri;
mod packages;
mod report;
mod schedules;
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
  tidy                  check the rules a compiler cannot hold
  deny                  check licences and dependencies against deny.toml (needs cargo-deny)
  test [--corpora]      run every test this machine can build, and say what was left out
                        (--corpora: the third-party corpora too, which have to be there)
  standalone            hpack without std, spdy-zlib with each backend of flate2
  loom                  every interleaving of what the driver's tasks share
  interop [--only TEXT] drive real clients and servers against ours
          [--list]      print the cases without running them
  conform-peers [NAME]  the conformance suite on other servers: prints what they score
  netpath               one stream over a long, fast path, beside HTTP/1.1 (needs root)
  bench [--quick]       measure ours and hyper in turns, and print the ratios
        [--only TEXT]   only the workloads whose name contains TEXT
  attack [--only TEXT]  play attacks and honest traffic against ours, and print what they cost
         [--list]       name the cases; --help has the rest: --full, --json, --against
  schedules [--count N] play scripts with faults, which seeds choose, against two engines
            [--seed N]  the first seed; prints the command that repeats a failure
  soak [--minutes N]    mixed traffic, crowds, restarts and kills; nothing may be left afterwards
                        (--idle N, --busy N, --restarts N: the other parts)
  miri                  the unit tests of the codecs under Miri (needs nightly)
  fuzz [--minutes N]    every fuzz target under libFuzzer (needs nightly and cargo-fuzz)
       [--only TEXT]    only the targets with TEXT in their names; --pack writes the seeds
       [--smoke]        the seeds and mutations of them, as a test on any compiler
  ci                    everything that CI runs, in its order
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = args.split_first() else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    let result = match command.as_str() {
        "codegen" => codegen::run(rest),
        "tidy" => tidy::run(rest),
        "deny" => deny::run(rest),
        "test" => test::run(rest),
        "standalone" => standalone::run(rest),
        "loom" => loom::run(rest),
        "interop" => interop::run(rest),
        "conform-peers" => interop::conform::scores(rest),
        "netpath" => interop::netpath::run(rest),
        "bench" => bench::run(rest),
        "attack" => attack::run(rest),
        "schedules" => schedules::run(rest),
        "soak" => soak::run(rest),
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
