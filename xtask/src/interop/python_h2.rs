//! python-hyper's `h2`, which does legal things in odd ways, in both roles.

use super::fixture::{Fixture, MB_1, MEDIUM, SMALL, Security, Shared};
use super::http2::{get, get_parallel, lacewing, post_digest};
use super::process::{Server, free_port};
use super::{Case, Outcome, expect};
use crate::shell;

/// `xtask/peers/python/oddities.py` explains each.
const ODDITIES: [&str; 17] = [
    "usual",
    "one-byte-data",
    "padding",
    "continuations",
    "large-headers",
    "table-updates",
    "never-indexed",
    "priorities",
    "unknown",
    "reserved-bits",
    "pings",
    "late-end",
    "byte-by-byte",
    "settings-churn",
    "tiny-window",
    "window-drips",
    "largest-windows",
];

/// Of a client alone: `xtask/peers/python/h2_client.py`.
const CLIENT: [&str; 2] = ["goaway", "resets"];

/// Of a server alone: `xtask/peers/python/h2_server.py`.
const SERVER: [&str; 6] = [
    "goaway",
    "one-stream-a-time",
    "informational",
    "trailers",
    "origin-and-altsvc",
    "early-answer",
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for oddity in ODDITIES.into_iter().chain(CLIENT) {
        let name = format!("http2/python-h2/{oddity}");
        cases.push(Case::new(name, move |fixture| client(fixture, oddity)));
    }
    for oddity in ODDITIES.into_iter().chain(SERVER) {
        let name = format!("http2/lacewing-to-python-h2/{oddity}");
        cases.push(Case::new(name, move |fixture| server(fixture, oddity)));
    }
    cases
}

fn client(fixture: &Fixture, oddity: &str) -> Outcome {
    let port = fixture.port(Shared::Site, Security::Plain)?;
    let mut python = fixture.python("h2_client.py")?;
    python
        .args([&port.to_string(), oddity])
        .arg(fixture.files());
    expect(&fixture.run(&mut python, 40)?.success()?, "ok")
}

fn server(fixture: &Fixture, oddity: &str) -> Outcome {
    let port = free_port()?;
    let mut python = fixture.python("h2_server.py")?;
    python
        .arg(port.to_string())
        .arg(fixture.files())
        .arg(oddity);
    let log = fixture.scratch("h2_server.log");
    let server = Server::start("h2_server", &mut python, port, log)?;
    let asked = ask(fixture, port, oddity);
    let log = server.log();
    match asked {
        Err(error) => Err(format!("{error}\n{}", server.log_tail())),
        Ok(_) if log.contains("FAIL") => Err(shell::tail(&log, 10)),
        Ok(_) => Ok(String::new()),
    }
}

fn ask(fixture: &Fixture, port: u16, oddity: &str) -> Outcome {
    get(fixture, "h2", Security::Plain, port, MEDIUM)?;
    if oddity != "goaway" {
        get_parallel(fixture, "h2", Security::Plain, port, SMALL, 20)?;
    }
    if oddity == "early-answer" {
        let mut command = lacewing(fixture, "h2");
        command.args(["-X", "POST", "-T"]).arg(fixture.file(MB_1));
        command.arg(Security::Plain.url(port, "digest"));
        return expect(&fixture.run(&mut command, 20)?.success()?, "early");
    }
    post_digest(fixture, "h2", Security::Plain, port, MEDIUM)
}
