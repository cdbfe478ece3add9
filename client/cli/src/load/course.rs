//! The course of a run: its threads, from their start to the end.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{
    abort,
    args::Args,
    arrivals::Arrivals,
    pacer::Pacer,
    plan::{Phase, Plan},
    schedule::Schedule,
    tally::Tally,
    worker,
};
use crate::{console, status::Failure};

/// The wait for the threads after all connections were told to end.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The time before `--start-at` in which an open loop makes its connections.
const LEAD: Duration = Duration::from_secs(1);
/// The longest wait for `--start-at`.
const LONGEST_START: Duration = Duration::from_secs(24 * 3600);

/// A run.
pub(super) struct Course {
    phase: watch::Sender<Phase>,
    threads: JoinSet<io::Result<Tally>>,
    tally: Tally,
}

/// The end of a run.
pub(super) struct End {
    pub(super) kind: EndKind,
    /// The cause, in words.
    pub(super) text: String,
    pub(super) at: Instant,
}

pub(super) enum EndKind {
    /// All threads ended by themselves.
    Plan,
    Duration,
    Signal,
    /// By `--abort-if`.
    Aborted,
}

impl Course {
    /// Starts the threads, each with its share of the connections.
    pub(super) fn start(args: &Args, plan: &Arc<Plan>, phase: watch::Sender<Phase>) -> Self {
        let count = args.threads.min(args.connections);
        let mut threads = JoinSet::new();
        for thread in 0..count {
            let first = args.connections * thread / count;
            let next = args.connections * (thread + 1) / count;
            let plan = Arc::clone(plan);
            threads.spawn_blocking(move || worker::run(plan, first, next - first));
        }
        Self {
            phase,
            threads,
            tally: Tally::new(args.report.with_series()),
        }
    }

    /// The counts of the threads that have ended.
    pub(super) fn tally(self) -> Tally {
        self.tally
    }

    /// Waits for the end of the run, and joins the threads' counts.
    pub(super) async fn wait(&mut self, args: &Args, plan: &Plan) -> Result<End, Failure> {
        let duration = args.run_time();
        let deadline = duration.map(|duration| plan.steady_from + duration);
        let by_duration = || format!("--duration {:?}", duration.unwrap_or_default());
        let (kind, text) = tokio::select! {
            joined = self.join() => {
                joined?;
                match (deadline.filter(|end| *end <= Instant::now()), args.requests) {
                    (Some(_), _) => (EndKind::Duration, by_duration()),
                    (None, Some(requests)) => (EndKind::Plan, format!("-n {requests}")),
                    (None, None) => (EndKind::Plan, "the loss of all connections".to_owned()),
                }
            }
            () = at(deadline) => (EndKind::Duration, by_duration()),
            signal = interrupted() => (EndKind::Signal, signal.to_owned()),
            why = aborted(args, plan) => (EndKind::Aborted, why),
        };
        let end = End {
            kind,
            text,
            at: Instant::now(),
        };
        if matches!(end.kind, EndKind::Duration) {
            // Requests of an open loop that were due are still sent.
            if args.pace.rate.is_none() {
                let _ = self.phase.send(Phase::Draining);
            }
            tokio::select! {
                joined = timeout(args.drain, self.join()) => {
                    if let Ok(joined) = joined {
                        joined?;
                    }
                }
                _ = interrupted() => {}
            }
        }
        let _ = self.phase.send(Phase::Over);
        match timeout(LAST_WAIT, self.join()).await {
            Ok(joined) => joined?,
            Err(_) => console::note("a thread does not end; its figures are missing"),
        }
        Ok(end)
    }

    /// Waits for all threads.
    async fn join(&mut self) -> Result<(), Failure> {
        while let Some(ended) = self.threads.join_next().await {
            let done = ended.map_err(Failure::usage)?;
            self.tally.merge(&done.map_err(Failure::usage)?, 0);
        }
        Ok(())
    }
}

/// The begin of a load.
pub(super) struct Begin {
    pub(super) at: Instant,
    pub(super) clock: SystemTime,
}

impl Begin {
    /// Waits until connections may be made for a load that begins at this time.
    pub(super) async fn wait(args: &Args) -> Result<Self, Failure> {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let Some(start) = args.share.start_at else {
            return Ok(Self { at: now, clock });
        };
        let wait = start.duration_since(clock).map_err(|late| {
            let late = late.duration();
            Failure::usage(format!("--start-at was {late:.1?} ago; name a later time"))
        })?;
        if wait > LONGEST_START {
            return Err(Failure::usage(format!(
                "--start-at is more than {LONGEST_START:?} away; check the date"
            )));
        }
        let at = now + wait;
        // The requests of an open loop find connections that are ready.
        let lead = args.pace.rate.map_or(Duration::ZERO, |_| LEAD);
        sleep_until((at - lead.min(wait)).into()).await;
        Ok(Self { at, clock: start })
    }
}

/// Starts the clock of an open loop.
pub(super) fn start_pacer(
    args: &Args,
    plan: &Plan,
    arrivals: &Arc<Arrivals>,
    rate: f64,
    start: Instant,
) {
    let pacer = Pacer {
        schedule: Schedule::new(rate, args.pace.arrival, args.share.segment),
        start,
        end: args.run_time().map(|time| plan.steady_from + time),
        requests: args.requests,
        phase: plan.phase.clone(),
    };
    let arrivals = Arc::clone(arrivals);
    std::thread::spawn(move || pacer.run(&arrivals));
}

/// Waits until a condition of `--abort-if` holds.
async fn aborted(args: &Args, plan: &Plan) -> String {
    let Some(judged) = &plan.judged else {
        return std::future::pending().await;
    };
    let conditions = &args.report.abort_if;
    abort::until_met(conditions, judged, plan.steady_from, || plan.has_waiting()).await
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
