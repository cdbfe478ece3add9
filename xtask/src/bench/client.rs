//! The clients, in turns, against replies that were formed beforehand: the server costs little, and
//! the same for all.

use super::contender::Contender;
use super::server::Pinned;
use super::site::{Serving, Site};
use super::statistics::Sample;
use super::table::{Bar, Row};
use super::{Options, Programs};
use crate::shell;
use std::process::Command;

/// One workload for all clients.
pub(super) struct ClientWorkload {
    pub(super) name: &'static str,
    unit: &'static str,
    /// The argument of `bench-client --kind`.
    kind: &'static str,
    connections: u32,
    streams: u32,
    requests: u64,
    bar: Option<Bar>,
}

/// Ours first.
const CLIENTS: [(Contender, &str); 3] = [
    (Contender::Lacewing, "ours"),
    (Contender::Hyper, "hyper"),
    (Contender::H2, "h2"),
];

pub(super) const WORKLOADS: [ClientWorkload; 4] = [
    ClientWorkload {
        name: "client, small GET, 10 × 100",
        unit: "µs/req",
        kind: "get",
        connections: 10,
        streams: 100,
        requests: 200_000,
        bar: Some(Bar::ratio(Contender::H2, 0.55)),
    },
    ClientWorkload {
        name: "client, small GET, one at a time",
        unit: "µs/req",
        kind: "get",
        connections: 1,
        streams: 1,
        requests: 20_000,
        bar: None,
    },
    ClientWorkload {
        name: "client, GET 1 MiB, 4 × 4",
        unit: "ms/GB",
        kind: "download",
        connections: 4,
        streams: 4,
        requests: 2_000,
        bar: None,
    },
    ClientWorkload {
        name: "client, POST 1 MiB, 4 × 4",
        unit: "ms/GB",
        kind: "upload",
        connections: 4,
        streams: 4,
        requests: 2_000,
        bar: None,
    },
];

/// Measures the CPU time of each client per unit of work.
pub(super) fn measure(
    workload: &ClientWorkload,
    programs: &Programs,
    site: &Site,
    options: &Options,
) -> Result<Row, String> {
    let serving = Serving {
        reply: if workload.kind == "download" {
            1 << 20
        } else {
            11
        },
        ..Serving::PLAIN
    };
    let server = Pinned::start(Contender::Canned, programs, site, serving)?;
    let requests = if options.quick {
        workload.requests / 4
    } else {
        workload.requests
    };
    let mut figures = CLIENTS.map(|(contender, _)| (contender, Sample::default()));
    for round in 0..=options.rounds() {
        for turn in 0..CLIENTS.len() {
            let index = (turn + round) % CLIENTS.len();
            let mut command = Command::new("taskset");
            command.args(["-c", "1"]).arg(programs.path("bench-client"));
            command.args(["--peer", CLIENTS[index].1, "--kind", workload.kind]);
            command.arg(format!("--port={}", server.port()));
            command.arg(format!("--requests={requests}"));
            command.arg(format!("--connections={}", workload.connections));
            command.arg(format!("--streams={}", workload.streams));
            let printed = shell::output(&mut command)?;
            let figure = figure(&printed, workload.unit)
                .ok_or_else(|| format!("no {} in:\n{printed}", workload.unit))?;
            if round > 0 {
                figures[index].1.push(figure);
            }
        }
    }
    Ok(Row {
        name: workload.name.to_owned(),
        unit: workload.unit,
        figures: figures.into(),
        idles: workload.streams == 1,
        bar: workload.bar,
    })
}

/// The number before `unit` in the lines that start with `client CPU:`.
pub(super) fn figure(printed: &str, unit: &str) -> Option<f64> {
    let unit = if unit == "µs/req" {
        "µs/request"
    } else {
        unit
    };
    let mut lines = printed
        .lines()
        .filter_map(|line| line.strip_prefix("client CPU: "));
    lines.find_map(|line| line.strip_suffix(unit)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn the_figure_of_the_unit_is_read() {
        let printed = "9 requests in 1 s: 9 requests/s\n\
                       client CPU: 1.250 µs/request\nclient CPU: 177.0 ms/GB\n";
        assert_eq!(figure(printed, "µs/req"), Some(1.25));
        assert_eq!(figure(printed, "ms/GB"), Some(177.0));
        assert_eq!(figure("", "ms/GB"), None);
    }
}
