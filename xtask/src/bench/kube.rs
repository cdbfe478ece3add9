//! Kubernetes' exec and port-forward, and raw streams of SPDY/3.1: ours beside Go's spdystream. The
//! other side is ours in every row, on the other core; commands and pods run beside it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::contender::Contender;
use super::server::Pinned;
use super::statistics::Sample;
use super::table::{Bar, Row};
use super::{Options, Programs, Scratch};
use crate::{go, shell};

/// One load, which a side of it is measured under.
pub(super) struct KubeWorkload {
    pub(super) name: &'static str,
    /// The argument of `bench-kube load`.
    kind: &'static str,
    measured: Measured,
    most: f64,
}

/// The side whose CPU time is the figure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measured {
    Server,
    Client,
    /// The client of raw streams; its server knows no HTTP.
    RawClient,
}

const BYTES: u64 = 1 << 30;

/// At least twice as cheap.
const HALF: f64 = 0.5;

/// At least three times as cheap.
const THIRD: f64 = 1.0 / 3.0;

const fn row(
    name: &'static str,
    kind: &'static str,
    measured: Measured,
    most: f64,
) -> KubeWorkload {
    KubeWorkload {
        name,
        kind,
        measured,
        most,
    }
}

pub(super) const WORKLOADS: [KubeWorkload; 10] = [
    row(
        "kube server, exec stdout",
        "exec-stdout",
        Measured::Server,
        HALF,
    ),
    row(
        "kube server, exec stdin",
        "exec-stdin",
        Measured::Server,
        HALF,
    ),
    row(
        "kube server, forward down",
        "forward-down",
        Measured::Server,
        HALF,
    ),
    row(
        "kube server, forward up",
        "forward-up",
        Measured::Server,
        HALF,
    ),
    row(
        "kube client, exec stdout",
        "exec-stdout",
        Measured::Client,
        HALF,
    ),
    row(
        "kube client, exec stdin",
        "exec-stdin",
        Measured::Client,
        HALF,
    ),
    row(
        "kube client, forward down",
        "forward-down",
        Measured::Client,
        HALF,
    ),
    row(
        "kube client, forward up",
        "forward-up",
        Measured::Client,
        HALF,
    ),
    row(
        "raw stream, receiving",
        "raw-down",
        Measured::RawClient,
        THIRD,
    ),
    row("raw stream, sending", "raw-up", Measured::RawClient, THIRD),
];

/// Ours first.
const CONTENDERS: [Contender; 2] = [Contender::Lacewing, Contender::Spdystream];

/// Measures the rows that the options name. Needs Go for any of them.
pub(super) fn measure(
    programs: &Programs,
    scratch: &Scratch,
    options: &Options,
) -> Vec<(&'static str, Result<Row, String>)> {
    let wanted = || WORKLOADS.iter().filter(|row| options.wants(row.name));
    if wanted().next().is_none() {
        return Vec::new();
    }
    if !Contender::Spdystream.is_installed() {
        say!("left out: `go` is not installed, which the rows of spdystream need");
        return Vec::new();
    }
    let parts = go::build("kubernetes", &scratch.path("")).map(|go| Parts {
        ours: programs.path("bench-kube"),
        go,
    });
    wanted()
        .map(|workload| {
            let parts = parts.as_ref().map_err(Clone::clone);
            let row = parts.and_then(|parts| parts.measure(workload, options));
            (workload.name, row)
        })
        .collect()
}

/// The programs of a row.
struct Parts {
    ours: PathBuf,
    go: PathBuf,
}

impl Parts {
    fn measure(&self, workload: &KubeWorkload, options: &Options) -> Result<Row, String> {
        let pod = self.start_ours("pod", "1")?;
        let mut servers = Vec::new();
        for contender in CONTENDERS {
            servers.push(match (workload.measured, contender) {
                (Measured::Server, Contender::Spdystream) => self.start_go()?,
                (Measured::RawClient, _) => self.start_ours("raw", "1")?,
                (Measured::Server, _) => self.start_ours("serve", "0")?,
                (Measured::Client, _) => self.start_ours("serve", "1")?,
            });
        }
        let bytes = if options.quick { BYTES / 4 } else { BYTES };
        let mut figures = CONTENDERS.map(|contender| (contender, Sample::default()));
        for round in 0..=options.rounds() {
            for turn in 0..CONTENDERS.len() {
                let index = (turn + round) % CONTENDERS.len();
                let server = &servers[index];
                let contender = CONTENDERS[index];
                let mut client = match (workload.measured, contender) {
                    (Measured::Server, _) => self.our_load(workload, server, bytes, &pod, "1"),
                    (_, Contender::Spdystream) => self.go_load(workload, server, bytes, &pod),
                    _ => self.our_load(workload, server, bytes, &pod, "0"),
                };
                let before = server.cpu()?;
                let printed = shell::output(&mut client)?;
                let spent = (server.cpu()? - before).as_secs_f64();
                let figure = match workload.measured {
                    Measured::Server => spent * 1e3 / (bytes as f64 * 1e-9),
                    _ => super::client::figure(&printed, "ms/GB")
                        .ok_or_else(|| format!("no figure in:\n{printed}"))?,
                };
                if round > 0 {
                    figures[index].1.push(figure);
                }
            }
        }
        Ok(Row {
            name: workload.name.to_owned(),
            unit: "ms/GB",
            figures: figures.into(),
            idles: false,
            bar: Some(Bar::ratio(Contender::Spdystream, workload.most)),
        })
    }

    fn start_ours(&self, role: &str, core: &str) -> Result<Pinned, String> {
        Pinned::listen(role, |port| {
            let mut command = quiet(core, &self.ours);
            command.args(["--port", &port.to_string(), role]);
            Ok(command)
        })
    }

    fn start_go(&self) -> Result<Pinned, String> {
        Pinned::listen("spdystream", |port| {
            let mut command = quiet("0", &self.go);
            command.args(["serve", &format!("127.0.0.1:{port}")]);
            Ok(command)
        })
    }

    fn our_load(
        &self,
        workload: &KubeWorkload,
        server: &Pinned,
        bytes: u64,
        pod: &Pinned,
        core: &str,
    ) -> Command {
        let mut command = pinned(core, &self.ours);
        command.args(["--port", &server.port().to_string(), "load", workload.kind]);
        command.args([&bytes.to_string(), "--pod", &pod.port().to_string()]);
        command
    }

    fn go_load(
        &self,
        workload: &KubeWorkload,
        server: &Pinned,
        bytes: u64,
        pod: &Pinned,
    ) -> Command {
        let mut command = pinned("0", &self.go);
        let kind = match workload.kind.starts_with("forward") {
            true => format!("{}:{}", workload.kind, pod.port()),
            false => workload.kind.to_owned(),
        };
        command.args(["load", &format!("127.0.0.1:{}", server.port()), &kind]);
        command.arg(bytes.to_string());
        command
    }
}

/// A program on one core, and with one thread for Go's code as well.
fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command.env("GOMAXPROCS", "1");
    command
}

/// A server on one core, without output.
fn quiet(core: &str, program: &Path) -> Command {
    let mut command = pinned(core, program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
