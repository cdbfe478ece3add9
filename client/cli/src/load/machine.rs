//! What this program takes of its machine: open files and CPU time.

use std::time::{Duration, Instant};

/// Open files beside the connections: outputs, runtimes, name resolution.
#[cfg(unix)]
const OTHER_FILES: u64 = 64;
/// The part of its threads' time above which this program bounds the figures.
const SATURATED: f64 = 0.9;

/// Raises the limit of open files as far as the connections need.
///
/// # Errors
///
/// If the system permits fewer. The text names both numbers.
#[cfg(unix)]
pub(super) fn permit_connections(connections: usize) -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(|_| {
        let most = limit.maximum.or(limit.current).unwrap_or_default();
        format!(
            "-c {connections} needs {needed} open files, and the system permits {most}: raise the \
             limit (ulimit -n), or use fewer connections"
        )
    })
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub(super) fn permit_connections(_: usize) -> Result<(), String> {
    Ok(())
}

/// Measures the CPU time of this program.
pub(super) struct CpuClock {
    began: Instant,
    used: Option<Duration>,
}

/// The CPU time that a run took.
#[derive(Clone, Copy, Debug)]
pub(super) struct CpuTime {
    pub(super) used: Duration,
    /// The threads that may run at once.
    pub(super) threads: usize,
    elapsed: Duration,
}

impl CpuClock {
    pub(super) fn start() -> Self {
        Self {
            began: Instant::now(),
            used: cpu_time(),
        }
    }

    /// The CPU time since the start, of a program with so many threads. `None` where the system
    /// does not tell it.
    pub(super) fn stop(&self, threads: usize) -> Option<CpuTime> {
        let cores = std::thread::available_parallelism().map_or(threads, usize::from);
        Some(CpuTime {
            used: cpu_time()?.saturating_sub(self.used?),
            threads: threads.min(cores).max(1),
            elapsed: self.began.elapsed(),
        })
    }
}

impl CpuTime {
    /// The part of the threads' time in which they ran.
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub(super) fn busy(&self) -> f64 {
        let all = self.elapsed.as_secs_f64() * self.threads as f64;
        self.used.as_secs_f64() / all.max(1e-9)
    }

    /// Says that a faster server would not show.
    pub(super) fn saturation(&self) -> Option<String> {
        let percent = self.busy() * 100.0;
        (self.busy() > SATURATED).then(|| {
            format!(
                "This client was busy for {percent:.0} % of its time, so the figures may be its own. \
                 Use more threads (-t), or several machines (--segment)."
            )
        })
    }
}

#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
}

#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_busy_says_so() {
        let time = |used| CpuTime {
            used: Duration::from_millis(used),
            threads: 2,
            elapsed: Duration::from_secs(1),
        };
        assert_eq!(time(1800).saturation(), None);
        let said = time(1900).saturation().unwrap();
        assert!(
            said.contains("busy for 95 %") && said.contains("-t"),
            "{said}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn work_takes_cpu_time() {
        let clock = CpuClock::start();
        let mut sum = 0_u64;
        while clock.stop(1).unwrap().used < Duration::from_millis(5) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(clock.stop(1).unwrap().busy() > 0.0);
    }
}
