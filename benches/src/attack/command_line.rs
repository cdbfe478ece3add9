//! The command line of the attacker.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use super::case::VictimSide;
use super::comparison;
use super::dialect::Dialect;
use super::families;
use super::figures::Row;
use super::play::Size;
use super::run::{self, Job, Settings};
use super::table::Table;
use crate::Error;

/// Plays attacks and honest traffic against our server and our client, or
/// against another server, and prints what each has cost
#[derive(Debug, Parser)]
#[command(name = "cargo xtask attack")]
struct Arguments {
    /// Another server, by prior knowledge: http://HOST:PORT
    #[arg(long, value_name = "URL", value_parser = address)]
    against: Option<SocketAddr>,
    /// The process of that server: memory and CPU are read from it
    #[arg(long, requires = "against")]
    pid: Option<u32>,
    /// Cases whose name contains one of these texts
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    only: Vec<String>,
    /// Only this protocol: h2, spdy/3.1, spdy/3, spdy/2, http/1.1
    #[arg(long, value_name = "NAME")]
    protocol: Option<Dialect>,
    /// Names the cases and plays none
    #[arg(long)]
    list: bool,
    /// Full size, default limits, one busy case at a time
    #[arg(long)]
    full: bool,
    /// A limit of the victim, in place of the case's: stall=2s
    #[arg(long, value_name = "NAME=SECONDS")]
    limit: Vec<String>,
    /// Plays HTTP/2's cases against our server and against hyper, nghttpd, nginx
    /// and h2o where they are installed, each at its defaults. Writes the comparison
    /// as Markdown
    #[arg(long, value_name = "FILE", conflicts_with_all = ["against", "limit", "json"])]
    peers: Option<PathBuf>,
    /// Writes all figures
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The victim's program; beside this one unless given
    #[arg(long, value_name = "FILE", hide = true)]
    victim: Option<PathBuf>,
}

/// Runs the attacker; the exit code is 1 when a case has failed.
///
/// # Errors
///
/// Programs and files that are not there.
pub fn main() -> Result<ExitCode, Error> {
    let arguments = Arguments::parse();
    let jobs = chosen(&arguments);
    if arguments.list {
        list(&jobs);
        return Ok(ExitCode::SUCCESS);
    }
    if jobs.is_empty() {
        return Err("no case has such a name; --list names them".into());
    }
    let program = match arguments.victim {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("attack-victim"),
    };
    let settings = Settings {
        size: if arguments.full {
            Size::Full
        } else {
            Size::Small
        },
        program,
        against: arguments.against,
        pid: arguments.pid,
        limits: arguments.limit,
        peer: None,
    };
    if let Some(file) = arguments.peers {
        comparison::write(&file, &jobs, &settings)?;
        return Ok(ExitCode::SUCCESS);
    }
    let began = Instant::now();
    let mut rows = run::all(&jobs, &settings, show);
    if settings.size == Size::Small {
        play_again(&jobs, &mut rows, &settings);
    }
    super::program::clean_up();
    let failed = rows.iter().filter(|row| row.has_failed()).count();
    crate::say!("\n{}", Table(&rows));
    crate::say!(
        "{} of {} held, {failed} failed, {} s",
        rows.len() - failed,
        rows.len(),
        began.elapsed().as_secs()
    );
    if let Some(file) = arguments.json {
        let rows: Vec<_> = rows.iter().map(|row| row.to_json()).collect();
        let mut file = std::fs::File::create(file)?;
        serde_json::to_writer_pretty(&mut file, &rows)?;
        writeln!(file)?;
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(row: &Row) {
    let verdict = if row.has_failed() { "FAIL" } else { "ok" };
    crate::note!("{verdict:<4}  {} {}", row.case, row.dialect);
}

/// Plays the failed cases once more, one at a time. A small run plays many at once, and on few
/// cores they disturb each other. The row says so.
fn play_again(jobs: &[Job], rows: &mut [Row], settings: &Settings) {
    for (job, row) in jobs.iter().zip(rows) {
        if row.has_failed() {
            crate::note!("again {} {}", row.case, row.dialect);
            if let Some(mut again) = run::all(&[*job], settings, show).pop() {
                again.notes.push("at the second try".to_owned());
                *row = again;
            }
        }
    }
}

fn chosen(arguments: &Arguments) -> Vec<Job> {
    let wanted = |name: &str| {
        let only = &arguments.only;
        only.is_empty() || only.iter().any(|text| name.contains(text.as_str()))
    };
    let is_ours_alone = arguments.against.is_none() && arguments.peers.is_none();
    families::all()
        .filter(|case| wanted(case.name))
        .filter(|case| is_ours_alone || case.victim == VictimSide::Server)
        .flat_map(|case| case.dialects.iter().map(move |dialect| (case, *dialect)))
        .filter(|(_, dialect)| match arguments.protocol {
            None => arguments.peers.is_none() || *dialect == Dialect::Http2,
            Some(only) => only == *dialect,
        })
        .collect()
}

fn list(jobs: &[Job]) {
    for (case, dialect) in jobs {
        let kind = if case.is_honest() { "honest" } else { "attack" };
        crate::say!(
            "{:<34} {:<9} {kind}  {:<28} {}",
            case.name,
            dialect,
            case.answers,
            case.honest
        );
    }
    crate::say!("{} cases", jobs.len());
}

fn address(url: &str) -> Result<SocketAddr, String> {
    let authority = url
        .strip_prefix("http://")
        .ok_or("cleartext only: http://HOST:PORT")?;
    let authority = authority.split('/').next().unwrap_or(authority);
    let place = if authority.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut found = place.to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| format!("{place}: no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_addresses() {
        let parsed = address("http://127.0.0.1:8080/path").map(|address| address.to_string());
        assert_eq!(parsed, Ok("127.0.0.1:8080".to_owned()));
        assert!(address("https://127.0.0.1").is_err());
    }

    #[test]
    fn a_text_chooses_cases_and_a_protocol_narrows_them() {
        let arguments = ["attack", "--only", "control/ping", "--protocol", "spdy/2"];
        let Ok(arguments) = Arguments::try_parse_from(arguments) else {
            unreachable!("arguments that the help names");
        };
        let jobs = chosen(&arguments);
        assert!(!jobs.is_empty());
        assert!(jobs.iter().all(|(case, dialect)| {
            case.name.contains("control/ping") && *dialect == Dialect::Spdy2
        }));
    }
}
