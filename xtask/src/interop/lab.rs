//! What the cases share: our programs, the peers, the served files with their
//! digests, the certificate, and servers that start when first asked for.

use super::process::{Finished, Running, Server, free_port, run_for};
use crate::shell;
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
const SPDY3_FIRST: &str = "h2,spdy/3,spdy/3.1,spdy/2,http/1.1";

/// How a connection is secured, and with it how the protocol is chosen.
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

/// Servers that outlive a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shared {
    /// `lacewingd` with both of its ports.
    Lacewingd,
    /// The same, taking SPDY/3 for what it says on cleartext: it looks like
    /// SPDY/3.1 there, which is what the other one takes it for.
    LacewingdSpdy3,
    /// `bench-server`, for `POST /echo`.
    EchoPlain,
    EchoPlainSpdy3,
    EchoTls,
    /// Node's `spdy-transport`, one for each version on cleartext.
    NodeSpdy2,
    NodeSpdy3,
    NodeSpdy31,
    NodeSpdyTls,
    /// Node's `spdy` package.
    NodeSpdyPackage,
    NodeHttp2Plain,
    NodeHttp2Tls,
    NghttpdPlain,
    NghttpdTls,
    GoHttp2Plain,
    GoHttp2Tls,
}

pub(super) struct Lab {
    folder: PathBuf,
    programs: PathBuf,
    go_peers: OnceCell<Result<PathBuf, String>>,
    digests: Vec<(&'static str, usize, String)>,
    servers: RefCell<Vec<(Shared, Result<Started, String>)>>,
    runs: Cell<usize>,
}

struct Started {
    server: Server,
    plain: u16,
    tls: u16,
}

impl Lab {
    /// Builds our programs, makes the files and the certificate.
    pub(super) fn set_up() -> Result<Self, String> {
        let programs = build()?;
        let node = node_folder();
        if !node.join("node_modules/spdy-transport").is_dir() {
            let mut npm = Command::new("npm");
            shell::run(
                npm.args(["ci", "--silent", "--no-progress"])
                    .current_dir(&node),
            )?;
        }
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
        let lab = Self {
            folder,
            programs,
            go_peers: OnceCell::new(),
            digests,
            servers: RefCell::default(),
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
                .arg(lab.key())
                .arg("-out")
                .arg(lab.cert()),
        )?;
        Ok(lab)
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

    /// What a Node client prints after it has fetched `name`.
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
        node.arg(node_folder().join(script));
        Ok(node)
    }

    /// One of the Go programs of `xtask/peers/go`, built when first asked for.
    pub(super) fn go(&self, program: &str) -> Result<Command, String> {
        let folder = self.go_peers.get_or_init(|| self.build_go()).clone()?;
        Ok(Command::new(folder.join(program)))
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

    /// Starts a command that the case goes on beside.
    pub(super) fn spawn(&self, command: &mut Command) -> Result<Running, String> {
        Running::start(command, &self.scratch("running"))
    }

    /// The port of a shared server, which is started when first asked for.
    pub(super) fn port(&self, shared: Shared, security: Security) -> Result<u16, String> {
        let mut servers = self.servers.borrow_mut();
        if !servers.iter().any(|(name, _)| *name == shared) {
            servers.push((shared, self.start(shared)));
        }
        let started = servers.iter().find(|(name, _)| *name == shared);
        match started.map(|(_, started)| started) {
            Some(Ok(started)) if security == Security::Plain => Ok(started.plain),
            Some(Ok(started)) => Ok(started.tls),
            Some(Err(error)) => Err(error.clone()),
            None => Err(format!("{shared:?} was not started")),
        }
    }

    /// What a shared server has logged; empty if it never started.
    pub(super) fn log(&self, shared: Shared) -> String {
        let servers = self.servers.borrow();
        let started = servers.iter().find(|(name, _)| *name == shared);
        started
            .and_then(|(_, s)| s.as_ref().ok())
            .map_or(String::new(), |s| s.server.log())
    }

    /// A `lacewingd` of its own, with its cleartext and its TLS port; `version`
    /// is what will be spoken with it.
    pub(super) fn lacewingd(&self, version: &str) -> Result<(Server, u16, u16), String> {
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
            .env("RUST_BACKTRACE", "1");
        if version == "spdy/3" {
            command.args(["--protocols", SPDY3_FIRST]);
        }
        let log = self.scratch("lacewingd.log");
        Ok((
            Server::start("lacewingd", &mut command, plain, log)?,
            plain,
            tls,
        ))
    }

    /// Servers that died or panicked on the way.
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

    fn start(&self, shared: Shared) -> Result<Started, String> {
        if let Shared::Lacewingd | Shared::LacewingdSpdy3 = shared {
            let version = if shared == Shared::Lacewingd {
                ""
            } else {
                "spdy/3"
            };
            let (server, plain, tls) = self.lacewingd(version)?;
            return Ok(Started { server, plain, tls });
        }
        let port = free_port()?;
        let text = port.to_string();
        // PORT FOLDER [CERT KEY] is how the peers of this project are called.
        let serve = |mut command: Command, between: &[&str], security: Security| {
            command.arg(&text).arg(self.files()).args(between);
            if security == Security::Tls {
                command.arg(self.cert()).arg(self.key());
            }
            command
        };
        let spdy_transport = |kind: &str, security| {
            Ok::<_, String>(serve(
                self.node("spdy-transport-server.js")?,
                &[kind],
                security,
            ))
        };
        let echo = |options: &[&str]| {
            let mut command = self.ours("bench-server");
            command.args(["--port", &text]).args(options);
            command
        };
        let mut command = match shared {
            Shared::Lacewingd | Shared::LacewingdSpdy3 | Shared::EchoPlain => echo(&[]),
            Shared::EchoPlainSpdy3 => echo(&["--protocols", SPDY3_FIRST]),
            Shared::EchoTls => {
                let mut command = echo(&[]);
                command
                    .arg("--cert")
                    .arg(self.cert())
                    .arg("--key")
                    .arg(self.key());
                command
            }
            Shared::NodeSpdy2 => spdy_transport("spdy/2", Security::Plain)?,
            Shared::NodeSpdy3 => spdy_transport("spdy/3", Security::Plain)?,
            Shared::NodeSpdy31 => spdy_transport("spdy/3.1", Security::Plain)?,
            Shared::NodeSpdyTls => spdy_transport("tls", Security::Tls)?,
            Shared::NodeSpdyPackage => serve(self.node("spdy-server.js")?, &[], Security::Tls),
            Shared::NodeHttp2Plain => serve(self.node("http2-server.js")?, &[], Security::Plain),
            Shared::NodeHttp2Tls => serve(self.node("http2-server.js")?, &[], Security::Tls),
            Shared::GoHttp2Plain => serve(self.go("http2-server")?, &[], Security::Plain),
            Shared::GoHttp2Tls => serve(self.go("http2-server")?, &[], Security::Tls),
            Shared::NghttpdPlain => {
                let mut command = self.tool("nghttpd")?;
                command
                    .arg("--no-tls")
                    .arg("-d")
                    .arg(self.files())
                    .arg(&text);
                command
            }
            Shared::NghttpdTls => {
                let mut command = self.tool("nghttpd")?;
                command.arg("-d").arg(self.files());
                command.arg(&text).arg(self.key()).arg(self.cert());
                command
            }
        };
        let name = format!("{shared:?}");
        let log = self.scratch(&format!("{name}.log"));
        let server = Server::start(&name, &mut command, port, log)?;
        Ok(Started {
            server,
            plain: port,
            tls: port,
        })
    }

    fn build_go(&self) -> Result<PathBuf, String> {
        let folder = self.folder.join("go");
        std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        for program in [
            "spdystream-server",
            "spdystream-client",
            "http2-server",
            "http2-client",
        ] {
            // The libraries come from the system's packages, in GOPATH mode.
            let mut go = self.tool("go")?;
            go.args(["build", "-o"])
                .arg(folder.join(program))
                .arg(".")
                .current_dir(shell::root().join("xtask/peers/go").join(program))
                .env("GO111MODULE", "off")
                .env("GOPATH", "/usr/share/gocode")
                .env("GOCACHE", self.folder.join("go-cache"))
                .env("GOFLAGS", "");
            shell::output(&mut go)?;
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
        "lacewing-server",
        "lacewing-client",
        "lacewing-conn",
        "lacewing-benches",
    ] {
        command.args(["--package", package]);
    }
    command.args(["--features", "lacewing-server/cli,lacewing-client/cli"]);
    for program in ["lacewingd", "lacewing", "bench-server"] {
        command.args(["--bin", program]);
    }
    for example in ["raw_echo_server", "raw_client", "fetch"] {
        command.args(["--example", example]);
    }
    shell::run(&mut command)?;
    Ok(shell::target_dir().join("interop"))
}

fn node_folder() -> PathBuf {
    shell::root().join("xtask/peers/node")
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
