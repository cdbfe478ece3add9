//! `lacewing load`: loads a server with requests, and measures it.

mod account;
mod args;
mod exchanges;
mod h2load;
mod har;
mod http1;
mod json;
mod outcome;
mod plan;
mod report;
mod requests;
mod tally;
mod template;
mod threshold;
mod times;
mod units;
mod worker;

use std::{
    fs::OpenOptions,
    io,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use lacewing_client::Security;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep_until, timeout},
};

pub(crate) use self::args::{Args, HELP};
use self::{
    args::Form,
    outcome::Outcome,
    plan::{Phase, Plan},
    report::Report,
    tally::Tally,
};
use crate::{
    console,
    dialling::Protocol,
    status::{Failure, LOAD_FAILED, LOAD_THRESHOLD},
};

/// The duration of a load without `-n` and `-D`.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// The wait for the threads after all connections were told to end.
const LAST_WAIT: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    check_output(&args)?;
    check_streams(&args)?;
    let (phase, watched) = watch::channel(Phase::Sending);
    let steady_from = Instant::now() + args.warm_up.unwrap_or_default();
    let plan = Arc::new(Plan::new(&args, steady_from, watched)?);
    let mut threads = start(&plan, &args);
    let mut tally = Tally::default();
    let end = wait(&args, steady_from, &phase, &mut threads, &mut tally).await?;
    if !plan.reached.load(Relaxed) {
        let causes = tally.connections.failed.iter().map(|(cause, _)| cause);
        let causes: Vec<_> = causes.collect();
        return Err(Failure::usage(format!(
            "{}: no connection was made: {}",
            plan.origin,
            causes.join("; ")
        )));
    }
    let mut outcome = Outcome {
        headline: headline(&args, &plan),
        security: match plan.origin.security() {
            Security::Tls => " over TLS",
            Security::Cleartext => " in cleartext",
        },
        end: end.text,
        elapsed: end.at.saturating_duration_since(steady_from),
        unsent: match end.kind {
            EndKind::Plan if args.requests.is_some() => plan.left(),
            _ => 0,
        },
        tally,
        broken: Vec::new(),
    };
    let thresholds = args.report.thresholds.iter();
    if outcome.unsent > 0 {
        outcome.end = "the loss of all connections".to_owned();
    }
    outcome.broken = thresholds
        .filter_map(|threshold| threshold.broken(&outcome))
        .collect();
    write(&args, &outcome)?;
    if !outcome.broken.is_empty() {
        return Err(Failure::quiet(LOAD_THRESHOLD));
    }
    let failed = outcome.tally.succeeded() == 0 || outcome.error_rate() > args.max_error_rate;
    match failed {
        // The report says why.
        true => Err(Failure::quiet(LOAD_FAILED)),
        false => Ok(()),
    }
}

/// Writes the report in the form and to the place that the options name.
fn write(args: &Args, outcome: &Outcome) -> Result<(), Failure> {
    let text = match args.report.report {
        Form::Text => Report(outcome).to_string(),
        Form::H2load => h2load::report(outcome),
        Form::Json => json::report(outcome),
    };
    match args.report.file() {
        Some(path) => std::fs::write(path, text).map_err(|error| unwritten(path, &error)),
        None => console::print(text),
    }
}

/// Opens the report's file before the run: no run is made in vain.
fn check_output(args: &Args) -> Result<(), Failure> {
    let Some(path) = args.report.file() else {
        return Ok(());
    };
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map(drop).map_err(|error| unwritten(path, &error))
}

fn check_streams(args: &Args) -> Result<(), Failure> {
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

/// Starts the threads, each with its share of the connections.
fn start(plan: &Arc<Plan>, args: &Args) -> JoinSet<io::Result<Tally>> {
    let threads = args.threads.min(args.connections);
    let mut tasks = JoinSet::new();
    for thread in 0..threads {
        let first = args.connections * thread / threads;
        let next = args.connections * (thread + 1) / threads;
        let plan = Arc::clone(plan);
        tasks.spawn_blocking(move || worker::run(plan, first, next - first));
    }
    tasks
}

/// The end of a run.
struct End {
    kind: EndKind,
    text: String,
    at: Instant,
}

enum EndKind {
    /// All threads ended by themselves.
    Plan,
    Duration,
    Signal,
}

/// Waits for the end of the run, and joins the threads' counts.
async fn wait(
    args: &Args,
    steady_from: Instant,
    phase: &watch::Sender<Phase>,
    threads: &mut JoinSet<io::Result<Tally>>,
    tally: &mut Tally,
) -> Result<End, Failure> {
    let duration = match (args.requests, args.duration) {
        (None, None) => Some(DEFAULT_DURATION),
        (_, duration) => duration,
    };
    let deadline = duration.map(|duration| steady_from + duration);
    let (kind, text) = tokio::select! {
        joined = join(threads, tally) => {
            joined?;
            let text = match args.requests {
                Some(requests) => format!("-n {requests}"),
                None => "the loss of all connections".to_owned(),
            };
            (EndKind::Plan, text)
        }
        () = at(deadline) => {
            let text = format!("--duration {:?}", duration.unwrap_or_default());
            (EndKind::Duration, text)
        }
        signal = interrupted() => (EndKind::Signal, signal.to_owned()),
    };
    let end = End {
        kind,
        text,
        at: Instant::now(),
    };
    if matches!(end.kind, EndKind::Duration) {
        let _ = phase.send(Phase::Draining);
        tokio::select! {
            joined = timeout(args.drain, join(threads, tally)) => {
                if let Ok(joined) = joined {
                    joined?;
                }
            }
            _ = interrupted() => {}
        }
    }
    let _ = phase.send(Phase::Over);
    match timeout(LAST_WAIT, join(threads, tally)).await {
        Ok(joined) => joined?,
        Err(_) => console::note("a thread does not end; its figures are missing"),
    }
    Ok(end)
}

/// Waits for all threads.
async fn join(threads: &mut JoinSet<io::Result<Tally>>, tally: &mut Tally) -> Result<(), Failure> {
    while let Some(ended) = threads.join_next().await {
        let done = ended.map_err(Failure::usage)?;
        tally.merge(&done.map_err(Failure::usage)?);
    }
    Ok(())
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits for Ctrl-C or SIGTERM. Returns the name.
async fn interrupted() -> &'static str {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminated.recv() => return "SIGTERM",
                Ok(()) = tokio::signal::ctrl_c() => return "Ctrl-C",
                else => {}
            }
        }
    }
    match tokio::signal::ctrl_c().await {
        Ok(()) => "Ctrl-C",
        // Without signals, the run ends by its plan.
        Err(_) => std::future::pending().await,
    }
}

fn headline(args: &Args, plan: &Plan) -> String {
    format!(
        "lacewing {} load of {}: closed loop, -c {} -m {} -t {}",
        env!("CARGO_PKG_VERSION"),
        plan.origin,
        args.connections,
        args.streams,
        args.threads.min(args.connections)
    )
}
