//! The memory of an idle connection: many connections make one request each and then stay idle.

use super::server::{Pinned, Program};
use super::statistics::Sample;
use super::{Bar, Programs};
use crate::shell;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub(super) const NAME: &str = "idle connection";

pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) ours: Sample,
    pub(super) hyper: Sample,
    pub(super) bar: Option<Bar>,
}

/// The heap (by the counting allocator) and the resident memory, in bytes per connection.
pub(super) fn measure(programs: &Programs, count: u64) -> Result<[Row; 2], String> {
    let [ours, hyper] = [Program::Ours, Program::Hyper].map(|p| per_connection(programs, p, count));
    let ([my_heap, my_resident], [heap, resident]) = (ours?, hyper?);
    let name = NAME;
    Ok([
        Row {
            name,
            ours: my_heap,
            hyper: heap,
            bar: Some(Bar::Value(8192.0)),
        },
        Row {
            name: "idle connection, resident",
            ours: my_resident,
            hyper: resident,
            bar: None,
        },
    ])
}

fn per_connection(
    programs: &Programs,
    program: Program,
    count: u64,
) -> Result<[Sample; 2], String> {
    let mut samples = [Sample::default(), Sample::default()];
    for _ in 0..3 {
        let server = Pinned::start(&programs.path(program.name()), None)?;
        // The first connections also allocate memory that later ones share; leave it out.
        drop(Clients::open(programs, server.port(), 50)?);
        let before = [live_bytes(server.port())?, server.resident()?];
        let clients = Clients::open(programs, server.port(), count)?;
        let after = [live_bytes(server.port())?, server.resident()?];
        drop(clients);
        for (sample, (before, after)) in samples.iter_mut().zip(before.into_iter().zip(after)) {
            sample.push(after.saturating_sub(before) as f64 / count as f64);
        }
    }
    Ok(samples)
}

/// The bytes that are allocated and not freed, as the server counts them.
fn live_bytes(port: u16) -> Result<u64, String> {
    let url = format!("http://127.0.0.1:{port}/allocations");
    let printed =
        shell::output(Command::new("curl").args(["-sS", "--http2-prior-knowledge", &url]))?;
    let value = printed
        .lines()
        .find_map(|line| line.strip_prefix("live_bytes="));
    let value = value.and_then(|value| value.trim().parse().ok());
    value.ok_or_else(|| format!("no live_bytes in:\n{printed}"))
}

/// Open connections. Dropping closes them.
struct Clients {
    child: Child,
}

impl Clients {
    fn open(programs: &Programs, port: u16, count: u64) -> Result<Self, String> {
        let mut child = Command::new(programs.path("idle-clients"))
            .args([
                "--port",
                &port.to_string(),
                "--connections",
                &count.to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("idle-clients: {e}"))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            // An error is visible as a missing line.
            let _ = BufReader::new(out).read_line(&mut line);
        }
        let clients = Self { child };
        if line.trim() == format!("ready {count}") {
            Ok(clients)
        } else {
            Err(format!(
                "idle-clients did not get ready (is `ulimit -n` below {count}?)"
            ))
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
