//! Raw byte streams over SPDY/3.1: Go's docker/spdystream, in both roles.

use super::lab::Lab;
use super::process::{Server, free_port};
use super::{Case, Outcome, expect_part};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (streams, bytes) in [(1, 1_000_000), (20, 500_000), (100, 100)] {
        let name = format!("spdy/3.1/go-spdystream/{streams}-streams-of-{bytes}");
        cases.push(Case::new(name, move |lab| go_client(lab, streams, bytes)));
    }
    for bytes in [1_000, 1_000_000, 50_000_000] {
        let name = format!("spdy/3.1/raw-client-to-go-spdystream/{bytes}");
        cases.push(Case::new(name, move |lab| go_server(lab, bytes)));
    }
    cases
}

fn go_client(lab: &Lab, streams: usize, bytes: usize) -> Outcome {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let mut command = lab.ours("examples/raw_echo_server");
    command.args([&address, "spdy/3.1"]);
    let log = lab.scratch("raw_echo_server.log");
    let mut server = Server::start("raw_echo_server", &mut command, port, log)?;
    let mut client = lab.go("spdystream-client")?;
    client.args([&address, &streams.to_string(), &bytes.to_string()]);
    let printed = lab.run(&mut client, 70)?.success();
    let printed = printed.map_err(|error| format!("{error}\n{}", server.log_tail()))?;
    expect_part(&printed, "ping, goaway")?;
    server.casualty().map_or(Ok(String::new()), Err)
}

fn go_server(lab: &Lab, bytes: usize) -> Outcome {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let mut command = lab.go("spdystream-server")?;
    command.arg(&address);
    let log = lab.scratch("spdystream-server.log");
    let server = Server::start("spdystream-server", &mut command, port, log)?;
    let mut client = lab.ours("examples/raw_client");
    client.args([&address, &bytes.to_string()]);
    let printed = lab.run(&mut client, 70)?.success();
    printed.map_err(|error| format!("{error}\n{}", server.log_tail()))?;
    expect_part(&server.log(), &format!("echoed {bytes}"))
}
