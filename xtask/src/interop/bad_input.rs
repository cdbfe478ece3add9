//! Peers that speak no protocol of ours. Each ends soon, in a clear error, and
//! the server continues to serve.

use super::fixture::{Fixture, SMALL, Security, Shared};
use super::http2::get;
use super::{Case, Outcome};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// The time to notice the fault: bytes that look like the start of a long frame
/// are waited for, up to ten seconds.
const SOON: Duration = Duration::from_secs(15);

/// Bytes that are the start of nothing, or of something that breaks at once.
const GARBAGE: [(&str, &[u8]); 7] = [
    ("zeros", &[0; 64]),
    ("noise", b"\xde\xad\xbe\xef\x00\x01\x02\x03\xff\xfe\xfd\xfc\x13\x37\x13\x37\xaa\x55\xaa\x55"),
    ("wrong-preface", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
    ("frame-over-the-limit", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x04\0\0\0\0\0"),
    ("block-that-does-not-decode", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x04\x01\x05\0\0\0\x01\xff\xff\xff\xff"),
    ("spdy-version-9", b"\x80\x09\0\x01\x01\0\0\x0a\0\0\0\x01\0\0\0\0\0\0"),
    ("spdy-block-that-does-not-inflate", b"\x80\x03\0\x01\x01\0\0\x0e\0\0\0\x01\0\0\0\0\0\0\xff\xff\xff\xff"),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, bytes) in GARBAGE {
        for security in Security::BOTH {
            let name = format!("bad-input/server/{name}-{}-port", security.name());
            cases.push(Case::new(name, move |fixture| {
                let port = fixture.port(Shared::Lacewingd, security)?;
                closed_soon(port, bytes)?;
                still_serving(fixture)
            }));
        }
        cases.push(Case::new(
            format!("bad-input/client/{name}"),
            move |fixture| client_against(fixture, bytes),
        ));
    }
    cases.push(Case::new("bad-input/server/half-a-preface", |fixture| {
        let port = fixture.port(Shared::Lacewingd, Security::Plain)?;
        hang_up_after(port, b"PRI * HTTP/2.0\r\n")?;
        hang_up_after(port, b"\x80\x03\0\x01")?;
        hang_up_after(port, b"")?;
        still_serving(fixture)
    }));
    cases.push(Case::new("bad-input/server/unknown-alpn", unknown_alpn));
    cases.push(Case::new(
        "bad-input/client/tls-server-without-alpn",
        server_without_alpn,
    ));
    cases.push(Case::new("bad-input/client/nobody-listens", |fixture| {
        let port = super::process::free_port()?;
        fails_clearly(
            fixture,
            &["--protocol", "h2", &Security::Plain.url(port, "")],
        )
    }));
    cases
}

/// Sends `bytes` and continues to listen: the server must end the connection.
fn closed_soon(port: u16, bytes: &[u8]) -> Result<(), String> {
    let mut stream = connect(port)?;
    stream
        .set_read_timeout(Some(SOON))
        .map_err(|e| e.to_string())?;
    // The server may have closed before it has read all.
    let _ = stream.write_all(bytes);
    let began = Instant::now();
    let mut answer = [0; 4096];
    loop {
        match stream.read(&mut answer) {
            Ok(0) => return Ok(()),
            Ok(_) if began.elapsed() < SOON => {}
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return Ok(()),
            _ => return Err(format!("the connection is still open after {SOON:?}")),
        }
    }
}

fn hang_up_after(port: u16, bytes: &[u8]) -> Result<(), String> {
    let mut stream = connect(port)?;
    stream.write_all(bytes).map_err(|e| e.to_string())?;
    stream.shutdown(Shutdown::Both).map_err(|e| e.to_string())
}

fn still_serving(fixture: &Fixture) -> Outcome {
    let port = fixture.port(Shared::Lacewingd, Security::Plain)?;
    get(fixture, "h2", Security::Plain, port, SMALL)
}

/// A server that answers anything with `bytes`, and keeps the connection open.
fn client_against(fixture: &Fixture, bytes: &'static [u8]) -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(bytes);
                while let Ok(1..) = stream.read(&mut request) {}
            });
        }
    });
    for protocol in ["h2", "spdy/2", "spdy/3", "spdy/3.1"] {
        fails_clearly(
            fixture,
            &["--protocol", protocol, &Security::Plain.url(port, "")],
        )
        .map_err(|error| format!("--protocol {protocol}: {error}"))?;
    }
    Ok(String::new())
}

/// A client that offers what the server has never heard of must not get a
/// connection (RFC 7301 section 3.2).
fn unknown_alpn(fixture: &Fixture) -> Outcome {
    let port = fixture.port(Shared::Lacewingd, Security::Tls)?;
    let mut openssl = fixture.tool("openssl")?;
    openssl.args([
        "s_client",
        "-connect",
        &format!("127.0.0.1:{port}"),
        "-alpn",
        "carrier-pigeon",
    ]);
    let finished = fixture.run(&mut openssl, 20)?;
    let said = format!("{}{}", finished.stdout, finished.stderr);
    if finished.status.success() || !said.contains("alert no application protocol") {
        return Err(format!(
            "no alert: {}\n{}",
            finished.status,
            crate::shell::tail(&said, 8)
        ));
    }
    still_serving(fixture)
}

fn server_without_alpn(fixture: &Fixture) -> Outcome {
    let port = super::process::free_port()?;
    let mut openssl = fixture.tool("openssl")?;
    openssl
        .args(["s_server", "-www", "-accept", &port.to_string(), "-cert"])
        .arg(fixture.cert());
    openssl.arg("-key").arg(fixture.key());
    let log = fixture.scratch("s_server.log");
    let _server = super::process::Server::start("openssl s_server", &mut openssl, port, log)?;
    let url = Security::Tls.url(port, "");
    // Without a protocol of its own it is fetched in HTTP/1.1.
    let mut command = fixture.ours("lacewing");
    command.args(["get", "--insecure", &url]);
    fixture.run(&mut command, SOON.as_secs())?.success()?;
    fails_clearly(fixture, &["--insecure", "--protocol", "h2", &url])
}

/// `lacewing get` ends soon, with an exit code that is not that of a crash,
/// and says why.
fn fails_clearly(fixture: &Fixture, args: &[&str]) -> Outcome {
    let mut command = fixture.ours("lacewing");
    command.arg("get").args(args);
    let finished = fixture.run(&mut command, SOON.as_secs())?;
    let said = finished.stderr.trim().to_owned();
    match finished.status.code() {
        Some(0) => Err("it succeeded".into()),
        Some(101) | None => Err(format!("it crashed: {}\n{said}", finished.status)),
        Some(_) if said.is_empty() => Err("it failed without a word".into()),
        Some(_) => Ok(said.lines().last().unwrap_or_default().to_owned()),
    }
}

fn connect(port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|e| e.to_string())
}
