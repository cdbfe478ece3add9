//! The victim as the attacker sees it: an address, and figures beside the wire.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::process;

/// A server under attack, or a client; or a server that somebody else started.
pub(crate) struct Victim {
    pub(crate) address: SocketAddr,
    pub(crate) pid: Option<u32>,
    child: Option<Mutex<Own>>,
    /// A server of another project, started for one case.
    foreign: Option<Mutex<Child>>,
    /// Memory is what is resident, not what the allocator counts.
    by_resident_memory: bool,
    /// The most resident memory that was seen.
    resident: AtomicU64,
    lost: AtomicBool,
}

struct Own {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// The figures that a victim reports about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) live: u64,
    pub(crate) peak: u64,
    /// Bytes that the connections report to their memory budget.
    pub(crate) held: u64,
    /// The most handlers at one time.
    pub(crate) handlers: u64,
    /// A client's complete responses, its failures, and connections that ended.
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) ended: u64,
    /// The error that ended a client's connection.
    pub(crate) error: String,
}

impl Stats {
    /// Reads `name=value` words; the error is last and has spaces.
    fn parse(line: &str) -> Option<Stats> {
        let (numbers, error) = line.trim_end().split_once(" error=")?;
        let mut stats = Stats {
            error: error.to_owned(),
            ..Stats::default()
        };
        for word in numbers.split_whitespace() {
            let (name, value) = word.split_once('=')?;
            let value = value.parse().ok()?;
            match name {
                "live" => stats.live = value,
                "peak" => stats.peak = value,
                "held" => stats.held = value,
                "handlers" => stats.handlers = value,
                "answered" => stats.answered = value,
                "failed" => stats.failed = value,
                "ended" => stats.ended = value,
                _ => return None,
            }
        }
        Some(stats)
    }
}

impl Victim {
    /// Starts the victim's program, with at most `descriptors` files if given.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        descriptors: Option<u32>,
    ) -> Result<Victim, String> {
        let mut command = match descriptors {
            None => Command::new(program),
            Some(most) => {
                let mut command = Command::new("sh");
                command
                    .arg("-c")
                    .arg(format!("ulimit -n {most}; exec \"$0\" \"$@\""));
                command.arg(program);
                command
            }
        };
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let pid = child.id();
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the victim has no standard streams".into());
        };
        let mut answers = BufReader::new(answers);
        let mut line = String::new();
        answers
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        let address = line
            .trim()
            .parse()
            .map_err(|_| format!("the victim did not start: `{}`", line.trim()))?;
        Ok(Victim {
            address,
            pid: Some(pid),
            child: Some(Mutex::new(Own {
                child,
                questions,
                answers,
            })),
            foreign: None,
            by_resident_memory: false,
            resident: AtomicU64::new(0),
            lost: AtomicBool::new(false),
        })
    }

    /// A server that runs already; memory from `pid`, if given.
    pub(crate) fn running(address: SocketAddr, pid: Option<u32>) -> Victim {
        Victim {
            address,
            pid,
            child: None,
            foreign: None,
            by_resident_memory: true,
            resident: AtomicU64::new(0),
            lost: AtomicBool::new(false),
        }
    }

    /// A server of another project, which ends with this value.
    pub(crate) fn foreign(address: SocketAddr, child: Child) -> Victim {
        let mut victim = Victim::running(address, Some(child.id()));
        victim.foreign = Some(Mutex::new(child));
        victim
    }

    /// For the comparison with servers whose allocator counts nothing.
    pub(crate) fn by_resident_memory(mut self) -> Victim {
        self.by_resident_memory = true;
        self
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.child.is_some()
    }

    /// Makes a client connect.
    pub(crate) fn begin(&self) {
        let _ = self.ask("begin");
    }

    /// Makes the heap of now the peak.
    pub(crate) fn restart_peak(&self) {
        self.resident.store(0, Relaxed);
        if self.child.is_some() {
            let _ = self.ask("restart");
        }
    }

    /// Heap figures; or resident memory, where the allocator counts nothing.
    pub(crate) fn stats(&self) -> Option<Stats> {
        let mut stats = match self.child {
            Some(_) => Stats::parse(&self.ask("stats")?)?,
            None => Stats::default(),
        };
        if self.by_resident_memory {
            stats.live = self.sample()?;
            stats.peak = self.resident.load(Relaxed);
        }
        Some(stats)
    }

    /// Notes the resident memory of now, if it is what counts.
    pub(crate) fn sample(&self) -> Option<u64> {
        if !self.by_resident_memory {
            return None;
        }
        let now = process::resident(self.pid?)?;
        self.resident.fetch_max(now, Relaxed);
        Some(now)
    }

    pub(crate) fn cpu(&self) -> Option<Duration> {
        process::cpu(self.pid?)
    }

    /// Whether the process has ended or answers no more.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    fn ask(&self, question: &str) -> Option<String> {
        let mut own = self.child.as_ref()?.lock().ok()?;
        let mut line = String::new();
        let asked = writeln!(own.questions, "{question}").is_ok();
        if asked
            && own
                .answers
                .read_line(&mut line)
                .is_ok_and(|length| length > 0)
        {
            return Some(line);
        }
        self.lost.store(true, Relaxed);
        None
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if let Some(Ok(own)) = self.child.as_mut().map(|own| own.get_mut()) {
            let _ = own.child.kill();
            let _ = own.child.wait();
        }
        if let Some(Ok(child)) = self.foreign.as_mut().map(|child| child.get_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_are_parsed_with_an_error_of_many_words() {
        let line =
            "live=1 peak=2 held=7 handlers=3 answered=4 failed=5 ended=6 error=too many pings\n";
        let stats = Stats {
            live: 1,
            peak: 2,
            held: 7,
            handlers: 3,
            answered: 4,
            failed: 5,
            ended: 6,
            error: "too many pings".to_owned(),
        };
        assert_eq!(Stats::parse(line), Some(stats));
        assert_eq!(Stats::parse("live=x error="), None);
        assert_eq!(Stats::parse("live=1"), None);
    }
}
