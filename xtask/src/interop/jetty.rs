//! Jetty 9.4, an HTTP/2 stack of its own, in both roles. Its server is asked as
//! every other one is, in `http2.rs`.

use super::fixture::{Fixture, MB_100, MEDIUM, SMALL, Security, Shared};
use super::http2::echo_port;
use super::{Case, Outcome, expect, java};
use std::process::Command;

/// The packages of its server, its client and their TLS.
const JARS: [&str; 15] = [
    "jetty9-alpn-client",
    "jetty9-alpn-java-client",
    "jetty9-alpn-java-server",
    "jetty9-alpn-server",
    "jetty9-client",
    "jetty9-http",
    "jetty9-http2-client",
    "jetty9-http2-common",
    "jetty9-http2-hpack",
    "jetty9-http2-http-client-transport",
    "jetty9-http2-server",
    "jetty9-io",
    "jetty9-server",
    "jetty9-util",
    "servlet-api",
];

pub(super) fn cases() -> Vec<Case> {
    Security::BOTH.into_iter().flat_map(client).collect()
}

fn client(security: Security) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, run: fn(&Fixture, Security) -> Outcome| {
        let name = format!("http2/jetty/{what}-{}", security.name());
        cases.push(Case::new(name, move |fixture| run(fixture, security)));
    };
    add("get-100-mb", |fixture, security| {
        let port = fixture.port(Shared::Lacewingd, security)?;
        let printed = ask(fixture, security, port, &["get", &format!("/{MB_100}")])?;
        expect(&printed, &fixture.answer(MB_100))
    });
    add("parallel-20", |fixture, security| {
        let port = fixture.port(Shared::Lacewingd, security)?;
        let command = ["parallel", "20", &format!("/{MEDIUM}")];
        let printed = ask(fixture, security, port, &command)?;
        expect(&printed, &format!("20 {}", fixture.answer(MEDIUM)))
    });
    add("parallel-500", |fixture, security| {
        let port = fixture.port(Shared::Lacewingd, security)?;
        let command = ["parallel", "500", &format!("/{SMALL}")];
        let printed = ask(fixture, security, port, &command)?;
        expect(&printed, &format!("500 {}", fixture.answer(SMALL)))
    });
    add("echo-100-mb", |fixture, security| {
        let file = fixture.file(MB_100);
        let command = ["post", "/echo", &file.to_string_lossy()];
        let printed = ask(
            fixture,
            security,
            echo_port(fixture, "h2", security)?,
            &command,
        )?;
        expect(&printed, &fixture.answer(MB_100))
    });
    cases
}

fn ask(fixture: &Fixture, security: Security, port: u16, command: &[&str]) -> Outcome {
    let mut client = java::program(fixture, "JettyClient", &["Tls", "JettyClient"], &JARS)?;
    client.args([&port.to_string(), security.name()]);
    fixture.run(client.args(command), 70)?.success()
}

/// The command of the server, without its arguments.
pub(super) fn server(fixture: &Fixture) -> Result<Command, String> {
    let sources = ["Tls", "JettyClient", "JettyServer"];
    java::program(fixture, "JettyServer", &sources, &JARS)
}
