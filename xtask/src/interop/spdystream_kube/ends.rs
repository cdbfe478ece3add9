//! The two ends of a case: Go's program on one side, and ours on the other.

use std::process::Command;

use crate::interop::fixture::Fixture;
use crate::interop::process::{Finished, Running, Server, free_port};

/// The side that is Go's. The other one is ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    Kubectl,
    Kubelet,
}

/// The program of a case.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    /// As in the names of cases.
    library: &'static str,
    program: &'static str,
    pub(super) go: Go,
    options: &'static [&'static str],
}

/// The newest end of a kubelet's command. Without it, all streams are reset behind the status.
pub(super) const FINISH: &[&str] = &["-end", "finish"];

impl Setup {
    pub(super) fn docker(go: Go) -> Self {
        Self {
            library: "spdystream",
            program: "kubernetes",
            go,
            options: &[],
        }
    }

    /// A kubelet as of today ends a command by FIN, and waits for the client.
    pub(super) fn moby(go: Go) -> Self {
        Self {
            library: "moby",
            program: "moby-spdystream",
            go,
            options: match go {
                Go::Kubectl => &[],
                Go::Kubelet => FINISH,
            },
        }
    }

    /// The same program with these options alone.
    pub(super) fn with(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    /// The client closes the connection, and loses nothing that it sends late.
    pub(super) fn waits_for_its_client(&self) -> bool {
        self.go == Go::Kubectl || self.options.starts_with(FINISH)
    }

    /// The first part of the names of its cases.
    pub(super) fn name(&self) -> String {
        let side = match self.go {
            Go::Kubectl => "kubectl-to-ours",
            Go::Kubelet => "kubelet-from-ours",
        };
        format!("{}-as-{side}", self.library)
    }

    /// Go's program in one of its modes.
    fn command(&self, fixture: &Fixture, mode: &str) -> Result<Command, String> {
        let mut command = fixture.go(self.program)?;
        command.args(self.options).arg(mode);
        Ok(command)
    }
}

/// What moby-spdystream prints before it ends a connection.
const DECODER: &str = "decoder: ";

/// A running server, and the client of the other side.
pub(super) struct Ends<'a> {
    pub(super) fixture: &'a Fixture,
    pub(super) setup: Setup,
    pub(super) address: String,
    /// `None` once a case has killed it.
    pub(super) server: Option<Server>,
}

impl<'a> Ends<'a> {
    pub(super) fn start(fixture: &'a Fixture, setup: Setup) -> Result<Self, String> {
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let mut command = match setup.go {
            Go::Kubectl => fixture.ours("examples/api_server"),
            Go::Kubelet => setup.command(fixture, "serve")?,
        };
        let log = fixture.scratch("kube-server.log");
        let server = Server::start("server", command.arg(&address), port, log)?;
        Ok(Self {
            fixture,
            setup,
            address,
            server: Some(server),
        })
    }

    /// The client's `exec`, with stdin.
    pub(super) fn exec(&self) -> Result<Command, String> {
        Ok(match self.setup.go {
            Go::Kubectl => {
                let mut command = self.setup.command(self.fixture, "exec")?;
                command.args([&self.address, "-i"]);
                command
            }
            Go::Kubelet => {
                let mut command = self.fixture.ours("examples/exec_client");
                command.args([&format!("http://{}", self.address), "mypod"]);
                command
            }
        })
    }

    pub(super) fn run(&self, argv: &[&str]) -> Result<Finished, String> {
        self.decoded(self.fixture.run(self.exec()?.args(argv), 60)?)
    }

    /// The same, in a line of a shell.
    pub(super) fn exec_line(&self) -> Result<String, String> {
        self.exec().map(|exec| words(&exec))
    }

    pub(super) fn run_line(&self, before: &str, behind: &str) -> Result<Finished, String> {
        self.shell(&format!("{before} {} {behind}", self.exec_line()?))
    }

    pub(super) fn shell(&self, line: &str) -> Result<Finished, String> {
        self.decoded(self.fixture.run(&mut shell(line), 120)?)
    }

    /// Go's kubectl in one of its modes, in a line of a shell.
    pub(super) fn go_line(&self, mode: &str) -> Result<String, String> {
        let mut command = self.setup.command(self.fixture, mode)?;
        Ok(words(command.arg(&self.address)))
    }

    /// Our kubectl, in a line of a shell. It reads no file of the user.
    pub(super) fn lacewing_kube(&self) -> String {
        let mut command = self.fixture.ours("lacewing");
        command.args(["kube", "--server", &format!("http://{}", self.address)]);
        format!("KUBECONFIG=/none {}", words(&command))
    }

    /// A frame of ours that Go's decoder does not take is a failure, whatever came of it.
    fn decoded(&self, finished: Finished) -> Result<Finished, String> {
        match finished
            .stderr
            .lines()
            .find(|line| line.starts_with(DECODER))
        {
            Some(line) => Err(line.to_owned()),
            None => Ok(finished),
        }
    }

    /// The same of Go's kubelet, and its end.
    pub(super) fn casualty(&mut self) -> Option<String> {
        let server = self.server.as_mut()?;
        let log = server.log();
        let refused = log.lines().find(|line| line.starts_with(DECODER));
        refused.map(str::to_owned).or_else(|| server.casualty())
    }

    /// A port-forward under way, and its local port.
    pub(super) fn forward(&self, to: u16) -> Result<(Running, u16), String> {
        let to = to.to_string();
        let mut command = match self.setup.go {
            Go::Kubectl => {
                let mut command = self.setup.command(self.fixture, "forward")?;
                command.args([&self.address, &to]);
                command
            }
            Go::Kubelet => {
                let mut command = self.fixture.ours("examples/port_forward_client");
                command.args([&format!("http://{}", self.address), "mypod", &to]);
                command
            }
        };
        let mut running = self.fixture.spawn(&mut command)?;
        running.wait_for("127.0.0.1:", 15)?;
        let printed = running.stdout();
        let port = printed.trim().rsplit(':').next();
        let port = port.and_then(|port| port.parse().ok());
        Ok((running, port.ok_or(format!("no port in {printed:?}"))?))
    }
}

/// A command as a line of a shell. None of its words needs quotes.
fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

pub(super) fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command
}
