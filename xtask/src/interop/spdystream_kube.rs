//! Go's docker/spdystream as kubectl against our API server, and as a kubelet against our client:
//! the two ends between which most of Kubernetes' SPDY/3.1 runs.

use std::process::Command;
use std::time::{Duration, Instant};

use super::fixture::{Fixture, MB_50, MB_100, SMALL, Security, Shared};
use super::kube_checks::{
    Weight, command_ends_with_its_client, curl, expect_code, is_full, ten_downloads, times,
    wait_until,
};
use super::process::{Finished, Running, Server, free_port};
use super::{Case, Outcome, expect, expect_part};

/// The side that is Go's. The other one is ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Go {
    Kubectl,
    Kubelet,
}

type Run = fn(&mut Ends<'_>) -> Result<(), String>;

pub(super) fn cases() -> Vec<Case> {
    let both: [(&str, Weight, Run); 6] = [
        ("exit-codes", Weight::Light, exit_codes),
        ("stdout-and-stderr", Weight::Light, stdout_and_stderr),
        ("stdin", Weight::Light, stdin),
        ("bytes-in-and-back", Weight::Heavy, bytes_in_and_back),
        ("ten-forwards", Weight::Heavy, ten_forwards),
        ("refused-forward", Weight::Light, refused_forward),
    ];
    let mut cases = Vec::new();
    let mut add = |go, (name, weight, run): (&str, Weight, Run)| {
        let side = match go {
            Go::Kubectl => "kubectl-to-ours",
            Go::Kubelet => "kubelet-from-ours",
        };
        let name = format!("spdystream-as-{side}/{name}");
        cases.push(Case::new(name, move |fixture| {
            repeat(fixture, go, weight, run)
        }));
    };
    for case in both {
        add(Go::Kubectl, case);
        add(Go::Kubelet, case);
    }
    add(Go::Kubectl, ("killed-client", Weight::Heavy, killed_client));
    add(Go::Kubelet, ("killed-server", Weight::Light, killed_server));
    cases
}

fn repeat(fixture: &Fixture, go: Go, weight: Weight, run: Run) -> Outcome {
    let times = times(weight);
    for time in 1..=times {
        let mut ends = Ends::start(fixture, go)?;
        let server = |ends: &Ends<'_>| ends.server.as_ref().map(Server::log_tail);
        run(&mut ends).map_err(|error| {
            let log = server(&ends).unwrap_or_default();
            format!("time {time} of {times}: {error}\n{log}")
        })?;
        if let Some(what) = ends.server.as_mut().and_then(Server::casualty) {
            return Err(what);
        }
    }
    Ok(format!("{times} times"))
}

/// A running server, and the client of the other side.
struct Ends<'a> {
    fixture: &'a Fixture,
    go: Go,
    address: String,
    /// `None` once a case has killed it.
    server: Option<Server>,
}

impl<'a> Ends<'a> {
    fn start(fixture: &'a Fixture, go: Go) -> Result<Self, String> {
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let mut command = match go {
            Go::Kubectl => fixture.ours("examples/api_server"),
            Go::Kubelet => {
                let mut kubelet = fixture.go("kubernetes")?;
                kubelet.arg("serve");
                kubelet
            }
        };
        let log = fixture.scratch("kube-server.log");
        let server = Server::start("server", command.arg(&address), port, log)?;
        Ok(Self {
            fixture,
            go,
            address,
            server: Some(server),
        })
    }

    /// The client's `exec`, with stdin.
    fn exec(&self) -> Result<Command, String> {
        Ok(match self.go {
            Go::Kubectl => {
                let mut command = self.fixture.go("kubernetes")?;
                command.args(["exec", &self.address, "-i"]);
                command
            }
            Go::Kubelet => {
                let mut command = self.fixture.ours("examples/exec_client");
                command.args([&format!("http://{}", self.address), "mypod"]);
                command
            }
        })
    }

    fn run(&self, argv: &[&str]) -> Result<Finished, String> {
        self.fixture.run(self.exec()?.args(argv), 60)
    }

    /// The same, in a line of a shell.
    fn exec_line(&self) -> Result<String, String> {
        let exec = self.exec()?;
        let words = std::iter::once(exec.get_program()).chain(exec.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        Ok(words.join(" "))
    }

    fn run_line(&self, before: &str, behind: &str) -> Result<Finished, String> {
        let line = format!("{before} {} {behind}", self.exec_line()?);
        self.fixture.run(&mut shell(&line), 120)
    }

    /// A port-forward under way, and its local port.
    fn forward(&self, to: u16) -> Result<(Running, u16), String> {
        let to = to.to_string();
        let mut command = match self.go {
            Go::Kubectl => {
                let mut command = self.fixture.go("kubernetes")?;
                command.args(["forward", &self.address, &to]);
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

fn exit_codes(ends: &mut Ends<'_>) -> Result<(), String> {
    for code in [0, 1, 7, 127, 255] {
        let script = format!("exit {code}");
        expect_code(&ends.run(&["sh", "-c", &script])?, code)?;
    }
    let missing = ends.run(&["no-such-program"])?;
    expect_code(&missing, 1)?;
    expect_part(&missing.stderr, "cannot run").map(drop)
}

fn stdout_and_stderr(ends: &mut Ends<'_>) -> Result<(), String> {
    let script = "echo out; echo err >&2; printf 'last without a newline'; exit 3";
    let finished = ends.run(&["sh", "-c", script])?;
    expect_code(&finished, 3)?;
    expect(&finished.stdout, "out\nlast without a newline")?;
    expect(&finished.stderr, "err").map(drop)
}

fn stdin(ends: &mut Ends<'_>) -> Result<(), String> {
    let script = "sh -c 'cat; echo; echo done; exit 4'";
    let finished = ends.run_line("printf 'through stdin' |", script)?;
    expect_code(&finished, 4)?;
    expect(&finished.stdout, "through stdin\ndone")?;
    // A command that ends before it has read its stdin.
    let finished = ends.run_line("head -c 3000000 /dev/zero |", "sh -c 'echo early; exit 5'")?;
    expect_code(&finished, 5)?;
    expect(&finished.stdout, "early").map(drop)
}

/// 50 MB, or 100 MB in the full run.
fn bytes_in_and_back(ends: &mut Ends<'_>) -> Result<(), String> {
    let name = if is_full() { MB_100 } else { MB_50 };
    let input = ends.fixture.file(name);
    let behind = format!("cat < {} | sha256sum", input.display());
    let finished = ends.run_line("", &behind)?;
    expect_part(&finished.success()?, ends.fixture.digest(name)).map(drop)
}

fn ten_forwards(ends: &mut Ends<'_>) -> Result<(), String> {
    let fixture = ends.fixture;
    let web = fixture.port(Shared::Lacewingd, Security::Plain)?;
    let (mut forward, local) = ends.forward(web)?;
    ten_downloads(fixture, &mut forward, local)
}

/// A port without a listener is reported. Go's client ends then, and ours goes on.
fn refused_forward(ends: &mut Ends<'_>) -> Result<(), String> {
    let (mut forward, local) = ends.forward(free_port()?)?;
    let answer = ends.fixture.run(&mut curl(local, SMALL), 20)?;
    if answer.status.success() {
        return Err("an answer from a port without a listener".into());
    }
    wait_until("the client reports the failure", || {
        forward.stderr().contains("refused")
    })?;
    if ends.go == Go::Kubectl {
        return wait_until("Go's client ends", || forward.has_ended());
    }
    let again = ends.fixture.run(&mut curl(local, SMALL), 20)?;
    match again.status.success() || forward.has_ended() {
        true => Err("the port-forward of ours ended".into()),
        false => Ok(()),
    }
}

fn killed_client(ends: &mut Ends<'_>) -> Result<(), String> {
    let exec = ends.exec_line()?;
    command_ends_with_its_client(ends.fixture, &exec, shell)
}

/// A server that is killed is a failure of the client, and never a success.
fn killed_server(ends: &mut Ends<'_>) -> Result<(), String> {
    let mut running =
        ends.fixture.spawn(
            ends.exec()?
                .args(["sh", "-c", "echo started; exec sleep 30"]),
        )?;
    running.wait_for("started", 15)?;
    ends.server = None;
    let killed = Instant::now();
    let finished = running.finish(20)?;
    match finished.status.code() {
        Some(1) if killed.elapsed() < Duration::from_secs(10) => Ok(()),
        code => Err(format!(
            "exit code {code:?} after {:?}: {}",
            killed.elapsed(),
            finished.stderr
        )),
    }
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command
}
