//! HTTP/2: curl, nghttp, h2load, Node and Go against `lacewingd`; `lacewing` against nghttpd,
//! Node and Go.

use super::lab::{Lab, MB_1, MB_100, MEDIUM, SMALL, Security, Shared, sha256};
use super::{Case, Outcome, expect, expect_part};
use std::process::Command;
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("http2/curl/prior-knowledge", |lab| {
            curl(
                lab,
                Security::Plain,
                &["--http2-prior-knowledge"],
                MB_1,
                "2 200",
            )
        }),
        Case::new("http2/curl/alpn", |lab| {
            curl(lab, Security::Tls, &["--http2"], MB_1, "2 200")
        }),
        Case::new("http2/curl/100-mb-plain", |lab| {
            curl(
                lab,
                Security::Plain,
                &["--http2-prior-knowledge"],
                MB_100,
                "2 200",
            )
        }),
        Case::new("http2/curl/100-mb-tls", |lab| {
            curl(lab, Security::Tls, &["--http2"], MB_100, "2 200")
        }),
        Case::new("http1/curl/plain", |lab| {
            curl(lab, Security::Plain, &["--http1.1"], MB_1, "1.1 200")
        }),
        Case::new("http1/curl/tls", |lab| {
            curl(lab, Security::Tls, &["--http1.1"], MB_1, "1.1 200")
        }),
        Case::new("http1/curl/tls-without-alpn", |lab| {
            curl(lab, Security::Tls, &["--no-alpn"], MB_1, "1.1 200")
        }),
        Case::new("http2/curl/range-and-missing", curl_range_and_missing),
        Case::new("http2/nghttp/plain", |lab| nghttp(lab, Security::Plain)),
        Case::new("http2/nghttp/tls", |lab| nghttp(lab, Security::Tls)),
        Case::new("http2/h2load/100000-plain", |lab| {
            h2load(lab, Security::Plain, 100_000)
        }),
        Case::new("http2/h2load/20000-tls", |lab| {
            h2load(lab, Security::Tls, 20_000)
        }),
    ];
    for security in Security::BOTH {
        let name = security.name();
        cases.push(Case::new(
            format!("http2/curl/upload-100-mb-{name}"),
            move |lab| curl_upload(lab, security),
        ));
        cases.extend(node_client(security));
        cases.extend(go_client(security));
        cases.extend(our_client(security));
    }
    cases
}

// --- their clients, our server ---

fn curl(lab: &Lab, security: Security, options: &[&str], file: &str, expected: &str) -> Outcome {
    let port = lab.port(Shared::Lacewingd, security)?;
    let out = lab.scratch(file);
    let mut command = curl_command(lab)?;
    command
        .args(options)
        .arg("-o")
        .arg(&out)
        .arg(security.url(port, file));
    expect(&lab.run(&mut command, 60)?.success()?, expected)?;
    same_file(lab, &out, file)
}

fn curl_range_and_missing(lab: &Lab) -> Outcome {
    let port = lab.port(Shared::Lacewingd, Security::Plain)?;
    let out = lab.scratch("range");
    let mut command = curl_command(lab)?;
    command
        .args(["--http2-prior-knowledge", "-r", "1000-1999", "-o"])
        .arg(&out);
    command.arg(Security::Plain.url(port, MB_1));
    expect(&lab.run(&mut command, 20)?.success()?, "2 206")?;
    let got = std::fs::read(&out).map_err(|e| e.to_string())?;
    let whole = std::fs::read(lab.file(MB_1)).map_err(|e| e.to_string())?;
    if whole.get(1000..2000) != Some(&got[..]) {
        return Err(format!(
            "{} bytes came, and not the ones asked for",
            got.len()
        ));
    }
    let mut command = curl_command(lab)?;
    command.args(["--http2-prior-knowledge", "-o", "/dev/null"]);
    command.arg(Security::Plain.url(port, "no-such-file"));
    expect(&lab.run(&mut command, 20)?.success()?, "2 404")
}

fn curl_upload(lab: &Lab, security: Security) -> Outcome {
    let port = echo_port(lab, "h2", security)?;
    let out = lab.scratch("echo");
    let mut command = curl_command(lab)?;
    command.args(match security {
        Security::Plain => ["--http2-prior-knowledge", "-k"],
        Security::Tls => ["--http2", "-k"],
    });
    command
        .args(["-X", "POST", "-T"])
        .arg(lab.file(MB_100))
        .arg("-o")
        .arg(&out);
    command.arg(security.url(port, "echo"));
    expect(&lab.run(&mut command, 120)?.success()?, "2 200")?;
    same_file(lab, &out, MB_100)
}

/// Prints the protocol and the status when it is done.
fn curl_command(lab: &Lab) -> Result<Command, String> {
    let mut command = lab.tool("curl")?;
    command
        .args(["-sS", "-w", "%{http_version} %{http_code}", "--cacert"])
        .arg(lab.cert());
    Ok(command)
}

fn nghttp(lab: &Lab, security: Security) -> Outcome {
    let port = lab.port(Shared::Lacewingd, security)?;
    let mut command = lab.tool("nghttp")?;
    // The second URL goes over the same connection.
    command.args(["-nv", "--no-verify-peer"]);
    command.args([security.url(port, MB_1), security.url(port, SMALL)]);
    let printed = lab.run(&mut command, 30)?.success()?;
    expect_part(&printed, "recv SETTINGS frame")?;
    if printed.matches(":status: 200").count() != 2 || printed.contains("[ERROR]") {
        return Err(format!(
            "not two answers in:\n{}",
            crate::shell::tail(&printed, 30)
        ));
    }
    if printed.contains("recv RST_STREAM") || printed.contains("recv GOAWAY") {
        return Err("nghttp was sent RST_STREAM or GOAWAY".into());
    }
    Ok(String::new())
}

fn h2load(lab: &Lab, security: Security, requests: usize) -> Outcome {
    let port = lab.port(Shared::Lacewingd, security)?;
    let mut command = lab.tool("h2load")?;
    command.args([
        &format!("-n{requests}"),
        "-c10",
        "-m100",
        &security.url(port, SMALL),
    ]);
    let printed = lab.run(&mut command, 120)?.success()?;
    let line = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
    expect_part(&printed, &line)?;
    expect_part(&printed, &format!("{requests} 2xx"))?;
    let rate = printed
        .lines()
        .find(|line| line.starts_with("finished in"))
        .unwrap_or_default();
    Ok(rate.to_owned())
}

fn node_client(security: Security) -> Vec<Case> {
    let name = move |what: &str| format!("http2/node/{what}-{}", security.name());
    let against = move |lab: &Lab, shared, args: &[&str]| {
        let port = lab.port(shared, security)?;
        let mut node = lab.node("http2-client.js")?;
        node.args([&port.to_string(), security.name()]).args(args);
        lab.run(&mut node, 70)?.success()
    };
    let get = move |lab: &Lab, args: &[&str]| against(lab, Shared::Lacewingd, args);
    let echo = if security == Security::Plain {
        Shared::EchoPlain
    } else {
        Shared::EchoTls
    };
    vec![
        Case::new(name("get-small"), move |lab| {
            expect(
                &get(lab, &["get", &format!("/{SMALL}")])?,
                &lab.answer(SMALL),
            )
        }),
        Case::new(name("get-100-mb"), move |lab| {
            expect(
                &get(lab, &["get", &format!("/{MB_100}")])?,
                &lab.answer(MB_100),
            )
        }),
        Case::new(name("parallel-50"), move |lab| {
            let printed = get(lab, &["parallel", "50", &format!("/{MEDIUM}")])?;
            expect(&printed, &format!("50 {}", lab.answer(MEDIUM)))
        }),
        Case::new(name("ping"), move |lab| {
            expect(&get(lab, &["ping", "5"])?, "5 pings")
        }),
        Case::new(name("goaway"), move |lab| {
            expect(
                &get(lab, &["goaway", &format!("/{MEDIUM}")])?,
                &lab.answer(MEDIUM),
            )
        }),
        Case::new(name("echo-100-mb"), move |lab| {
            let file = lab.file(MB_100);
            let printed = against(lab, echo, &["post", "/echo", &file.to_string_lossy()])?;
            expect(&printed, &lab.answer(MB_100))
        }),
        Case::new(name("drain"), move |lab| {
            let (mut server, plain, tls) = lab.lacewingd("h2")?;
            let port = if security == Security::Plain {
                plain
            } else {
                tls
            };
            let mut node = lab.node("http2-client.js")?;
            node.args([
                &port.to_string(),
                security.name(),
                "drain",
                &format!("/{MB_1}"),
            ]);
            let mut client = lab.spawn(&mut node)?;
            client.wait_for("started", 20)?;
            server.terminate()?;
            let printed = client.finish(60)?.success()?;
            expect(&printed, &format!("started\n{}", lab.answer(MB_1)))?;
            let status = server.wait(Duration::from_secs(10))?;
            Ok(status.to_string())
        }),
    ]
}

fn go_client(security: Security) -> Vec<Case> {
    let name = move |what: &str| format!("http2/go/{what}-{}", security.name());
    let run = move |lab: &Lab, port: u16, args: &[&str]| {
        let mut client = lab.go("http2-client")?;
        client.args([&port.to_string(), security.name()]).args(args);
        lab.run(&mut client, 70)?.success()
    };
    vec![
        Case::new(name("get-100-mb"), move |lab| {
            let port = lab.port(Shared::Lacewingd, security)?;
            expect(
                &run(lab, port, &["get", &format!("/{MB_100}")])?,
                &lab.answer(MB_100),
            )
        }),
        Case::new(name("parallel-50"), move |lab| {
            let port = lab.port(Shared::Lacewingd, security)?;
            let printed = run(lab, port, &["parallel", "50", &format!("/{MEDIUM}")])?;
            expect(&printed, &format!("50 {}", lab.answer(MEDIUM)))
        }),
        Case::new(name("echo-100-mb"), move |lab| {
            let path = lab.file(MB_100);
            let args = ["post", "/echo", &path.to_string_lossy()];
            expect(
                &run(lab, echo_port(lab, "h2", security)?, &args)?,
                &lab.answer(MB_100),
            )
        }),
    ]
}

// --- our client, their servers ---

fn our_client(security: Security) -> Vec<Case> {
    let (nghttpd, node, go) = match security {
        Security::Plain => (
            Shared::NghttpdPlain,
            Shared::NodeHttp2Plain,
            Shared::GoHttp2Plain,
        ),
        Security::Tls => (Shared::NghttpdTls, Shared::NodeHttp2Tls, Shared::GoHttp2Tls),
    };
    let mut cases = Vec::new();
    for (peer, shared) in [("nghttpd", nghttpd), ("node", node), ("go", go)] {
        let name = move |what: &str| format!("http2/lacewing-to-{peer}/{what}-{}", security.name());
        for (what, file) in [("get-small", SMALL), ("get-100-mb", MB_100)] {
            cases.push(Case::new(name(what), move |lab| {
                let port = lab.port(shared, security)?;
                get(lab, "h2", security, port, file)
            }));
        }
        cases.push(Case::new(name("parallel-20"), move |lab| {
            let port = lab.port(shared, security)?;
            get_parallel(lab, "h2", security, port, MEDIUM, 20)
        }));
    }
    for (peer, shared) in [("node", node), ("go", go)] {
        let name = format!("http2/lacewing-to-{peer}/upload-100-mb-{}", security.name());
        cases.push(Case::new(name, move |lab| {
            let port = lab.port(shared, security)?;
            post_digest(lab, "h2", security, port, MB_100)
        }));
        let name = format!("http2/library-to-{peer}/both-ways-{}", security.name());
        cases.push(Case::new(name, move |lab| {
            let port = lab.port(shared, security)?;
            library(lab, "h2", security, port, MB_100)
        }));
    }
    let name = format!("http2/library-to-nghttpd/get-100-mb-{}", security.name());
    cases.push(Case::new(name, move |lab| {
        let port = lab.port(nghttpd, security)?;
        let mut fetch = lab.ours("examples/fetch");
        fetch.args([&security.url(port, MB_100), "h2", "--insecure"]);
        expect_part(&lab.run(&mut fetch, 90)?.success()?, lab.digest(MB_100))
    }));
    cases
}

/// `lacewing get -o`, and the file is the one that the server has.
pub(super) fn get(lab: &Lab, protocol: &str, security: Security, port: u16, file: &str) -> Outcome {
    let out = lab.scratch(file);
    let mut command = lacewing(lab, protocol);
    command.arg("-o").arg(&out).arg(security.url(port, file));
    lab.run(&mut command, 90)?.success()?;
    same_file(lab, &out, file)
}

/// Several URLs at once on one connection; all bodies arrive whole.
pub(super) fn get_parallel(
    lab: &Lab,
    protocol: &str,
    security: Security,
    port: u16,
    file: &str,
    count: usize,
) -> Outcome {
    let folder = lab.scratch("parallel");
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let mut command = lacewing(lab, protocol);
    command
        .args(["--parallel", &count.to_string(), "-o"])
        .arg(&folder);
    command.args(vec![security.url(port, file); count]);
    lab.run(&mut command, 90)?.success()?;
    let bodies = std::fs::read_dir(&folder)
        .map_err(|e| e.to_string())?
        .flatten();
    let mut came = 0;
    for body in bodies {
        same_file(lab, &body.path(), file)?;
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
    lab: &Lab,
    protocol: &str,
    security: Security,
    port: u16,
    file: &str,
) -> Outcome {
    let mut command = lacewing(lab, protocol);
    command
        .arg("-d")
        .arg(lab.file(file))
        .arg(security.url(port, "digest"));
    expect(&lab.run(&mut command, 90)?.success()?, lab.digest(file))
}

pub(super) fn lacewing(lab: &Lab, protocol: &str) -> Command {
    let mut command = lab.ours("lacewing");
    command
        .args(["get", "--insecure", "--protocol", protocol])
        .env("RUST_BACKTRACE", "1");
    command
}

/// `fetch`, the example of the client library, for a download and an upload.
pub(super) fn library(
    lab: &Lab,
    protocol: &str,
    security: Security,
    port: u16,
    file: &str,
) -> Outcome {
    let fetch = |path: &str, upload: Option<&str>| {
        let mut command = lab.ours("examples/fetch");
        command.args([&security.url(port, path), protocol]);
        if security == Security::Tls {
            command.arg("--insecure");
        }
        if let Some(upload) = upload {
            command.arg("--upload").arg(lab.file(upload));
        }
        lab.run(&mut command, 90)?.success()
    };
    let told =
        |length: usize, digest: &str| format!("status 200\nlength {length}\nsha256 {digest}");
    expect(
        &fetch(file, None)?,
        &told(lab.length(file), lab.digest(file)),
    )?;
    // The server answers with the digest of what reached it.
    let answer = lab.scratch("digest");
    std::fs::write(&answer, lab.digest(file)).map_err(|e| e.to_string())?;
    expect(&fetch("digest", Some(file))?, &told(64, &sha256(&answer)?))
}

/// A server of ours with `POST /echo` that is spoken to in `version`.
pub(super) fn echo_port(lab: &Lab, version: &str, security: Security) -> Result<u16, String> {
    let shared = match (version, security) {
        (_, Security::Tls) => Shared::EchoTls,
        ("spdy/3", _) => Shared::EchoPlainSpdy3,
        _ => Shared::EchoPlain,
    };
    lab.port(shared, security)
}

fn same_file(lab: &Lab, got: &std::path::Path, file: &str) -> Outcome {
    let digest = sha256(got)?;
    let length = std::fs::metadata(got).map_or(0, |meta| meta.len());
    // Only kept when something is wrong with it.
    if digest == lab.digest(file) {
        let _ = std::fs::remove_file(got);
        return Ok(String::new());
    }
    Err(format!(
        "{length} bytes of {}, and not the same: {}",
        lab.length(file),
        got.display()
    ))
}
