//! kubectl against the API server of lacewing-kube's examples: SPDY/3.1 and WebSocket, in
//! cleartext and over TLS.
//!
//! `lacewing kube` passes the same cases. The kubectl of PATH is tested, and those that `LACEWING_KUBECTLS` lists with colons. Since
//! 1.30 kubectl tries WebSocket first. Every case is repeated, since none may fail by luck: a few
//! times, and 20 times if `LACEWING_INTEROP_FULL` is set.

mod bridge;
mod forwards;
mod kube_rs;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::fixture::{Fixture, MB_100, Security};
use super::kube_checks::{
    Weight, command_ends_with_its_client, expect_code, terminal_is_resized, times,
};
use super::process::{Finished, Running, Server, free_port};
use super::{Case, Outcome, expect, expect_part};
use crate::shell;

/// The transport protocol that kubectl uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    /// kubectl's own choice: WebSocket since 1.30, with SPDY as the fallback.
    Default,
    Spdy,
}

/// The program that is driven. `lacewing kube` has kubectl's options and words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Client {
    Kubectl,
    Lacewing,
}

type Run = fn(&Kubectl<'_>) -> Result<(), String>;

pub(super) fn cases() -> Vec<Case> {
    let runs: [(&str, Weight, Run); 11] = [
        ("exit-codes", Weight::Light, exit_codes),
        ("stdout-and-stderr", Weight::Light, stdout_and_stderr),
        ("stdin", Weight::Light, stdin),
        ("100-mb-in-and-back", Weight::Heavy, hundred_megabytes),
        ("terminal-with-a-resize", Weight::Light, terminal),
        ("cp-of-a-tree", Weight::Light, copy_tree),
        ("attach", Weight::Light, attach),
        ("killed-client", Weight::Heavy, killed_client),
        ("ten-forwards-of-50-mb", Weight::Heavy, forwards::ten),
        ("refused-forward", Weight::Light, forwards::refused),
        ("interrupted-forward", Weight::Light, forwards::interrupted),
    ];
    let mut cases = vec![
        Case::new("kubectl/plain/default/the-example-of-the-readme", example),
        Case::new("kube-rs/port-forward-over-channels", kube_rs::download),
        Case::new("kube-rs/refused-port", kube_rs::refused),
        Case::new("kube-bridge/to-spdy", |fixture| {
            bridge::joins(fixture, "spdy")
        }),
        Case::new("kube-bridge/to-websocket", |fixture| {
            bridge::joins(fixture, "websocket")
        }),
        Case::new("kube-bridge/to-http2", |fixture| {
            bridge::joins(fixture, "http2")
        }),
    ];
    for security in Security::BOTH {
        for transport in [Transport::Spdy, Transport::Default] {
            let transport_name = match transport {
                Transport::Spdy => "spdy",
                Transport::Default => "default",
            };
            for (client, client_name) in [(Client::Kubectl, ""), (Client::Lacewing, "lacewing/")] {
                for (name, weight, run) in runs {
                    let security_name = security.name();
                    let name =
                        format!("kubectl/{security_name}/{transport_name}/{client_name}{name}");
                    cases.push(Case::new(name, move |fixture| {
                        repeat(fixture, client, security, transport, weight, run)
                    }));
                }
            }
        }
    }
    cases
}

fn repeat(
    fixture: &Fixture,
    client: Client,
    security: Security,
    transport: Transport,
    weight: Weight,
    run: Run,
) -> Outcome {
    let times = times(weight);
    let (mut server, _) = start_api_server(fixture, security)?;
    let config = fixture.scratch("kubeconfig");
    let line = kubeconfig(&server)?;
    std::fs::write(&config, line).map_err(|error| error.to_string())?;
    let programs = match client {
        Client::Kubectl => programs()?,
        Client::Lacewing => vec![fixture.ours("lacewing").get_program().into()],
    };
    for program in &programs {
        let kubectl = Kubectl {
            fixture,
            program: program.clone(),
            config: config.clone(),
            client,
            transport,
        };
        for time in 1..=times {
            run(&kubectl).map_err(|error| {
                let program = program.display();
                format!(
                    "{program}, time {time} of {times}: {error}\n{}",
                    server.log_tail()
                )
            })?;
        }
    }
    match server.casualty() {
        Some(what) => Err(what),
        None => Ok(format!("{times} times, {} programs", programs.len())),
    }
}

/// The API server of the examples, and its port.
fn start_api_server(fixture: &Fixture, security: Security) -> Result<(Server, u16), String> {
    let port = free_port()?;
    let log = fixture.scratch("api_server.log");
    let mut command = fixture.ours("examples/api_server");
    command.arg(format!("127.0.0.1:{port}"));
    if security == Security::Tls {
        command.arg("--tls");
    }
    Ok((Server::start("api_server", &mut command, port, log)?, port))
}

/// What api_server prints. It accepts connections already before that.
fn kubeconfig(server: &Server) -> Result<String, String> {
    for _ in 0..100 {
        let printed = server.log();
        if let Some(line) = printed.lines().find(|line| line.starts_with('{')) {
            return Ok(line.to_owned());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("api_server printed no kubeconfig".into())
}

/// The server that the README shows.
fn example(fixture: &Fixture) -> Outcome {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let log = fixture.scratch("exec.log");
    let mut command = fixture.ours("examples/exec");
    let server = Server::start("exec", command.arg(&address), port, log)?;
    for program in programs()? {
        let mut kubectl = Command::new(program);
        kubectl.args(["--server", &address, "exec", "-i", "mypod", "--"]);
        kubectl.args(["sh", "-c", "echo out; echo err >&2; exit 7"]);
        let finished = fixture.run(&mut kubectl, 60)?;
        expect_code(&finished, 7).map_err(|error| format!("{error}\n{}", server.log_tail()))?;
        expect(&finished.stdout, "out")?;
        expect_part(&finished.stderr, "err")?;
    }
    Ok(String::new())
}

/// The kubectl of PATH, and those of `LACEWING_KUBECTLS`.
fn programs() -> Result<Vec<PathBuf>, String> {
    let own = shell::find("kubectl").ok_or("`kubectl` is not installed (.ci/run installs it)")?;
    let more = std::env::var_os("LACEWING_KUBECTLS").unwrap_or_default();
    let more = std::env::split_paths(&more).filter(|path| !path.as_os_str().is_empty());
    Ok(std::iter::once(own).chain(more).collect())
}

struct Kubectl<'a> {
    fixture: &'a Fixture,
    program: PathBuf,
    config: PathBuf,
    client: Client,
    transport: Transport,
}

impl Kubectl<'_> {
    /// The program's arguments before those of a case.
    fn first_arguments(&self) -> String {
        let mut arguments = format!("--kubeconfig {}", self.config.display());
        if self.client == Client::Lacewing {
            arguments = format!("kube {arguments}");
            if self.transport == Transport::Spdy {
                arguments += " --transport spdy";
            }
        }
        arguments
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let first = self.first_arguments();
        command.args(first.split(' ')).args(arguments);
        self.set_transport(&mut command);
        command
    }

    fn set_transport(&self, command: &mut Command) {
        if self.transport == Transport::Spdy {
            command
                .env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false")
                .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false");
        }
    }

    fn run(&self, arguments: &[&str]) -> Result<Finished, String> {
        self.fixture.run(&mut self.command(arguments), 60)
    }

    /// Runs a line of a shell in which `$K` is kubectl with its configuration.
    fn shell(&self, line: &str) -> Result<Finished, String> {
        self.fixture.run(&mut self.shell_command(line), 120)
    }

    fn shell_command(&self, line: &str) -> Command {
        let program = self.program.display();
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command.env("K", format!("{program} {}", self.first_arguments()));
        self.set_transport(&mut command);
        command
    }
}

fn exit_codes(kubectl: &Kubectl<'_>) -> Result<(), String> {
    for code in [0, 1, 7, 127, 137, 255] {
        let script = format!("exit {code}");
        let finished = kubectl.run(&["exec", "mypod", "--", "sh", "-c", &script])?;
        expect_code(&finished, code)?;
    }
    let missing = kubectl.run(&["exec", "mypod", "--", "no-such-program"])?;
    if missing.status.success() {
        return Err("success of a program that does not exist".into());
    }
    expect_part(&missing.stderr, "cannot run").map(drop)
}

fn stdout_and_stderr(kubectl: &Kubectl<'_>) -> Result<(), String> {
    let script = "echo out; echo err >&2; printf 'last without a newline'; exit 3";
    let finished = kubectl.run(&["exec", "mypod", "--", "sh", "-c", script])?;
    expect_code(&finished, 3)?;
    expect(&finished.stdout, "out\nlast without a newline")?;
    expect_part(&finished.stderr, "err\n").map(drop)
}

fn stdin(kubectl: &Kubectl<'_>) -> Result<(), String> {
    let line = "printf 'through stdin' | $K exec -i mypod -- sh -c 'cat; echo; echo done; exit 4'";
    let finished = kubectl.shell(line)?;
    expect_code(&finished, 4)?;
    expect(&finished.stdout, "through stdin\ndone")?;
    // A command that ends before it has read its stdin.
    let line = "head -c 3000000 /dev/zero | $K exec -i mypod -- sh -c 'echo early; exit 5'";
    let finished = kubectl.shell(line)?;
    expect_code(&finished, 5)?;
    expect(&finished.stdout, "early").map(drop)
}

fn hundred_megabytes(kubectl: &Kubectl<'_>) -> Result<(), String> {
    let input = kubectl.fixture.file(MB_100);
    let line = format!("$K exec -i mypod -- cat < {} | sha256sum", input.display());
    let printed = kubectl.shell(&line)?.success()?;
    expect_part(&printed, kubectl.fixture.digest(MB_100)).map(drop)
}

fn terminal(kubectl: &Kubectl<'_>) -> Result<(), String> {
    terminal_is_resized(kubectl.fixture, "$K exec -it mypod --", |line| {
        kubectl.shell(line)
    })
}

fn copy_tree(kubectl: &Kubectl<'_>) -> Result<(), String> {
    let folder = kubectl.fixture.scratch("tree");
    let make = format!(
        "mkdir -p {0}/here/a/b && cd {0}/here && head -c 3000000 /dev/urandom > a/large && \
         for n in 1 2 3 4 5 6 7 8 9; do echo $n > a/b/file$n; done && ln -s large a/link && : > empty",
        folder.display()
    );
    kubectl.shell(&make)?.success()?;
    let line = format!(
        "cd {0} && $K cp here mypod:{0}/there && $K cp mypod:{0}/there back && rm here/a/link && \
         rm -f there/a/link back/a/link && diff -r here there && diff -r here back",
        folder.display()
    );
    kubectl.shell(&line)?.success().map(drop)
}

fn attach(kubectl: &Kubectl<'_>) -> Result<(), String> {
    let line = "printf 'to the process' | $K attach -i mypod";
    let printed = kubectl.shell(line)?.success()?;
    expect_part(&printed, "attached\n")?;
    expect_part(&printed, "to the process").map(drop)
}

fn killed_client(kubectl: &Kubectl<'_>) -> Result<(), String> {
    command_ends_with_its_client(kubectl.fixture, "$K exec -i mypod --", |line| {
        kubectl.shell_command(line)
    })
}

/// A port-forward under way.
fn start_forward(kubectl: &Kubectl<'_>, to: u16) -> Result<(Running, u16), String> {
    let local = free_port()?;
    let ports = format!("{local}:{to}");
    let mut command = kubectl.command(&["port-forward", "mypod", &ports]);
    let mut running = kubectl.fixture.spawn(&mut command)?;
    running.wait_for("Forwarding from", 15)?;
    Ok((running, local))
}
