//! A server on the first core, and the resources that it used.

use super::Programs;
use super::contender::Contender;
use super::site::{Serving, Site};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server with one thread on core 0, which dropping ends.
pub(super) struct Pinned {
    child: Child,
    port: u16,
}

impl Pinned {
    pub(super) fn start(
        contender: Contender,
        programs: &Programs,
        site: &Site,
        options: Serving,
    ) -> Result<Self, String> {
        Self::listen(contender.name(), |port| {
            contender.command(programs, site, port, options)
        })
    }

    /// Starts our server with the routes of the benchmarks.
    pub(super) fn bench_server(program: &Path) -> Result<Self, String> {
        Self::listen("bench-server", |port| {
            let mut command = Command::new("taskset");
            command.args(["-c", "0"]).arg(program);
            command.args(["--threads", "1", "--port", &port.to_string()]);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(Stdio::null());
            Ok(command)
        })
    }

    /// Starts a server, and waits until it listens. `taskset` replaces itself by the program, so
    /// the child is the server.
    pub(super) fn listen(
        name: &str,
        command: impl FnOnce(u16) -> Result<Command, String>,
    ) -> Result<Self, String> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|e| e.to_string())?
            .port();
        let child = command(port)?
            .spawn()
            .map_err(|e| format!("{name} does not start: {e}"))?;
        let mut server = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = matches!(server.child.try_wait(), Ok(Some(_)));
            if ended || Instant::now() > deadline {
                return Err(format!("{name} does not listen"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The CPU time of all its threads so far, as the scheduler counts it.
    pub(super) fn cpu(&self) -> Result<Duration, String> {
        let folder = format!("/proc/{}/task", self.child.id());
        let mut nanoseconds = 0;
        let threads = std::fs::read_dir(&folder).map_err(|e| format!("{folder}: {e}"))?;
        for thread in threads.flatten() {
            let path = thread.path().join("schedstat");
            let text =
                std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let first = text
                .split_whitespace()
                .next()
                .and_then(|word| word.parse::<u64>().ok());
            nanoseconds += first.ok_or_else(|| format!("{}: no number", path.display()))?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// The resident memory in bytes.
    pub(super) fn resident(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes
            .map(|kb| kb * 1024)
            .ok_or_else(|| format!("{path}: no VmRSS"))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
