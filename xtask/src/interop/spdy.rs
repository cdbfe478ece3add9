//! SPDY/2, 3 and 3.1, plain and over TLS: Node's `spdy-transport` and `spdy`,
//! in both roles.

use super::fixture::{Fixture, MB_1, MB_50, MEDIUM, SMALL, Security, Shared};
use super::http2::{echo_port, get, get_parallel, lacewing, library, post_digest};
use super::{Case, Outcome, expect, expect_part};
use std::process::Command;
use std::time::Duration;

const VERSIONS: [&str; 3] = ["spdy/2", "spdy/3", "spdy/3.1"];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in VERSIONS {
        for security in Security::BOTH {
            cases.extend(node_client(version, security));
            cases.extend(our_client(version, security));
        }
        cases.push(Case::new(
            format!("{version}/lacewing-to-node-spdy-package/tls"),
            move |fixture| {
                let port = fixture.port(Shared::NodeSpdyPackage, Security::Tls)?;
                get(fixture, version, Security::Tls, port, MB_1)?;
                post_digest(fixture, version, Security::Tls, port, MB_1)
            },
        ));
    }
    cases.push(Case::new(
        "spdy/negotiation/lacewing-takes-the-best",
        best_of_alpn,
    ));
    cases
}

// --- their client, our server ---

fn node_client(version: &'static str, security: Security) -> Vec<Case> {
    let name = move |what: &str| format!("{version}/node/{what}-{}", security.name());
    let run = move |fixture: &Fixture, port: u16, args: &[&str]| {
        fixture
            .run(node(fixture, version, security, port)?.args(args), 70)?
            .success()
    };
    let get = move |fixture: &Fixture, args: &[&str]| {
        run(fixture, fixture.port(lacewingd(version), security)?, args)
    };
    let mut cases = Vec::new();
    for (what, file) in [
        ("get-small", SMALL),
        ("get-1-mb", MB_1),
        ("get-50-mb", MB_50),
    ] {
        cases.push(Case::new(name(what), move |fixture| {
            expect(
                &get(fixture, &["get", &format!("/{file}")])?,
                &fixture.answer(file),
            )
        }));
    }
    for (what, file) in [("echo-1-mb", MB_1), ("echo-50-mb", MB_50)] {
        cases.push(Case::new(name(what), move |fixture| {
            let path = fixture.file(file);
            let args = ["post", "/echo", &path.to_string_lossy()];
            expect(
                &run(fixture, echo_port(fixture, version, security)?, &args)?,
                &fixture.answer(file),
            )
        }));
    }
    cases.push(Case::new(name("parallel-50"), move |fixture| {
        let printed = get(fixture, &["parallel", "50", &format!("/{MEDIUM}")])?;
        expect(&printed, &format!("50 {}", fixture.answer(MEDIUM)))
    }));
    cases.push(Case::new(name("ping"), move |fixture| {
        expect(&get(fixture, &["ping", "5"])?, "5 pings")
    }));
    cases.push(Case::new(name("goaway"), move |fixture| {
        expect(
            &get(fixture, &["goaway", &format!("/{MEDIUM}")])?,
            &fixture.answer(MEDIUM),
        )
    }));
    cases.push(Case::new(name("drain"), move |fixture| {
        let (mut server, plain, tls) = fixture.lacewingd(version)?;
        let port = if security == Security::Plain {
            plain
        } else {
            tls
        };
        let mut command = node(fixture, version, security, port)?;
        let mut client = fixture.spawn(command.args(["drain", &format!("/{MB_1}")]))?;
        client.wait_for("started", 20)?;
        server.terminate()?;
        let printed = client.finish(60)?.success()?;
        expect(&printed, &format!("started\n{}", fixture.answer(MB_1)))?;
        let status = server.wait(Duration::from_secs(10))?;
        Ok(status.to_string())
    }));
    cases.push(Case::new(name("push"), move |fixture| {
        let port = fixture.port(pushing(version), security)?;
        pushed(fixture, &run(fixture, port, &["push", "/push", "2"])?)
    }));
    // Files from the disk: no handler of a push is ready at once, and this
    // client takes no push without its response.
    if security == Security::Tls {
        cases.push(Case::new(name("push-from-disk"), move |fixture| {
            let port = fixture.port(Shared::Site, security)?;
            let printed = run(fixture, port, &["push", "/push", "3"])?;
            pushed(fixture, &printed)?;
            expect_part(&printed, &format!("/{MB_1} {}", fixture.answer(MB_1)))
        }));
    }
    cases
}

/// The server of ours that takes `version` for what it is on cleartext.
fn lacewingd(version: &str) -> Shared {
    if version == "spdy/3" {
        Shared::LacewingdSpdy3
    } else {
        Shared::Lacewingd
    }
}

/// The server of ours that pushes, on the same terms.
fn pushing(version: &str) -> Shared {
    if version == "spdy/3" {
        Shared::PushSpdy3
    } else {
        Shared::Push
    }
}

pub(super) fn node(
    fixture: &Fixture,
    version: &str,
    security: Security,
    port: u16,
) -> Result<Command, String> {
    let mut command = fixture.node("spdy-client.js")?;
    command.args([version, &port.to_string(), security.name()]);
    Ok(command)
}

// --- our client, their server ---

fn our_client(version: &'static str, security: Security) -> Vec<Case> {
    let shared = match (version, security) {
        (_, Security::Tls) => Shared::NodeSpdyTls,
        ("spdy/2", _) => Shared::NodeSpdy2,
        ("spdy/3", _) => Shared::NodeSpdy3,
        _ => Shared::NodeSpdy31,
    };
    let name = move |what: &str| format!("{version}/lacewing-to-node/{what}-{}", security.name());
    let mut cases = Vec::new();
    for (what, file) in [
        ("get-small", SMALL),
        ("get-1-mb", MB_1),
        ("get-50-mb", MB_50),
    ] {
        cases.push(Case::new(name(what), move |fixture| {
            get(
                fixture,
                version,
                security,
                fixture.port(shared, security)?,
                file,
            )
        }));
    }
    for (what, file) in [("upload-1-mb", MB_1), ("upload-50-mb", MB_50)] {
        cases.push(Case::new(name(what), move |fixture| {
            post_digest(
                fixture,
                version,
                security,
                fixture.port(shared, security)?,
                file,
            )
        }));
    }
    cases.push(Case::new(name("parallel-20"), move |fixture| {
        get_parallel(
            fixture,
            version,
            security,
            fixture.port(shared, security)?,
            MEDIUM,
            20,
        )
    }));
    cases.push(Case::new(name("library-both-ways"), move |fixture| {
        library(
            fixture,
            version,
            security,
            fixture.port(shared, security)?,
            MB_50,
        )
    }));
    cases.extend(our_client_and_signals(version, security, shared));
    cases
}

/// The server's work besides answering: PING, GOAWAY, pushes.
fn our_client_and_signals(version: &'static str, security: Security, shared: Shared) -> Vec<Case> {
    let name = move |what: &str| format!("{version}/lacewing-to-node/{what}-{}", security.name());
    let mut cases = Vec::new();
    // The server sends PING and answers only when it is back.
    cases.push(Case::new(name("ping"), move |fixture| {
        let port = fixture.port(shared, security)?;
        let mut command = lacewing(fixture, version);
        command.arg(security.url(port, "ping"));
        expect(&fixture.run(&mut command, 20)?.success()?, "pong")
    }));
    // The server sends GOAWAY before it has sent the body.
    cases.push(Case::new(name("goaway"), move |fixture| {
        let port = fixture.port(shared, security)?;
        let mut command = lacewing(fixture, version);
        command.arg(security.url(port, "goaway"));
        expect(
            &fixture.run(&mut command, 20)?.success()?,
            &"last words ".repeat(1000),
        )
    }));
    // It pushes without FLAG_UNIDIRECTIONAL, and says `https` in cleartext too.
    cases.push(Case::new(name("push"), move |fixture| {
        take_pushes(fixture, version, security, fixture.port(shared, security)?)
    }));
    cases.push(Case::new(name("push-refused"), move |fixture| {
        let port = fixture.port(shared, security)?;
        let before = fixture.log(shared).len();
        let mut command = lacewing(fixture, version);
        command.arg(security.url(port, "push"));
        expect(&fixture.run(&mut command, 20)?.success()?, "pushed")?;
        log_has(
            fixture,
            shared,
            before,
            &format!("rst {version} REFUSED_STREAM"),
        )
    }));
    // What the server saw: the version asked for, and an orderly end.
    cases.push(Case::new(name("spoken"), move |fixture| {
        let port = fixture.port(shared, security)?;
        let before = fixture.log(shared).len();
        get(fixture, version, security, port, SMALL)?;
        // The end of the connection reaches the server after we are gone.
        log_has(fixture, shared, before, &format!("goaway {version} OK"))?;
        let log = fixture.log(shared).split_off(before);
        expect_part(&log, &format!("GET /{SMALL} {version}\n"))
    }));
    cases
}

/// Waits until `part` is in what a server has logged since.
pub(super) fn log_has(fixture: &Fixture, shared: Shared, since: usize, part: &str) -> Outcome {
    let mut log = String::new();
    for _ in 0..100 {
        log = fixture.log(shared).split_off(since);
        if log.contains(part) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    expect_part(&log, part)
}

/// `GET /push` with a client that takes what is pushed; both files arrive.
pub(super) fn take_pushes(
    fixture: &Fixture,
    version: &str,
    security: Security,
    port: u16,
) -> Outcome {
    let mut push = fixture.rust("push");
    push.args(["take", version, &security.url(port, "push"), "2"]);
    pushed(fixture, &fixture.run(&mut push, 40)?.success()?)
}

/// Every receiver prints what every pusher pushes.
pub(super) fn pushed(fixture: &Fixture, printed: &str) -> Outcome {
    expect_part(printed, "200 7 ")?;
    for file in [SMALL, MEDIUM] {
        expect_part(printed, &format!("/{file} {}", fixture.answer(file)))?;
    }
    Ok(String::new())
}

/// Without `--protocol`, an https URL is fetched with the best that both know.
fn best_of_alpn(fixture: &Fixture) -> Outcome {
    let port = fixture.port(Shared::NodeSpdyTls, Security::Tls)?;
    let before = fixture.log(Shared::NodeSpdyTls).len();
    let mut command = fixture.ours("lacewing");
    command.args(["get", "--insecure", &Security::Tls.url(port, "hello")]);
    expect(
        &fixture.run(&mut command, 20)?.success()?,
        "hello from node",
    )?;
    expect_part(
        &fixture.log(Shared::NodeSpdyTls)[before..],
        "GET /hello spdy/3.1",
    )
}
