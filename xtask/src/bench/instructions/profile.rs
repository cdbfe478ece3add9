//! Programs under callgrind, and the sums of its files.

use crate::shell;
use std::collections::HashSet;
use std::fmt;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The time in which a program under callgrind starts to listen, or ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// The functions of the C library that allocate. A `realloc` counts: it may move the memory.
const ALLOCATORS: [&str; 7] = [
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
    "memalign",
    "_rjem_malloc",
];

/// The cost of a run, or of one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) instructions: u64,
    /// Calls of the allocator.
    pub(super) allocations: f64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            instructions,
            allocations,
        } = self;
        write!(
            f,
            "{instructions} instructions, {allocations:.1} allocations"
        )
    }
}

/// The command that runs the program of its further arguments under callgrind.
pub(super) fn callgrind(profile: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]);
    command.arg(format!("--callgrind-out-file={}", profile.display()));
    command
}

/// A server under callgrind, which dropping ends.
pub(super) struct Profiled {
    child: Child,
    port: u16,
}

impl Profiled {
    /// Starts a server. `program` appends the program and its arguments for a port.
    pub(super) fn start(
        profile: &Path,
        program: impl FnOnce(u16, &mut Command),
    ) -> Result<Self, String> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|e| e.to_string())?
            .port();
        let mut command = callgrind(profile);
        program(port, &mut command);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("valgrind: {e}"))?;
        let mut server = Self { child, port };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = matches!(server.child.try_wait(), Ok(Some(_)));
            if ended || Instant::now() > deadline {
                return Err("the server does not listen under valgrind".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Stops it gracefully: callgrind writes its file at the end.
    pub(super) fn stop(mut self) -> Result<(), String> {
        shell::run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().map_err(|e| e.to_string())?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("the server does not end at SIGTERM".into())
    }
}

impl Drop for Profiled {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the sums of a file of callgrind.
pub(super) fn read(profile: &Path) -> Result<Cost, String> {
    let text = std::fs::read_to_string(profile).map_err(|e| format!("callgrind.out: {e}"))?;
    parse(&text).ok_or_else(|| "callgrind.out has no sum".into())
}

fn parse(text: &str) -> Option<Cost> {
    let (mut instructions, mut allocations) = (None, 0_u64);
    // A name stands once, behind its number; later lines have the number alone.
    let mut allocators = HashSet::new();
    let mut callee_allocates = false;
    for line in text.lines() {
        if let Some(sum) = line
            .strip_prefix("totals: ")
            .or(line.strip_prefix("summary: "))
        {
            instructions = instructions.or(sum.split_whitespace().next()?.parse().ok());
        } else if let Some(function) = line.strip_prefix("cfn=").or(line.strip_prefix("fn=")) {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            // Callgrind marks the levels of a recursion: malloc'2.
            if ALLOCATORS.contains(&name) {
                allocators.insert(number.to_owned());
            }
            callee_allocates = line.starts_with('c') && allocators.contains(number);
        } else if let Some(calls) = line.strip_prefix("calls=")
            && callee_allocates
        {
            allocations += calls.split_whitespace().next()?.parse::<u64>().ok()?;
        }
    }
    Some(Cost {
        instructions: instructions?,
        allocations: allocations as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_allocator_are_counted_from_every_caller() {
        let text = "events: Ir\n\
                    fn=(1) main\n16 400\ncfn=(2) malloc\ncalls=3 0\n16 30\ncfn=(3) free\ncalls=9 0\n\
                    16 90\nfn=(4) other\ncfn=(2)\ncalls=2 0\n16 20\nfn=(2)\n1 50\n\
                    totals: 590\n";
        let cost = parse(text).unwrap_or(Cost {
            instructions: 0,
            allocations: 0.0,
        });
        assert_eq!((cost.instructions, cost.allocations), (590, 5.0));
        assert_eq!(parse("fn=(1) main\n"), None);
    }
}
