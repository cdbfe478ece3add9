//! The conformance suite, `lacewing conform`: all of it must pass on our servers
//! and our client. `cargo xtask conform-peers` prints what others score.

use super::lab::{Lab, MEDIUM, SMALL, Security, Shared};
use super::process::free_port;
use super::{Case, Outcome};
use crate::shell;
use std::time::{Duration, Instant};

/// Some cases ask for it a hundred times, within the smallest windows.
const TINY: &str = "tiny.txt";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for security in Security::BOTH {
        for (server, shared) in [("lacewingd", Shared::Lacewingd), ("site", Shared::Site)] {
            let name = format!("http2/conform/{server}-{}", security.name());
            cases.push(Case::new(name, move |lab| {
                let score = score(lab, shared, security)?;
                match score.passed {
                    true => Ok(score.line),
                    false => Err(score.report),
                }
            }));
        }
    }
    cases.push(Case::new("http2/conform/lacewing-as-client", client));
    cases
}

/// What became of a server: the last line of the report, and all of it.
struct Score {
    passed: bool,
    line: String,
    report: String,
}

fn score(lab: &Lab, shared: Shared, security: Security) -> Result<Score, String> {
    let port = lab.port(shared, security)?;
    std::fs::write(lab.file(TINY), "tiny\n").map_err(|e| e.to_string())?;
    let mut command = lab.ours("lacewing");
    command.args(["conform", "--insecure", &security.url(port, TINY)]);
    command.args(["--large-path", &format!("/{MEDIUM}")]);
    if shared.takes_uploads() {
        command.args(["--post-path", "/digest"]);
    }
    let finished = lab.run(&mut command, 400)?;
    let line = finished.stdout.trim().lines().last().unwrap_or_default();
    Ok(Score {
        passed: finished.status.success(),
        line: line.to_owned(),
        report: format!("{}{}", finished.stdout, finished.stderr),
    })
}

impl Shared {
    /// Whether it knows `POST /digest`.
    fn takes_uploads(self) -> bool {
        !matches!(
            self,
            Self::Lacewingd | Self::NghttpdPlain | Self::NghttpdTls
        )
    }
}

/// `lacewing get` again and again, until the suite has seen it in every case.
fn client(lab: &Lab) -> Outcome {
    let port = free_port()?;
    let mut command = lab.ours("lacewing");
    command.args(["conform", "--client", "--listen"]);
    command.arg(format!("127.0.0.1:{port}"));
    let mut suite = lab.spawn(&mut command)?;
    let began = Instant::now();
    while !suite.has_ended() {
        if began.elapsed() > Duration::from_secs(200) {
            return Err("the suite does not end".into());
        }
        // What it gets depends on the case, and is the suite's to judge.
        let mut get = super::http2::lacewing(lab, "h2");
        get.args(["-o", "/dev/null", &Security::Plain.url(port, SMALL)]);
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
    let peers = [
        ("lacewingd", Shared::Lacewingd),
        ("lacewing, axum", Shared::Site),
        ("nghttpd", Shared::NghttpdTls),
        ("nginx", Shared::Nginx),
        ("h2o", Shared::H2o),
        ("nghttpx", Shared::Nghttpx),
        ("node", Shared::NodeHttp2Tls),
        ("go", Shared::GoHttp2Tls),
        ("hyper", Shared::HyperTls),
    ];
    let lab = Lab::set_up()?;
    let mut lines = Vec::new();
    for (name, shared) in peers {
        if only.is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let began = Instant::now();
        let line = match score(&lab, shared, Security::Tls) {
            Ok(score) => {
                println!("=== {name}\n{}", score.report);
                score.line
            }
            Err(error) => error,
        };
        lines.push(format!(
            "{name:<16} {line} ({} s)",
            began.elapsed().as_secs()
        ));
    }
    lab.remove();
    println!("\n{}", lines.join("\n"));
    Ok(())
}
