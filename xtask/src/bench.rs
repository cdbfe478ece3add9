//! `cargo xtask bench`: our servers, clients and programs and their peers that are installed, in
//! turns, under the same load. A server has one core, and the load generator another. The figure is
//! the CPU time for the work, which varies less than the rate. Prints medians, spread, and the
//! ratio to the best peer. `--instructions` counts instructions instead, of our programs alone.

mod chart;
mod client;
mod contender;
mod fields;
mod idle;
mod instructions;
mod kube;
mod load;
mod proxy;
mod server;
mod site;
mod statistics;
mod table;
mod tail;
mod turns;
mod workload;

use crate::shell;
use contender::Contender;
use site::{Serving, Site};
use std::path::{Path, PathBuf};
use table::Row;
use turns::Turns;
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
    say!("{} rounds of each, in turns; building\n", options.rounds());
    let programs = Programs::build()?;
    let site = Site::new(&scratch)?;
    let (rows, failed) = measure_all(&programs, &site, &scratch, &options);
    say!(
        "\nCPU time of the server (of the client, where it says so), from /proc/PID/task/*/schedstat; ± is \
         half the spread of all rounds. `mostly idle`: the load did not keep our server busy, so that the \
         figure has the cost of waking up."
    );
    if let Some(path) = &options.json {
        std::fs::write(path, table::json(&rows)).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    if let Some(folder) = &options.svg {
        chart::write(&rows, folder)?;
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

/// Measures and prints the rows that the options name. Returns them, and the failures.
fn measure_all(
    programs: &Programs,
    site: &Site,
    scratch: &Scratch,
    options: &Options,
) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    let mut add = |name: &str, measured: Result<Row, String>| match measured {
        Ok(row) => {
            row.print();
            rows.push(row);
        }
        Err(message) => failed.push(format!("{name}: {message}")),
    };
    for workload in WORKLOADS {
        if options.wants(workload.name) {
            add(workload.name, measure(workload, programs, site, options));
        }
    }
    for workload in &client::WORKLOADS {
        if options.wants(workload.name) {
            add(
                workload.name,
                client::measure(workload, programs, site, options),
            );
        }
    }
    if options.wants(tail::NAME) {
        add(tail::NAME, tail::measure(programs, site, options));
    }
    for (name, measured) in kube::measure(programs, scratch, options) {
        add(name, measured);
    }
    for workload in &proxy::WORKLOADS {
        if options.wants(workload.name) && Contender::Nghttpx.is_installed() {
            let row = proxy::measure(workload, programs, site, options);
            add(workload.name, row);
        }
    }
    match idle::measure(programs, site, options) {
        Ok(idle) => idle.into_iter().for_each(|row| add("", Ok(row))),
        Err(message) => add("idle connections", Err(message)),
    }
    (rows, failed)
}

/// The options of the command.
struct Options {
    quick: bool,
    only: Option<String>,
    /// The file for the figures.
    json: Option<PathBuf>,
    /// The folder for the pictures.
    svg: Option<PathBuf>,
    /// Instructions in place of times.
    instructions: Option<instructions::Use>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self {
            quick: false,
            only: None,
            json: None,
            svg: None,
            instructions: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = |what: &str| {
                let value = args.next().cloned();
                value.ok_or_else(|| format!("{arg} needs {what}"))
            };
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--instructions" => {
                    options.instructions.get_or_insert(instructions::Use::Print);
                }
                "--check" => options.instructions = Some(instructions::Use::Check),
                "--write" => options.instructions = Some(instructions::Use::Write),
                "--only" => options.only = Some(value("a text")?),
                "--json" => options.json = Some(value("a file")?.into()),
                "--svg" => options.svg = Some(value("a folder")?.into()),
                other => {
                    return Err(format!(
                        "`bench` knows --quick, --only TEXT, --json FILE, --svg FOLDER, --instructions, --check \
                         and --write, not `{other}`"
                    ));
                }
            }
        }
        Ok(options)
    }

    fn rounds(&self) -> usize {
        if self.quick { 3 } else { 7 }
    }

    /// The requests of a round; a quick one has a quarter.
    fn requests(&self, full: u64) -> u64 {
        if self.quick { full.div_ceil(4) } else { full }
    }

    fn wants(&self, name: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
    }
}

/// Our programs, after the build.
struct Programs {
    folder: PathBuf,
}

impl Programs {
    fn build() -> Result<Self, String> {
        let mut benches = shell::cargo(["build", "--release", "--quiet"]);
        benches.args(["--package", "lacewing-benches", "--bins"]);
        shell::run(&mut benches)?;
        let mut program = shell::cargo(["build", "--release", "--quiet"]);
        shell::run(program.args(["--package", "lacewingd"]))?;
        let mut program = shell::cargo(["build", "--release", "--quiet"]);
        // `lacewing kube` has most of the dependencies, and is not measured.
        shell::run(program.args(["--package", "lacewing", "--no-default-features"]))?;
        Ok(Self {
            folder: shell::target_dir().join("release"),
        })
    }

    fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

/// Measures the CPU time per unit of work of every contender that is installed.
fn measure(
    workload: &Workload,
    programs: &Programs,
    site: &Site,
    options: &Options,
) -> Result<Row, String> {
    let serving = Serving {
        tls: workload.tls,
        access_log: workload.contenders.contains(&Contender::Lacewingd),
        reply: match workload.unit {
            Unit::MillisecondsPerGigabyte { bytes } => bytes,
            Unit::MicrosecondsPerRequest => 11,
        },
    };
    let mut servers = Vec::new();
    let contenders = workload.contenders.iter().copied();
    for contender in contenders.filter(|contender| contender.is_installed()) {
        let server = server::Pinned::start(contender, programs, site, serving)?;
        servers.push((contender, server));
    }
    let requests = options.requests(workload.requests);
    let turns = Turns {
        rounds: options.rounds(),
        requests,
        unit: workload.unit,
    };
    let upload = site.upload();
    let load = |port| load::run(workload, requests, port, programs, &upload);
    let measured = turns.measure(servers, load)?;
    Ok(Row {
        name: workload.name.to_owned(),
        unit: workload.unit.name(),
        figures: measured.figures,
        idles: measured.idles,
        bar: workload.bar,
    })
}

/// A folder for the files of the run, removed at its end.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("lacewing-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        Ok(Self { folder })
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
