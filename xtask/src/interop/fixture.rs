//! The fixture of the cases: our programs, the peers, the served files with
//! their digests, the certificate, and servers that start when first asked for.

mod server;

use super::process::{Finished, Running, Server, free_port, run_for};
use crate::{go, node, shell};
pub(super) use server::{Shared, Started};
use std::cell::{Cell, OnceCell, RefCell};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files that every server of the run serves.
pub(super) const SMALL: &str = "small.txt";
pub(super) const MEDIUM: &str = "400kb.bin";
pub(super) const MB_1: &str = "1mb.bin";
pub(super) const MB_50: &str = "50mb.bin";
pub(super) const MB_100: &str = "100mb.bin";

const FILES: [(&str, usize); 5] = [
    (SMALL, 1_400),
    (MEDIUM, 400_000),
    (MB_1, 1_000_000),
    (MB_50, 50_000_000),
    (MB_100, 100_000_000),
];

/// Offers everything, and on cleartext SPDY/3 rather than SPDY/3.1.
pub(super) const SPDY3_FIRST: &str = "h2,spdy/3,spdy/3.1,spdy/2,http/1.1";

/// The security of a connection, and the choice of the protocol with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// Cleartext with prior knowledge.
    Plain,
    /// TLS with ALPN.
    Tls,
}

impl Security {
    pub(super) const BOTH: [Self; 2] = [Self::Plain, Self::Tls];

    /// As the peer programs take it, and as it stands in the names of cases.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
        }
    }

    /// The URL of `path` on a server of this machine.
    pub(super) fn url(self, port: u16, path: &str) -> String {
        match self {
            Self::Plain => format!("http://127.0.0.1:{port}/{path}"),
            Self::Tls => format!("https://127.0.0.1:{port}/{path}"),
        }
    }
}

pub(super) struct Fixture {
    folder: PathBuf,
    programs: PathBuf,
    go_peers: OnceCell<Result<PathBuf, String>>,
    rust_peers: PathBuf,
    digests: Vec<(&'static str, usize, String)>,
    servers: RefCell<Vec<(Shared, Result<Started, String>)>>,
    start: Start,
    runs: Cell<usize>,
}

/// Starts a shared server. The fixture does not know how: the servers' files
/// need the fixture.
pub(super) type Start = fn(Shared, &Fixture) -> Result<Started, String>;

impl Fixture {
    /// Builds our programs, makes the files and the certificate.
    pub(super) fn set_up(start: Start) -> Result<Self, String> {
        let programs = build()?;
        let rust_peers = build_rust()?;
        node::peers()?;
        let folder = std::env::temp_dir().join(format!("lacewing-interop-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let files = folder.join("files");
        std::fs::create_dir_all(&files).map_err(|e| format!("{}: {e}", files.display()))?;
        let mut digests = Vec::new();
        for (name, length) in FILES {
            let path = files.join(name);
            write_file(&path, length).map_err(|e| format!("{}: {e}", path.display()))?;
            digests.push((name, length, sha256(&path)?));
        }
        let fixture = Self {
            folder,
            programs,
            go_peers: OnceCell::new(),
            rust_peers,
            digests,
            servers: RefCell::default(),
            start,
            runs: Cell::new(0),
        };
        shell::output(
            Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ])
                .args(["-nodes", "-days", "30", "-subj", "/CN=localhost"])
                .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
                .arg("-keyout")
                .arg(fixture.key())
                .arg("-out")
                .arg(fixture.cert()),
        )?;
        Ok(fixture)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder that every server serves.
    pub(super) fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.files().join(name)
    }

    pub(super) fn cert(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// Both in one file, as HAProxy takes them.
    pub(super) fn cert_and_key(&self) -> Result<PathBuf, String> {
        let both = self.scratch("cert-and-key.pem");
        let read = |path| std::fs::read_to_string(path).map_err(|e| e.to_string());
        let pem = read(self.cert())? + &read(self.key())?;
        std::fs::write(&both, pem).map_err(|e| e.to_string())?;
        Ok(both)
    }

    /// SHA-256 of a served file, in hex.
    pub(super) fn digest(&self, name: &str) -> &str {
        self.digests
            .iter()
            .find(|row| row.0 == name)
            .map_or("?", |row| &row.2)
    }

    pub(super) fn length(&self, name: &str) -> usize {
        self.digests
            .iter()
            .find(|row| row.0 == name)
            .map_or(0, |row| row.1)
    }

    /// The output of a Node client after it has fetched `name`.
    pub(super) fn answer(&self, name: &str) -> String {
        format!("200 {} {}", self.length(name), self.digest(name))
    }

    /// A place for an output file of a case.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.runs.set(self.runs.get() + 1);
        self.folder.join(format!("{:03}-{name}", self.runs.get()))
    }

    /// One of our programs.
    pub(super) fn ours(&self, program: &str) -> Command {
        Command::new(self.programs.join(program))
    }

    /// A program of the system; missing is an error that says where it is had.
    pub(super) fn tool(&self, program: &str) -> Result<Command, String> {
        let path = shell::find(program)
            .ok_or_else(|| format!("`{program}` is not installed (.ci/run installs it)"))?;
        Ok(Command::new(path))
    }

    /// One of the Node programs of `xtask/peers/node`.
    pub(super) fn node(&self, script: &str) -> Result<Command, String> {
        let mut node = self.tool("node")?;
        node.arg(node::folder().join(script));
        Ok(node)
    }

    /// One of the Go programs of `xtask/peers/go`, built when first asked for.
    pub(super) fn go(&self, program: &str) -> Result<Command, String> {
        let folder = self.go_peers.get_or_init(|| self.build_go()).clone()?;
        Ok(Command::new(folder.join(program)))
    }

    /// One of the Rust programs of `xtask/peers/rust`.
    pub(super) fn rust(&self, program: &str) -> Command {
        Command::new(self.rust_peers.join(program))
    }

    /// One of the Python programs of `xtask/peers/python`, run by the system's
    /// Python: that is where its packages are.
    pub(super) fn python(&self, script: &str) -> Result<Command, String> {
        let python = Path::new("/usr/bin/python3");
        if !python.is_file() {
            return Err("the system's python3 is not installed (.ci/run installs it)".into());
        }
        let mut command = Command::new(python);
        command.arg(shell::root().join("xtask/peers/python").join(script));
        Ok(command)
    }

    /// Runs a command to its end; its output is kept with the logs.
    pub(super) fn run(&self, command: &mut Command, seconds: u64) -> Result<Finished, String> {
        let name = command.get_program().to_owned();
        let name = Path::new(&name)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        run_for(command, seconds, &self.scratch(&name))
    }

    /// Starts a command that runs beside the case.
    pub(super) fn spawn(&self, command: &mut Command) -> Result<Running, String> {
        Running::start(command, &self.scratch("running"))
    }

    /// The port of a shared server, which is started when first asked for.
    pub(super) fn port(&self, shared: Shared, security: Security) -> Result<u16, String> {
        let running = |(name, _): &(Shared, _)| *name == shared;
        if !self.servers.borrow().iter().any(running) {
            // May start others: a proxy needs what it stands in front of.
            let started = (self.start)(shared, self);
            self.servers.borrow_mut().push((shared, started));
        }
        let servers = self.servers.borrow();
        let started = servers.iter().find(|(name, _)| *name == shared);
        match started.map(|(_, started)| started) {
            Some(Ok(started)) if security == Security::Plain => Ok(started.plain),
            Some(Ok(started)) => Ok(started.tls),
            Some(Err(error)) => Err(error.clone()),
            None => Err(format!("{shared:?} was not started")),
        }
    }

    /// A `lacewingd` of its own, with its cleartext and its TLS port; `version`
    /// is what will be spoken with it.
    pub(super) fn lacewingd(&self, version: &str) -> Result<(Server, u16, u16), String> {
        let Started { server, plain, tls } = self.start_lacewingd(version, &[])?;
        Ok((server, plain, tls))
    }

    /// The same, with more options.
    pub(super) fn start_lacewingd(
        &self,
        version: &str,
        options: &[&str],
    ) -> Result<Started, String> {
        let (plain, tls) = (free_port()?, free_port()?);
        let mut command = self.ours("lacewingd");
        command
            .arg(self.files())
            .args(["--http", &format!("127.0.0.1:{plain}")])
            .args(["--https", &format!("127.0.0.1:{tls}")])
            .arg("--cert")
            .arg(self.cert())
            .arg("--key")
            .arg(self.key())
            .args(options)
            .env("RUST_BACKTRACE", "1");
        if version == "spdy/3" {
            command.args(["--protocols", SPDY3_FIRST]);
        }
        let log = self.scratch("lacewingd.log");
        let server = Server::start("lacewingd", &mut command, plain, log)?;
        Ok(Started { server, plain, tls })
    }

    /// The log of a shared server; empty if it never started.
    pub(super) fn log(&self, shared: Shared) -> String {
        let servers = self.servers.borrow();
        let started = servers.iter().find(|(name, _)| *name == shared);
        started
            .and_then(|(_, s)| s.as_ref().ok())
            .map_or(String::new(), |s| s.server.log())
    }

    /// Servers that died or panicked meanwhile.
    pub(super) fn casualties(&self) -> Vec<(String, String)> {
        let mut servers = self.servers.borrow_mut();
        let started = servers.iter_mut();
        started
            .filter_map(|(name, started)| {
                let what = started.as_mut().ok()?.server.casualty()?;
                Some((format!("{name:?} is well to the end"), what))
            })
            .collect()
    }

    /// Ends the servers and removes the files.
    pub(super) fn remove(self) {
        self.servers.borrow_mut().clear();
        // What is left behind is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    fn build_go(&self) -> Result<PathBuf, String> {
        let folder = self.folder.join("go");
        std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        for program in [
            "spdystream-server",
            "spdystream-client",
            "http2-server",
            "http2-client",
            "kubernetes",
            "moby-spdystream",
        ] {
            go::build(program, &folder)?;
        }
        Ok(folder)
    }
}

/// SHA-256 of a file, in hex.
pub(super) fn sha256(path: &Path) -> Result<String, String> {
    let printed = shell::output(Command::new("sha256sum").arg(path))?;
    Ok(printed
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// A package of its own, so that its dependencies stay out of ours; in the same
/// folder, so that what both use is built once.
fn build_rust() -> Result<PathBuf, String> {
    if let Some(folder) = std::env::var_os("LACEWING_INTEROP_PROGRAMS") {
        return Ok(PathBuf::from(folder));
    }
    let target = shell::target_dir();
    // Not `--locked`: our crates are dependencies of it, and theirs change.
    let mut command = shell::cargo(["build", "--quiet", "--profile", "interop"]);
    command.arg("--manifest-path");
    command.arg(shell::root().join("xtask/peers/rust/Cargo.toml"));
    command.arg("--target-dir").arg(&target);
    shell::run(&mut command)?;
    Ok(target.join("interop"))
}

/// Our programs, in a profile that is as fast as a release but builds sooner.
fn build() -> Result<PathBuf, String> {
    if let Some(folder) = std::env::var_os("LACEWING_INTEROP_PROGRAMS") {
        return Ok(PathBuf::from(folder));
    }
    let mut command = shell::cargo(["build", "--profile", "interop"]);
    for setting in [
        "profile.interop.inherits=\"release\"",
        "profile.interop.lto=\"off\"",
        "profile.interop.codegen-units=16",
        "profile.interop.debug=false",
    ] {
        command.args(["--config", setting]);
    }
    for package in [
        "lacewing",
        "lacewingd",
        "lacewing-client",
        "lacewing-conn",
        "lacewing-kube",
        "lacewing-benches",
    ] {
        command.args(["--package", package]);
    }
    command.args([
        "--features",
        "lacewing/npn,lacewingd/npn,lacewing-client/tls,lacewing-kube/client,lacewing-kube/process,lacewing-kube/websocket",
    ]);
    for program in ["lacewingd", "lacewing", "bench-server"] {
        command.args(["--bin", program]);
    }
    for example in [
        "raw_echo_server",
        "raw_client",
        "fetch",
        "api_server",
        "exec",
        "exec_client",
        "port_forward_client",
        "bridge",
    ] {
        command.args(["--example", example]);
    }
    shell::run(&mut command)?;
    Ok(shell::target_dir().join("interop"))
}

/// The same bytes on every run, and no two blocks alike: a block that is lost,
/// doubled or swapped changes the digest.
fn write_file(path: &Path, length: usize) -> std::io::Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ length as u64;
    let mut block = Vec::with_capacity(1 << 16);
    let mut file = std::fs::File::create(path)?;
    let mut left = length;
    while left > 0 {
        block.clear();
        while block.len() < (1 << 16) {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        let size = left.min(block.len());
        file.write_all(&block[..size])?;
        left -= size;
    }
    Ok(())
}
