//! The conformance suite, `lacewing conform`: all of it must pass on our servers
//! and our client. `cargo xtask conform-peers` prints what others score.

use super::fixture::{Fixture, MEDIUM, SMALL, Security, Shared};
use super::peer_servers;
use super::process::free_port;
use super::{Case, Outcome};
use crate::shell;
use std::time::{Duration, Instant};

/// Some cases ask for it a hundred times, within the smallest windows.
const TINY: &str = "tiny.txt";

/// The groups of cases, and the protocol of each.
const PROTOCOLS: [(&str, &str); 4] = [
    ("http2", "h2"),
    ("spdy/2", "spdy/2"),
    ("spdy/3", "spdy/3"),
    ("spdy/3.1", "spdy/3.1"),
];

/// Our servers take what looks like this for SPDY/3.1, which has a window that
/// SPDY/3 has not.
const AMBIGUOUS: (&str, Security) = ("spdy/3", Security::Plain);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (group, protocol) in PROTOCOLS {
        for security in Security::BOTH {
            for (server, shared) in [("lacewingd", Shared::Lacewingd), ("site", Shared::Site)] {
                if (protocol, security) == AMBIGUOUS {
                    continue;
                }
                let name = format!("{group}/conform/{server}-{}", security.name());
                cases.push(Case::new(name, move |fixture| {
                    let score = score(fixture, shared, protocol, security, &["--strict"])?;
                    match score.passed {
                        true => Ok(score.line),
                        false => Err(score.report),
                    }
                }));
            }
            let name = format!("{group}/conform/lacewing-as-client-{}", security.name());
            cases.push(Case::new(name, move |fixture| {
                client(fixture, protocol, security)
            }));
        }
    }
    cases
}

/// The result of a server: the last line of the report, and all of it.
struct Score {
    passed: bool,
    line: String,
    report: String,
}

fn score(
    fixture: &Fixture,
    shared: Shared,
    protocol: &str,
    security: Security,
    options: &[&str],
) -> Result<Score, String> {
    let port = fixture.port(shared, security)?;
    std::fs::write(fixture.file(TINY), "tiny\n").map_err(|e| e.to_string())?;
    let mut command = fixture.ours("lacewing");
    command.args(["conform", "--insecure", &security.url(port, TINY)]);
    command.args(["--protocol", protocol]).args(options);
    command.args(["--large-path", &format!("/{MEDIUM}")]);
    if shared.takes_uploads() {
        command.args(["--post-path", "/digest"]);
    }
    let finished = fixture.run(&mut command, 400)?;
    let line = finished.stdout.trim().lines().last().unwrap_or_default();
    Ok(Score {
        passed: finished.status.success(),
        line: line.to_owned(),
        report: format!("{}{}", finished.stdout, finished.stderr),
    })
}

impl Shared {
    /// Returns whether it knows `POST /digest`.
    fn takes_uploads(self) -> bool {
        !matches!(
            self,
            Self::Lacewingd | Self::NghttpdPlain | Self::NghttpdTls
        )
    }
}

/// `lacewing get` again and again, until the suite has seen it in every case.
fn client(fixture: &Fixture, protocol: &str, security: Security) -> Outcome {
    let port = free_port()?;
    let mut command = fixture.ours("lacewing");
    command.args(["conform", "--client", "--strict", "--protocol", protocol]);
    command.args(["--listen", &format!("127.0.0.1:{port}")]);
    if security == Security::Tls {
        command.arg("--tls");
    }
    let mut suite = fixture.spawn(&mut command)?;
    let began = Instant::now();
    while !suite.has_ended() {
        if began.elapsed() > Duration::from_secs(200) {
            return Err("the suite does not end".into());
        }
        // What it gets depends on the case, and is the suite's to judge.
        let mut get = super::http2::lacewing(fixture, protocol);
        get.args(["-o", "/dev/null", &security.url(port, SMALL)]);
        let _ = shell::output(&mut get);
        // It listens a moment after it has started.
        std::thread::sleep(Duration::from_millis(2));
    }
    let report = suite.finish(1)?.success()?;
    Ok(report.trim().lines().last().unwrap_or_default().to_owned())
}

/// `cargo xtask conform-peers`.
pub(crate) fn scores(args: &[String]) -> Result<(), String> {
    let only = args.first();
    let http2 = [
        ("lacewingd", Shared::Lacewingd),
        ("lacewing, axum", Shared::Site),
        ("nghttpd", Shared::NghttpdTls),
        ("nginx", Shared::Nginx),
        ("h2o", Shared::H2o),
        ("nghttpx", Shared::Nghttpx),
        ("node", Shared::NodeHttp2Tls),
        ("go", Shared::GoHttp2Tls),
        ("hyper", Shared::HyperTls),
    ]
    .map(|(name, shared)| (name, shared, "h2"));
    let spdy = ["spdy/2", "spdy/3", "spdy/3.1"].into_iter();
    let spdy = spdy.flat_map(|version| {
        [
            ("lacewingd", Shared::Lacewingd, version),
            ("lacewing, axum", Shared::Site, version),
            ("node spdy", Shared::NodeSpdyPackage, version),
        ]
    });
    let netty = [("netty", Shared::NettyTls, "spdy/3.1")];
    let fixture = Fixture::set_up(peer_servers::start)?;
    let mut lines = Vec::new();
    for (name, shared, protocol) in http2.into_iter().chain(spdy).chain(netty) {
        let name = format!("{name}, {protocol}");
        if only.is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let began = Instant::now();
        let line = match score(&fixture, shared, protocol, Security::Tls, &[]) {
            Ok(score) => {
                say!("=== {name}\n{}", score.report);
                score.line
            }
            Err(error) => error,
        };
        lines.push(format!(
            "{name:<24} {line} ({} s)",
            began.elapsed().as_secs()
        ));
    }
    fixture.remove();
    say!("\n{}", lines.join("\n"));
    Ok(())
}
