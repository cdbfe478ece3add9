//! axum's `ConnectInfo` behind HAProxy, which speaks HTTP/2 or HTTP/1.1 with the application.
//! HAProxy connects from an address of its own, and names its client in `x-forwarded-for`.

use super::fixture::{Fixture, MB_1, Security, Shared};
use super::process::{Server, free_port};
use super::{Case, Outcome, expect};
use std::process::Command;

/// HAProxy's address. The client has 127.0.0.1.
const PROXY: &str = "127.0.0.9";

/// The protocol towards the application: its name, HAProxy's option, and the version that the
/// application sees.
const BACKENDS: [(&str, &str, &str); 2] =
    [("http2", "proto h2", "HTTP/2.0"), ("http1", "", "HTTP/1.1")];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, option, version) in BACKENDS {
        let mut add = |what: &str, run: fn(&Fixture, u16, &str) -> Outcome| {
            let name = format!("axum/haproxy-{name}/{what}");
            cases.push(Case::new(name, move |fixture| {
                let (port, _proxy) = haproxy(fixture, option)?;
                run(fixture, port, version)
            }));
        };
        add("connect-info", |fixture, port, version| {
            // Over connections of the client's that HAProxy joins or does not.
            for _ in 0..5 {
                let who = printed(fixture, port, &[], "who")?;
                expect(&who, &format!("{PROXY} {version} for 127.0.0.1"))?;
            }
            Ok(String::new())
        });
        add("get-1-mb", |fixture, port, _| {
            let out = fixture.scratch(MB_1);
            let out_name = out.display().to_string();
            printed(fixture, port, &["-o", &out_name], MB_1)?;
            super::http2::same_file(fixture, &out, MB_1)
        });
        add("upload-1-mb", |fixture, port, _| {
            let file = fixture.file(MB_1).display().to_string();
            let answer = printed(fixture, port, &["-T", &file], "digest")?;
            let expected = format!("{} {}", fixture.length(MB_1), fixture.digest(MB_1));
            expect(&answer, &expected)
        });
    }
    cases
}

fn printed(fixture: &Fixture, port: u16, options: &[&str], path: &str) -> Outcome {
    let mut curl = fixture.tool("curl")?;
    curl.args(["-sS", "--fail"]).args(options);
    curl.arg(Security::Plain.url(port, path));
    fixture.run(&mut curl, 30)?.success()
}

pub(super) fn application(fixture: &Fixture, port: &str) -> Command {
    let mut command = fixture.rust("axum-serve");
    command.arg(port).arg(fixture.files());
    command
}

fn haproxy(fixture: &Fixture, option: &str) -> Result<(u16, Server), String> {
    let application = fixture.port(Shared::AxumServe, Security::Plain)?;
    let port = free_port()?;
    let config = format!(
        "global
  log stderr local0
defaults
  mode http
  option forwardfor
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen application
  bind 127.0.0.1:{port}
  server application 127.0.0.1:{application} source {PROXY} {option}
"
    );
    let file = fixture.scratch("haproxy-axum.cfg");
    std::fs::write(&file, config).map_err(|e| e.to_string())?;
    let mut haproxy = fixture.tool("haproxy")?;
    haproxy.arg("-db").arg("-f").arg(&file);
    let log = fixture.scratch("haproxy-axum.log");
    Ok((port, Server::start("haproxy", &mut haproxy, port, log)?))
}
