//! The proxy of lacewing-kube's examples: its client has one transport, its server another.

use super::start_api_server;
use crate::interop::fixture::{Fixture, MB_50, Security, Shared};
use crate::interop::kube_checks::expect_code;
use crate::interop::process::{Server, free_port};
use crate::interop::{Outcome, expect, expect_part};

/// A command with its exit code, and a download by kube-rs, which has WebSocket channels alone.
pub(super) fn joins(fixture: &Fixture, upstream: &str) -> Outcome {
    let (mut api, api_port) = start_api_server(fixture, Security::Plain)?;
    let port = free_port()?;
    let mut command = fixture.ours("examples/bridge");
    command.args([
        &format!("127.0.0.1:{port}"),
        &format!("127.0.0.1:{api_port}"),
    ]);
    let log = fixture.scratch("bridge.log");
    let mut bridge = Server::start("bridge", command.arg(upstream), port, log)?;
    let url = format!("http://127.0.0.1:{port}");

    let mut client = fixture.ours("examples/exec_client");
    client.args([&url, "mypod", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    let finished = fixture.run(&mut client, 20)?;
    expect_part(&finished.stdout, "out")?;
    expect_part(&finished.stderr, "err")?;
    expect_code(&finished, 7)?;

    let web = fixture.port(Shared::Lacewingd, Security::Plain)?;
    let mut client = fixture.rust("kube_rs");
    client.args([&url, &web.to_string(), &format!("/{MB_50}")]);
    let printed = fixture.run(&mut client, 60)?.success()?;
    expect(
        &printed,
        &format!("50000000 bytes {}", fixture.digest(MB_50)),
    )?;

    match bridge.casualty().or_else(|| api.casualty()) {
        Some(what) => Err(what),
        None => Ok(String::new()),
    }
}
