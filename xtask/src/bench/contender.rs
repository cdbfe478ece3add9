//! The servers under comparison, and the command that starts each with one thread.

use super::Programs;
use super::site::{Serving, Site};
use crate::{node, shell};
use std::process::{Command, Stdio};

/// A server under comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Contender {
    /// Our library, with the routes of the benchmarks.
    Lacewing,
    /// The same on two threads, with a runtime each.
    LacewingThreads,
    /// Our program, at its defaults, with its log.
    Lacewingd,
    Hyper,
    H2,
    Nghttpd,
    H2o,
    Nginx,
    /// Node's `spdy` package: files by SPDY over TLS.
    NodeSpdy,
    /// nghttp2's reverse proxy, in the rows of lacewingd's.
    Nghttpx,
    /// Go's docker/spdystream, in the rows of Kubernetes.
    Spdystream,
    /// Replies that were formed beforehand, without header compression or streams: the floor of
    /// the machine, not a server.
    Canned,
}

impl Contender {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lacewing => "lacewing",
            Self::LacewingThreads => "two threads",
            Self::Lacewingd => "lacewingd",
            Self::Hyper => "hyper",
            Self::H2 => "h2",
            Self::Nghttpd => "nghttpd",
            Self::H2o => "h2o",
            Self::Nginx => "nginx",
            Self::NodeSpdy => "node spdy",
            Self::Nghttpx => "nghttpx",
            Self::Spdystream => "spdystream",
            Self::Canned => "floor",
        }
    }

    pub(super) fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Lacewing | Self::LacewingThreads | Self::Lacewingd
        )
    }

    /// A peer counts as the best one; the floor does not.
    pub(super) fn is_peer(self) -> bool {
        !self.is_ours() && self != Self::Canned
    }

    /// The program of a package that may be absent.
    pub(super) fn is_installed(self) -> bool {
        match self {
            Self::Nghttpd | Self::Nghttpx | Self::H2o | Self::Nginx => shell::exists(self.name()),
            Self::NodeSpdy => shell::exists("node") && shell::exists("npm"),
            Self::Spdystream => shell::exists("go"),
            _ => true,
        }
    }

    /// The list of cores for `taskset`.
    fn cores(self) -> &'static str {
        match self {
            Self::LacewingThreads => "0,1",
            _ => "0",
        }
    }

    /// The command that listens on a port of 127.0.0.1.
    pub(super) fn command(
        self,
        programs: &Programs,
        site: &Site,
        port: u16,
        options: Serving,
    ) -> Result<Command, String> {
        let (cert, key) = (site.certificate(), site.key());
        let mut command = Command::new("taskset");
        command.args(["-c", self.cores()]);
        match self {
            Self::Lacewing | Self::LacewingThreads | Self::Hyper | Self::H2 | Self::Canned => {
                self.bench_server(&mut command, programs, port, options.reply);
                if options.tls {
                    command.arg("--cert").arg(cert).arg("--key").arg(key);
                }
            }
            Self::Lacewingd => {
                command.arg(programs.path("lacewingd"));
                command.args(["--threads", "1"]);
                let address = format!("127.0.0.1:{port}");
                if options.tls {
                    command.args(["--http", "off", "--https", &address]);
                    command.arg("--cert").arg(cert).arg("--key").arg(key);
                } else {
                    command.args(["--https", "off", "--http", &address]);
                }
                command.arg(site.root());
                command.stdout(site.log(self.name())?);
            }
            Self::Nghttpd => {
                command.args([
                    "nghttpd",
                    "--workers=1",
                    "--max-concurrent-streams=1000",
                    "-a",
                ]);
                command.arg("127.0.0.1").arg("-d").arg(site.root());
                if options.tls {
                    command.arg(port.to_string()).arg(key).arg(cert);
                } else {
                    command.arg("--no-tls").arg(port.to_string());
                }
            }
            Self::H2o => {
                let configuration = site.h2o(port, options)?;
                command.args(["h2o", "-m", "worker", "-c"]);
                command.arg(configuration);
            }
            Self::Nginx => {
                let configuration = site.nginx(port, options)?;
                command.args(["nginx", "-e"]).arg(site.error_log());
                command.arg("-c").arg(configuration);
            }
            Self::NodeSpdy => {
                command
                    .arg("node")
                    .arg(node::peers()?.join("spdy-server.js"));
                // It looks for the last part of a path in its folder.
                command.arg(port.to_string()).arg(site.bytes());
                command.arg(cert).arg(key);
            }
            Self::Spdystream | Self::Nghttpx => {
                return Err(format!("{} serves no files", self.name()));
            }
        }
        if self != Self::Lacewingd {
            command.stdout(Stdio::null());
        }
        // Some servers log a line for every connection that ends early, and our probe for the
        // listener is such a connection.
        command.stdin(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    }

    /// Our library, and the servers that take the same arguments.
    fn bench_server(self, command: &mut Command, programs: &Programs, port: u16, reply: u64) {
        command.arg(programs.path(match self {
            Self::Hyper => "bench-server-hyper",
            Self::H2 => "bench-server-h2",
            Self::Canned => "bench-server-canned",
            _ => "bench-server",
        }));
        command.args(["--port", &port.to_string(), "--threads"]);
        match self {
            Self::LacewingThreads => command.args(["2", "--per-thread"]),
            _ => command.arg("1"),
        };
        command.args(["--max-streams", "1000"]);
        if self == Self::Canned {
            command.args(["--reply", &reply.to_string()]);
        }
    }
}
