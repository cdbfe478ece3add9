//! The figures of one case, and the verdict on them.

use std::time::Duration;

use serde_json::{Value, json};

use super::bounds::BOUNDS;
use super::play::Size;

/// The figures of one run of one case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) dialect: String,
    pub(crate) answers: String,
    pub(crate) honest: String,
    pub(crate) limits: String,
    pub(crate) connections: u64,
    /// Bytes that all connections together may hold.
    pub(crate) budget: Option<u64>,
    /// Bytes that each may hold, where they are not those of all cases.
    pub(crate) peak_bound: Option<u64>,
    /// A program of its own: resident memory instead of the heap, its caches
    /// included.
    pub(crate) program: bool,
    /// Bytes of heap above the start; all connections together.
    pub(crate) peak: Option<u64>,
    pub(crate) left: Option<u64>,
    /// Without that of the honest requests beside the attack.
    pub(crate) cpu: Option<Duration>,
    /// Bytes that the attacker sent.
    pub(crate) sent: u64,
    pub(crate) handlers: u64,
    pub(crate) reaction: String,
    pub(crate) reacted_after: Option<Duration>,
    pub(crate) closed_after: Option<Duration>,
    pub(crate) p99: Option<Duration>,
    pub(crate) serves: bool,
    pub(crate) notes: Vec<String>,
    pub(crate) failures: Vec<String>,
}

impl Row {
    pub(crate) fn peak_each(&self) -> Option<u64> {
        Some(self.peak? / self.connections.max(1))
    }

    /// Nanoseconds of the victim's CPU for each byte of the attacker.
    pub(crate) fn cpu_per_byte(&self) -> Option<u64> {
        let nanoseconds = u64::try_from(self.cpu?.as_nanos()).ok()?;
        nanoseconds.checked_div(self.sent)
    }

    pub(crate) fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Adds a failure for each bound that is exceeded.
    pub(crate) fn judge(&mut self, size: Size) {
        let mut over = Vec::new();
        if self.program {
            return self.judge_program();
        }
        let bound = self.peak_bound.unwrap_or(BOUNDS.peak);
        if let Some(peak) = self.peak_each().filter(|peak| *peak > bound) {
            over.push(format!("peak {} a connection", bytes(peak)));
        }
        if let (Some(budget), Some(peak)) = (self.budget, self.peak) {
            if peak > budget {
                over.push(format!("peak {} in all, over the budget", bytes(peak)));
            }
            // So long is a request that was refused or not answered.
            if self.p99.is_some_and(|p99| p99 >= super::probe::PATIENCE) {
                over.push("honest requests are not served".to_owned());
            }
        }
        if let Some(left) = self.left.filter(|left| *left > BOUNDS.left) {
            over.push(format!("{} left", bytes(left)));
        }
        let is_worth = self.sent >= BOUNDS.sent_floor;
        if is_worth && self.cpu.is_some_and(|cpu| cpu >= BOUNDS.cpu_floor) {
            let rate = self.cpu_per_byte().unwrap_or(0);
            if rate > BOUNDS.cpu_per_byte {
                over.push(format!("{:.1} µs CPU a byte", rate as f64 / 1000.0));
            }
        }
        if self.handlers > BOUNDS.handlers * self.connections.max(1) + 2 {
            over.push(format!("{} handlers at once", self.handlers));
        }
        if !self.serves {
            over.push("no service for others".to_owned());
        }
        let late = |p99: &Duration| size == Size::Full && *p99 > BOUNDS.honest_p99;
        if let Some(p99) = self.p99.filter(late) {
            over.push(format!("honest p99 {} ms", p99.as_millis()));
        }
        self.failures.extend(over);
    }

    fn judge_program(&mut self) {
        if let Some(peak) = self.peak.filter(|peak| *peak > BOUNDS.program) {
            let text = format!("peak {} in all", bytes(peak));
            self.failures.push(text);
        }
        if !self.serves {
            self.failures.push("no service for others".to_owned());
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "case": self.case,
            "protocol": self.dialect,
            "answers": self.answers,
            "honest_variant": self.honest,
            "limits": self.limits,
            "connections": self.connections,
            "peak_bytes": self.peak,
            "budget_bytes": self.budget,
            "peak_bytes_per_connection": self.peak_each(),
            "left_bytes": self.left,
            "cpu_seconds": self.cpu.map(|cpu| cpu.as_secs_f64()),
            "sent_bytes": self.sent,
            "cpu_nanoseconds_per_byte": self.cpu_per_byte(),
            "handlers": self.handlers,
            "reaction": self.reaction,
            "reacted_after_seconds": self.reacted_after.map(|time| time.as_secs_f64()),
            "closed_after_seconds": self.closed_after.map(|time| time.as_secs_f64()),
            "honest_p99_seconds": self.p99.map(|time| time.as_secs_f64()),
            "serves_others": self.serves,
            "notes": self.notes,
            "failures": self.failures,
        })
    }
}

/// The 99th percentile, by nearest rank.
pub(crate) fn p99(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * 99).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_the_nearest_rank() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(p99(&times), Some(Duration::from_millis(198)));
        assert_eq!(p99(&times[..1]), Some(Duration::from_millis(200)));
        assert_eq!(p99(&[]), None);
    }

    #[test]
    fn a_row_fails_for_each_bound_that_it_exceeds() {
        let mut row = Row {
            connections: 2,
            peak: Some(16 << 20),
            left: Some(5 << 20),
            cpu: Some(Duration::from_secs(1)),
            sent: 10_000,
            handlers: 203,
            p99: Some(Duration::from_millis(31)),
            ..Row::default()
        };
        row.judge(Size::Small);
        let expected = [
            "5120 KiB left",
            "100.0 µs CPU a byte",
            "203 handlers at once",
            "no service for others",
        ];
        assert_eq!(row.failures, expected);
        row.failures.clear();
        row.peak = Some((16 << 20) + 2);
        row.judge(Size::Full);
        assert!(
            row.failures
                .contains(&"peak 8192 KiB a connection".to_owned())
        );
        assert!(row.failures.contains(&"honest p99 31 ms".to_owned()));
    }

    #[test]
    fn bytes_are_short() {
        assert_eq!(bytes(9_999), "9999 B");
        assert_eq!(bytes(20_480), "20 KiB");
        assert_eq!(bytes(64 << 20), "64 MiB");
    }
}
