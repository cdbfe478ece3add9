//! The comparison of servers: each case against each of them, as Markdown.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::case::{Case, Expect};
use super::figures::{Row, bytes};
use super::peers::{self, PeerServer};
use super::run::{self, Job, Settings};
use crate::Error;

/// Plays `jobs` against every server that is installed, and writes the table.
pub(crate) fn write(file: &Path, jobs: &[Job], settings: &Settings) -> Result<(), Error> {
    let scratch = std::env::temp_dir().join(format!("lacewing-attack-{}", std::process::id()));
    let files = peers::files(&scratch)?;
    let mut columns = Vec::new();
    for server in PeerServer::ALL {
        if !server.is_installed() {
            crate::note!("{} is not installed: left out", server.name());
            continue;
        }
        let settings = Settings {
            peer: Some((server, files.clone())),
            ..settings.clone()
        };
        let rows = run::all(jobs, &settings, |row| {
            crate::note!("{}  {}", server.name(), row.case);
        });
        columns.push((server, rows));
    }
    let _ = fs::remove_dir_all(&scratch);
    fs::write(file, table(jobs, &columns))?;
    Ok(())
}

fn table(jobs: &[Job], columns: &[(PeerServer, Vec<Row>)]) -> String {
    let mut text = String::from("| case |");
    for (server, _) in columns {
        let _ = write!(text, " {} |", server.name());
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(columns.len()));
    text.push('\n');
    for (index, (case, _)) in jobs.iter().enumerate() {
        let _ = write!(text, "| `{}` |", case.name);
        for (server, rows) in columns {
            let cell = rows.get(index).map(|row| cell(case, *server, row));
            let _ = write!(text, " {} |", cell.unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

/// The outcome, the resident memory and the CPU of one case, for one server.
fn cell(case: &Case, server: PeerServer, row: &Row) -> String {
    // What asks for a handler is no honest traffic for a server of files.
    let has_no_route = row.reaction.contains("404") || row.reaction.contains("405");
    if case.is_honest() && !server.has_handlers() && has_no_route {
        return "–".to_owned();
    }
    let mut cell = outcome(case, row);
    if !row.serves {
        cell.push_str(", **serves no one else**");
    }
    if let Some(peak) = row.peak_each() {
        let _ = write!(cell, " · {}", bytes(peak));
    }
    if let Some(rate) = row.cpu_per_byte().filter(|_| row.sent >= 10_000) {
        let _ = write!(cell, " · {rate} ns/B");
    }
    cell
}

fn outcome(case: &Case, row: &Row) -> String {
    let met = |text: &str| !row.failures.iter().any(|failure| failure == text);
    let outcome = match case.expect {
        Expect::Unharmed if met("honest traffic is punished") => "unharmed",
        Expect::Unharmed => "**harmed**",
        Expect::Release if met("held for ever") => "ends",
        Expect::Release => "**held**",
        Expect::Refuse if met("not refused") => "refused",
        Expect::Refuse => "taken",
        _ if row.closed_after.is_some() => "closed",
        _ => "open",
    };
    match row.closed_after.filter(|_| case.expect != Expect::Unharmed) {
        Some(time) => format!("{outcome} {:.1} s", time.as_secs_f64()),
        None => outcome.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::dialect::Dialect;
    use crate::attack::families;

    #[test]
    fn a_case_has_a_cell_for_each_server() {
        let case = families::all().next().unwrap();
        let row = Row {
            sent: 20_000,
            peak: Some(3 << 20),
            connections: 3,
            cpu: Some(std::time::Duration::from_millis(2)),
            serves: true,
            ..Row::default()
        };
        let columns = [
            (PeerServer::Lacewing, vec![row.clone()]),
            (PeerServer::Nginx, vec![row]),
        ];
        let text = table(&[(case, Dialect::Http2)], &columns);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("| case | lacewing | nginx |"));
        assert_eq!(lines.next(), Some("|---|---|---|"));
        let line = lines.next().unwrap();
        assert_eq!(line.matches("1024 KiB · 100 ns/B").count(), 2);
    }
}
