//! `cargo xtask bench --instructions`: instructions for each request, by callgrind. Unlike times,
//! they are the same on a busy machine, so a file in the tree holds them: `--check` fails where a
//! figure has grown.

use super::Scratch;
use crate::shell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The figures of the tree: the compiler, then one line each with the count and the name of the
/// row.
const BASELINE: &str = "benches/instructions.txt";

/// The growth that `--check` permits: processors and C libraries differ a little.
const TOLERANCE: f64 = 1.05;

/// The same if another compiler built the programs.
const TOLERANCE_OF_COMPILERS: f64 = 1.2;

/// A row is the difference of two runs, so that the start and the end of the program cancel out.
const SHORT_RUN: u64 = 2_000;
const LONG_RUN: u64 = 12_000;

/// The time in which a program under callgrind starts to listen, or ends.
const PATIENCE: Duration = Duration::from_secs(60);

struct Row {
    name: &'static str,
    program: Program,
    connections: u32,
    streams: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    /// The library, with the routes of the benchmarks.
    Server,
    /// The program at its defaults, with a small file and its log.
    Lacewingd,
}

const ROWS: [Row; 4] = [
    Row {
        name: "server, small GET, 10 x 100 streams",
        program: Program::Server,
        connections: 10,
        streams: 100,
    },
    Row {
        name: "server, small GET, one at a time",
        program: Program::Server,
        connections: 1,
        streams: 1,
    },
    Row {
        name: "lacewingd, small file, 10 x 100 streams",
        program: Program::Lacewingd,
        connections: 10,
        streams: 100,
    },
    Row {
        name: "lacewingd, small file, one at a time",
        program: Program::Lacewingd,
        connections: 1,
        streams: 1,
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
        "{:<42} {:>9} {:>9}",
        "instructions a request",
        "now",
        "tree"
    );
    for row in &ROWS {
        if only.is_some_and(|only| !row.name.contains(only)) {
            continue;
        }
        let count = row.measure(scratch)?;
        let before = baseline.insert(row.name.to_owned(), count);
        let text = before.map_or("-".to_owned(), |before| before.to_string());
        say!("{:<42} {count:>9} {text:>9}", row.name);
        if before.is_none_or(|before| count as f64 > before as f64 * tolerance) {
            grown.push(format!("{}: {text} -> {count}", row.name));
        }
    }
    match purpose {
        Use::Write => write(&path, compiler, &baseline),
        Use::Check if !grown.is_empty() => Err(format!(
            "more instructions than {BASELINE} permits, or a row that it lacks (-): {}. Profile it with \
             `valgrind --tool=callgrind`; if the growth is worth it, say why in the commit and run \
             `cargo xtask bench --instructions --write`",
            grown.join("; ")
        )),
        Use::Check | Use::Print => Ok(()),
    }
}

fn build() -> Result<(), String> {
    let mut server = shell::cargo(["build", "--release", "--quiet"]);
    server.args(["--package", "lacewing-benches", "--bin", "bench-server"]);
    shell::run(&mut server)?;
    let mut program = shell::cargo(["build", "--release", "--quiet"]);
    shell::run(program.args(["--package", "lacewingd"]))
}

impl Row {
    fn measure(&self, scratch: &Scratch) -> Result<u64, String> {
        let short = self.count(scratch, SHORT_RUN)?;
        let long = self.count(scratch, LONG_RUN)?;
        Ok(long.saturating_sub(short) / (LONG_RUN - SHORT_RUN))
    }

    /// The instructions of a whole run.
    fn count(&self, scratch: &Scratch, requests: u64) -> Result<u64, String> {
        let profile = scratch.path("callgrind.out");
        let server = Profiled::start(self.program, scratch, &profile)?;
        let path = match self.program {
            Program::Server => "/",
            Program::Lacewingd => "/small.txt",
        };
        let printed = shell::output(
            Command::new("h2load")
                .arg(format!("-n{requests}"))
                .arg(format!("-c{}", self.connections))
                .arg(format!("-m{}", self.streams))
                .arg(format!("http://127.0.0.1:{}{path}", server.port)),
        )?;
        if !printed.contains(&format!("{requests} 2xx")) {
            return Err(format!(
                "{}: not every request succeeded:\n{}",
                self.name,
                shell::tail(&printed, 12)
            ));
        }
        server.stop()?;
        total(&profile)
    }
}

/// A server under callgrind, which dropping ends.
struct Profiled {
    child: Child,
    port: u16,
}

impl Profiled {
    fn start(program: Program, scratch: &Scratch, profile: &Path) -> Result<Self, String> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|e| e.to_string())?
            .port();
        let release = shell::target_dir().join("release");
        let mut command = Command::new("valgrind");
        command.arg("--tool=callgrind");
        command.arg(format!("--callgrind-out-file={}", profile.display()));
        match program {
            Program::Server => command.arg(release.join("bench-server")).args([
                "--threads",
                "1",
                "--port",
                &port.to_string(),
            ]),
            Program::Lacewingd => command
                .arg(release.join("lacewingd"))
                .args(["--threads", "1", "--https", "off", "--http"])
                .arg(format!("127.0.0.1:{port}"))
                .arg(scratch.path("")),
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("valgrind: {e}"))?;
        let mut server = Self { child, port };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = matches!(server.child.try_wait(), Ok(Some(_)));
            if ended || Instant::now() > deadline {
                return Err("the server does not listen under valgrind".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Stops it gracefully: callgrind writes its file at the end.
    fn stop(mut self) -> Result<(), String> {
        shell::run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().map_err(|e| e.to_string())?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("the server does not end at SIGTERM".into())
    }
}

impl Drop for Profiled {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sum in a file of callgrind.
fn total(profile: &Path) -> Result<u64, String> {
    let text = std::fs::read_to_string(profile).map_err(|e| format!("callgrind.out: {e}"))?;
    text.lines()
        .find_map(|line| {
            let sum = line
                .strip_prefix("totals: ")
                .or(line.strip_prefix("summary: "))?;
            sum.split_whitespace().next()?.parse().ok()
        })
        .ok_or_else(|| "callgrind.out has no sum".into())
}

/// The compiler and the rows of the file; none of both without a file.
fn read(path: &Path) -> Result<(String, BTreeMap<String, u64>), String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let (compiler, rows) = text.split_once('\n').unwrap_or_default();
    let rows = rows.lines().map(|line| {
        let (count, name) = line.split_once(' ')?;
        Some((name.trim().to_owned(), count.parse().ok()?))
    });
    let rows = rows.collect::<Option<_>>();
    let rows = rows.ok_or_else(|| format!("{BASELINE}: a line is not `COUNT NAME`"))?;
    Ok((compiler.to_owned(), rows))
}

fn write(path: &Path, compiler: &str, rows: &BTreeMap<String, u64>) -> Result<(), String> {
    let lines = rows.iter().map(|(name, count)| format!("{count} {name}\n"));
    let text = format!("{compiler}\n{}", lines.collect::<String>());
    std::fs::write(path, text).map_err(|e| format!("{BASELINE}: {e}"))
}
