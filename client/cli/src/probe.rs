//! `lacewing probe`: the protocols and the settings of a server.

mod attempt;
mod recorder;

use std::{fmt::Write as _, time::Duration};

use clap::Args;
use http::Uri;
use lacewing_client::{Origin, Security, Version};
use serde::Serialize;

use self::attempt::Finding;
use crate::{
    console,
    dialling::Dialling,
    parse,
    status::{self, Failure},
};

/// The text of `lacewing probe --help` after the options.
pub(crate) const HELP: &str = "\
Makes one connection for each protocol, requests the URL on it by GET, and sends a
PING. https servers are offered one protocol at a time by ALPN; http servers are
spoken to by prior knowledge, and asked for an upgrade to HTTP/2.

The exit code is 0 if at least one protocol works, and else 7.

Examples:
  lacewing probe https://example.org/
  lacewing probe -k --json https://127.0.0.1:8443/
  lacewing probe http://127.0.0.1:8080/";

/// The arguments of `lacewing probe`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Probe {
    /// Seconds for each step: a connection, a response, a PING
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse::some_seconds)]
    timeout: Duration,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    dialling: Dialling,

    /// The server, and the path to request
    #[arg(value_name = "URL", value_parser = parse::url, help_heading = "Arguments")]
    url: Uri,
}

#[derive(Debug, Serialize)]
struct Report {
    url: String,
    findings: Vec<Finding>,
}

impl Probe {
    fn is_https(&self) -> bool {
        self.url.scheme() == Some(&http::uri::Scheme::HTTPS)
    }
}

pub(crate) async fn run(probe: Probe) -> Result<(), Failure> {
    let origin = Origin::of(&probe.url).map_err(Failure::usage)?;
    let mut findings = Vec::new();
    for version in Version::ALL {
        findings.push(attempt::multiplexed(&probe, &origin, version).await?);
    }
    if origin.security() == Security::Cleartext {
        findings.push(attempt::upgraded(&probe).await?);
    }
    if !probe.dialling.uses_npn() {
        findings.push(attempt::http1(&probe).await?);
    }
    let works = findings.iter().any(|finding| finding.works);
    let report = Report {
        url: probe.url.to_string(),
        findings,
    };
    match probe.json {
        true => {
            let json = serde_json::to_string_pretty(&report).map_err(Failure::local)?;
            console::print(format_args!("{json}\n"))?;
        }
        false => console::print(table(&report))?,
    }
    match works {
        true => Ok(()),
        false => Err(Failure::quiet(status::CONNECT)),
    }
}

/// A line for each protocol, and its facts below.
fn table(report: &Report) -> String {
    let mut text = format!("{}\n", report.url);
    for finding in &report.findings {
        // Writing to a string does not fail.
        let _ = write!(text, "  {:<9} {:<16}", finding.protocol, finding.by);
        if let Some(error) = &finding.error {
            let _ = writeln!(text, " no: {error}");
            continue;
        }
        let mut facts = vec![format!(
            "yes, status {}",
            finding.status.unwrap_or_default()
        )];
        facts.extend(
            finding
                .server
                .as_ref()
                .map(|server| format!("server {server}")),
        );
        facts.extend(
            finding
                .connect_ms
                .map(|time| format!("connected in {time} ms")),
        );
        facts.extend(finding.ping_ms.map(|time| format!("PING {time} ms")));
        let _ = writeln!(text, " {}", facts.join(", "));
        for setting in &finding.settings {
            let _ = writeln!(text, "      {setting}");
        }
        if let Some(offered) = finding.extended_connect {
            let offered = if offered { "yes" } else { "no" };
            let _ = writeln!(text, "      extended CONNECT: {offered}");
        }
        for line in &finding.goaway {
            let _ = writeln!(text, "      GOAWAY: {line}");
        }
    }
    text
}
