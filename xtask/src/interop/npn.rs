//! NPN by our own programs (OpenSSL): Node 8 and 0.10, Qt, HAProxy, `s_client`,
//! and `lacewing` with `lacewingd`.

use super::fixture::{Fixture, MB_1, MB_50, MEDIUM, SMALL, Security, Shared};
use super::haproxy::{Proxy, s_client};
use super::http2::{lacewing, same_file};
use super::{Case, Outcome, expect, expect_part, http2, old_node, qt, spdy};
use std::process::Command;

const VERSIONS: [&str; 3] = ["spdy/2", "spdy/3", "spdy/3.1"];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = VERSIONS.into_iter().flat_map(our_server).collect();
    for version in VERSIONS {
        cases.extend(our_client(version, "node-8", Shared::Node8Npn));
        cases.extend(our_client(version, "node-0.10", Shared::OldNodeNpn));
    }
    // Qt offers both ways, and takes what the server said first: ALPN.
    cases.push(Case::new("spdy/3/npn/qt-get-50-mb", |fixture| {
        qt::get(
            fixture,
            fixture.port(Shared::LacewingdNpn, Security::Tls)?,
            MB_50,
        )
    }));
    cases
}

fn our_server(version: &'static str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, run: fn(&Fixture, &str, u16) -> Outcome| {
        cases.push(Case::new(format!("{version}/npn/{what}"), move |fixture| {
            run(
                fixture,
                version,
                fixture.port(Shared::LacewingdNpn, Security::Tls)?,
            )
        }));
    };
    add("node-8-get-50-mb", |fixture, version, port| {
        let printed = old_node::client(fixture, version, port, &["get", &format!("/{MB_50}")])?;
        expect(&printed, &fixture.answer(MB_50))
    });
    add("node-8-parallel-50", |fixture, version, port| {
        let args = ["parallel", "50", &format!("/{MEDIUM}")];
        let printed = old_node::client(fixture, version, port, &args)?;
        expect(&printed, &format!("50 {}", fixture.answer(MEDIUM)))
    });
    add("node-8-ping", |fixture, version, port| {
        let printed = old_node::client(fixture, version, port, &["ping", "5"])?;
        expect(&printed, "5 pings")
    });
    add("node-8-goaway", |fixture, version, port| {
        let printed = old_node::client(fixture, version, port, &["goaway", &format!("/{MB_1}")])?;
        expect(&printed, &fixture.answer(MB_1))
    });
    add("s-client", |fixture, version, port| {
        let options = ["-tls1_2", "-nextprotoneg", version];
        s_client(fixture, port, &options, "Next protocol: (1) ", version)
    });
    add("haproxy-get-1-mb", |fixture, version, port| {
        let proxy = Proxy::put_on(fixture, &format!("npn {version}"), port)?;
        // SPDY/3 and 3.1 were told apart by the name that was agreed on.
        http2::get(fixture, version, Security::Plain, proxy.port, MB_1)
    });
    add("lacewing-get-50-mb", |fixture, version, port| {
        get(fixture, version, port, MB_50)
    });
    cases
}

fn our_client(version: &'static str, peer: &'static str, shared: Shared) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, run: fn(&Fixture, &str, u16) -> Outcome| {
        let name = format!("{version}/lacewing-npn-to-{peer}/{what}");
        cases.push(Case::new(name, move |fixture| {
            let port = fixture.port(shared, Security::Tls)?;
            let before = fixture.log(shared).len();
            run(fixture, version, port)?;
            // Each says in its own way what was spoken.
            let spoken = match shared {
                Shared::Node8Npn => format!(" {version}\n"),
                _ => version.replace("spdy/", " true ") + "\n",
            };
            spdy::log_has(fixture, shared, before, &spoken)
        }));
    };
    add("get-50-mb", |fixture, version, port| {
        get(fixture, version, port, MB_50)
    });
    add("upload-50-mb", |fixture, version, port| {
        let mut command = npn(fixture, version);
        command.args(["-X", "POST", "-T"]).arg(fixture.file(MB_50));
        command.arg(Security::Tls.url(port, "digest"));
        expect(
            &fixture.run(&mut command, 90)?.success()?,
            fixture.digest(MB_50),
        )
    });
    add("ping", |fixture, version, port| {
        let mut command = npn(fixture, version);
        command.arg(Security::Tls.url(port, "ping"));
        expect(&fixture.run(&mut command, 20)?.success()?, "pong")
    });
    // SPDY/2 on Node 0.10 names what is pushed by an absolute URL.
    add("push-taken", |fixture, version, port| {
        let mut command = npn(fixture, version);
        command.arg("--push").arg(Security::Tls.url(port, "push"));
        let finished = fixture.run(&mut command, 20)?;
        let told = finished.stderr.clone();
        expect(&finished.success()?, "pushed")?;
        for file in [SMALL, MEDIUM] {
            let length = fixture.length(file);
            let line = told.lines().find(|line| line.contains(file));
            expect_part(line.unwrap_or(&told), &length.to_string())?;
        }
        Ok(String::new())
    });
    cases
}

fn get(fixture: &Fixture, version: &str, port: u16, file: &str) -> Outcome {
    let out = fixture.scratch(file);
    let mut command = npn(fixture, version);
    command.arg("-o").arg(&out);
    command.arg(Security::Tls.url(port, file));
    fixture.run(&mut command, 90)?.success()?;
    same_file(fixture, &out, file)
}

fn npn(fixture: &Fixture, version: &str) -> Command {
    let mut command = lacewing(fixture, version);
    command.arg("--npn");
    command
}
