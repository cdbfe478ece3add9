//! curl against `lacewingd` (downloads) and `site` (everything else).

use super::{echo_port, same_file};
use crate::interop::fixture::{Fixture, MB_1, MB_100, MEDIUM, SMALL, Security, Shared};
use crate::interop::{Case, Outcome, expect, expect_part};
use std::process::Command;

/// Name, how it is secured, the options, the file, and what curl must report:
/// the protocol and the status.
const DOWNLOADS: [(&str, Security, &str, &str, &str); 7] = [
    (
        "http2/curl/prior-knowledge",
        Security::Plain,
        "--http2-prior-knowledge",
        MB_1,
        "2 200",
    ),
    ("http2/curl/alpn", Security::Tls, "--http2", MB_1, "2 200"),
    (
        "http2/curl/100-mb-plain",
        Security::Plain,
        "--http2-prior-knowledge",
        MB_100,
        "2 200",
    ),
    (
        "http2/curl/100-mb-tls",
        Security::Tls,
        "--http2",
        MB_100,
        "2 200",
    ),
    (
        "http1/curl/plain",
        Security::Plain,
        "--http1.1",
        MB_1,
        "1.1 200",
    ),
    (
        "http1/curl/tls",
        Security::Tls,
        "--http1.1",
        MB_1,
        "1.1 200",
    ),
    (
        "http1/curl/tls-without-alpn",
        Security::Tls,
        "--no-alpn",
        MB_1,
        "1.1 200",
    ),
];

/// Name and options of uploads to `/digest`; the file's name follows the last.
const UPLOADS: [(&str, &[&str], &str); 5] = [
    ("put-100-mb", &["-T"], MB_100),
    ("put-small", &["-T"], SMALL),
    (
        "post-data",
        &[
            "-H",
            "Content-Type: application/octet-stream",
            "--data-binary",
        ],
        MB_100,
    ),
    // With HTTP/1.1, curl waits up to a minute for the 100, longer than the case
    // may take; with HTTP/2 it does not wait at all.
    (
        "expect-100",
        &[
            "-H",
            "Expect: 100-continue",
            "--expect100-timeout",
            "60",
            "-T",
        ],
        MB_1,
    ),
    (
        "http1-expect-100",
        &[
            "--http1.1",
            "-H",
            "Expect: 100-continue",
            "--expect100-timeout",
            "60",
            "-T",
        ],
        MB_1,
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, security, option, file, expected) in DOWNLOADS {
        cases.push(Case::new(name, move |fixture| {
            download(fixture, security, option, file, expected)
        }));
    }
    cases.push(Case::new("http2/curl/range-and-missing", range_and_missing));
    // By TLS alone: with prior knowledge, curl 7.88 breaks its own framing on
    // the second request of a connection, with nghttpd as well.
    cases.push(Case::new("http2/curl/head-tls", head));
    cases.push(Case::new("http2/curl/50-at-once-tls", at_once));
    for security in Security::BOTH {
        let name = |what: &str| format!("http2/curl/{what}-{}", security.name());
        for (what, options, file) in UPLOADS {
            cases.push(Case::new(name(what), move |fixture| {
                upload(fixture, security, options, file)
            }));
        }
        cases.push(Case::new(name("echo-100-mb"), move |fixture| {
            echo(fixture, security)
        }));
        cases.push(Case::new(name("refused-upload"), move |fixture| {
            refused_upload(fixture, security)
        }));
        cases.push(Case::new(name("events"), move |fixture| {
            events(fixture, security)
        }));
        cases.push(Case::new(name("large-headers"), move |fixture| {
            large_headers(fixture, security)
        }));
    }
    cases
}

fn download(
    fixture: &Fixture,
    security: Security,
    option: &str,
    file: &str,
    expected: &str,
) -> Outcome {
    let port = fixture.port(Shared::Lacewingd, security)?;
    let out = fixture.scratch(file);
    let mut command = curl(fixture)?;
    command.arg(option).arg("-o").arg(&out);
    command.arg(security.url(port, file));
    expect(&fixture.run(&mut command, 60)?.success()?, expected)?;
    same_file(fixture, &out, file)
}

fn range_and_missing(fixture: &Fixture) -> Outcome {
    let port = fixture.port(Shared::Lacewingd, Security::Plain)?;
    let out = fixture.scratch("range");
    let mut command = http2(fixture, Security::Plain)?;
    command.args(["-r", "1000-1999", "-o"]).arg(&out);
    command.arg(Security::Plain.url(port, MB_1));
    expect(&fixture.run(&mut command, 20)?.success()?, "2 206")?;
    let got = std::fs::read(&out).map_err(|e| e.to_string())?;
    let whole = std::fs::read(fixture.file(MB_1)).map_err(|e| e.to_string())?;
    if whole.get(1000..2000) != Some(&got[..]) {
        return Err(format!(
            "{} bytes came, and not the ones asked for",
            got.len()
        ));
    }
    let mut command = http2(fixture, Security::Plain)?;
    command.args(["-o", "/dev/null"]);
    command.arg(Security::Plain.url(port, "no-such-file"));
    expect(&fixture.run(&mut command, 20)?.success()?, "2 404")
}

fn upload(fixture: &Fixture, security: Security, options: &[&str], file: &str) -> Outcome {
    let port = fixture.port(Shared::Site, security)?;
    let path = fixture.file(file).display().to_string();
    let mut command = http2(fixture, security)?;
    command.arg("-v").args(options);
    command.arg(match options.last() {
        Some(&"--data-binary") => format!("@{path}"),
        _ => path,
    });
    command.arg(security.url(port, "digest"));
    let finished = fixture.run(&mut command, 60)?;
    let said = finished.stderr.clone();
    let http1 = options.contains(&"--http1.1");
    let version = if http1 { "1.1" } else { "2" };
    let digest = format!("{} {}", fixture.length(file), fixture.digest(file));
    expect(&finished.success()?, &format!("{digest}{version} 200"))?;
    if http1 && options.contains(&"--expect100-timeout") {
        expect_part(&said, "< HTTP/1.1 100")?;
    }
    Ok(String::new())
}

fn echo(fixture: &Fixture, security: Security) -> Outcome {
    let port = echo_port(fixture, "h2", security)?;
    let out = fixture.scratch("echo");
    let mut command = http2(fixture, security)?;
    command
        .args(["-k", "-X", "POST", "-T"])
        .arg(fixture.file(MB_100));
    command.arg("-o").arg(&out).arg(security.url(port, "echo"));
    expect(&fixture.run(&mut command, 120)?.success()?, "2 200")?;
    same_file(fixture, &out, MB_100)
}

/// The answer arrives before the body has been sent. curl does not take this
/// for an error.
fn refused_upload(fixture: &Fixture, security: Security) -> Outcome {
    let port = fixture.port(Shared::Site, security)?;
    // Whether curl finds the response or a closed stream is a race.
    for _ in 0..20 {
        let mut command = http2(fixture, security)?;
        command.args(["-X", "POST", "-T"]).arg(fixture.file(MB_100));
        command.arg(security.url(port, "refuse"));
        expect(&fixture.run(&mut command, 20)?.success()?, "2 403")?;
    }
    Ok(String::new())
}

fn head(fixture: &Fixture) -> Outcome {
    let port = fixture.port(Shared::Lacewingd, Security::Tls)?;
    let mut command = http2(fixture, Security::Tls)?;
    // The second goes over the same connection.
    command.args(["-w", "%{http_version} %{http_code} %{num_connects}\n", "-I"]);
    for file in [MB_100, SMALL] {
        command.arg(Security::Tls.url(port, file));
    }
    let printed = fixture.run(&mut command, 20)?.success()?;
    for file in [MB_100, SMALL] {
        expect_part(
            &printed,
            &format!("content-length: {}\r", fixture.length(file)),
        )?;
    }
    expect_part(&printed, "\n2 200 1\n")?;
    expect_part(&printed, "\n2 200 0\n")
}

/// 50 bodies on one connection.
fn at_once(fixture: &Fixture) -> Outcome {
    let port = fixture.port(Shared::Lacewingd, Security::Tls)?;
    let folder = fixture.scratch("at-once");
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let mut command = http2(fixture, Security::Tls)?;
    command.args(["-Z", "--parallel-max", "50"]);
    command.args(["-w", "%{num_connects} %{http_version}\n"]);
    command.arg("-o").arg(folder.join("#1"));
    command.arg(Security::Tls.url(port, &format!("{MEDIUM}?[1-50]")));
    let printed = fixture.run(&mut command, 60)?.success()?;
    for number in 1..=50 {
        same_file(fixture, &folder.join(number.to_string()), MEDIUM)?;
    }
    let count = |text| printed.lines().filter(|line| *line == text).count();
    match (count("1 2"), count("0 2")) {
        (1, 49) => Ok(String::new()),
        (new, old) => Err(format!("{new} connections, {old} requests on old ones")),
    }
}

fn events(fixture: &Fixture, security: Security) -> Outcome {
    let port = fixture.port(Shared::Site, security)?;
    let mut command = http2(fixture, security)?;
    command.args(["-N", &security.url(port, "events")]);
    let printed = fixture.run(&mut command, 20)?.success()?;
    expect_part(&printed, "id: 999\ndata: event 999\n\n2 200")?;
    match printed.matches("data: event ").count() {
        1_000 => Ok(String::new()),
        count => Err(format!("{count} events")),
    }
}

/// The server accepts lists within the limits. It reports a list over them (more than 1,000 fields:
/// curl itself limits the bytes).
fn large_headers(fixture: &Fixture, security: Security) -> Outcome {
    let port = fixture.port(Shared::Lacewingd, security)?;
    let long = format!("x-large: {}", "abcdefgh".repeat(50_000 / 8));
    let many: String = (0..1_100).map(|n| format!("x-{n}: y\n")).collect();
    for (fields, expected) in [(long, "2 200"), (many, "2 431")] {
        let file = fixture.scratch("fields");
        std::fs::write(&file, fields).map_err(|e| e.to_string())?;
        let mut command = http2(fixture, security)?;
        command.args(["-H", &format!("@{}", file.display())]);
        command.args(["-o", "/dev/null", &security.url(port, SMALL)]);
        expect(&fixture.run(&mut command, 20)?.success()?, expected)?;
    }
    Ok(String::new())
}

fn http2(fixture: &Fixture, security: Security) -> Result<Command, String> {
    let mut command = curl(fixture)?;
    command.arg(match security {
        Security::Plain => "--http2-prior-knowledge",
        Security::Tls => "--http2",
    });
    Ok(command)
}

/// Prints the protocol and the status when it is done.
fn curl(fixture: &Fixture) -> Result<Command, String> {
    let mut command = fixture.tool("curl")?;
    command.args(["-sS", "-w", "%{http_version} %{http_code}", "--cacert"]);
    command.arg(fixture.cert());
    Ok(command)
}
