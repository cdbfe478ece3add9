//! Netty 4.1 (Java), SPDY/3.1, in both roles: an implementation of its own,
//! with its own flow control and zlib of the JDK.

use super::http2::{echo_port, get, get_parallel, lacewing, library, post_digest};
use super::lab::{Lab, MB_1, MB_50, MEDIUM, Security, Shared};
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
    let mut add = |what: &str, run: fn(&Lab, Security) -> Outcome| {
        let name = format!("{VERSION}/netty/{what}-{}", security.name());
        cases.push(Case::new(name, move |lab| run(lab, security)));
    };
    add("get-50-mb", |lab, security| {
        expect(
            &ask(lab, security, &["get", &format!("/{MB_50}")])?,
            &lab.answer(MB_50),
        )
    });
    add("echo-50-mb", |lab, security| {
        let mut client = client(lab, security, echo_port(lab, VERSION, security)?)?;
        client.args(["post", "/echo"]).arg(lab.file(MB_50));
        expect(&lab.run(&mut client, 70)?.success()?, &lab.answer(MB_50))
    });
    add("parallel-50", |lab, security| {
        let printed = ask(lab, security, &["parallel", "50", &format!("/{MEDIUM}")])?;
        expect(&printed, &format!("50 {}", lab.answer(MEDIUM)))
    });
    add("ping", |lab, security| {
        expect(&ask(lab, security, &["ping", "5"])?, "5 pings")
    });
    add("reset", |lab, security| {
        let printed = ask(lab, security, &["reset", "10", &format!("/{MB_1}")])?;
        expect(&printed, &lab.answer(MB_1))
    });
    add("goaway", |lab, security| {
        let printed = ask(lab, security, &["goaway", &format!("/{MB_1}")])?;
        expect(&printed, &lab.answer(MB_1))
    });
    add("drain", drain);
    add("push", |lab, security| {
        let port = lab.port(Shared::Push, security)?;
        let mut client = client(lab, security, port)?;
        client.args(["push", "/push", "2"]);
        spdy::pushed(lab, &lab.run(&mut client, 70)?.success()?)
    });
    cases
}

/// Asks `lacewingd`.
fn ask(lab: &Lab, security: Security, command: &[&str]) -> Outcome {
    let port = lab.port(Shared::Lacewingd, security)?;
    lab.run(client(lab, security, port)?.args(command), 70)?
        .success()
}

/// The server ends while a slow reader has a part of the body.
fn drain(lab: &Lab, security: Security) -> Outcome {
    let (mut server, plain, tls) = lab.lacewingd(VERSION)?;
    let port = match security {
        Security::Plain => plain,
        Security::Tls => tls,
    };
    let mut command = client(lab, security, port)?;
    let mut client = lab.spawn(command.args(["drain", &format!("/{MB_1}")]))?;
    client.wait_for("started", 20)?;
    server.terminate()?;
    let printed = client.finish(60)?.success()?;
    expect(&printed, &format!("started\n{}", lab.answer(MB_1)))?;
    server.wait(Duration::from_secs(10)).map(|s| s.to_string())
}

// --- our client, their server ---

fn our_client(security: Security) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, run: fn(&Lab, Security, u16) -> Outcome| {
        let name = format!("{VERSION}/lacewing-to-netty/{what}-{}", security.name());
        cases.push(Case::new(name, move |lab| {
            run(lab, security, lab.port(shared(security), security)?)
        }));
    };
    add("get-50-mb", |lab, security, port| {
        get(lab, VERSION, security, port, MB_50)
    });
    add("upload-50-mb", |lab, security, port| {
        post_digest(lab, VERSION, security, port, MB_50)
    });
    add("parallel-20", |lab, security, port| {
        get_parallel(lab, VERSION, security, port, MEDIUM, 20)
    });
    add("library-both-ways", |lab, security, port| {
        library(lab, VERSION, security, port, MB_1)
    });
    add("ping", |lab, security, port| {
        let mut command = lacewing(lab, VERSION);
        command.arg(security.url(port, "ping"));
        expect(&lab.run(&mut command, 20)?.success()?, "pong")
    });
    add("goaway", |lab, security, port| {
        let mut command = lacewing(lab, VERSION);
        command.arg(security.url(port, "goaway"));
        let printed = lab.run(&mut command, 20)?.success()?;
        expect(&printed, &"last words ".repeat(1000))
    });
    add("push-taken", |lab, security, port| {
        spdy::take_pushes(lab, VERSION, security, port)
    });
    add("push-refused", push_refused);
    cases
}

/// A client that takes no pushes resets them, and the server hears of it.
fn push_refused(lab: &Lab, security: Security, port: u16) -> Outcome {
    let before = lab.log(shared(security)).len();
    let mut command = lacewing(lab, VERSION);
    command.arg(security.url(port, "push"));
    expect(&lab.run(&mut command, 20)?.success()?, "pushed")?;
    let twice = "rst REFUSED_STREAM\nrst REFUSED_STREAM";
    spdy::log_has(lab, shared(security), before, twice)
}

fn shared(security: Security) -> Shared {
    match security {
        Security::Plain => Shared::NettyPlain,
        Security::Tls => Shared::NettyTls,
    }
}

// --- how they are started ---

pub(super) fn client(lab: &Lab, security: Security, port: u16) -> Result<Command, String> {
    let mut java = java(lab, "SpdyClient")?;
    java.args([&port.to_string(), security.name()]);
    Ok(java)
}

/// The command of the server, without its arguments.
pub(super) fn server(lab: &Lab) -> Result<Command, String> {
    java(lab, "SpdyServer")
}

fn java(lab: &Lab, program: &str) -> Result<Command, String> {
    let sources = ["Tls", "SpdyPeer", "SpdyClient", "SpdyServer"];
    java::program(lab, program, &sources, &JARS)
}
