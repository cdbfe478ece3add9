//! Node 8 and Node 0.10, the last of their kind with NPN. On Node 8 runs
//! spdy-transport; on Node 0.10 the `spdy` package 1.32, an older code base that
//! shares nothing with it. Cleartext here; NPN in `npn.rs`,
//! and through HAProxy in `haproxy.rs`.

use super::fixture::{Fixture, MB_50, MEDIUM, Security, Shared};
use super::http2::{get, get_parallel, lacewing, post_digest};
use super::{Case, Outcome, expect, expect_part};
use crate::shell;
use std::path::PathBuf;
use std::process::Command;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (version, shared) in [
        ("spdy/2", Shared::OldNodeSpdy2),
        ("spdy/3", Shared::OldNodeSpdy3),
        ("spdy/3.1", Shared::OldNodeSpdy31),
    ] {
        let mut add = |what: &str, run: fn(&Fixture, &str, u16) -> Outcome| {
            let name = format!("{version}/lacewing-to-node-0.10/{what}");
            cases.push(Case::new(name, move |fixture| {
                let before = fixture.log(shared).len();
                run(fixture, version, fixture.port(shared, Security::Plain)?)?;
                // The package marks what came over SPDY, and with which version.
                let spoken = format!("true {}\n", version.trim_start_matches("spdy/"));
                expect_part(&fixture.log(shared).split_off(before), &spoken)
            }));
        };
        add("get-50-mb", |fixture, version, port| {
            get(fixture, version, Security::Plain, port, MB_50)
        });
        add("upload-50-mb", |fixture, version, port| {
            post_digest(fixture, version, Security::Plain, port, MB_50)
        });
        add("parallel-20", |fixture, version, port| {
            get_parallel(fixture, version, Security::Plain, port, MEDIUM, 20)
        });
        add("ping", |fixture, version, port| {
            let mut command = lacewing(fixture, version);
            command.arg(Security::Plain.url(port, "ping"));
            expect(&fixture.run(&mut command, 20)?.success()?, "pong")
        });
        // SPDY/2 names what is pushed by an absolute URL.
        add("push-taken", |fixture, version, port| {
            super::spdy::take_pushes(fixture, version, Security::Plain, port)
        });
    }
    cases
}

/// `spdy-transport` on Node 8 as a client, by NPN.
pub(super) fn client(fixture: &Fixture, version: &str, port: u16, args: &[&str]) -> Outcome {
    let mut node = node_8("spdy-client.js")?;
    node.args([version, &port.to_string(), "npn"]).args(args);
    fixture.run(&mut node, 70)?.success()
}

/// The old `spdy` package: `plain` and a version, or `npn`.
pub(super) fn spdy_server(fixture: &Fixture, port: &str, kind: &[&str]) -> Result<Command, String> {
    let mut node = Command::new(binary("node-0.10")?);
    node.arg(folder().join("spdy-server.js")).arg(port);
    node.arg(fixture.files()).args(kind);
    if kind == ["npn"] {
        let (cert, key) = rsa(fixture)?;
        node.arg(cert).arg(key);
    }
    Ok(node)
}

/// A program of `xtask/peers/node` on Node 8.
pub(super) fn node_8(script: &str) -> Result<Command, String> {
    let mut node = Command::new(binary("node-8")?);
    node.arg(shell::root().join("xtask/peers/node").join(script));
    Ok(node)
}

fn binary(package: &str) -> Result<PathBuf, String> {
    let binary = folder().join("node_modules").join(package).join("bin/node");
    if binary.is_file() {
        return Ok(binary);
    }
    Err(format!(
        "`{package}` is not installed (.ci/run does it, by `npm ci` in {})",
        folder().display()
    ))
}

fn folder() -> PathBuf {
    shell::root().join("xtask/peers/old-node")
}

/// Node 0.10 has no elliptic curves on servers: RSA from key to cipher.
fn rsa(fixture: &Fixture) -> Result<(PathBuf, PathBuf), String> {
    let cert = fixture.folder().join("rsa-cert.pem");
    let key = fixture.folder().join("rsa-key.pem");
    if !cert.is_file() {
        let mut openssl = fixture.tool("openssl")?;
        openssl
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"])
            .args(["-days", "30", "-subj", "/CN=localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&cert);
        shell::output(&mut openssl)?;
    }
    Ok((cert, key))
}
