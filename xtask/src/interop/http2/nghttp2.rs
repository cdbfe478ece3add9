//! nghttp and h2load against `lacewingd` and `site`; `lacewing` against nghttpd
//! in its less usual moods.

use super::{lacewing, same_file};
use crate::interop::fixture::{Fixture, MB_1, MB_50, MEDIUM, SMALL, Security, Shared};
use crate::interop::process::{Server, free_port};
use crate::interop::{Case, Outcome, expect_part};
use crate::shell;
use std::process::Command;

/// Options of nghttp; the answers stay the same.
const NGHTTP: [(&str, &[&str]); 11] = [
    ("usual", &[]),
    ("no-dependencies", &["--no-dep"]),
    ("weights", &["-p", "1", "-p", "256"]),
    ("padding", &["--padding=255"]),
    ("continuation", &["--continuation"]),
    ("no-header-table", &["--header-table-size=0"]),
    ("header-table-up-and-down", &["-c65536", "-c0", "-c4096"]),
    ("our-header-table", &["--encoder-header-table-size=0"]),
    ("small-windows", &["-w", "6", "-W", "6"]),
    ("largest-windows", &["-w", "30", "-W", "30"]),
    ("one-stream-a-time", &["--max-concurrent-streams=1"]),
];

/// The same for requests with a body, which the answer has the digest of.
const UPLOADS: [(&str, &[&str]); 5] = [
    ("usual", &[]),
    ("trailer", &["--trailer", "x-sum: 42"]),
    ("padding", &["--padding=255"]),
    ("expect-continue", &["--expect-continue"]),
    ("unknown-length", &["--no-content-length"]),
];

/// nghttpd's moods, and what it is asked for. Its small windows are left out:
/// it counts what was sent before its SETTINGS arrived against them, and resets
/// curl's streams as well.
const NGHTTPD: [(&str, &[&str], Ask); 8] = [
    ("padding", &["--padding=255"], Ask::Get),
    ("trailer", &["--trailer", "x-sum: 42"], Ask::Get),
    ("no-header-table", &["--header-table-size=0"], Ask::Get),
    (
        "encoder-without-table",
        &["--encoder-header-table-size=0"],
        Ask::Get,
    ),
    ("one-stream-a-time", &["-m", "1"], Ask::Parallel),
    ("no-content-length", &["--no-content-length"], Ask::Get),
    ("echo-upload", &["--echo-upload"], Ask::Echo),
    ("early-response", &["--early-response"], Ask::Upload),
];

#[derive(Clone, Copy)]
enum Ask {
    Get,
    Parallel,
    /// The body is echoed.
    Echo,
    /// The answer arrives before the body has been sent.
    Upload,
}

/// Options and number of requests of h2load.
const LOADS: [(&str, &[&str], usize); 4] = [
    ("usual", &["-c10", "-m100"], 100_000),
    ("smallest-windows", &["-c5", "-m20", "-w1", "-W1"], 100),
    (
        "no-header-table",
        &[
            "-c5",
            "-m20",
            "--header-table-size=0",
            "--encoder-header-table-size=0",
        ],
        20_000,
    ),
    ("many-connections", &["-c500", "-m2"], 20_000),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for security in Security::BOTH {
        let name = move |peer: &str, what: &str| format!("http2/{peer}/{what}-{}", security.name());
        for (what, options) in NGHTTP {
            cases.push(Case::new(name("nghttp", what), move |fixture| {
                nghttp(fixture, security, options)
            }));
        }
        for (what, options) in UPLOADS {
            let what = format!("upload-{what}");
            cases.push(Case::new(name("nghttp", &what), move |fixture| {
                nghttp_upload(fixture, security, options)
            }));
        }
        for (what, options, ask) in NGHTTPD {
            cases.push(Case::new(
                name("lacewing-to-nghttpd", what),
                move |fixture| nghttpd(fixture, security, options, ask),
            ));
        }
        for (what, options, requests) in LOADS {
            let requests = match security {
                Security::Plain => requests,
                Security::Tls => requests.min(20_000),
            };
            cases.push(Case::new(name("h2load", what), move |fixture| {
                h2load(fixture, security, options, requests)
            }));
        }
    }
    cases
}

fn nghttp(fixture: &Fixture, security: Security, options: &[&str]) -> Outcome {
    let port = fixture.port(Shared::Lacewingd, security)?;
    let mut command = fixture.tool("nghttp")?;
    // The second URL goes over the same connection.
    command.args(["-nv", "--no-verify-peer"]).args(options);
    command.args([security.url(port, MEDIUM), security.url(port, SMALL)]);
    let printed = fixture.run(&mut command, 30)?.success()?;
    undisturbed(&printed)?;
    match printed.matches(":status: 200").count() {
        2 => Ok(String::new()),
        count => Err(format!(
            "{count} answers in:\n{}",
            shell::tail(&printed, 30)
        )),
    }
}

fn nghttp_upload(fixture: &Fixture, security: Security, options: &[&str]) -> Outcome {
    let port = fixture.port(Shared::Site, security)?;
    let mut command = fixture.tool("nghttp")?;
    command
        .args(["-v", "--no-verify-peer", "-d"])
        .arg(fixture.file(MB_1));
    command.args(options).arg(security.url(port, "trailers"));
    let printed = fixture.run(&mut command, 30)?.success()?;
    undisturbed(&printed)?;
    expect_part(&printed, fixture.digest(MB_1))?;
    if options.contains(&"--trailer") {
        let trailers = printed
            .rsplit("recv (stream_id=")
            .next()
            .unwrap_or_default();
        expect_part(trailers, "x-sum: 42")?;
    }
    if options.contains(&"--expect-continue") {
        expect_part(&printed, ":status: 100")?;
    }
    Ok(String::new())
}

/// nghttp has nothing to complain about.
fn undisturbed(printed: &str) -> Outcome {
    expect_part(printed, "recv SETTINGS frame")?;
    for sign in ["[ERROR]", "recv RST_STREAM", "recv GOAWAY"] {
        if printed.contains(sign) {
            return Err(format!("{sign} in:\n{}", shell::tail(printed, 30)));
        }
    }
    Ok(String::new())
}

fn nghttpd(fixture: &Fixture, security: Security, options: &[&str], ask: Ask) -> Outcome {
    let port = free_port()?;
    let mut command = fixture.tool("nghttpd")?;
    command
        .args(options)
        .arg("-d")
        .arg(fixture.files())
        .arg(port.to_string());
    match security {
        Security::Plain => command.arg("--no-tls"),
        Security::Tls => command.arg(fixture.key()).arg(fixture.cert()),
    };
    let log = fixture.scratch("nghttpd.log");
    let _server = Server::start("nghttpd", &mut command, port, log)?;
    match ask {
        Ask::Get => super::get(fixture, "h2", security, port, MEDIUM),
        Ask::Parallel => super::get_parallel(fixture, "h2", security, port, MEDIUM, 20),
        Ask::Echo => {
            let out = fixture.scratch("echo");
            let mut command = lacewing(fixture, "h2");
            command
                .args(["-X", "POST", "-T"])
                .arg(fixture.file(MB_1))
                .arg("-o")
                .arg(&out);
            command.arg(security.url(port, "upload"));
            fixture.run(&mut command, 60)?.success()?;
            same_file(fixture, &out, MB_1)
        }
        Ask::Upload => {
            let out = fixture.scratch(SMALL);
            let mut command = lacewing(fixture, "h2");
            command
                .args(["-X", "POST", "-T"])
                .arg(fixture.file(MB_50))
                .arg("-o")
                .arg(&out);
            command.arg(security.url(port, SMALL));
            fixture.run(&mut command, 60)?.success()?;
            same_file(fixture, &out, SMALL)
        }
    }
}

fn h2load(fixture: &Fixture, security: Security, options: &[&str], requests: usize) -> Outcome {
    let port = fixture.port(Shared::Lacewingd, security)?;
    let mut command = fixture.tool("h2load")?;
    command.arg(format!("-n{requests}")).args(options);
    loaded(fixture, command.arg(security.url(port, SMALL)), requests)
}

/// All requests of an h2load that is ready to go were answered with 2xx.
pub(in crate::interop) fn loaded(
    fixture: &Fixture,
    command: &mut Command,
    requests: usize,
) -> Outcome {
    let printed = fixture.run(command, 120)?.success()?;
    let line = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
    expect_part(&printed, &line)?;
    expect_part(&printed, &format!("{requests} 2xx"))?;
    let rate = printed
        .lines()
        .find(|line| line.starts_with("finished in"))
        .unwrap_or_default();
    Ok(rate.to_owned())
}
