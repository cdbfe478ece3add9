//! The program, and the directory that it serves.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lacewingd");

/// The end of a test that would never end.
const PATIENCE: Duration = Duration::from_secs(40);

/// A directory that is removed at the end.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("below")).unwrap();
        fs::write(path.join("hello.txt"), "hello world").unwrap();
        fs::write(path.join("a<b>&c.txt"), "").unwrap();
        fs::write(path.join("below/page.html"), "<p>below</p>").unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program, which ends with this.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) said: Vec<String>,
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    _stdout: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(directory: &Directory, args: &[&str]) -> Self {
        Self::start_by(Command::new(PROGRAM), Some(&directory.0), args)
    }

    /// Reads what it says up to a line with this text.
    pub(crate) fn start_until(directory: &Directory, args: &[&str], last: &str) -> Self {
        let command = Command::new(PROGRAM);
        let args = [&["--http", "127.0.0.1:0"], args].concat();
        Self::launch(command, Some(&directory.0), &args, Some(last))
    }

    /// As a shell starts it that grants fewer file descriptors.
    pub(crate) fn start_limited(directory: &Directory, descriptors: u32, args: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n {descriptors}; exec \"$@\"");
        shell.args(["-c", &script, "sh", PROGRAM]);
        Self::start_by(shell, Some(&directory.0), args)
    }

    /// On a free port in cleartext.
    pub(crate) fn start_by(command: Command, directory: Option<&Path>, args: &[&str]) -> Self {
        let args = [&["--http", "127.0.0.1:0"], args].concat();
        Self::launch(command, directory, &args, None)
    }

    /// With no other options than these.
    pub(crate) fn start_with(command: Command, directory: Option<&Path>, args: &[&str]) -> Self {
        Self::launch(command, directory, args, None)
    }

    /// Reads what it says up to its last line, or the one with this text.
    pub(crate) fn launch(
        mut command: Command,
        directory: Option<&Path>,
        args: &[&str],
        last_line: Option<&str>,
    ) -> Self {
        let mut child = command
            .args(directory)
            .args(args)
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        let (mut http, mut https) = (None, None);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let tls_off = args.windows(2).any(|pair| pair == ["--https", "off"]);
        for line in stdout.by_ref().lines().map_while(Result::ok) {
            let address = |rest: &str| rest.split('/').next().unwrap().parse().ok();
            if let Some(rest) = line.trim().strip_prefix("http://") {
                http = address(rest);
            }
            if let Some(rest) = line.trim().strip_prefix("https://") {
                https = address(rest);
            }
            let last = match last_line {
                Some(text) => line.contains(text),
                None => line.contains("certificate SHA-256") || (tls_off && http.is_some()),
            };
            said.push(line);
            if last {
                break;
            }
        }
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let http = http.unwrap_or_else(|| match last_line {
            Some(_) => unknown,
            None => panic!("no address: {said:?}"),
        });
        Self {
            child,
            said,
            http,
            https,
            _stdout: stdout,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let io = TcpStream::connect(self.http).unwrap();
        io.set_read_timeout(Some(PATIENCE)).unwrap();
        io
    }

    /// Sends the bytes of a request in HTTP/1.1, and returns all bytes received.
    pub(crate) fn send(&self, request: &str) -> String {
        let mut io = self.connect();
        io.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        io.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn get(&self, path: &str, fields: &str) -> String {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fields}\r\n"
        ))
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let mut kill = Command::new("kill");
        assert!(kill.args([signal, &id]).status().unwrap().success());
    }

    /// SIGTERM, and what the log said.
    pub(crate) fn terminate(self) -> (Option<i32>, String) {
        self.signal("-TERM");
        self.wait()
    }

    /// Waits for its end, and returns what the log said.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }

    /// Everything that the program has open.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_descriptors(&self) -> usize {
        let handles = fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        handles.unwrap().count()
    }

    /// The regular files that the program has open.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_files(&self, directory: &Directory) -> usize {
        let root = fs::canonicalize(&directory.0).unwrap();
        let handles = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        handles
            .filter_map(|handle| fs::read_link(handle.ok()?.path()).ok())
            .filter(|path| path.starts_with(&root))
            .count()
    }

    /// Kibibytes that the program had in memory when it had most.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
