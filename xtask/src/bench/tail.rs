//! The tail of small requests beside a bulk download on the same connection: by how much the
//! download raises their 99th percentile.

use super::contender::Contender;
use super::server::Pinned;
use super::site::{Serving, Site};
use super::statistics::Sample;
use super::table::{Bar, Row};
use super::{Options, Programs};
use crate::shell;
use std::process::Command;

pub(super) const NAME: &str = "p99 beside a download, above p99 alone";

const CONTENDERS: [Contender; 5] = [
    Contender::Lacewing,
    Contender::Hyper,
    Contender::H2,
    Contender::Nghttpd,
    Contender::H2o,
];

/// Measures 1,000 requests a second on one connection, without and with the download, in turns.
pub(super) fn measure(programs: &Programs, site: &Site, options: &Options) -> Result<Row, String> {
    let contenders = CONTENDERS.into_iter().filter(|c| c.is_installed());
    let servers = contenders.map(|contender| {
        let server = Pinned::start(contender, programs, site, Serving::PLAIN)?;
        Ok((contender, server, Sample::default()))
    });
    let mut servers = servers.collect::<Result<Vec<_>, String>>()?;
    for _ in 0..options.rounds() {
        for (contender, server, sample) in &mut servers {
            let p99 = |bulk: &[&str]| {
                let mut command = Command::new("taskset");
                command.args(["-c", "1"]).arg(programs.path("tail-client"));
                command.arg(format!("--port={}", server.port()));
                let printed = shell::output(command.args(bulk))?;
                figure(&printed).ok_or_else(|| format!("{}: {printed}", contender.name()))
            };
            let alone = p99(&[])?;
            let beside = p99(&["--bulk", "/bytes/1073741824"])?;
            sample.push(beside - alone);
        }
    }
    let figures = servers
        .into_iter()
        .map(|(contender, _, sample)| (contender, sample));
    Ok(Row {
        name: NAME.to_owned(),
        unit: "ms",
        figures: figures.collect(),
        idles: false,
        bar: Some(Bar::value(3.0)),
    })
}

/// The milliseconds of `tail-client`.
fn figure(printed: &str) -> Option<f64> {
    let line = printed
        .lines()
        .find_map(|line| line.strip_prefix("p99: "))?;
    line.strip_suffix(" ms")?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_figure_is_read() {
        assert_eq!(super::figure("p99: 1.250 ms\n"), Some(1.25));
        assert_eq!(super::figure("p99: 1.250\n"), None);
    }
}
