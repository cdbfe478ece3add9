//! Conditions that end a run early: `p99>500ms for 10s`.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval_at};

use super::{
    condition::Condition,
    report::Shown,
    shared_times::{Counts, SharedTimes},
    units::time,
};

/// The time between two looks.
const TICK: Duration = Duration::from_secs(1);
/// The time of a condition that names none.
const DEFAULT_TIME: Duration = Duration::from_secs(10);
/// The longest time of a condition: each second of it is 16 KiB of counts.
const LONGEST_TIME: Duration = Duration::from_secs(600);
/// Fewer samples above a percentile are chance.
const ENOUGH: f64 = 10.0;

/// A condition that ends the run when it holds for the requests of the last seconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AbortIf {
    text: String,
    condition: Condition,
    time: Duration,
}

/// The counts that the conditions are about, to which all threads add. The warm-up is left out.
#[derive(Debug)]
pub(super) struct Judged {
    sent: AtomicU64,
    /// Requests without a complete response, and responses with a status of 400 or above.
    bad: AtomicU64,
    /// Requests without a complete response.
    failed: AtomicU64,
    times: SharedTimes,
}

/// The counts of a moment.
#[derive(Clone, Debug)]
struct Moment {
    at: Instant,
    bad: u64,
    failed: u64,
    times: Counts,
}

/// What happened in the time of a condition.
struct Recent {
    bad: u64,
    failed: u64,
    times: Counts,
    time: Duration,
    /// Requests are under way, or wait to be sent.
    waiting: bool,
}

impl AbortIf {
    /// Reads `p99>500ms`, `mean>50ms`, `max>5s`, `errors>1%` or `rate<1000`, and `for 10s` after it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (condition, seconds) = match text.split_once(" for ") {
            Some((condition, seconds)) => (condition, time(seconds.trim())?),
            None => (text, DEFAULT_TIME),
        };
        if seconds < TICK || seconds > LONGEST_TIME {
            return Err(format!("give it from 1s to {LONGEST_TIME:?}"));
        }
        let condition = match condition.split_once(['<', '>']) {
            Some((name, bound)) if condition.contains('>') => {
                Condition::at_most(name.trim(), bound.trim())?.ok_or_else(expected)?
            }
            Some((name, bound)) if name.trim() == "rate" => {
                let bound = bound.trim().parse::<f64>().ok();
                let bound = bound.filter(|bound| bound.is_finite() && *bound > 0.0);
                Condition::Rate(bound.ok_or("give responses in a second: rate<1000")?)
            }
            _ => return Err(expected()),
        };
        Ok(Self {
            text: text.to_owned(),
            condition,
            time: seconds,
        })
    }

    /// Says what was found if the condition holds.
    fn met(&self, recent: &Recent) -> Option<String> {
        let times = &recent.times;
        let late = |found: Option<Duration>, bound: Duration| match found {
            Some(found) => (found > bound).then(|| format!("found {}", Shown(found))),
            None if times.len() == 0 && recent.waiting && recent.time >= bound => {
                Some("no response came".to_owned())
            }
            None => None,
        };
        #[expect(clippy::cast_precision_loss, reason = "rates and shares for people")]
        match self.condition {
            Condition::Percentile(percent, bound) => {
                let above = times.len() as f64 * (100.0 - percent) / 100.0;
                // The share of a percentile such as 99.9 is not exact in binary.
                let enough = above + 1e-6 >= ENOUGH;
                let found = times.percentile(percent);
                late(found.filter(|_| enough), bound)
            }
            Condition::Mean(bound) => late(times.mean(), bound),
            Condition::Max(bound) => late(times.percentile(100.0), bound),
            Condition::Rate(bound) => {
                let found = times.len() as f64 / recent.time.as_secs_f64();
                (found < bound).then(|| format!("found {found:.1}/s"))
            }
            Condition::Errors(bound) => {
                let all = times.len().saturating_add(recent.failed);
                let found = recent.bad as f64 / all.max(1) as f64;
                (found > bound).then(|| format!("found {:.2} %", found * 100.0))
            }
        }
    }
}

impl Judged {
    pub(super) fn new() -> Self {
        Self {
            sent: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            times: SharedTimes::new(),
        }
    }

    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    /// A request that was sent counts as not sent.
    pub(super) fn left_alone(&self) {
        self.sent.fetch_sub(1, Relaxed);
    }

    /// `good`: the status is below 400. `time`: the one that a user would have waited.
    pub(super) fn answered(&self, good: bool, time: Duration) {
        self.bad.fetch_add(u64::from(!good), Relaxed);
        self.times.record(time);
    }

    pub(super) fn failed(&self) {
        self.bad.fetch_add(1, Relaxed);
        self.failed.fetch_add(1, Relaxed);
    }

    fn moment(&self, at: Instant) -> Moment {
        Moment {
            at,
            bad: self.bad.load(Relaxed),
            failed: self.failed.load(Relaxed),
            times: self.times.counts(),
        }
    }

    fn is_open(&self, now: &Moment) -> bool {
        self.sent.load(Relaxed) > now.times.len().saturating_add(now.failed)
    }
}

/// Waits until one of the conditions holds. Returns it, and what was found. `start`: the end of the
/// warm-up. `has_waiting`: whether there are requests to send.
pub(super) async fn until_met(
    conditions: &[AbortIf],
    judged: &Judged,
    start: Instant,
    has_waiting: impl Fn() -> bool,
) -> String {
    let longest = conditions.iter().map(|condition| condition.time).max();
    let longest = longest.unwrap_or_default();
    let mut ticks = interval_at(start.into(), TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut moments: VecDeque<Moment> = VecDeque::new();
    loop {
        ticks.tick().await;
        let now = judged.moment(Instant::now());
        let waiting = judged.is_open(&now) || has_waiting();
        for condition in conditions {
            let Some(recent) = recent(&moments, &now, condition.time, waiting) else {
                continue;
            };
            if let Some(found) = condition.met(&recent) {
                return format!("--abort-if {}: {found}", condition.text);
            }
        }
        moments.push_back(now.clone());
        // One moment before the longest time remains.
        while moments
            .get(1)
            .is_some_and(|second| now.at.duration_since(second.at) >= longest)
        {
            moments.pop_front();
        }
    }
}

/// What happened in the last `time`; `None` if the run is not that old.
fn recent(
    moments: &VecDeque<Moment>,
    now: &Moment,
    time: Duration,
    waiting: bool,
) -> Option<Recent> {
    let mut latest_first = moments.iter().rev();
    // A tick may be some milliseconds late or early.
    let old_enough = |moment: &&Moment| now.at.duration_since(moment.at) + TICK / 10 >= time;
    let before = latest_first.find(old_enough)?;
    Some(Recent {
        bad: now.bad.saturating_sub(before.bad),
        failed: now.failed.saturating_sub(before.failed),
        times: now.times.since(&before.times),
        time: now.at.duration_since(before.at),
        waiting,
    })
}

fn expected() -> String {
    "write 'p99>500ms for 10s', or mean>50ms, max>5s, errors>1% or rate<1000".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn conditions_are_read() {
        let read = |text| AbortIf::parse(text).map(|read| (read.condition, read.time));
        let half = Duration::from_millis(500);
        let p99 = Condition::Percentile(99.0, half);
        assert_eq!(read("p99>500ms for 30s"), Ok((p99, SECONDS(30))));
        assert_eq!(read("p99 > 500ms"), Ok((p99, DEFAULT_TIME)));
        let errors = Condition::Errors(0.01);
        assert_eq!(read("errors>1% for 2m"), Ok((errors, SECONDS(120))));
        let rate = Condition::Rate(1000.0);
        assert_eq!(read("rate<1000 for 5s"), Ok((rate, SECONDS(5))));
        for wrong in [
            "p99<500ms",
            "p100>1s",
            "rate>5",
            "rate<0",
            "rate<NaN",
            "x>1s",
            "mean>1s for 0.5s",
            "mean>1s for 11m",
            "mean>1s for x",
            "",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    /// The counts of one second each: good and bad responses, and their times in milliseconds.
    fn run(condition: &str, seconds: &[(u64, u64, u64)]) -> Option<(usize, String)> {
        let condition = AbortIf::parse(condition).unwrap();
        let judged = Judged::new();
        let start = Instant::now();
        let mut moments = VecDeque::from([judged.moment(start)]);
        for (second, (good, bad, millis)) in seconds.iter().enumerate() {
            for number in 0..good + bad {
                judged.sent();
                judged.answered(number < *good, Duration::from_millis(*millis));
            }
            let now = judged.moment(start + SECONDS(second as u64 + 1));
            let found = recent(&moments, &now, condition.time, true);
            if let Some(found) = found.and_then(|recent| condition.met(&recent)) {
                return Some((second + 1, found));
            }
            moments.push_back(now);
        }
        None
    }

    #[test]
    fn a_condition_is_about_the_last_seconds_as_a_whole() {
        let (fast, slow) = ((1000, 0, 10), (1000, 0, 800));
        assert_eq!(run("p99>500ms for 3s", &[fast; 20]), None);
        // The first slow second is a third of the last three, more than their slowest 1 %.
        let course = [fast, fast, fast, fast, slow, slow];
        let (second, found) = run("p99>500ms for 3s", &course).unwrap();
        assert_eq!(second, 5);
        assert!(found.starts_with("found 8"), "{found}");
        // Half of the last four are slow, which their median is not yet.
        assert_eq!(run("p50>500ms for 4s", &course), None);
        // Not before the time has passed once.
        assert_eq!(run("p50>500ms for 4s", &[slow; 3]), None);
        assert_eq!(run("p50>500ms for 4s", &[slow; 4]).unwrap().0, 4);
    }

    #[test]
    fn rates_failures_and_silence_are_conditions_too() {
        let course = [(100, 0, 1), (100, 2, 1), (98, 4, 1), (10, 0, 1)];
        assert_eq!(run("errors>2% for 2s", &course).unwrap().0, 3);
        assert_eq!(run("rate<60 for 2s", &course).unwrap().0, 4);
        assert_eq!(run("rate<50 for 2s", &course), None);
        let (second, found) = run("mean>2s for 2s", &[(9, 0, 1), (0, 0, 0), (0, 0, 0)]).unwrap();
        assert_eq!((second, found.as_str()), (3, "no response came"));
        // Two silent seconds do not show that responses take longer than five.
        assert_eq!(
            run("mean>5s for 2s", &[(9, 0, 1), (0, 0, 0), (0, 0, 0)]),
            None
        );
        // Nine samples are above p99 of 999: chance.
        assert_eq!(run("p99>1ms for 1s", &[(999, 0, 9)]), None);
        assert!(run("p99>1ms for 1s", &[(1000, 0, 9)]).is_some());
    }
}
