//! Runs cases, each against a victim of its own, several at a time.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::bounds::BOUNDS;
use super::case::{Case, Expect, Load, VictimSide};
use super::dialect::Dialect;
use super::figures::{Row, bytes, p99};
use super::peer::{self, Peer};
use super::peers::PeerServer;
use super::play::{Play, Size};
use super::probe::{self, Probe};
use super::program;
use super::victim::Victim;

/// The state that all cases share.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) size: Size,
    /// The victim's program; unused when `against` is set.
    pub(crate) program: PathBuf,
    pub(crate) against: Option<std::net::SocketAddr>,
    pub(crate) pid: Option<u32>,
    /// A server to start for each case, and the files that it serves.
    pub(crate) peer: Option<(PeerServer, PathBuf)>,
    /// Limits of the command line, in place of a case's own.
    pub(crate) limits: Vec<String>,
}

/// A case and the protocol it is played in.
pub(crate) type Job = (&'static Case, Dialect);

/// Plays all jobs; the rows are in the order of the jobs.
pub(crate) fn all(jobs: &[Job], settings: &Settings, each: impl Fn(&Row) + Sync) -> Vec<Row> {
    let rows = Mutex::new(BTreeMap::new());
    for load in [Load::Quiet, Load::Busy] {
        let chosen: Vec<(usize, Job)> = jobs
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, (case, _))| load_of(case, settings.size) == load)
            .collect();
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..workers(load, settings) {
                scope.spawn(|| {
                    while let Some((index, (case, dialect))) =
                        chosen.get(next.fetch_add(1, Relaxed))
                    {
                        let row = one(case, *dialect, settings);
                        each(&row);
                        let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                        rows.insert(*index, row);
                    }
                });
            }
        });
    }
    let rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.into_values().collect()
}

/// In a full run, cases that do more than wait count as busy. The time of honest requests says
/// little while fifteen other attacks play.
fn load_of(case: &Case, size: Size) -> Load {
    let waits = !case.limits.is_empty() || case.is_honest();
    match size {
        Size::Full if !waits => Load::Busy,
        _ => case.load,
    }
}

/// One at a time where figures of a shared process, or honest p99, must be clean.
fn workers(load: Load, settings: &Settings) -> usize {
    match (settings.against, settings.size, load) {
        (Some(_), ..) | (None, Size::Full, Load::Busy) => 1,
        (None, Size::Small, Load::Busy) => 3,
        (None, _, Load::Quiet) => 16,
    }
}

fn one(case: &Case, dialect: Dialect, settings: &Settings) -> Row {
    let limits: Vec<String> = match (settings.size, settings.limits.is_empty()) {
        (_, false) => settings.limits.clone(),
        (Size::Full, true) => Vec::new(),
        // Every server at its own defaults.
        _ if settings.peer.is_some() => Vec::new(),
        (Size::Small, true) => case
            .limits
            .iter()
            .map(|(name, seconds)| format!("{name}={seconds}s"))
            .collect(),
    };
    let mut row = Row {
        case: case.name.to_owned(),
        dialect: dialect.name().to_owned(),
        answers: case.answers.to_owned(),
        honest: case.honest.to_owned(),
        limits: if settings.against.is_some() {
            String::new()
        } else {
            limits.join(" ")
        },
        ..Row::default()
    };
    if let Err(message) = play(case, dialect, settings, &limits, &mut row) {
        row.failures.push(message);
    }
    row
}

fn play(
    case: &Case,
    dialect: Dialect,
    settings: &Settings,
    limits: &[String],
    row: &mut Row,
) -> Result<(), String> {
    let listener = match case.victim {
        VictimSide::Server | VictimSide::Program => None,
        VictimSide::Client => {
            let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
            listener.set_nonblocking(true).map_err(|e| e.to_string())?;
            Some(listener)
        }
    };
    let victim = Arc::new(start(case, dialect, settings, limits, listener.as_ref())?);
    // A server of another project may know HTTP/2 alone.
    let honest = match (settings.against, dialect) {
        (Some(_), Dialect::Http1) => Dialect::Http1,
        _ => Dialect::Http2,
    };
    let probe = Probe::start(&victim, honest);
    let honest_cost = probe.cost(&victim);
    let start = victim.stats().unwrap_or_default();
    victim.restart_peak();
    let (cpu, served) = (victim.cpu(), probe.served());
    let began = Instant::now();
    if case.victim == VictimSide::Client {
        victim.begin();
    }

    let mut play = Play::new(dialect, settings.size, &victim, listener.as_ref());
    let mut peers = match (case.script)(&mut play) {
        Ok(peers) => peers,
        Err(message) => {
            play.fail(format!("the script stopped: {message}"));
            Vec::new()
        }
    };
    // Servers at their defaults need the time of a full run, whatever the size.
    let within = match &settings.peer {
        Some(_) => case.within.1,
        None => settings.size.pick(case.within),
    };
    let within = Duration::from_secs(within);
    await_reaction(case.expect, &mut peers, within);

    row.serves = probe::is_served(victim.address, honest);
    let end = victim.stats();
    // An attack that lasts pays for its own CPU, not for the requests beside it.
    let beside = honest_cost * probe.served().saturating_sub(served);
    row.cpu = victim
        .cpu()
        .zip(cpu)
        .map(|(now, then)| now.saturating_sub(then).saturating_sub(beside));
    row.p99 = p99(&probe.finish());
    row.connections = (peers.len() as u64 + play.gone).max(1);
    row.sent = play.sent + peers.iter().map(|peer| peer.sent).sum::<u64>();
    row.peak = end.as_ref().map(|end| end.peak.saturating_sub(start.live));
    row.handlers = end.as_ref().map_or(0, |end| end.handlers);
    row.notes = std::mem::take(&mut play.notes);
    row.failures = std::mem::take(&mut play.failures);
    let names_codes = victim.is_ours() && settings.peer.is_none();
    describe(case, &peers, (began, names_codes), row);
    if let Some(end) = end.as_ref().filter(|_| case.memory.is_some()) {
        let live = end.live.saturating_sub(start.live);
        row.notes.push(format!(
            "{} live, {} accounted for",
            bytes(live),
            bytes(end.held)
        ));
    }
    let named = case.names.filter(|_| names_codes);
    if let Some(limit) = named.map(|limit| limit(dialect)) {
        let error = error_of(&victim, limit);
        if !error.contains(limit) {
            row.failures
                .push(format!("not ended by {limit}: \"{error}\""));
        }
    }
    if let Some(end) = end.filter(|_| case.victim == VictimSide::Client) {
        row.notes.push(format!(
            "client: {} answered, {} failed, {} ended{}{}",
            end.answered,
            end.failed,
            end.ended,
            if end.error.is_empty() { "" } else { ": " },
            end.error
        ));
    }
    peer::abort(peers);
    row.left = left_by(&victim, start.live);
    if victim.is_lost() {
        row.failures.push("the victim died".to_owned());
    }
    row.program = case.victim == VictimSide::Program;
    row.budget = case
        .memory
        .filter(|_| victim.is_ours())
        .map(|mib| mib << 20);
    row.peak_bound = case.peak.map(|mib| mib << 20);
    row.judge(settings.size);
    Ok(())
}

/// The heap above the start that is left, as soon as it is within its bound: a
/// server may take some seconds to notice that a client is gone.
fn left_by(victim: &Victim, start: u64) -> Option<u64> {
    let latest = Instant::now() + BOUNDS.left_within;
    loop {
        thread::sleep(Duration::from_millis(500));
        let left = victim.stats()?.live.saturating_sub(start);
        if left <= BOUNDS.left || Instant::now() >= latest {
            return Some(left);
        }
    }
}

/// The error that the victim reports, as soon as it names the limit.
fn error_of(victim: &Victim, limit: &str) -> String {
    let latest = Instant::now() + Duration::from_secs(4);
    loop {
        let error = victim.stats().unwrap_or_default().error;
        if error.contains(limit) || Instant::now() >= latest {
            return error;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn start(
    case: &Case,
    dialect: Dialect,
    settings: &Settings,
    limits: &[String],
    listener: Option<&TcpListener>,
) -> Result<Victim, String> {
    if let Some(address) = settings.against {
        return Ok(Victim::running(address, settings.pid));
    }
    if let Some((server, files)) = &settings.peer {
        return server.start(&settings.program, files);
    }
    if case.victim == VictimSide::Program {
        let lacewingd = settings.program.with_file_name("lacewingd");
        return program::start(&lacewingd, dialect, case.descriptors);
    }
    let mut arguments = match listener {
        None => vec![
            "server".to_owned(),
            "--protocols".to_owned(),
            dialect.offer(),
        ],
        Some(listener) => {
            let address = listener.local_addr().map_err(|e| e.to_string())?;
            vec![
                "client".to_owned(),
                "--connect".to_owned(),
                address.to_string(),
                "--protocol".to_owned(),
                dialect.name().to_owned(),
            ]
        }
    };
    arguments.extend(case.arguments.iter().map(|argument| (*argument).to_owned()));
    if case.names.is_some() {
        arguments.push("--report".to_owned());
    }
    if let Some(mib) = case.memory {
        arguments.extend(["--memory".to_owned(), mib.to_string()]);
    }
    for limit in limits {
        arguments.extend(["--limit".to_owned(), limit.clone()]);
    }
    Victim::start(&settings.program, &arguments, case.descriptors)
}

/// Waits for what is expected; the rest is read from what was seen.
fn await_reaction(expect: Expect, peers: &mut [Peer], within: Duration) {
    let end = Instant::now() + within;
    let is_done = |peer: &Peer| match expect {
        Expect::Close(_) => peer.is_closed(),
        Expect::Release => peer.is_closed() || are_over(peer),
        Expect::Refuse => peer.is_closed() || peer.seen().first_reaction.is_some(),
        Expect::Bounded | Expect::Unharmed => true,
    };
    while Instant::now() < end {
        if peers.iter().all(is_done) {
            break;
        }
        for peer in peers.iter_mut() {
            peer.wait(Duration::from_millis(5), |_| false);
        }
        thread::sleep(Duration::from_millis(10));
    }
    // What is on its way may still arrive.
    for peer in peers.iter_mut() {
        peer.wait(Duration::from_millis(30), |_| false);
    }
}

/// Returns whether no stream of the attacker is open.
fn are_over(peer: &Peer) -> bool {
    let seen = peer.seen();
    !peer.opened.is_empty() && peer.opened.iter().all(|id| seen.is_over(*id))
}

/// Describes how the victim has met the case, and whether that is right. Another project's server
/// may choose its codes.
fn describe(case: &Case, peers: &[Peer], (began, is_ours): (Instant, bool), row: &mut Row) {
    let mut parts: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |part: String| *parts.entry(part).or_default() += 1;
    let mut is_met = true;
    for peer in peers {
        let closed = peer.is_closed();
        let seen = peer.seen();
        for go_away in &seen.go_aways {
            let debug = match go_away.debug.as_str() {
                "" => String::new(),
                text => format!(" \"{text}\""),
            };
            count(format!("GOAWAY {}{debug}", go_away.code));
        }
        for code in seen.resets.values() {
            count(format!("RST {code}"));
        }
        for status in seen.statuses.values() {
            count(status.clone());
        }
        if let Some(error) = &seen.undecodable {
            count(format!("not decoded: {error}"));
        }
        count(if closed { "closed" } else { "open" }.to_owned());
        let named = |code: &str| seen.go_aways.iter().any(|go_away| go_away.code == code);
        is_met &= match case.expect {
            Expect::Close(Some(code)) if is_ours && peer.wire.dialect == Dialect::Http2 => {
                closed && (named(code) || !peer.reads())
            }
            Expect::Close(_) => closed,
            Expect::Release => {
                let over = peer.opened.iter().all(|id| seen.is_over(*id));
                closed || !peer.opened.is_empty() && over
            }
            Expect::Refuse => closed || seen.first_reaction.is_some(),
            Expect::Bounded => true,
            Expect::Unharmed => {
                let calm = seen
                    .go_aways
                    .iter()
                    .all(|go_away| matches!(go_away.code.as_str(), "NO_ERROR" | "OK"));
                let refused = seen
                    .statuses
                    .values()
                    .any(|status| !status.starts_with('2'));
                calm && !closed && !refused && seen.resets.is_empty()
            }
        };
        let since = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(began));
        row.reacted_after = row.reacted_after.or(since(seen.first_reaction));
        drop(seen);
        row.closed_after = row.closed_after.max(peer.closed_after());
    }
    row.reaction = parts
        .iter()
        .map(|(part, count)| match count {
            1 => part.clone(),
            count => format!("{part} ×{count}"),
        })
        .collect::<Vec<_>>()
        .join(", ");
    if !is_met {
        row.failures.push(match case.expect {
            Expect::Close(Some(code)) => format!("not closed with {code}"),
            Expect::Close(None) => "not closed".to_owned(),
            Expect::Release => "held for ever".to_owned(),
            Expect::Refuse => "not refused".to_owned(),
            Expect::Bounded | Expect::Unharmed => "honest traffic is punished".to_owned(),
        });
    }
}
