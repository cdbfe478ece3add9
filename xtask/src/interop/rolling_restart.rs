//! A rolling restart: two servers behind `lacewingd` as a proxy restart one after the other, under a
//! load of constant rate. No request fails.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::fixture::{Fixture, SMALL};
use super::process::{Server, free_port};
use super::{Case, Outcome};

/// The protocols of the load.
const PROTOCOLS: [&str; 5] = ["h2", "spdy/3.1", "spdy/3", "spdy/2", "http/1.1"];
/// The schemes of the servers' addresses, for the proxy.
const SCHEMES: [&str; 3] = ["h2c", "spdy31", "http"];
/// The longest end of a server, and the longest wait for its readiness.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn cases() -> Vec<Case> {
    let pairs = PROTOCOLS.into_iter().zip(SCHEMES.into_iter().cycle());
    let cases = pairs.map(|(protocol, scheme)| {
        let name = protocol.replace('/', "");
        Case::new(
            format!("rolling-restart/{name}-to-{scheme}"),
            move |fixture| restart_each(fixture, protocol, scheme),
        )
    });
    cases.collect()
}

/// A server that can be started again at its address.
struct Behind {
    port: u16,
    server: Server,
}

impl Behind {
    fn start(fixture: &Fixture) -> Result<Self, String> {
        let port = free_port()?;
        let server = serve(fixture, port)?;
        Ok(Self { port, server })
    }

    fn restart(&mut self, fixture: &Fixture) -> Result<(), String> {
        self.server.terminate()?;
        let status = self.server.wait(PATIENCE)?;
        if !status.success() {
            return Err(format!("SIGTERM ended it with {status}"));
        }
        self.server = serve(fixture, self.port)?;
        Ok(())
    }
}

fn serve(fixture: &Fixture, port: u16) -> Result<Server, String> {
    let mut command = fixture.ours("lacewingd");
    command
        .arg(fixture.files())
        .args(["--http", &format!("127.0.0.1:{port}")])
        .args(["--https", "off"]);
    let log = fixture.scratch("behind.log");
    Server::start("lacewingd", &mut command, port, log)
}

fn restart_each(fixture: &Fixture, protocol: &str, scheme: &str) -> Outcome {
    let mut servers = [Behind::start(fixture)?, Behind::start(fixture)?];
    let front = free_port()?;
    let addresses = servers.each_ref().map(|behind| behind.port);
    let mut proxy = fixture.ours("lacewingd");
    proxy
        .args(["--http", &format!("127.0.0.1:{front}")])
        .args(["--https", "off"])
        .args(["--health-check", &format!("/{SMALL}")])
        .args(["--health-interval", "1"]);
    let upstreams = addresses.map(|port| format!("{scheme}://127.0.0.1:{port}"));
    proxy.args(["--proxy", &format!("/={}", upstreams.join(","))]);
    let log = fixture.scratch("front.log");
    let proxy = Server::start("lacewingd as a proxy", &mut proxy, front, log)?;
    let mut load = load(fixture, protocol, front);
    let mut load = fixture.spawn(&mut load)?;
    for server in &mut servers {
        sleep(Duration::from_secs(1));
        server.restart(fixture)?;
        // A rolling update waits until one is ready before it ends the next.
        sleep(Duration::from_secs(2));
    }
    if load.has_ended() {
        return Err("the load ended before the restarts did".to_owned());
    }
    let report = load.finish(60)?.success();
    let report = report.map_err(|error| format!("{error}\n{}", proxy.log_tail()))?;
    let requests = report.lines().find(|line| line.starts_with("requests"));
    let requests = requests.unwrap_or_default();
    match requests.contains("1800 answered, 0 failed") {
        true => Ok("2 restarts, 1800 requests".to_owned()),
        false => Err(format!("{report}\n{}", proxy.log_tail())),
    }
}

/// 200 requests in a second, for 9 s. A status of 400 or above is a failure.
fn load(fixture: &Fixture, protocol: &str, port: u16) -> Command {
    let mut command = fixture.ours("lacewing");
    command
        .args(["load", "--protocol", protocol, "--rate", "200", "-D", "9s"])
        .args(["--max-error-rate", "0", "-c", "10", "--no-live"])
        .arg(format!("http://127.0.0.1:{port}/{SMALL}"));
    if protocol != "http/1.1" {
        command.args(["-m", "20"]);
    }
    command
}
