//! Parts that not every exchange has: trailers, informational responses,
//! 100-continue, push, ORIGIN and ALTSVC, tunnels, WebSockets, `Upgrade: h2c`.

use crate::interop::fixture::{Fixture, MB_1, MB_50, MEDIUM, SMALL, Security, Shared};
use crate::interop::process::{Server, free_port};
use crate::interop::{Case, Outcome, expect, expect_part};
use crate::shell;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

/// An exchange of this kind, as the clients take it and check it.
#[derive(Clone, Copy)]
enum Kind {
    Trailers,
    Hints,
    Continue,
    Pushes,
    Advertised,
    /// Bytes through extended CONNECT.
    Tunnel,
    /// Bytes through CONNECT, to another server.
    Connect,
}

const KINDS: [(&str, Kind); 7] = [
    ("trailers", Kind::Trailers),
    ("early-hints", Kind::Hints),
    ("expect-continue", Kind::Continue),
    ("pushes", Kind::Pushes),
    ("origin-and-altsvc", Kind::Advertised),
    ("extended-connect", Kind::Tunnel),
    ("connect", Kind::Connect),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for security in Security::BOTH {
        for (what, kind) in KINDS {
            let name = |peer: &str| format!("http2/{peer}/{what}-{}", security.name());
            for (peer, shared) in servers(security, kind) {
                let name = name(&format!("lacewing-to-{peer}"));
                cases.push(Case::new(name, move |fixture| {
                    let port = fixture.port(shared, security)?;
                    kind.run(fixture, fixture.rust("visit"), Urls::Whole, security, port)
                }));
            }
            cases.push(Case::new(name("node"), move |fixture| {
                let port = fixture.port(Shared::Site, security)?;
                let mut node = fixture.node("http2-client.js")?;
                node.args([&port.to_string(), security.name()]);
                kind.run(fixture, node, Urls::Paths, security, port)
            }));
            let go = match kind {
                Kind::Trailers | Kind::Hints => true,
                Kind::Continue => security == Security::Tls,
                _ => false,
            };
            if go {
                cases.push(Case::new(name("go"), move |fixture| {
                    let port = fixture.port(Shared::Site, security)?;
                    let mut go = fixture.go("http2-client")?;
                    go.args([&port.to_string(), security.name()]);
                    kind.run(fixture, go, Urls::Paths, security, port)
                }));
            }
        }
        let name = |what: &str| format!("http2/{what}-{}", security.name());
        cases.push(Case::new(name("nghttp/pushes"), move |fixture| {
            nghttp_pushes(fixture, security)
        }));
        cases.push(Case::new(
            name("lacewing-to-nghttpd/pushes"),
            move |fixture| nghttpd_pushes(fixture, security),
        ));
        cases.push(Case::new(
            name("lacewing-to-lacewing/websocket"),
            move |fixture| {
                let port = fixture.port(Shared::Site, security)?;
                let mut visit = fixture.rust("visit");
                visit.args(["websocket", &security.url(port, "chat"), "100"]);
                expect(&fixture.run(&mut visit, 60)?.success()?, "100 echoes")
            },
        ));
    }
    cases.push(Case::new("http2/curl/upgrade", |fixture| {
        curl_upgrade(fixture, None)
    }));
    cases.push(Case::new("http2/curl/upgrade-with-body", |fixture| {
        curl_upgrade(fixture, Some(MEDIUM))
    }));
    cases.push(Case::new("http2/nghttp/upgrade", nghttp_upgrade));
    for (peer, shared) in [
        ("lacewing", Shared::Site),
        ("go", Shared::GoHttp2Plain),
        ("nghttpx", Shared::NghttpxPlain),
    ] {
        cases.push(Case::new(
            format!("http2/lacewing-to-{peer}/upgrade"),
            move |fixture| our_upgrade(fixture, shared),
        ));
    }
    cases
}

/// The servers that know this kind.
fn servers(security: Security, kind: Kind) -> Vec<(&'static str, Shared)> {
    let (node, go, hyper) = match security {
        Security::Plain => (
            Shared::NodeHttp2Plain,
            Shared::GoHttp2Plain,
            Shared::HyperPlain,
        ),
        Security::Tls => (Shared::NodeHttp2Tls, Shared::GoHttp2Tls, Shared::HyperTls),
    };
    let (node, go, hyper) = (("node", node), ("go", go), ("hyper", hyper));
    match kind {
        Kind::Trailers => vec![node, go, hyper],
        // hyper never says 100.
        Kind::Continue => vec![node, go],
        // x/net, which Go's server speaks in cleartext, has no 1xx.
        Kind::Hints if security == Security::Plain => vec![node],
        Kind::Hints | Kind::Pushes => vec![node, go],
        Kind::Advertised | Kind::Tunnel | Kind::Connect => vec![node],
    }
}

/// The form of a client's arguments: whole URLs, or paths.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Urls {
    Whole,
    Paths,
}

impl Kind {
    /// Lets `client` have the exchange with the server on `port`.
    fn run(
        self,
        fixture: &Fixture,
        mut client: Command,
        urls: Urls,
        security: Security,
        port: u16,
    ) -> Outcome {
        let url = |path: &str| match urls {
            Urls::Whole => security.url(port, path),
            Urls::Paths => format!("/{path}"),
        };
        let file = |name: &str| fixture.file(name).display().to_string();
        match self {
            Self::Trailers => {
                client.args(["trailers", &url("trailers"), &file(MB_1), "x-sum=42"]);
                expect(&fixture.run(&mut client, 40)?.success()?, "x-sum=42")
            }
            Self::Hints => {
                client.args(["hints", &url("hints")]);
                let printed = fixture.run(&mut client, 20)?.success()?;
                let hints = "103 </a.css>; rel=preload\n103 </b.css>; rel=preload\n200 7 ";
                expect_part(&printed, hints)
            }
            Self::Continue => {
                client.args(["expect", &url("digest"), &file(MB_1)]);
                let printed = fixture.run(&mut client, 20)?.success()?;
                // `visit` and Go print the digest of the answer.
                expect_part(printed.trim_start_matches('['), "100")
            }
            Self::Pushes => {
                client.args(["pushes", &url("push"), "3"]);
                let printed = fixture.run(&mut client, 20)?.success()?;
                expect_part(&printed, &pushed(fixture, &[MB_1, MEDIUM, SMALL]))?;
                expect_part(&printed, "\n200 7 ")
            }
            Self::Advertised => {
                client.args(["advertised", &url("hello")]);
                let printed = fixture.run(&mut client, 20)?.success()?;
                expect_part(&printed, "h2=\":8000\"; ma=60")?;
                if security == Security::Tls {
                    expect_part(&printed, &format!("origin https://localhost:{port}\n"))?;
                    expect_part(&printed, ".example")?;
                }
                Ok(String::new())
            }
            Self::Tunnel => {
                client.args(["tunnel", &url("chat"), "bytes", &file(MB_50)]);
                expect(
                    &fixture.run(&mut client, 40)?.success()?,
                    fixture.digest(MB_50),
                )
            }
            Self::Connect => {
                let target = format!("127.0.0.1:{}", echo_server()?);
                client.arg("connect");
                if urls == Urls::Whole {
                    client.arg(url(""));
                }
                client.args([&target, &file(MB_50)]);
                expect(
                    &fixture.run(&mut client, 40)?.success()?,
                    fixture.digest(MB_50),
                )
            }
        }
    }
}

/// The output of clients about pushed files.
fn pushed(fixture: &Fixture, files: &[&str]) -> String {
    let lines: Vec<String> = files
        .iter()
        .map(|file| format!("/{file} {}", fixture.answer(file)))
        .collect();
    lines.join("\n")
}

/// A TCP server that echoes, until this program ends.
fn echo_server() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // Dropping the socket ends its other half.
                let _ = std::io::copy(&mut &stream, &mut &stream);
            });
        }
    });
    Ok(port)
}

fn nghttp_pushes(fixture: &Fixture, security: Security) -> Outcome {
    let port = fixture.port(Shared::Site, security)?;
    let mut nghttp = fixture.tool("nghttp")?;
    nghttp.args(["-nv", "--no-verify-peer", &security.url(port, "push")]);
    let printed = fixture.run(&mut nghttp, 20)?.success()?;
    let promises = printed.matches("recv PUSH_PROMISE frame").count();
    let answers = printed.matches(":status: 200").count();
    let bad = ["[ERROR]", "recv RST_STREAM", "recv GOAWAY"];
    if (promises, answers) != (3, 4) || bad.iter().any(|sign| printed.contains(sign)) {
        let end = shell::tail(&printed, 20);
        return Err(format!("{promises} promises, {answers} answers in\n{end}"));
    }
    Ok(String::new())
}

fn nghttpd_pushes(fixture: &Fixture, security: Security) -> Outcome {
    let port = free_port()?;
    let mut command = fixture.tool("nghttpd")?;
    command.arg(format!("--push=/{SMALL}=/{MEDIUM},/{MB_1}"));
    command.arg("-d").arg(fixture.files()).arg(port.to_string());
    match security {
        Security::Plain => command.arg("--no-tls"),
        Security::Tls => command.arg(fixture.key()).arg(fixture.cert()),
    };
    let log = fixture.scratch("nghttpd.log");
    let _server = Server::start("nghttpd", &mut command, port, log)?;
    let mut visit = fixture.rust("visit");
    visit.args(["pushes", &security.url(port, SMALL), "2"]);
    let printed = fixture.run(&mut visit, 20)?.success()?;
    let expected = pushed(fixture, &[MB_1, MEDIUM]);
    expect(&printed, &format!("{expected}\n{}", fixture.answer(SMALL)))
}

fn curl_upgrade(fixture: &Fixture, upload: Option<&str>) -> Outcome {
    let port = fixture.port(Shared::Site, Security::Plain)?;
    let mut curl = fixture.tool("curl")?;
    curl.args(["-sS", "--http2", "-w", "%{http_version} %{http_code}"]);
    let Some(file) = upload else {
        // Small: curl 7.88 has room for 32 KiB behind the 101, and gives up on more.
        let out = fixture.scratch(SMALL);
        curl.arg("-o").arg(&out);
        curl.arg(Security::Plain.url(port, SMALL));
        expect(&fixture.run(&mut curl, 20)?.success()?, "2 200")?;
        return super::same_file(fixture, &out, SMALL);
    };
    curl.arg("--data-binary")
        .arg(format!("@{}", fixture.file(file).display()));
    curl.arg(Security::Plain.url(port, "digest"));
    let expected = format!("{} {}2 200", fixture.length(file), fixture.digest(file));
    expect(&fixture.run(&mut curl, 20)?.success()?, &expected)
}

fn nghttp_upgrade(fixture: &Fixture) -> Outcome {
    let port = fixture.port(Shared::Site, Security::Plain)?;
    let mut nghttp = fixture.tool("nghttp")?;
    nghttp.args(["-nvu", &Security::Plain.url(port, MB_1)]);
    let printed = fixture.run(&mut nghttp, 20)?.success()?;
    expect_part(&printed, "HTTP Upgrade success")?;
    expect_part(&printed, "recv (stream_id=1) :status: 200")?;
    expect_part(&printed, "; END_STREAM")
}

fn our_upgrade(fixture: &Fixture, shared: Shared) -> Outcome {
    let port = fixture.port(shared, Security::Plain)?;
    let mut visit = fixture.rust("visit");
    visit.args(["upgrade", &Security::Plain.url(port, MB_1)]);
    expect(
        &fixture.run(&mut visit, 20)?.success()?,
        &fixture.answer(MB_1),
    )?;
    let mut visit = fixture.rust("visit");
    visit.args(["upgrade", &Security::Plain.url(port, "digest")]);
    // Small: with a larger one the client asks by `OPTIONS *` first, which Go
    // answers by itself, without an upgrade.
    let printed = fixture.run(visit.arg(fixture.file(SMALL)), 20)?.success()?;
    expect_part(&printed, "200 ")
}
