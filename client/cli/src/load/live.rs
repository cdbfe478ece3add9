//! The figures of a run while it lasts, on a terminal.

use std::{
    io::IsTerminal as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::{task::JoinHandle, time::interval};

use super::args::Args;

/// The time between two looks at the counts.
const TICK: Duration = Duration::from_millis(250);

/// The parts of each power of two in a distribution.
const PARTS: usize = 8;
/// Up to more than an hour, in microseconds.
const BUCKETS: usize = 32 * PARTS;

/// Counts that all threads add to.
#[derive(Debug)]
pub(super) struct Live {
    sent: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    connections: AtomicU64,
    /// Service times since the last look.
    times: Vec<AtomicU64>,
}

/// The display of a run. It ends with it.
pub(super) struct Display {
    bar: ProgressBar,
    task: JoinHandle<()>,
}

impl Live {
    /// Returns counts, if somebody looks at them: on a terminal, unless that is not wanted.
    pub(super) fn for_terminal(args: &Args) -> Option<Arc<Self>> {
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let shown = std::io::stderr().is_terminal() && !dumb && !args.report.no_live;
        shown.then(|| Arc::new(Self::new()))
    }

    fn new() -> Self {
        Self {
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            times: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self, service: Duration) {
        self.answered.fetch_add(1, Relaxed);
        if let Some(count) = self.times.get(bucket(service)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// The service times that half and 99 % of the responses since the last look had at most, about.
    fn percentiles(&self) -> Option<(Duration, Duration)> {
        let counts: Vec<u64> = self
            .times
            .iter()
            .map(|count| count.swap(0, Relaxed))
            .collect();
        let all: u64 = counts.iter().sum();
        let at = |part: u64| {
            // The rank is at least 1.
            let mut left = (all * part).div_ceil(100);
            let reached = counts.iter().position(|count| {
                let reached = *count >= left;
                left = left.saturating_sub(*count);
                reached
            });
            upper(reached.unwrap_or(BUCKETS))
        };
        (all > 0).then(|| (at(50), at(99)))
    }

    /// The line of figures. `answered`: at the last look, which was `since` ago.
    fn line(&self, answered: u64, since: Duration) -> String {
        let now = self.answered.load(Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = now.saturating_sub(answered) as f64 / since.as_secs_f64().max(1e-3);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate of responses"
        )]
        let rate = HumanCount(rate as u64);
        let failed = self.failed.load(Relaxed);
        let open = self.sent.load(Relaxed).saturating_sub(now + failed);
        let times = match self.percentiles() {
            Some((half, most)) => format!(", p50 {half:.1?}, p99 {most:.1?}"),
            None => String::new(),
        };
        format!(
            "{rate}/s, {} answered, {failed} failed, {} open, {} connections{times}",
            HumanCount(now),
            HumanCount(open),
            self.connections.load(Relaxed)
        )
    }
}

impl Display {
    /// Shows the counts until the end of the run.
    pub(super) fn start(args: &Args, live: &Arc<Live>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let time = args
            .run_time()
            .map(|time| time + args.warm_up.unwrap_or_default());
        let template = match (args.requests, time) {
            (Some(requests), _) => {
                bar.set_length(requests);
                "{elapsed} {bar:24} {msg}"
            }
            (None, Some(time)) => {
                bar.set_length(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
                "{elapsed} {bar:24} {msg}"
            }
            (None, None) => "{elapsed} {spinner} {msg}",
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let by_requests = args.requests.is_some();
        let (line, live) = (bar.clone(), Arc::clone(live));
        let task = tokio::spawn(async move {
            let start = Instant::now();
            let mut ticks = interval(TICK);
            let mut last = (0, start);
            loop {
                ticks.tick().await;
                let now = Instant::now();
                line.set_message(live.line(last.0, now.saturating_duration_since(last.1)));
                last = (live.answered.load(Relaxed), now);
                line.set_position(match by_requests {
                    true => last.0,
                    false => u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
                });
            }
        });
        Self { bar, task }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

/// The bucket of a time: its power of two, and the part of it.
fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let power = micros.max(1).ilog2() as usize;
    let part = match power {
        0..3 => (micros << (3 - power)) & 7,
        _ => (micros >> (power - 3)) & 7,
    };
    let bucket = power * PARTS + usize::try_from(part).unwrap_or(0);
    bucket.min(BUCKETS - 1)
}

/// The end of a bucket.
fn upper(bucket: usize) -> Duration {
    let (power, part) = (bucket / PARTS, bucket % PARTS);
    let part = u64::try_from(part).unwrap_or(0) + PARTS as u64 + 1;
    Duration::from_nanos((part * 1000).saturating_mul(1 << power.min(40)) / PARTS as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_at_most_an_eighth_above_its_times() {
        for micros in [1, 2, 3, 5, 7, 8, 9, 100, 1023, 1024, 999_999, 60_000_000] {
            let time = Duration::from_micros(micros);
            let end = upper(bucket(time));
            assert!(time <= end, "{time:?} {end:?}");
            assert!(
                end <= time * 9 / 8 + Duration::from_nanos(1),
                "{time:?} {end:?}"
            );
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_line_has_the_figures_since_the_last_look() {
        let live = Live::new();
        live.connected();
        for millis in 1..=100 {
            live.sent();
            live.answered(Duration::from_millis(millis));
        }
        live.sent();
        live.sent();
        live.failed();
        let line = live.line(50, Duration::from_millis(500));
        let (counts, times) = line.split_once(", p50 ").unwrap();
        assert_eq!(
            counts,
            "100/s, 100 answered, 1 failed, 1 open, 1 connections"
        );
        let (half, most) = times.split_once("ms, p99 ").unwrap();
        let (half, most): (f64, f64) = (
            half.parse().unwrap(),
            most.trim_end_matches("ms").parse().unwrap(),
        );
        assert!((50.0..=57.0).contains(&half), "{line}");
        assert!((99.0..=112.0).contains(&most), "{line}");
        // The next look begins anew.
        let line = live.line(100, Duration::from_millis(500));
        assert!(
            line.starts_with("0/s, 100 answered") && !line.contains("p50"),
            "{line}"
        );
    }
}
