//! Servers that end connections after so many requests, as nginx does with
//! `keepalive_requests`. Over HTTP/2 its GOAWAY names the requests that it does
//! not process. Our client sends them again on another connection, and loses
//! none of any number.

use super::fixture::{Fixture, Security, Shared};
use super::proxies::nginx_with;
use super::{Case, Outcome, expect};
use std::process::Command;

/// Requests of one run.
const REQUESTS: usize = 2_000;

/// Requests of a connection, the server that ends it then, and requests at once.
const CASES: [(u32, Shared, usize); 3] = [
    (100, Shared::NginxAfter100, 200),
    (100, Shared::NginxAfter100, 20),
    (3, Shared::NginxAfter3, 32),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in ["GET", "POST"] {
        for (after, server, at_once) in CASES {
            let name = method.to_lowercase();
            let name =
                format!("http2/lacewing-to-nginx/{name}-{at_once}-at-once-closed-after-{after}");
            cases.push(Case::new(name, move |fixture| {
                lose_none(fixture, server, method, at_once)
            }));
        }
    }
    cases
}

fn lose_none(fixture: &Fixture, server: Shared, method: &str, at_once: usize) -> Outcome {
    let port = fixture.port(server, Security::Plain)?;
    let mut client = fixture.rust("flood");
    client.args([method, &Security::Plain.url(port, "")]);
    client.args([REQUESTS.to_string(), at_once.to_string()]);
    let printed = fixture.run(&mut client, 90)?.success()?;
    expect(&printed, &format!("{REQUESTS} of {REQUESTS} answered"))
}

/// HTTP/2 in cleartext; answers everything itself.
pub(super) fn nginx(fixture: &Fixture, port: &str, requests: u32) -> Result<Command, String> {
    nginx_with(
        fixture,
        &format!(
            "server {{
                listen 127.0.0.1:{port} http2;
                keepalive_requests {requests};
                http2_max_concurrent_streams 1000;
                location / {{ return 200 'answered'; }}
            }}"
        ),
    )
}
