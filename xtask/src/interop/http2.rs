//! HTTP/2: curl, nghttp, h2load, Node, Go and hyper against our servers; our
//! clients against nghttpd, Node, Go, hyper and Jetty.

mod curl;
mod extensions;
mod go;
mod hyper;
pub(super) mod nghttp2;
mod node;

use super::fixture::{Fixture, MB_100, MEDIUM, SMALL, Security, Shared, sha256};
use super::{Case, Outcome, expect, expect_part};
use std::process::Command;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for peer in [
        curl::cases,
        nghttp2::cases,
        node::cases,
        go::cases,
        hyper::cases,
        extensions::cases,
    ] {
        cases.extend(peer());
    }
    cases.extend(Security::BOTH.into_iter().flat_map(our_client));
    cases
}

/// The requests to every server of theirs.
fn our_client(security: Security) -> Vec<Case> {
    let (nghttpd, node, go, hyper, jetty) = match security {
        Security::Plain => (
            Shared::NghttpdPlain,
            Shared::NodeHttp2Plain,
            Shared::GoHttp2Plain,
            Shared::HyperPlain,
            Shared::JettyPlain,
        ),
        Security::Tls => (
            Shared::NghttpdTls,
            Shared::NodeHttp2Tls,
            Shared::GoHttp2Tls,
            Shared::HyperTls,
            Shared::JettyTls,
        ),
    };
    let with_digest = [
        ("node", node),
        ("go", go),
        ("hyper", hyper),
        ("jetty", jetty),
    ];
    let mut cases = Vec::new();
    for (peer, shared) in [("nghttpd", nghttpd)].into_iter().chain(with_digest) {
        let name = move |what: &str| format!("http2/lacewing-to-{peer}/{what}-{}", security.name());
        for (what, file) in [("get-small", SMALL), ("get-100-mb", MB_100)] {
            cases.push(Case::new(name(what), move |fixture| {
                let port = fixture.port(shared, security)?;
                get(fixture, "h2", security, port, file)
            }));
        }
        cases.push(Case::new(name("parallel-20"), move |fixture| {
            let port = fixture.port(shared, security)?;
            get_parallel(fixture, "h2", security, port, MEDIUM, 20)
        }));
    }
    for (peer, shared) in with_digest {
        let name = format!("http2/lacewing-to-{peer}/upload-100-mb-{}", security.name());
        cases.push(Case::new(name, move |fixture| {
            let port = fixture.port(shared, security)?;
            post_digest(fixture, "h2", security, port, MB_100)
        }));
        let name = format!("http2/library-to-{peer}/both-ways-{}", security.name());
        cases.push(Case::new(name, move |fixture| {
            let port = fixture.port(shared, security)?;
            library(fixture, "h2", security, port, MB_100)
        }));
    }
    let name = format!("http2/library-to-nghttpd/get-100-mb-{}", security.name());
    cases.push(Case::new(name, move |fixture| {
        let port = fixture.port(nghttpd, security)?;
        let mut fetch = fixture.ours("examples/fetch");
        fetch.args([&security.url(port, MB_100), "h2", "--insecure"]);
        expect_part(
            &fixture.run(&mut fetch, 90)?.success()?,
            fixture.digest(MB_100),
        )
    }));
    cases
}

/// `lacewing get -o`, and the file is the one that the server has.
pub(super) fn get(
    fixture: &Fixture,
    protocol: &str,
    security: Security,
    port: u16,
    file: &str,
) -> Outcome {
    let out = fixture.scratch(file);
    let mut command = lacewing(fixture, protocol);
    command.arg("-o").arg(&out).arg(security.url(port, file));
    fixture.run(&mut command, 90)?.success()?;
    same_file(fixture, &out, file)
}

/// Several URLs at once on one connection; all bodies arrive whole.
pub(super) fn get_parallel(
    fixture: &Fixture,
    protocol: &str,
    security: Security,
    port: u16,
    file: &str,
    count: usize,
) -> Outcome {
    let folder = fixture.scratch("parallel");
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let mut command = lacewing(fixture, protocol);
    command
        .args(["--parallel", &count.to_string(), "-o"])
        .arg(&folder);
    command.args(vec![security.url(port, file); count]);
    fixture.run(&mut command, 90)?.success()?;
    let bodies = std::fs::read_dir(&folder)
        .map_err(|e| e.to_string())?
        .flatten();
    let mut came = 0;
    for body in bodies {
        same_file(fixture, &body.path(), file)?;
        came += 1;
    }
    if came == count {
        Ok(String::new())
    } else {
        Err(format!("{came} bodies of {count}"))
    }
}

/// Sends `file`; the server answers with the digest of what reached it.
pub(super) fn post_digest(
    fixture: &Fixture,
    protocol: &str,
    security: Security,
    port: u16,
    file: &str,
) -> Outcome {
    let mut command = lacewing(fixture, protocol);
    command
        .args(["-X", "POST", "-T"])
        .arg(fixture.file(file))
        .arg(security.url(port, "digest"));
    expect(
        &fixture.run(&mut command, 90)?.success()?,
        fixture.digest(file),
    )
}

pub(super) fn lacewing(fixture: &Fixture, protocol: &str) -> Command {
    let mut command = fixture.ours("lacewing");
    command
        .args(["get", "--insecure", "--protocol", protocol])
        .env("RUST_BACKTRACE", "1");
    command
}

/// `fetch`, the example of the client library, for a download and an upload.
pub(super) fn library(
    fixture: &Fixture,
    protocol: &str,
    security: Security,
    port: u16,
    file: &str,
) -> Outcome {
    let fetch = |path: &str, upload: Option<&str>| {
        let mut command = fixture.ours("examples/fetch");
        command.args([&security.url(port, path), protocol]);
        if security == Security::Tls {
            command.arg("--insecure");
        }
        if let Some(upload) = upload {
            command.arg("--upload").arg(fixture.file(upload));
        }
        fixture.run(&mut command, 90)?.success()
    };
    let told =
        |length: usize, digest: &str| format!("status 200\nlength {length}\nsha256 {digest}");
    expect(
        &fetch(file, None)?,
        &told(fixture.length(file), fixture.digest(file)),
    )?;
    // The server answers with the digest of what reached it.
    let answer = fixture.scratch("digest");
    std::fs::write(&answer, fixture.digest(file)).map_err(|e| e.to_string())?;
    expect(&fetch("digest", Some(file))?, &told(64, &sha256(&answer)?))
}

/// A server of ours with `POST /echo` that is spoken to in `version`.
pub(super) fn echo_port(
    fixture: &Fixture,
    version: &str,
    security: Security,
) -> Result<u16, String> {
    let shared = match (version, security) {
        (_, Security::Tls) => Shared::EchoTls,
        ("spdy/3", _) => Shared::EchoPlainSpdy3,
        _ => Shared::EchoPlain,
    };
    fixture.port(shared, security)
}

pub(super) fn same_file(fixture: &Fixture, got: &std::path::Path, file: &str) -> Outcome {
    let digest = sha256(got)?;
    let length = std::fs::metadata(got).map_or(0, |meta| meta.len());
    // Only kept when something is wrong with it.
    if digest == fixture.digest(file) {
        let _ = std::fs::remove_file(got);
        return Ok(String::new());
    }
    Err(format!(
        "{length} bytes of {}, and not the same: {}",
        fixture.length(file),
        got.display()
    ))
}
