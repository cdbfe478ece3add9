//! NPN with OpenSSL's own programs, `s_client` and `s_server`, as the side that
//! does TLS: behind them is one of our programs in cleartext.

use super::fixture::{Fixture, MB_1, SMALL, Security, Shared};
use super::http2::{get, lacewing, same_file};
use super::process::free_port;
use super::{Case, Outcome, expect, expect_part};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in ["spdy/2", "spdy/3", "spdy/3.1"] {
        cases.push(Case::new(
            format!("{version}/npn/through-s_client-get-1-mb"),
            move |fixture| {
                let port = s_client_in_front(fixture, version)?;
                get(fixture, version, Security::Plain, port, MB_1)
            },
        ));
        cases.push(Case::new(
            format!("{version}/lacewing-npn-to-s_server/get-1-mb"),
            move |fixture| through_s_server(fixture, version),
        ));
    }
    cases.push(Case::new(
        "spdy/npn/what-s_client-is-advertised",
        advertised,
    ));
    cases.push(Case::new("spdy/npn/s_client-asks-in-http-1.1", http1));
    cases.push(Case::new(
        "spdy/npn/alpn-goes-first-with-s_client",
        alpn_first,
    ));
    cases.push(Case::new(
        "spdy/lacewing-npn-to-s_server/nothing-in-common",
        nothing_in_common,
    ));
    cases
}

// --- their client, our server ---

/// A cleartext port: each of its connections goes through an `s_client` that
/// selects `version`, to `lacewingd`.
fn s_client_in_front(fixture: &Fixture, version: &'static str) -> Result<u16, String> {
    let target = fixture.port(Shared::LacewingdNpn, Security::Tls)?;
    let program = fixture.tool("openssl")?.get_program().to_owned();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    // Ends with the process, as the listener does.
    std::thread::spawn(move || {
        for io in listener.incoming().flatten() {
            let mut command = Command::new(&program);
            command.args(["s_client", "-quiet", "-tls1_2", "-nextprotoneg", version]);
            command.args(["-connect", &format!("127.0.0.1:{target}")]);
            if let Ok(child) = piped(&mut command) {
                let _ = child.join(io);
            }
        }
    });
    Ok(port)
}

fn advertised(fixture: &Fixture) -> Outcome {
    let printed = s_client(fixture, &["-nextprotoneg", "spdy/3"])?;
    let list = "Protocols advertised by server: spdy/3.1, spdy/3, spdy/2, http/1.1\n";
    expect_part(&printed, list)
}

fn alpn_first(fixture: &Fixture) -> Outcome {
    let printed = s_client(
        fixture,
        &["-nextprotoneg", "spdy/3", "-alpn", "spdy/2,spdy/3.1"],
    )?;
    expect_part(&printed, "ALPN protocol: spdy/3.1\n")?;
    match printed.contains("Next protocol") {
        true => Err(format!("NPN as well:\n{printed}")),
        false => Ok(String::new()),
    }
}

fn s_client(fixture: &Fixture, options: &[&str]) -> Result<String, String> {
    let port = fixture.port(Shared::LacewingdNpn, Security::Tls)?;
    let mut command = fixture.tool("openssl")?;
    command.args(["s_client", "-tls1_2", "-connect"]);
    command.arg(format!("127.0.0.1:{port}")).args(options);
    // The input is at its end at once: the handshake is all that happens.
    let finished = fixture.run(&mut command, 20)?;
    Ok(finished.stdout + &finished.stderr)
}

fn http1(fixture: &Fixture) -> Outcome {
    let port = fixture.port(Shared::LacewingdNpn, Security::Tls)?;
    let mut command = fixture.tool("openssl")?;
    command.args(["s_client", "-quiet", "-tls1_2", "-nextprotoneg", "http/1.1"]);
    command.args(["-connect", &format!("127.0.0.1:{port}")]);
    let mut child = piped(&mut command)?;
    let request = format!("GET /{SMALL} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let (mut input, mut output) = child.pipes()?;
    input
        .write_all(request.as_bytes())
        .map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    output.read_to_end(&mut answer).map_err(|e| e.to_string())?;
    let head = b"\r\n\r\n";
    let body = answer.windows(head.len()).position(|part| part == head);
    let (head, body) = answer.split_at(body.map_or(answer.len(), |at| at + head.len()));
    expect_part(&String::from_utf8_lossy(head), "HTTP/1.1 200 OK")?;
    let saved = fixture.scratch(SMALL);
    std::fs::write(&saved, body).map_err(|e| e.to_string())?;
    same_file(fixture, &saved, SMALL)
}

// --- our client, their server ---

/// `lacewing`, with TLS and NPN, to `s_server`, and from there in cleartext to
/// `lacewingd`.
fn through_s_server(fixture: &Fixture, version: &str) -> Outcome {
    let behind = match version {
        "spdy/3" => Shared::LacewingdSpdy3,
        _ => Shared::Lacewingd,
    };
    let behind = fixture.port(behind, Security::Plain)?;
    let (port, child) = s_server(fixture, &format!("spdy/1,{version},http/1.1"))?;
    let io = TcpStream::connect((Ipv4Addr::LOCALHOST, behind)).map_err(|e| e.to_string())?;
    std::thread::scope(|scope| {
        let pumping = scope.spawn(|| child.join(io));
        let out = fixture.scratch(MB_1);
        let mut command = lacewing(fixture, version);
        command.arg("--npn").arg("-o").arg(&out);
        command.arg(Security::Tls.url(port, MB_1));
        let fetched = fixture
            .run(&mut command, 30)
            .and_then(|finished| finished.success());
        let pumped = pumping.join().map_err(|_| "the relay panicked".to_owned());
        fetched?;
        pumped??;
        same_file(fixture, &out, MB_1)
    })
}

fn nothing_in_common(fixture: &Fixture) -> Outcome {
    let (port, _child) = s_server(fixture, "http/1.1")?;
    let mut command = fixture.ours("lacewing");
    command.args(["get", "--insecure", "--npn", &Security::Tls.url(port, "")]);
    let finished = fixture.run(&mut command, 20)?;
    expect(&format!("{:?}", finished.status.code()), "Some(35)")?;
    expect_part(&finished.stderr, "accepted none of the protocols")
}

/// `s_server` with its streams in our hands, and listening.
fn s_server(fixture: &Fixture, advertised: &str) -> Result<(u16, Piped), String> {
    let port = free_port()?;
    let mut command = fixture.tool("openssl")?;
    command.args(["s_server", "-quiet", "-nextprotoneg", advertised, "-accept"]);
    command.arg(port.to_string());
    command.arg("-cert").arg(fixture.cert());
    command.arg("-key").arg(fixture.key());
    let child = piped(&mut command)?;
    // It goes on after a connection that ends before its handshake.
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > deadline {
            return Err("s_server does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((port, child))
}

/// A program that is a pipe; it ends with this.
struct Piped(Child);

fn piped(command: &mut Command) -> Result<Piped, String> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Piped)
        .map_err(|e| format!("cannot start openssl: {e}"))
}

impl Piped {
    fn pipes(&mut self) -> Result<(ChildStdin, ChildStdout), String> {
        let pipes = self.0.stdin.take().zip(self.0.stdout.take());
        pipes.ok_or_else(|| "the program has no streams".into())
    }

    /// Passes bytes between the program and `io` until one of them ends.
    fn join(mut self, io: TcpStream) -> Outcome {
        let (mut input, mut output) = self.pipes()?;
        let (mut from, mut to) = (&io, &io);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                pass_on(&mut output, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            pass_on(&mut from, &mut input);
            // The other direction ends with it.
            drop(self);
        });
        Ok(String::new())
    }
}

/// Until either end is gone. Piece by piece: `std::io::copy` may leave it to the
/// system, which may wait for more.
fn pass_on(from: &mut impl Read, to: &mut impl Write) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        if to.write_all(&piece[..length]).is_err() || to.flush().is_err() {
            return;
        }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
