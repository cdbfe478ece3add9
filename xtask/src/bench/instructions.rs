//! `cargo xtask bench --instructions`: instructions and heap allocations for each request, by
//! callgrind. Unlike times, they are the same on a busy machine, so a file in the tree holds them:
//! `--check` fails where a figure has grown.

mod profile;

use self::profile::{Cost, Profiled};
use super::{Scratch, fields};
use crate::shell;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The figures of the tree: the compiler, then one line each with instructions, allocations and
/// the name of the row.
const BASELINE: &str = "benches/instructions.txt";

/// The growth of instructions that `--check` permits: processors and C libraries differ a little.
const TOLERANCE: f64 = 1.05;

/// The same if another compiler built the programs.
const TOLERANCE_OF_COMPILERS: f64 = 1.2;

/// The growth of allocations that `--check` permits: those of a connection, divided by its requests.
const TOLERANCE_OF_ALLOCATIONS: f64 = 0.15;

/// A row is the difference of two runs, so that the start and the end of the program cancel out.
const SHORT_RUN: u64 = 2_000;
const LONG_RUN: u64 = 12_000;

struct Row {
    name: &'static str,
    program: Program,
    connections: u32,
    streams: u32,
    fields: Fields,
}

/// The program that is profiled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    /// The server library, with the routes of the benchmarks.
    Server,
    /// The program at its defaults, with a small file and its log.
    Lacewingd,
    /// The client library, on the server's routes.
    Client,
}

/// The request header fields beside those that the load generator always sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fields {
    None,
    /// 30 fields that fit the dynamic table.
    Thirty,
}

const SMALL: Row = Row {
    name: "server, small GET, 10 x 100 streams",
    program: Program::Server,
    connections: 10,
    streams: 100,
    fields: Fields::None,
};

const ROWS: [Row; 7] = [
    SMALL,
    Row {
        name: "server, small GET, one at a time",
        connections: 1,
        streams: 1,
        ..SMALL
    },
    Row {
        name: "server, 30 request fields, 1 x 100 streams",
        connections: 1,
        fields: Fields::Thirty,
        ..SMALL
    },
    Row {
        name: "client, small GET, 10 x 100 streams",
        program: Program::Client,
        ..SMALL
    },
    Row {
        name: "client, small GET, one at a time",
        program: Program::Client,
        connections: 1,
        streams: 1,
        ..SMALL
    },
    Row {
        name: "lacewingd, small file, 10 x 100 streams",
        program: Program::Lacewingd,
        ..SMALL
    },
    Row {
        name: "lacewingd, small file, one at a time",
        program: Program::Lacewingd,
        connections: 1,
        streams: 1,
        ..SMALL
    },
];

/// The use of the figures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Print,
    /// An error if one has grown beyond the file in the tree.
    Check,
    /// Writes the file in the tree.
    Write,
}

pub(super) fn run(scratch: &Scratch, purpose: Use, only: Option<&str>) -> Result<(), String> {
    if !shell::exists("valgrind") {
        return Err("`valgrind` is not installed (apt: valgrind)".into());
    }
    build()?;
    std::fs::write(scratch.path("small.txt"), "hello world\n").map_err(|e| e.to_string())?;
    let path = shell::root().join(BASELINE);
    let compiler = shell::output(Command::new("rustc").arg("--version"))?;
    let compiler = compiler.trim();
    let (built_by, mut baseline) = read(&path)?;
    let tolerance = if built_by == compiler {
        TOLERANCE
    } else {
        say!("{BASELINE} is of {built_by:?}, this is {compiler}: a fifth more is permitted");
        TOLERANCE_OF_COMPILERS
    };
    let mut grown = Vec::new();
    say!(
        "{:<44} {:>9} {:>9} {:>8} {:>8}",
        "a request",
        "instr.",
        "tree",
        "allocs",
        "tree"
    );
    for row in &ROWS {
        if only.is_some_and(|only| !row.name.contains(only)) {
            continue;
        }
        let cost = row.measure(scratch)?;
        let before = baseline.insert(row.name.to_owned(), cost);
        let text = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
        say!(
            "{:<44} {:>9} {:>9} {:>8.1} {:>8}",
            row.name,
            cost.instructions,
            text(before.map(|before| before.instructions.to_string())),
            cost.allocations,
            text(before.map(|before| format!("{:.1}", before.allocations))),
        );
        if before.is_none_or(|before| cost.exceeds(before, tolerance)) {
            let before = before.map_or_else(|| "-".to_owned(), |before| before.to_string());
            grown.push(format!("{}: {before} -> {cost}", row.name));
        }
    }
    match purpose {
        Use::Write => write(&path, compiler, &baseline),
        Use::Check if !grown.is_empty() => Err(format!(
            "more instructions or allocations than {BASELINE} permits, or a row that it lacks (-): {}. \
             Profile it with `valgrind --tool=callgrind`; if the growth is worth it, say why in the commit \
             and run `cargo xtask bench --instructions --write`",
            grown.join("; ")
        )),
        Use::Check | Use::Print => Ok(()),
    }
}

fn build() -> Result<(), String> {
    let mut programs = shell::cargo(["build", "--release", "--quiet"]);
    programs.args(["--package", "lacewing-benches"]);
    programs.args(["--bin", "bench-server", "--bin", "bench-client"]);
    shell::run(&mut programs)?;
    let mut program = shell::cargo(["build", "--release", "--quiet"]);
    shell::run(program.args(["--package", "lacewingd"]))
}

impl Cost {
    fn exceeds(self, before: Self, tolerance: f64) -> bool {
        self.instructions as f64 > before.instructions as f64 * tolerance
            || self.allocations > before.allocations + TOLERANCE_OF_ALLOCATIONS
    }
}

impl Row {
    fn measure(&self, scratch: &Scratch) -> Result<Cost, String> {
        let short = self.count(scratch, SHORT_RUN)?;
        let long = self.count(scratch, LONG_RUN)?;
        let requests = LONG_RUN - SHORT_RUN;
        Ok(Cost {
            instructions: long.instructions.saturating_sub(short.instructions) / requests,
            allocations: (long.allocations - short.allocations) / requests as f64,
        })
    }

    /// The cost of a whole run.
    fn count(&self, scratch: &Scratch, requests: u64) -> Result<Cost, String> {
        let profile = scratch.path("callgrind.out");
        match self.program {
            Program::Client => self.count_client(&profile, requests)?,
            Program::Server | Program::Lacewingd => {
                self.count_server(scratch, &profile, requests)?;
            }
        }
        profile::read(&profile)
    }

    fn count_server(&self, scratch: &Scratch, profile: &Path, requests: u64) -> Result<(), String> {
        let release = shell::target_dir().join("release");
        let (server, path) = match self.program {
            Program::Lacewingd => {
                let start = |port: u16, command: &mut Command| {
                    command.arg(release.join("lacewingd"));
                    command.args(["--threads", "1", "--https", "off", "--http"]);
                    command
                        .arg(format!("127.0.0.1:{port}"))
                        .arg(scratch.path(""));
                };
                (Profiled::start(profile, start)?, "/small.txt")
            }
            Program::Server | Program::Client => {
                let start = |port: u16, command: &mut Command| {
                    command.arg(release.join("bench-server"));
                    command.args(["--threads", "1", "--port", &port.to_string()]);
                };
                (Profiled::start(profile, start)?, "/")
            }
        };
        let mut load = Command::new("h2load");
        load.arg(format!("-n{requests}"))
            .arg(format!("-c{}", self.connections))
            .arg(format!("-m{}", self.streams));
        if self.fields == Fields::Thirty {
            load.args(fields::thirty());
        }
        load.arg(format!("http://127.0.0.1:{}{path}", server.port()));
        let printed = shell::output(&mut load)?;
        if !printed.contains(&format!("{requests} 2xx")) {
            return Err(format!(
                "{}: not every request succeeded:\n{}",
                self.name,
                shell::tail(&printed, 12)
            ));
        }
        server.stop()
    }

    fn count_client(&self, profile: &Path, requests: u64) -> Result<(), String> {
        let release = shell::target_dir().join("release");
        let server = super::server::Pinned::bench_server(&release.join("bench-server"))?;
        let mut client = profile::callgrind(profile);
        client.arg(release.join("bench-client"));
        client.args(["--peer", "ours", "--kind", "get"]);
        client
            .arg(format!("--port={}", server.port()))
            .arg(format!("--requests={requests}"))
            .arg(format!("--connections={}", self.connections))
            .arg(format!("--streams={}", self.streams));
        shell::output(&mut client).map(drop)
    }
}

/// The compiler and the rows of the file; none of both without a file.
fn read(path: &Path) -> Result<(String, BTreeMap<String, Cost>), String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let (compiler, rows) = text.split_once('\n').unwrap_or_default();
    let rows = rows.lines().map(|line| {
        let mut words = line.splitn(3, ' ');
        let cost = Cost {
            instructions: words.next()?.parse().ok()?,
            allocations: words.next()?.parse().ok()?,
        };
        Some((words.next()?.trim().to_owned(), cost))
    });
    let rows = rows.collect::<Option<_>>();
    let rows =
        rows.ok_or_else(|| format!("{BASELINE}: a line is not `INSTRUCTIONS ALLOCATIONS NAME`"))?;
    Ok((compiler.to_owned(), rows))
}

fn write(path: &Path, compiler: &str, rows: &BTreeMap<String, Cost>) -> Result<(), String> {
    let lines = rows.iter().map(|(name, cost)| {
        let Cost {
            instructions,
            allocations,
        } = cost;
        format!("{instructions} {allocations:.1} {name}\n")
    });
    let text = format!("{compiler}\n{}", lines.collect::<String>());
    std::fs::write(path, text).map_err(|e| format!("{BASELINE}: {e}"))
}
