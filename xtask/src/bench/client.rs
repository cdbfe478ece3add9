//! Our client and hyper's, in turns, against the same server (hyper's).

use super::server::{Pinned, Program};
use super::statistics::Sample;
use super::{Bar, Programs};
use crate::shell;
use std::process::Command;

/// One workload for both clients.
pub(super) struct ClientWorkload {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// The argument of `bench-client --kind`.
    kind: &'static str,
    connections: u32,
    streams: u32,
    requests: u64,
    pub(super) bar: Option<Bar>,
}

pub(super) const WORKLOADS: [ClientWorkload; 3] = [
    ClientWorkload {
        name: "client, small GET, 10 × 100",
        unit: "µs/req",
        kind: "get",
        connections: 10,
        streams: 100,
        requests: 200_000,
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

/// The CPU time of the client per unit of work, of our client and hyper's.
pub(super) fn measure(
    workload: &ClientWorkload,
    programs: &Programs,
    rounds: usize,
    quick: bool,
) -> Result<[Sample; 2], String> {
    let server = Pinned::start(&programs.path(Program::Hyper.name()), None)?;
    let requests = if quick {
        workload.requests / 4
    } else {
        workload.requests
    };
    let mut samples = [Sample::default(), Sample::default()];
    for round in 0..=rounds {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for index in order {
            let peer = ["ours", "hyper"][index];
            let mut command = Command::new("taskset");
            command.args(["-c", "1"]).arg(programs.path("bench-client"));
            command.args(["--peer", peer, "--kind", workload.kind]);
            command.arg(format!("--port={}", server.port()));
            command.arg(format!("--requests={requests}"));
            command.arg(format!("--connections={}", workload.connections));
            command.arg(format!("--streams={}", workload.streams));
            let printed = shell::output(&mut command)?;
            let figure = figure(&printed, workload.unit)
                .ok_or_else(|| format!("no {} in:\n{printed}", workload.unit))?;
            if round > 0 {
                samples[index].push(figure);
            }
        }
    }
    Ok(samples)
}

/// The number before `unit` in the lines that start with `client CPU:`.
fn figure(printed: &str, unit: &str) -> Option<f64> {
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
