//! Netty 4.1 (Java), SPDY/3.1, in both roles: an implementation of its own,
//! with its own flow control and zlib of the JDK.

use super::fixture::{Fixture, MB_1, MB_50, MEDIUM, Security, Shared};
use super::http2::{echo_port, get, get_parallel, lacewing, library, post_digest};
use super::{Case, Outcome, expect, java, spdy};
use std::process::Command;
use std::time::Duration;

const VERSION: &str = "spdy/3.1";

/// Netty as the system's packages have it.
const JARS: [&str; 7] = [
    "netty-buffer",
    "netty-codec",
    "netty-codec-http",
    "netty-common",
    "netty-handler",
    "netty-resolver",
    "netty-transport",
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for security in Security::BOTH {
        cases.extend(their_client(security));
        cases.extend(our_client(security));
    }
    cases
}

// --- their client, our server ---

fn their_client(security: Security) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, run: fn(&Fixture, Security) -> Outcome| {
        let name = format!("{VERSION}/netty/{what}-{}", security.name());
        cases.push(Case::new(name, move |fixture| run(fixture, security)));
    };
    add("get-50-mb", |fixture, security| {
        expect(
            &ask(fixture, security, &["get", &format!("/{MB_50}")])?,
            &fixture.answer(MB_50),
        )
    });
    add("echo-50-mb", |fixture, security| {
        let mut client = client(fixture, security, echo_port(fixture, VERSION, security)?)?;
        client.args(["post", "/echo"]).arg(fixture.file(MB_50));
        expect(
            &fixture.run(&mut client, 70)?.success()?,
            &fixture.answer(MB_50),
        )
    });
    add("parallel-50", |fixture, security| {
        let printed = ask(
            fixture,
            security,
            &["parallel", "50", &format!("/{MEDIUM}")],
        )?;
        expect(&printed, &format!("50 {}", fixture.answer(MEDIUM)))
    });
    add("ping", |fixture, security| {
        expect(&ask(fixture, security, &["ping", "5"])?, "5 pings")
    });
    add("reset", |fixture, security| {
        let printed = ask(fixture, security, &["reset", "10", &format!("/{MB_1}")])?;
        expect(&printed, &fixture.answer(MB_1))
    });
    add("goaway", |fixture, security| {
        let printed = ask(fixture, security, &["goaway", &format!("/{MB_1}")])?;
        expect(&printed, &fixture.answer(MB_1))
    });
    add("drain", drain);
    add("push", |fixture, security| {
        let port = fixture.port(Shared::Push, security)?;
        let mut client = client(fixture, security, port)?;
        client.args(["push", "/push", "2"]);
        spdy::pushed(fixture, &fixture.run(&mut client, 70)?.success()?)
    });
    cases
}

/// Asks `lacewingd`.
fn ask(fixture: &Fixture, security: Security, command: &[&str]) -> Outcome {
    let port = fixture.port(Shared::Lacewingd, security)?;
    fixture
        .run(client(fixture, security, port)?.args(command), 70)?
        .success()
}

/// The server ends while a slow reader has a part of the body.
fn drain(fixture: &Fixture, security: Security) -> Outcome {
    let (mut server, plain, tls) = fixture.lacewingd(VERSION)?;
    let port = match security {
        Security::Plain => plain,
        Security::Tls => tls,
    };
    let mut command = client(fixture, security, port)?;
    let mut client = fixture.spawn(command.args(["drain", &format!("/{MB_1}")]))?;
    client.wait_for("started", 20)?;
    server.terminate()?;
    let printed = client.finish(60)?.success()?;
    expect(&printed, &format!("started\n{}", fixture.answer(MB_1)))?;
    server.wait(Duration::from_secs(10)).map(|s| s.to_string())
}

// --- our client, their server ---

fn our_client(security: Security) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, run: fn(&Fixture, Security, u16) -> Outcome| {
        let name = format!("{VERSION}/lacewing-to-netty/{what}-{}", security.name());
        cases.push(Case::new(name, move |fixture| {
            run(fixture, security, fixture.port(shared(security), security)?)
        }));
    };
    add("get-50-mb", |fixture, security, port| {
        get(fixture, VERSION, security, port, MB_50)
    });
    add("upload-50-mb", |fixture, security, port| {
        post_digest(fixture, VERSION, security, port, MB_50)
    });
    add("parallel-20", |fixture, security, port| {
        get_parallel(fixture, VERSION, security, port, MEDIUM, 20)
    });
    add("library-both-ways", |fixture, security, port| {
        library(fixture, VERSION, security, port, MB_1)
    });
    add("ping", |fixture, security, port| {
        let mut command = lacewing(fixture, VERSION);
        command.arg(security.url(port, "ping"));
        expect(&fixture.run(&mut command, 20)?.success()?, "pong")
    });
    add("goaway", |fixture, security, port| {
        let mut command = lacewing(fixture, VERSION);
        command.arg(security.url(port, "goaway"));
        let printed = fixture.run(&mut command, 20)?.success()?;
        expect(&printed, &"last words ".repeat(1000))
    });
    add("push-taken", |fixture, security, port| {
        spdy::take_pushes(fixture, VERSION, security, port)
    });
    add("push-refused", push_refused);
    cases
}

/// A client that takes no pushes resets them, and the server hears of it.
fn push_refused(fixture: &Fixture, security: Security, port: u16) -> Outcome {
    let before = fixture.log(shared(security)).len();
    let mut command = lacewing(fixture, VERSION);
    command.arg(security.url(port, "push"));
    expect(&fixture.run(&mut command, 20)?.success()?, "pushed")?;
    let twice = "rst REFUSED_STREAM\nrst REFUSED_STREAM";
    spdy::log_has(fixture, shared(security), before, twice)
}

fn shared(security: Security) -> Shared {
    match security {
        Security::Plain => Shared::NettyPlain,
        Security::Tls => Shared::NettyTls,
    }
}

// --- how they are started ---

pub(super) fn client(fixture: &Fixture, security: Security, port: u16) -> Result<Command, String> {
    let mut java = java(fixture, "SpdyClient")?;
    java.args([&port.to_string(), security.name()]);
    Ok(java)
}

/// The command of the server, without its arguments.
pub(super) fn server(fixture: &Fixture) -> Result<Command, String> {
    java(fixture, "SpdyServer")
}

fn java(fixture: &Fixture, program: &str) -> Result<Command, String> {
    let sources = ["Tls", "SpdyPeer", "SpdyClient", "SpdyServer"];
    java::program(fixture, program, &sources, &JARS)
}
