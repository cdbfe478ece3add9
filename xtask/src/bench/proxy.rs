//! lacewingd's reverse proxy beside nghttpx, on one core. The server behind them and the load
//! share the other.

use super::contender::Contender;
use super::server::Pinned;
use super::site::Site;
use super::table::{Bar, Row};
use super::turns::Turns;
use super::workload::Unit;
use super::{Options, Programs};
use crate::shell;
use std::process::{Command, Stdio};

/// One load on a proxy.
pub(super) struct ProxyWorkload {
    pub(super) name: &'static str,
    front: Front,
    behind: Behind,
    path: &'static str,
    requests: u64,
    unit: Unit,
}

/// The protocol before the proxy.
#[derive(Clone, Copy)]
enum Front {
    Http1,
    Http2,
}

/// The protocol behind it.
#[derive(Clone, Copy)]
enum Behind {
    Http1,
    Http2,
}

const fn small(name: &'static str, front: Front, behind: Behind) -> ProxyWorkload {
    ProxyWorkload {
        name,
        front,
        behind,
        path: "/",
        requests: 100_000,
        unit: Unit::MicrosecondsPerRequest,
    }
}

pub(super) const WORKLOADS: [ProxyWorkload; 5] = [
    small("proxy, HTTP/2 to HTTP/2", Front::Http2, Behind::Http2),
    small("proxy, HTTP/2 to HTTP/1.1", Front::Http2, Behind::Http1),
    small("proxy, HTTP/1.1 to HTTP/1.1", Front::Http1, Behind::Http1),
    ProxyWorkload {
        path: "/bytes/1048576",
        requests: 2_000,
        unit: Unit::MillisecondsPerGigabyte { bytes: 1 << 20 },
        ..small(
            "proxy, HTTP/2 to HTTP/2, 1 MiB",
            Front::Http2,
            Behind::Http2,
        )
    },
    ProxyWorkload {
        path: "/bytes/1048576",
        requests: 2_000,
        unit: Unit::MillisecondsPerGigabyte { bytes: 1 << 20 },
        ..small(
            "proxy, HTTP/2 to HTTP/1.1, 1 MiB",
            Front::Http2,
            Behind::Http1,
        )
    },
];

/// Ours first. Both write their access log.
const CONTENDERS: [Contender; 2] = [Contender::Lacewingd, Contender::Nghttpx];

/// The bound of our CPU time, relative to nghttpx's.
const MOST: f64 = 0.8;

pub(super) fn measure(
    workload: &ProxyWorkload,
    programs: &Programs,
    site: &Site,
    options: &Options,
) -> Result<Row, String> {
    let upstream = Pinned::listen("bench-server", |port| {
        let mut command = pinned("1", programs.path("bench-server"));
        command.args(["--threads", "1", "--max-streams", "1000"]);
        command.args(["--port", &port.to_string()]);
        Ok(command)
    })?;
    let mut proxies = Vec::new();
    for contender in CONTENDERS {
        let proxy = Pinned::listen(contender.name(), |port| {
            workload.command(contender, programs, site, port, upstream.port())
        })?;
        proxies.push((contender, proxy));
    }
    let turns = Turns {
        rounds: options.rounds(),
        requests: options.requests(workload.requests),
        unit: workload.unit,
    };
    let measured = turns.measure(proxies, |port| workload.load(turns.requests, port))?;
    Ok(Row {
        name: workload.name.to_owned(),
        unit: workload.unit.name(),
        figures: measured.figures,
        idles: measured.idles,
        bar: Some(Bar::best_peer(MOST)),
    })
}

impl ProxyWorkload {
    /// The proxy on the first core, with one thread for the work.
    fn command(
        &self,
        contender: Contender,
        programs: &Programs,
        site: &Site,
        port: u16,
        upstream: u16,
    ) -> Result<Command, String> {
        if contender == Contender::Lacewingd {
            let scheme = match self.behind {
                Behind::Http1 => "http",
                Behind::Http2 => "h2c",
            };
            let mut command = pinned("0", programs.path("lacewingd"));
            command.args(["--threads", "1", "--https", "off"]);
            command.arg(format!("--http=127.0.0.1:{port}"));
            command.arg(format!("--proxy={scheme}://127.0.0.1:{upstream}"));
            command.stdout(site.log("proxy")?);
            return Ok(command);
        }
        let protocol = match self.behind {
            Behind::Http1 => "http/1.1",
            Behind::Http2 => "h2",
        };
        let mut command = pinned("0", "nghttpx");
        command.args(["--conf=/dev/null", "--no-ocsp", "--single-process"]);
        command.args([
            "--workers=1",
            "--frontend-http2-max-concurrent-streams=1000",
        ]);
        command.arg(format!("--frontend=127.0.0.1,{port};no-tls"));
        command.arg(format!("--backend=127.0.0.1,{upstream};;proto={protocol}"));
        let log = site.error_log().with_file_name("nghttpx.log");
        command.arg(format!("--accesslog-file={}", log.display()));
        Ok(command)
    }

    /// 100 requests at a time.
    fn load(&self, requests: u64, port: u16) -> Result<(), String> {
        let mut command = Command::new("taskset");
        command.args(["-c", "1", "h2load", &format!("-n{requests}")]);
        match self.front {
            Front::Http1 => command.args(["--h1", "-c100", "-m1"]),
            Front::Http2 => command.args(["-c10", "-m10"]),
        };
        command.arg(format!("http://127.0.0.1:{port}{}", self.path));
        let printed = shell::output(&mut command)?;
        match printed.contains(&format!("{requests} 2xx")) {
            true => Ok(()),
            false => Err(format!("not every request succeeded:\n{printed}")),
        }
    }
}

/// A program on one core, without output.
fn pinned(core: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
