//! `cargo xtask bench`: our server and hyper's with the same routes, in turns, under the same load.
//! The server has one core, and the load generator another. The figure is the server's CPU time for
//! the work, which varies less than the rate. Prints medians, spread, and the ratio to hyper.
//! `--instructions` counts instructions instead, of our programs alone.

mod client;
mod idle;
mod instructions;
mod load;
mod server;
mod statistics;
mod workload;

use crate::shell;
use server::Program;
use statistics::Sample;
use std::path::{Path, PathBuf};
use workload::{Unit, WORKLOADS, Workload};

/// Checks the instruction counts against the file in the tree. If a program for it is absent, CI
/// says so and leaves the check out.
pub(crate) fn instructions_in_ci() -> Result<(), String> {
    for program in ["valgrind", "h2load"] {
        if !shell::exists(program) {
            say!("left out: `{program}` is not installed");
            return Ok(());
        }
    }
    instructions::run(&Scratch::new()?, instructions::Use::Check, None)
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let options = Options::parse(args)?;
    for program in ["h2load", "taskset"] {
        if !shell::exists(program) {
            return Err(format!(
                "`{program}` is not installed (apt: nghttp2-client, util-linux)"
            ));
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return Err("needs two cores: one for the server, one for the load".into());
    }
    let scratch = Scratch::new()?;
    if let Some(purpose) = options.instructions {
        return instructions::run(&scratch, purpose, options.only.as_deref());
    }
    say!(
        "{} rounds of each, Lacewing and hyper in turns; building\n",
        options.rounds()
    );

    let wants_idle = options.wants(idle::NAME);
    // Build the counting allocator first, and keep that program apart: its two additions for each
    // allocation must not affect the other figures.
    let counting = if wants_idle {
        Some(build(&scratch, Allocator::Counting)?)
    } else {
        None
    };
    let programs = build(&scratch, Allocator::System)?;

    print_head();
    let mut failed = Vec::new();
    for workload in WORKLOADS
        .iter()
        .filter(|workload| options.wants(workload.name))
    {
        match measure(workload, &programs, &scratch, &options) {
            Ok([ours, hyper]) => {
                print_row(
                    workload.name,
                    workload.unit.name(),
                    &ours,
                    &hyper,
                    workload.bar,
                );
            }
            Err(message) => failed.push(format!("{}: {message}", workload.name)),
        }
    }
    for workload in client::WORKLOADS
        .iter()
        .filter(|workload| options.wants(workload.name))
    {
        match client::measure(workload, &programs, options.rounds(), options.quick) {
            Ok([ours, hyper]) => {
                print_row(workload.name, workload.unit, &ours, &hyper, workload.bar);
            }
            Err(message) => failed.push(format!("{}: {message}", workload.name)),
        }
    }
    if let Some(counting) = counting {
        failed.extend(print_idle(&counting, &options).err());
    }
    say!(
        "\nCPU time of the server (of the client, where it says so), from /proc/PID/task/*/schedstat; ± is half the spread of all rounds."
    );
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

struct Options {
    quick: bool,
    only: Option<String>,
    /// Instructions in place of times.
    instructions: Option<instructions::Use>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self {
            quick: false,
            only: None,
            instructions: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--instructions" => {
                    options.instructions.get_or_insert(instructions::Use::Print);
                }
                "--check" => options.instructions = Some(instructions::Use::Check),
                "--write" => options.instructions = Some(instructions::Use::Write),
                "--only" => options.only = Some(args.next().ok_or("--only needs a text")?.clone()),
                other => {
                    return Err(format!(
                        "`bench` knows --quick, --instructions, --check, --write and --only TEXT, not `{other}`"
                    ));
                }
            }
        }
        Ok(options)
    }

    fn rounds(&self) -> usize {
        if self.quick { 3 } else { 7 }
    }

    fn wants(&self, name: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
    }
}

/// The two servers under comparison (and the idle clients), after the build.
struct Programs {
    folder: PathBuf,
}

impl Programs {
    fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Allocator {
    System,
    Counting,
}

fn build(scratch: &Scratch, allocator: Allocator) -> Result<Programs, String> {
    let mut command = shell::cargo([
        "build",
        "--release",
        "--quiet",
        "--package",
        "lacewing-benches",
    ]);
    let programs = [
        "bench-server",
        "bench-server-hyper",
        "bench-client",
        "idle-clients",
    ];
    for program in programs {
        command.args(["--bin", program]);
    }
    let folder = match allocator {
        Allocator::System => "system",
        Allocator::Counting => {
            command.args(["--features", "count-allocations"]);
            "counting"
        }
    };
    shell::run(&mut command)?;
    let folder = scratch.path(folder);
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    for program in programs {
        let built = shell::target_dir().join("release").join(program);
        std::fs::copy(&built, folder.join(program))
            .map_err(|e| format!("{}: {e}", built.display()))?;
    }
    Ok(Programs { folder })
}

/// The CPU time per unit of work, of our server and hyper's.
fn measure(
    workload: &Workload,
    programs: &Programs,
    scratch: &Scratch,
    options: &Options,
) -> Result<[Sample; 2], String> {
    let mut servers = Vec::new();
    for program in Program::BOTH {
        let tls = workload
            .tls
            .then(|| (scratch.path("cert.pem"), scratch.path("key.pem")));
        servers.push(server::Pinned::start(&programs.path(program.name()), tls)?);
    }
    let mut samples = [Sample::default(), Sample::default()];
    let requests = if options.quick {
        workload.requests.div_ceil(4)
    } else {
        workload.requests
    };
    // Round 0 warms up: allocator, branch predictors, socket buffers.
    for round in 0..=options.rounds() {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for index in order {
            let server = &servers[index];
            let before = server.cpu()?;
            load::run(workload, requests, server.port(), &scratch.path("1mib.bin"))?;
            let spent = server.cpu()? - before;
            if round > 0 {
                let work = match workload.unit {
                    Unit::MicrosecondsPerRequest => requests as f64 * 1e-6,
                    Unit::MillisecondsPerGigabyte { bytes } => {
                        requests as f64 * bytes as f64 * 1e-9 * 1e-3
                    }
                };
                samples[index].push(spent.as_secs_f64() / work);
            }
        }
    }
    Ok(samples)
}

fn print_idle(programs: &Programs, options: &Options) -> Result<(), String> {
    let count = if options.quick { 1_000 } else { 4_000 };
    let rows =
        idle::measure(programs, count).map_err(|message| format!("{}: {message}", idle::NAME))?;
    for row in rows {
        print_row(row.name, "bytes", &row.ours, &row.hyper, row.bar);
    }
    Ok(())
}

fn print_head() {
    say!(
        "{:<34} {:>8} {:>18} {:>18} {:>7} {:>7}",
        "",
        "",
        "ours",
        "hyper",
        "ratio",
        "bar"
    );
}

fn print_row(name: &str, unit: &str, ours: &Sample, hyper: &Sample, bar: Option<Bar>) {
    let (mine, theirs) = (ours.median(), hyper.median());
    let ratio = mine / theirs;
    let (bar_text, verdict) = match bar {
        None => (String::new(), ""),
        Some(Bar::Ratio(most)) => (
            format!("{most:.2}"),
            if ratio <= most { "" } else { "  over" },
        ),
        Some(Bar::Value(most)) => (
            format!("{most:.0}"),
            if mine <= most { "" } else { "  over" },
        ),
    };
    say!("{name:<34} {unit:>8} {ours:>18} {hyper:>18} {ratio:>7.2} {bar_text:>7}{verdict}");
}

/// The bound of a figure.
#[derive(Clone, Copy)]
enum Bar {
    /// The ratio of our figure to hyper's.
    Ratio(f64),
    /// Our figure alone, in the unit of the row.
    Value(f64),
}

/// A folder for the files of the run, removed at its end.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("lacewing-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let scratch = Self { folder };
        std::fs::write(scratch.path("1mib.bin"), vec![b'x'; 1 << 20]).map_err(|e| e.to_string())?;
        shell::output(
            std::process::Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ])
                .args(["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout"])
                .arg(scratch.path("key.pem"))
                .arg("-out")
                .arg(scratch.path("cert.pem")),
        )?;
        Ok(scratch)
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A failure leaves files only in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
