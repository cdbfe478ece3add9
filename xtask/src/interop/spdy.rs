//! SPDY/2, 3 and 3.1, plain and over TLS: Node's `spdy-transport` and `spdy`,
//! in both roles.

use super::http2::{echo_port, get, get_parallel, lacewing, library, post_digest};
use super::lab::{Lab, MB_1, MB_50, MEDIUM, SMALL, Security, Shared};
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
            move |lab| {
                let port = lab.port(Shared::NodeSpdyPackage, Security::Tls)?;
                get(lab, version, Security::Tls, port, MB_1)?;
                post_digest(lab, version, Security::Tls, port, MB_1)
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
    let run = move |lab: &Lab, port: u16, args: &[&str]| {
        lab.run(node(lab, version, security, port)?.args(args), 70)?
            .success()
    };
    let get =
        move |lab: &Lab, args: &[&str]| run(lab, lab.port(lacewingd(version), security)?, args);
    let mut cases = Vec::new();
    for (what, file) in [
        ("get-small", SMALL),
        ("get-1-mb", MB_1),
        ("get-50-mb", MB_50),
    ] {
        cases.push(Case::new(name(what), move |lab| {
            expect(&get(lab, &["get", &format!("/{file}")])?, &lab.answer(file))
        }));
    }
    for (what, file) in [("echo-1-mb", MB_1), ("echo-50-mb", MB_50)] {
        cases.push(Case::new(name(what), move |lab| {
            let path = lab.file(file);
            let args = ["post", "/echo", &path.to_string_lossy()];
            expect(
                &run(lab, echo_port(lab, version, security)?, &args)?,
                &lab.answer(file),
            )
        }));
    }
    cases.push(Case::new(name("parallel-50"), move |lab| {
        let printed = get(lab, &["parallel", "50", &format!("/{MEDIUM}")])?;
        expect(&printed, &format!("50 {}", lab.answer(MEDIUM)))
    }));
    cases.push(Case::new(name("ping"), move |lab| {
        expect(&get(lab, &["ping", "5"])?, "5 pings")
    }));
    cases.push(Case::new(name("goaway"), move |lab| {
        expect(
            &get(lab, &["goaway", &format!("/{MEDIUM}")])?,
            &lab.answer(MEDIUM),
        )
    }));
    cases.push(Case::new(name("drain"), move |lab| {
        let (mut server, plain, tls) = lab.lacewingd(version)?;
        let port = if security == Security::Plain {
            plain
        } else {
            tls
        };
        let mut command = node(lab, version, security, port)?;
        let mut client = lab.spawn(command.args(["drain", &format!("/{MB_1}")]))?;
        client.wait_for("started", 20)?;
        server.terminate()?;
        let printed = client.finish(60)?.success()?;
        expect(&printed, &format!("started\n{}", lab.answer(MB_1)))?;
        let status = server.wait(Duration::from_secs(10))?;
        Ok(status.to_string())
    }));
    cases.push(Case::new(name("push"), move |lab| {
        let port = lab.port(pushing(version), security)?;
        pushed(lab, &run(lab, port, &["push", "/push", "2"])?)
    }));
    // Files from the disk: no handler of a push is ready at once, and this
    // client takes no push without its response.
    if security == Security::Tls {
        cases.push(Case::new(name("push-from-disk"), move |lab| {
            let port = lab.port(Shared::Site, security)?;
            let printed = run(lab, port, &["push", "/push", "3"])?;
            pushed(lab, &printed)?;
            expect_part(&printed, &format!("/{MB_1} {}", lab.answer(MB_1)))
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

fn node(lab: &Lab, version: &str, security: Security, port: u16) -> Result<Command, String> {
    let mut command = lab.node("spdy-client.js")?;
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
        cases.push(Case::new(name(what), move |lab| {
            get(lab, version, security, lab.port(shared, security)?, file)
        }));
    }
    for (what, file) in [("upload-1-mb", MB_1), ("upload-50-mb", MB_50)] {
        cases.push(Case::new(name(what), move |lab| {
            post_digest(lab, version, security, lab.port(shared, security)?, file)
        }));
    }
    cases.push(Case::new(name("parallel-20"), move |lab| {
        get_parallel(
            lab,
            version,
            security,
            lab.port(shared, security)?,
            MEDIUM,
            20,
        )
    }));
    cases.push(Case::new(name("library-both-ways"), move |lab| {
        library(lab, version, security, lab.port(shared, security)?, MB_50)
    }));
    // The server sends PING and answers only when it is back.
    cases.push(Case::new(name("ping"), move |lab| {
        let port = lab.port(shared, security)?;
        let mut command = lacewing(lab, version);
        command.arg(security.url(port, "ping"));
        expect(&lab.run(&mut command, 20)?.success()?, "pong")
    }));
    // The server sends GOAWAY before it has sent the body.
    cases.push(Case::new(name("goaway"), move |lab| {
        let port = lab.port(shared, security)?;
        let mut command = lacewing(lab, version);
        command.arg(security.url(port, "goaway"));
        expect(
            &lab.run(&mut command, 20)?.success()?,
            &"last words ".repeat(1000),
        )
    }));
    // It pushes without FLAG_UNIDIRECTIONAL, and says `https` in cleartext too.
    cases.push(Case::new(name("push"), move |lab| {
        take_pushes(lab, version, security, lab.port(shared, security)?)
    }));
    cases.push(Case::new(name("push-refused"), move |lab| {
        let port = lab.port(shared, security)?;
        let before = lab.log(shared).len();
        let mut command = lacewing(lab, version);
        command.arg(security.url(port, "push"));
        expect(&lab.run(&mut command, 20)?.success()?, "pushed")?;
        log_has(
            lab,
            shared,
            before,
            &format!("rst {version} REFUSED_STREAM"),
        )
    }));
    // What the server saw: the version asked for, and an orderly end.
    cases.push(Case::new(name("spoken"), move |lab| {
        let port = lab.port(shared, security)?;
        let before = lab.log(shared).len();
        get(lab, version, security, port, SMALL)?;
        // The end of the connection reaches the server after we are gone.
        log_has(lab, shared, before, &format!("goaway {version} OK"))?;
        let log = lab.log(shared).split_off(before);
        expect_part(&log, &format!("GET /{SMALL} {version}\n"))
    }));
    cases
}

/// Waits until `part` is in what a server has logged since.
pub(super) fn log_has(lab: &Lab, shared: Shared, since: usize, part: &str) -> Outcome {
    let mut log = String::new();
    for _ in 0..100 {
        log = lab.log(shared).split_off(since);
        if log.contains(part) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    expect_part(&log, part)
}

/// `GET /push` with a client that takes what is pushed; both files arrive.
pub(super) fn take_pushes(lab: &Lab, version: &str, security: Security, port: u16) -> Outcome {
    let mut push = lab.rust("push");
    push.args(["take", version, &security.url(port, "push"), "2"]);
    pushed(lab, &lab.run(&mut push, 40)?.success()?)
}

/// What every pusher pushes is in what every taker prints.
pub(super) fn pushed(lab: &Lab, printed: &str) -> Outcome {
    expect_part(printed, "200 7 ")?;
    for file in [SMALL, MEDIUM] {
        expect_part(printed, &format!("/{file} {}", lab.answer(file)))?;
    }
    Ok(String::new())
}

/// Without `--protocol`, an https URL is fetched with the best that both know.
fn best_of_alpn(lab: &Lab) -> Outcome {
    let port = lab.port(Shared::NodeSpdyTls, Security::Tls)?;
    let before = lab.log(Shared::NodeSpdyTls).len();
    let mut command = lab.ours("lacewing");
    command.args(["get", "--insecure", &Security::Tls.url(port, "hello")]);
    expect(&lab.run(&mut command, 20)?.success()?, "hello from node")?;
    expect_part(
        &lab.log(Shared::NodeSpdyTls)[before..],
        "GET /hello spdy/3.1",
    )
}
