//! The resident memory of an idle connection: many connections make one request each, or none, and
//! then stay idle. The resident memory of an open upload: streams whose content has not arrived.

use super::contender::Contender;
use super::server::Pinned;
use super::site::{Serving, Site};
use super::statistics::Sample;
use super::table::{Bar, Row};
use super::{Options, Programs};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// One row.
struct Idle {
    name: &'static str,
    /// What each connection does before it is idle: options of `idle-clients`.
    before: &'static [&'static str],
    /// Streams that it keeps open. The figure is that of a stream, with its share of the connection.
    uploads: u64,
    contenders: &'static [Contender],
    /// The bound in bytes.
    most: f64,
}

const ROWS: [Idle; 4] = [
    Idle {
        name: "idle connection",
        before: &["--requests", "0"],
        uploads: 0,
        contenders: HTTP2,
        most: 1_800.0,
    },
    Idle {
        name: "idle connection after a request",
        before: &["--requests", "1"],
        uploads: 0,
        contenders: HTTP2,
        most: 2_000.0,
    },
    Idle {
        name: "idle connection after a request, SPDY/3.1",
        before: &["--requests", "1", "--spdy"],
        uploads: 0,
        contenders: &[Contender::Lacewing],
        most: 6_000.0,
    },
    Idle {
        name: "idle upload stream",
        before: &["--requests", "0", "--uploads", "100"],
        uploads: 100,
        contenders: UPLOADS,
        most: 650.0,
    },
];

const HTTP2: &[Contender] = &[
    Contender::Lacewing,
    Contender::Hyper,
    Contender::H2,
    Contender::Nghttpd,
    Contender::H2o,
    Contender::Nginx,
];

/// Those that read an upload to its end. Servers of files may refuse it before.
const UPLOADS: &[Contender] = &[Contender::Lacewing, Contender::Hyper, Contender::H2];

/// An idle connection gives its state away after a moment without a stream.
const PAUSE: Duration = Duration::from_secs(1);

/// Measures the rows that the options name.
pub(super) fn measure(
    programs: &Programs,
    site: &Site,
    options: &Options,
) -> Result<Vec<Row>, String> {
    let count = if options.quick { 1_000 } else { 4_000 };
    let wanted = ROWS.iter().filter(|idle| options.wants(idle.name));
    wanted
        .map(|idle| {
            let contenders = idle.contenders.iter().copied();
            let contenders = contenders.filter(|contender| contender.is_installed());
            let figures = contenders.map(|contender| {
                let sample = per_connection(contender, programs, site, count, idle)?;
                Ok((contender, sample))
            });
            Ok(Row {
                name: idle.name.to_owned(),
                unit: "bytes",
                figures: figures.collect::<Result<_, String>>()?,
                idles: false,
                bar: Some(Bar::value(idle.most)),
            })
        })
        .collect()
}

fn per_connection(
    contender: Contender,
    programs: &Programs,
    site: &Site,
    count: u64,
    idle: &Idle,
) -> Result<Sample, String> {
    let mut sample = Sample::default();
    let connections = count / idle.uploads.max(1);
    for _ in 0..3 {
        let server = Pinned::start(contender, programs, site, Serving::PLAIN)?;
        // The first connections also allocate memory that later ones share; leave it out.
        let few = connections.div_ceil(80);
        drop(Clients::open(programs, server.port(), few, idle)?);
        let before = server.resident()?;
        let clients = Clients::open(programs, server.port(), connections, idle)?;
        std::thread::sleep(PAUSE);
        let after = server.resident()?;
        drop(clients);
        sample.push(after.saturating_sub(before) as f64 / count as f64);
    }
    Ok(sample)
}

/// Open connections. Dropping closes them.
struct Clients {
    child: Child,
}

impl Clients {
    fn open(programs: &Programs, port: u16, count: u64, idle: &Idle) -> Result<Self, String> {
        let mut child = Command::new(programs.path("idle-clients"))
            .args(idle.before)
            .args(["--port", &port.to_string()])
            .args(["--connections", &count.to_string()])
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
