//! Starting, watching and ending the programs of both sides.

use crate::shell;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A server that runs until it is dropped.
pub(super) struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command` and waits until it accepts connections on `port`.
    pub(super) fn start(
        name: &str,
        command: &mut Command,
        port: u16,
        log: PathBuf,
    ) -> Result<Self, String> {
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        Self::start_unseen(name, command, log, listens)
    }

    /// Starts `command` and waits until it `listens`, where that cannot be seen
    /// from here.
    pub(super) fn start_unseen(
        name: &str,
        command: &mut Command,
        log: PathBuf,
        listens: impl Fn() -> bool,
    ) -> Result<Self, String> {
        let shown = shell::show(command);
        let (out, err) = log_files(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|e| format!("cannot start `{shown}`: {e}"))?;
        let mut server = Self {
            name: name.to_owned(),
            child,
            log,
        };
        let deadline = Instant::now() + Duration::from_secs(15);
        while !listens() {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("`{shown}` ended ({status})\n{}", server.log_tail()));
            }
            if Instant::now() > deadline {
                return Err(format!("`{shown}` does not listen\n{}", server.log_tail()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Asks for a graceful end (SIGTERM); see [`wait`](Self::wait).
    pub(super) fn terminate(&self) -> Result<(), String> {
        shell::output(Command::new("kill").args(["-TERM", &self.child.id().to_string()])).map(drop)
    }

    /// Waits for the end of the program.
    pub(super) fn wait(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        wait(&mut self.child, limit).ok_or_else(|| {
            format!(
                "{} still runs after {limit:?}\n{}",
                self.name,
                self.log_tail()
            )
        })
    }

    /// The output of the program so far.
    pub(super) fn log(&self) -> String {
        read_lossy(&self.log)
    }

    pub(super) fn log_tail(&self) -> String {
        format!("log of {}:\n{}", self.name, shell::tail(&self.log(), 12))
    }

    /// The failure of a server that should be running.
    pub(super) fn casualty(&mut self) -> Option<String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(format!("ended by itself ({status})\n{}", self.log_tail()));
        }
        let log = self.log();
        let at = log.lines().position(|line| line.contains("panicked at"))?;
        let lines: Vec<&str> = log.lines().skip(at).take(6).collect();
        Some(format!("panicked:\n{}", lines.join("\n")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output and exit code of a program that has ended.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    /// Bytes of standard output, which need not be text.
    pub(super) stdout_length: u64,
    pub(super) stderr: String,
}

impl Finished {
    /// Standard output, if the program says that it succeeded.
    pub(super) fn success(self) -> Result<String, String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let out = match self.stdout.contains(['\0', char::REPLACEMENT_CHARACTER]) {
            true => format!("{} bytes that are no text", self.stdout_length),
            false => shell::tail(&self.stdout, 8),
        };
        let err = shell::tail(&self.stderr, 8);
        Err(format!("{}\nstdout: {out}\nstderr: {err}", self.status))
    }
}

/// Runs `command` to its end, at most `seconds` long; `log` is the stem of the
/// files that keep its output.
pub(super) fn run_for(command: &mut Command, seconds: u64, log: &Path) -> Result<Finished, String> {
    Running::start(command, log)?.finish(seconds)
}

/// A program under way.
pub(super) struct Running {
    shown: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self, String> {
        let shown = shell::show(command);
        let (out, _) = log_files(&log.with_extension("out"))?;
        let (err, _) = log_files(&log.with_extension("err"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|e| format!("cannot start `{shown}`: {e}"))?;
        Ok(Self {
            shown,
            child,
            log: log.to_owned(),
        })
    }

    /// Waits until `text` has appeared in standard output.
    pub(super) fn wait_for(&mut self, text: &str, seconds: u64) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while !read_lossy(&self.log.with_extension("out")).contains(text) {
            if Instant::now() > deadline || matches!(self.child.try_wait(), Ok(Some(_))) {
                let out = read_lossy(&self.log.with_extension("out"));
                return Err(format!("`{}` never printed `{text}`\n{out}", self.shown));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The output so far.
    pub(super) fn stdout(&self) -> String {
        read_lossy(&self.log.with_extension("out"))
    }

    pub(super) fn stderr(&self) -> String {
        read_lossy(&self.log.with_extension("err"))
    }

    /// The id of the process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    pub(super) fn finish(mut self, seconds: u64) -> Result<Finished, String> {
        let status = wait(&mut self.child, Duration::from_secs(seconds));
        let out = self.log.with_extension("out");
        let stdout_length = std::fs::metadata(&out).map_or(0, |meta| meta.len());
        let stdout = read_lossy(&out);
        let stderr = read_lossy(&self.log.with_extension("err"));
        match status {
            Some(status) => Ok(Finished {
                status,
                stdout,
                stdout_length,
                stderr,
            }),
            None => Err(format!(
                "`{}` still ran after {seconds} s\n{}\n{}",
                self.shown,
                shell::tail(&stdout, 8),
                shell::tail(&stderr, 8)
            )),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of 127.0.0.1 without a listener.
pub(super) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    listener
        .local_addr()
        .map(|address| address.port())
        .map_err(|e| e.to_string())
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn log_files(path: &Path) -> Result<(File, File), String> {
    let file = File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let again = file
        .try_clone()
        .map_err(|e| format!("{}: {e}", path.display()))?;
    Ok((file, again))
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
