//! Raw byte streams over SPDY/3.1: Go's docker/spdystream, in both roles.

use std::process::Command;

use super::fixture::Fixture;
use super::process::{Server, free_port};
use super::{Case, Outcome, expect_part};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (streams, bytes) in [(1, 1_000_000), (20, 500_000), (100, 100)] {
        let name = format!("spdy/3.1/go-spdystream/{streams}-streams-of-{bytes}");
        cases.push(Case::new(name, move |fixture| {
            go_client(fixture, streams, bytes)
        }));
    }
    for bytes in [1_000, 1_000_000, 50_000_000] {
        let name = format!("spdy/3.1/raw-client-to-go-spdystream/{bytes}");
        cases.push(Case::new(name, move |fixture| go_server(fixture, bytes)));
    }
    for pace in ["fast", "slow-reader", "slow-writer"] {
        let name = format!("spdy/3.1/go-spdystream/100-mb-{pace}-and-a-busy-stream");
        cases.push(Case::new(name, move |fixture| {
            busy_go_client(fixture, pace)
        }));
    }
    for pace in ["fast", "slow"] {
        let name = format!("spdy/3.1/raw-client-to-go-spdystream/100-mb-{pace}-and-a-busy-stream");
        cases.push(Case::new(name, move |fixture| {
            busy_go_server(fixture, pace)
        }));
    }
    cases.push(Case::new(
        "spdy/3.1/go-spdystream/children-of-a-stream",
        family_of_go_client,
    ));
    cases.push(Case::new(
        "spdy/3.1/raw-client-to-go-spdystream/children-of-a-stream",
        family_of_go_server,
    ));
    cases
}

fn go_client(fixture: &Fixture, streams: usize, bytes: usize) -> Outcome {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let mut command = fixture.ours("examples/raw_echo_server");
    command.args([&address, "spdy/3.1"]);
    let log = fixture.scratch("raw_echo_server.log");
    let mut server = Server::start("raw_echo_server", &mut command, port, log)?;
    let mut client = fixture.go("spdystream-client")?;
    client.args([&address, &streams.to_string(), &bytes.to_string()]);
    let printed = converse(fixture, &mut client, &server)?;
    expect_part(&printed, "ping, goaway")?;
    server.casualty().map_or(Ok(String::new()), Err)
}

fn go_server(fixture: &Fixture, bytes: usize) -> Outcome {
    let (server, address) = start_go_server(fixture)?;
    let mut client = fixture.ours("examples/raw_client");
    client.args([&address, &bytes.to_string()]);
    let printed = fixture.run(&mut client, 70)?.success();
    printed.map_err(|error| format!("{error}\n{}", server.log_tail()))?;
    expect_part(&server.log(), &format!("echoed {bytes}"))
}

// --- 100 MB each way, a slow reader, and messages beside it ---

const LARGE: usize = 100_000_000;

/// The most memory of a program of ours, its code included: without flow
/// control only TCP slows the peer down.
const MAX_PEAK_KIB: u64 = 48 * 1024;

fn busy_go_client(fixture: &Fixture, pace: &str) -> Outcome {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let mut command = fixture.rust("raw");
    command.args(["serve", &address]);
    let log = fixture.scratch("raw-serve.log");
    let mut server = Server::start("raw serve", &mut command, port, log)?;
    let mut client = fixture.go("spdystream-client")?;
    client.args([&address, pace, &LARGE.to_string()]);
    let printed = converse(fixture, &mut client, &server)?;
    // The first line is of the connection that asked whether it listens.
    for _ in 0..100 {
        if server.log().matches("peak").count() > 1 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    if let Some(what) = server.casualty() {
        return Err(what);
    }
    let log = server.log();
    expect_part(&log, "peak")?;
    conversed(&format!("{}, {}", printed.trim(), last_line(&log)))
}

fn busy_go_server(fixture: &Fixture, pace: &str) -> Outcome {
    let (server, address) = start_go_server(fixture)?;
    let mut client = fixture.rust("raw");
    client.args(["client", &address, &LARGE.to_string(), pace]);
    let printed = converse(fixture, &mut client, &server)?;
    conversed(printed.trim())
}

/// `N bytes, N messages, peak N KiB`: all of the bytes, messages beside them,
/// and no more memory than that.
fn conversed(told: &str) -> Outcome {
    let numbers: Vec<u64> = told
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    let &[bytes, messages, peak] = numbers.as_slice() else {
        return Err(format!("not three numbers: {told}"));
    };
    if bytes == LARGE as u64 && messages >= 10 && peak <= MAX_PEAK_KIB {
        Ok(format!("{messages} messages, peak {peak} KiB"))
    } else {
        Err(format!(
            "{told}; at least 10 messages and at most {MAX_PEAK_KIB} KiB"
        ))
    }
}

// --- Streams that belong to others, opened by either side ---

fn family_of_go_client(fixture: &Fixture) -> Outcome {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let mut command = fixture.rust("raw_family");
    command.args(["serve", &address]);
    let log = fixture.scratch("raw_family-serve.log");
    let mut server = Server::start("raw_family serve", &mut command, port, log)?;
    let mut client = fixture.go("spdystream-client")?;
    client.args([&address, "family", "0"]);
    let printed = converse(fixture, &mut client, &server)?;
    expect_part(&printed, "parent 1, children 3 and 2")?;
    server.casualty().map_or(Ok(String::new()), Err)
}

fn family_of_go_server(fixture: &Fixture) -> Outcome {
    let (server, address) = start_go_server(fixture)?;
    let mut client = fixture.rust("raw_family");
    client.args(["client", &address]);
    let printed = converse(fixture, &mut client, &server)?;
    expect_part(&printed, "parent 1, children 3 and 2")?;
    expect_part(&server.log(), "stream 3 is a child of 1")?;
    expect_part(&server.log(), "child 2 answered \"of the server\"")
}

/// Go's server, and where it listens.
fn start_go_server(fixture: &Fixture) -> Result<(Server, String), String> {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let mut command = fixture.go("spdystream-server")?;
    command.arg(&address);
    let log = fixture.scratch("spdystream-server.log");
    let server = Server::start("spdystream-server", &mut command, port, log)?;
    Ok((server, address))
}

/// The output of the client; if it fails, the server's last lines.
fn converse(fixture: &Fixture, client: &mut Command, server: &Server) -> Outcome {
    let printed = fixture.run(client, 70)?.success();
    printed.map_err(|error| format!("{error}\n{}", server.log_tail()))
}

fn last_line(text: &str) -> &str {
    text.trim().lines().last().unwrap_or_default()
}
