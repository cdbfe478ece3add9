//! `lacewing load`: loads a server with requests, and measures it.

mod abort;
mod account;
mod args;
mod arrivals;
mod charts;
mod condition;
mod course;
mod display;
mod exchanges;
mod h2load;
mod har;
mod hlog;
mod http1;
mod json;
mod live;
mod machine;
mod merge;
mod outcome;
mod pacer;
mod page;
mod plan;
mod report;
mod requests;
mod schedule;
mod segment;
mod series;
mod shared_times;
mod tally;
mod template;
mod threshold;
mod times;
mod units;
mod watching;
mod worker;

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::SystemTime,
};

use lacewing_client::Security;
use tokio::sync::watch;

pub(crate) use self::args::{Args, HELP};
use self::{
    args::{Form, is_stdout},
    arrivals::Arrivals,
    course::{Begin, Course, End, EndKind},
    display::Display,
    machine::CpuClock,
    outcome::{OpenLoop, Outcome},
    plan::{Phase, Plan},
    report::Report,
    tally::Tally,
};
use crate::{
    console,
    dialling::Protocol,
    status::{Failure, LOAD_FAILED, LOAD_THRESHOLD},
};

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    check_output(&args)?;
    check_streams(&args)?;
    let mut outcome = match args.report.merge.as_slice() {
        [] => load(&args).await?,
        paths => merge::merge(paths)?,
    };
    let thresholds = args.report.thresholds.iter();
    outcome.broken = thresholds
        .filter_map(|threshold| threshold.broken(&outcome))
        .collect();
    write(&args, &outcome)?;
    if !outcome.broken.is_empty() || outcome.aborted {
        return Err(Failure::quiet(LOAD_THRESHOLD));
    }
    let failed = outcome.tally.succeeded() == 0 || outcome.error_rate() > args.max_error_rate;
    match failed {
        // The report says why.
        true => Err(Failure::quiet(LOAD_FAILED)),
        false => Ok(()),
    }
}

/// Loads the server.
async fn load(args: &Args) -> Result<Outcome, Failure> {
    machine::permit_connections(args.connections).map_err(Failure::usage)?;
    let (phase, watched) = watch::channel(Phase::Sending);
    let board = match args.report.status {
        Some(address) => Some(watching::serve(address, args).map_err(Failure::usage)?),
        None => None,
    };
    let begin = Begin::wait(args).await?;
    let steady_from = begin.at + args.warm_up.unwrap_or_default();
    let arrivals = args.pace.rate.map(|_| {
        let max_waiting = args.pace.max_waiting;
        Arc::new(Arrivals::new(args.connections, max_waiting, steady_from))
    });
    let plan = Arc::new(Plan::new(
        args,
        steady_from,
        arrivals.clone(),
        watched,
        board,
    )?);
    let clock = CpuClock::start();
    let mut course = Course::start(args, &plan, phase);
    watching::show_figures(&plan, arrivals.as_ref());
    let live = plan.live.as_ref().filter(|_| display::is_wanted(args));
    let display = live.map(|live| Display::start(args, live));
    if let (Some(arrivals), Some(rate)) = (&arrivals, args.pace.rate) {
        course::start_pacer(args, &plan, arrivals, rate, begin.at);
    }
    let end = course.wait(args, &plan).await?;
    drop(display);
    let cpu_time = clock.stop(args.threads.min(args.connections));
    let tally = course.tally();
    if !plan.reached.load(Relaxed) {
        let causes = tally.connections.failed.iter().map(|(cause, _)| cause);
        let causes: Vec<_> = causes.collect();
        return Err(Failure::usage(format!(
            "{}: no connection was made: {}",
            plan.origin,
            causes.join("; ")
        )));
    }
    let mut outcome = outcome(args, begin.clock, &plan, &end, tally);
    outcome.cpu_time = cpu_time;
    if let (Some(rate), Some(arrivals)) = (args.pace.rate, arrivals) {
        let (counts, unsent) = arrivals.counts();
        // Those that a signal cut off were not planned any more.
        let cut = match end.kind {
            EndKind::Signal | EndKind::Aborted => unsent,
            EndKind::Plan | EndKind::Duration => 0,
        };
        outcome.unsent = unsent - cut;
        outcome.open_loop = Some(OpenLoop {
            rate: args.share.segment.part(rate),
            arrival: args.pace.arrival,
            planned: counts.planned.saturating_sub(cut),
            dropped: counts.dropped,
        });
    }
    if outcome.unsent > 0 && matches!(end.kind, EndKind::Plan) {
        outcome.end = "the loss of all connections".to_owned();
    }
    Ok(outcome)
}

/// The outcome of a closed loop.
fn outcome(args: &Args, clock: SystemTime, plan: &Plan, end: &End, tally: Tally) -> Outcome {
    Outcome {
        headline: headline(args, plan),
        security: match plan.origin.security() {
            Security::Tls => " over TLS".to_owned(),
            Security::Cleartext => " in cleartext".to_owned(),
        },
        origin: plan.origin.to_string(),
        segment: args.share.segment,
        end: end.text.clone(),
        start: clock + args.warm_up.unwrap_or_default(),
        elapsed: end.at.saturating_duration_since(plan.steady_from),
        open_loop: None,
        unsent: match end.kind {
            EndKind::Plan if args.requests.is_some() => plan.left(),
            _ => 0,
        },
        tally,
        cpu_time: None,
        aborted: matches!(end.kind, EndKind::Aborted),
        broken: Vec::new(),
        notes: Vec::new(),
    }
}

/// Writes the report and the log to the places that the options name.
fn write(args: &Args, outcome: &Outcome) -> Result<(), Failure> {
    let mut stdout_is_taken = false;
    if let Some(path) = &args.report.hlog {
        let log = hlog::write(outcome).map_err(|error| unwritten(path, &error))?;
        stdout_is_taken = is_stdout(path);
        match stdout_is_taken {
            true => console::print(String::from_utf8_lossy(&log))?,
            false => fs::write(path, log).map_err(|error| unwritten(path, &error))?,
        }
    }
    if let Some(path) = &args.report.chart {
        let drawn = draw(path, outcome).map_err(io::Error::other);
        let written = drawn.and_then(|text| fs::write(path, text));
        written.map_err(|error| unwritten(path, &error))?;
    }
    let text = match args.report.report {
        Form::Text => Report(outcome).to_string(),
        Form::H2load => h2load::report(outcome),
        Form::Json => json::report(outcome),
    };
    match args.report.file() {
        Some(path) => fs::write(path, text).map_err(|error| unwritten(path, &error)),
        None if stdout_is_taken => Ok(()),
        None => console::print(text),
    }
}

/// Draws the outcome in the form that the file's name has.
fn draw(path: &Path, outcome: &Outcome) -> Result<String, String> {
    if args::is_svg(path) {
        charts::svg(&charts::of(outcome)).map_err(|error| error.to_string())
    } else {
        page::page(outcome)
    }
}

/// Opens the files of the report before the run: no run is made in vain.
fn check_output(args: &Args) -> Result<(), Failure> {
    let log = args.report.hlog.as_deref().filter(|path| !is_stdout(path));
    let chart = args.report.chart.as_deref();
    for path in args.report.file().into_iter().chain(log).chain(chart) {
        let opened = OpenOptions::new().create(true).append(true).open(path);
        opened.map(drop).map_err(|error| unwritten(path, &error))?;
    }
    Ok(())
}

fn check_streams(args: &Args) -> Result<(), Failure> {
    if args.request.protocol == Some(Protocol::Http1) && args.request.mux {
        return Err(Failure::usage("HTTP/1.1 has no raw streams"));
    }
    if args.request.protocol == Some(Protocol::Http1) && args.streams > 1 {
        return Err(Failure::usage(
            "a connection of HTTP/1.1 has one request at a time: instead of -m, use -c",
        ));
    }
    Ok(())
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot write {}: {error}", path.display()))
}

fn headline(args: &Args, plan: &Plan) -> String {
    let what = match args.request.mux {
        true => "load of raw streams to",
        false => "load of",
    };
    let pace = match args.pace.rate {
        None => "closed loop".to_owned(),
        Some(rate) => format!("open loop at {rate}/s"),
    };
    format!(
        "lacewing {} {what} {}: {pace}, -c {} -m {} -t {}",
        env!("CARGO_PKG_VERSION"),
        plan.origin,
        args.connections,
        args.streams,
        args.threads.min(args.connections)
    )
}
