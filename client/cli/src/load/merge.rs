//! Joins the outcomes of several processes: counts and distributions, never percentiles.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::{
    hlog,
    outcome::{OpenLoop, Outcome},
    tally::Tally,
};
use crate::status::Failure;

/// Starts that are farther apart get a note.
const START_SPREAD: Duration = Duration::from_secs(1);

/// Joins the runs of these logs.
pub(super) fn merge(paths: &[PathBuf]) -> Result<Outcome, Failure> {
    let mut runs = Vec::new();
    for path in paths {
        let wrong = |text: String| Failure::usage(format!("{} (--merge): {text}", path.display()));
        let run = hlog::read(path).map_err(wrong)?;
        if let Some(first) = runs.first() {
            check(first, &run).map_err(wrong)?;
        }
        let of = run.segment.of();
        if of > 1
            && runs
                .iter()
                .any(|other: &Outcome| other.segment == run.segment)
        {
            return Err(wrong(format!("segment {} is there twice", run.segment)));
        }
        runs.push(run);
    }
    join(runs).ok_or_else(|| Failure::usage("name the files of --merge"))
}

/// Refuses runs that do not belong together.
fn check(first: &Outcome, run: &Outcome) -> Result<(), String> {
    let arrival = |run: &Outcome| match &run.open_loop {
        None => "a closed loop".to_owned(),
        Some(plan) => format!("an open loop with {} arrivals", plan.arrival.name()),
    };
    let protocol = |run: &Outcome| {
        let protocol = run.tally.connections.protocol.clone();
        protocol.unwrap_or_else(|| "no protocol".to_owned())
    };
    let segments = |run: &Outcome| format!("{} segments", run.segment.of());
    let rate = |run: &Outcome| {
        let rate = run.open_loop.as_ref().map(|plan| plan.rate);
        rate.map_or_else(|| "no rate".to_owned(), |rate| format!("{rate}/s"))
    };
    differ("target", &first.origin, &run.origin)?;
    differ("loop", &arrival(first), &arrival(run))?;
    differ("protocol", &protocol(first), &protocol(run))?;
    differ("segments", &segments(first), &segments(run))?;
    if run.segment.of() > 1 {
        differ("rate of a segment", &rate(first), &rate(run))?;
    }
    Ok(())
}

fn differ(name: &str, first: &str, other: &str) -> Result<(), String> {
    if first == other {
        return Ok(());
    }
    Err(format!(
        "the {name} differs from the first file's: {other}, not {first}"
    ))
}

fn join(runs: Vec<Outcome>) -> Option<Outcome> {
    let start = runs.iter().map(|run| run.start).min()?;
    let latest = runs.iter().map(|run| run.start).max()?;
    let end = runs
        .iter()
        .filter_map(|run| run.start.checked_add(run.elapsed));
    let end = end.max()?;
    let since = |time: SystemTime| time.duration_since(start).unwrap_or_default();
    let mut notes = Vec::new();
    let spread = since(latest);
    if spread > START_SPREAD {
        notes.push(format!(
            "the runs started {spread:.1?} apart; give --start-at, and compare the clocks"
        ));
    }
    let first = runs.first()?;
    let of = first.segment.of();
    let there: BTreeSet<u64> = runs.iter().map(|run| run.segment.index()).collect();
    let missing: Vec<_> = (0..of).filter(|index| !there.contains(index)).collect();
    if !missing.is_empty() {
        let missing: Vec<_> = missing
            .iter()
            .map(|index| format!("{index}/{of}"))
            .collect();
        notes.push(format!("segments are missing: {}", missing.join(", ")));
    }
    let version = env!("CARGO_PKG_VERSION");
    let headline = format!(
        "lacewing {version} load of {}: {} runs merged",
        first.origin,
        runs.len()
    );
    let ends: BTreeSet<&str> = runs.iter().map(|run| run.end.as_str()).collect();
    let ends: Vec<&str> = ends.into_iter().collect();
    let plans = runs.iter().filter_map(|run| run.open_loop.as_ref());
    let open_loop = first.open_loop.as_ref().map(|plan| OpenLoop {
        rate: plans.clone().map(|plan| plan.rate).sum(),
        arrival: plan.arrival,
        planned: plans
            .clone()
            .map(|plan| plan.planned)
            .fold(0, u64::saturating_add),
        dropped: plans.map(|plan| plan.dropped).fold(0, u64::saturating_add),
    });
    let mut tally = Tally::new(true);
    for run in &runs {
        // The seconds of a run that started later come later.
        tally.merge(
            &run.tally,
            (since(run.start) + Duration::from_millis(500)).as_secs(),
        );
    }
    Some(Outcome {
        headline,
        origin: first.origin.clone(),
        segment: first.segment,
        security: first.security.clone(),
        end: ends.join("; "),
        start,
        elapsed: since(end),
        open_loop,
        unsent: runs
            .iter()
            .map(|run| run.unsent)
            .fold(0, u64::saturating_add),
        tally,
        cpu_time: None,
        aborted: false,
        broken: Vec::new(),
        notes,
    })
}
