//! Jetty 9.4, an HTTP/2 stack of its own, in both roles. Its server is asked as
//! every other one is, in `http2.rs`.

use super::http2::echo_port;
use super::lab::{Lab, MB_100, MEDIUM, SMALL, Security, Shared};
use super::{Case, Outcome, expect, java};
use std::process::Command;

/// What its server, its client and their TLS are made of.
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
    let mut add = |what: &str, run: fn(&Lab, Security) -> Outcome| {
        let name = format!("http2/jetty/{what}-{}", security.name());
        cases.push(Case::new(name, move |lab| run(lab, security)));
    };
    add("get-100-mb", |lab, security| {
        let port = lab.port(Shared::Lacewingd, security)?;
        let printed = ask(lab, security, port, &["get", &format!("/{MB_100}")])?;
        expect(&printed, &lab.answer(MB_100))
    });
    add("parallel-20", |lab, security| {
        let port = lab.port(Shared::Lacewingd, security)?;
        let command = ["parallel", "20", &format!("/{MEDIUM}")];
        let printed = ask(lab, security, port, &command)?;
        expect(&printed, &format!("20 {}", lab.answer(MEDIUM)))
    });
    add("parallel-500", |lab, security| {
        let port = lab.port(Shared::Lacewingd, security)?;
        let command = ["parallel", "500", &format!("/{SMALL}")];
        let printed = ask(lab, security, port, &command)?;
        expect(&printed, &format!("500 {}", lab.answer(SMALL)))
    });
    add("echo-100-mb", |lab, security| {
        let file = lab.file(MB_100);
        let command = ["post", "/echo", &file.to_string_lossy()];
        let printed = ask(lab, security, echo_port(lab, "h2", security)?, &command)?;
        expect(&printed, &lab.answer(MB_100))
    });
    cases
}

fn ask(lab: &Lab, security: Security, port: u16, command: &[&str]) -> Outcome {
    let mut client = java::program(lab, "JettyClient", &["Tls", "JettyClient"], &JARS)?;
    client.args([&port.to_string(), security.name()]);
    lab.run(client.args(command), 70)?.success()
}

/// The command of the server, without its arguments.
pub(super) fn server(lab: &Lab) -> Result<Command, String> {
    let sources = ["Tls", "JettyClient", "JettyServer"];
    java::program(lab, "JettyServer", &sources, &JARS)
}
