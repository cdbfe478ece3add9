//! Who may become an upstream, and who may not.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use super::{OTHER_TOKEN, TOKEN, becomes, dialler, dialler_to, fresh_tokens, gateway, get, until};
use crate::program::{Directory, PROGRAM, Running};

fn connect(gateway: SocketAddr) -> TcpStream {
    let io = TcpStream::connect(gateway).unwrap();
    io.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    io
}

/// Asks for a tunnel, and returns the transport and the head of the answer.
pub(super) fn ask(gateway: SocketAddr, line: &str, fields: &str) -> (TcpStream, String) {
    let mut io = connect(gateway);
    let request = format!("{line} HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    io.write_all(request.as_bytes()).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(io.read(&mut byte).unwrap(), 1, "{head:?}");
        head.push(byte[0]);
    }
    (io, String::from_utf8(head).unwrap())
}

const UPGRADE: &str = "connection: upgrade\r\nupgrade: lacewing-tunnel/h2\r\n";

pub(super) fn bearer(token: &str) -> String {
    format!("{UPGRADE}authorization: Bearer {token}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_token_of_a_name_opens_its_tunnel() {
    let tokens = fresh_tokens();
    let lab = format!("lab={}", tokens.path("other").display());
    let gateway = gateway(&tokens, &["--tunnel", &lab, "--proxy", "/lab=tunnel:lab"]);
    let right = bearer(TOKEN);
    for (line, fields, status) in [
        ("GET /office", UPGRADE.to_owned(), 401),
        ("GET /office", bearer("wrong"), 401),
        ("GET /office", bearer(&TOKEN[..31]), 401),
        ("GET /office", bearer(&format!("{TOKEN}0")), 401),
        // The token of another tunnel.
        ("GET /office", bearer(OTHER_TOKEN), 401),
        ("GET /lab", right.clone(), 401),
        ("GET /none", right.clone(), 401),
        ("GET /", right.clone(), 401),
        ("GET /office/", right.clone(), 401),
        ("GET /of%66ice", right.clone(), 401),
        (
            "GET /office",
            format!("{right}authorization: Bearer x\r\n"),
            401,
        ),
        ("GET /office", right.replace("Bearer", "Basic"), 401),
        ("POST /office", format!("{right}content-length: 0\r\n"), 400),
        (
            "GET /office",
            format!("{right}content-length: 2\r\n\r\nhi"),
            400,
        ),
        ("GET /office", right.replace("/h2", "/h9"), 400),
        (
            "GET /office",
            right.replace("connection: upgrade", "connection: close"),
            400,
        ),
    ] {
        let (_, head) = ask(gateway.http, line, &fields);
        let expected = format!("HTTP/1.1 {status} ");
        assert!(head.starts_with(&expected), "{line} {fields}: {head}");
        assert_eq!(
            head.contains("www-authenticate: Bearer"),
            status == 401,
            "{head}"
        );
        let (status, text) = get(&gateway, "/").await;
        assert_eq!(status, 503, "{text}");
        assert!(
            text.contains("dials in through a tunnel, and is not connected"),
            "{text}"
        );
    }
    // Other upgrades are requests like any other.
    let (_, head) = ask(
        gateway.http,
        "GET /office",
        &right.replace("lacewing-tunnel/h2", "a, b"),
    );
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    let (io, head) = ask(gateway.http, "GET /behind/a/proxy/office", &right);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("upgrade: lacewing-tunnel/h2\r\n"), "{head}");
    drop(io);
    let (code, log) = gateway.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("is refused with 401"), "{log}");
    for token in [TOKEN, OTHER_TOKEN] {
        assert!(!log.contains(token), "{log}");
    }
}

/// Without --tunnel, nobody becomes an upstream.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tunnels_knows_none() {
    let directory = Directory::new("lacewingd-reverse-none");
    let running = Running::start(&directory, &["--https", "off"]);
    let (_, head) = ask(running.http, "GET /office", &bearer(TOKEN));
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}

/// A dialler that sends requests of its own, or what is no HTTP/2, is closed, and the log has why.
#[tokio::test(flavor = "multi_thread")]
async fn a_dialler_that_does_not_serve_is_closed() {
    let tokens = fresh_tokens();
    let gateway = gateway(&tokens, &[]);
    let settings: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    // HEADERS of a request on stream 1 and on stream 2: `:method: GET`.
    let headers = |stream| [0, 0, 1, 1, 5, 0, 0, 0, stream, 0x82];
    let request = |stream| [settings, &headers(stream)].concat();
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], settings].concat();
    let garbage = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec();
    for bytes in [request(1), request(2), preface, garbage] {
        let (mut io, head) = ask(gateway.http, "GET /office", &bearer(TOKEN));
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        io.write_all(&bytes).unwrap();
        // All that the gateway says, GOAWAY at last, and the end.
        let mut said = Vec::new();
        let _ = io.read_to_end(&mut said);
        assert!(said.starts_with(b"PRI * HTTP/2.0"), "{said:?}");
        becomes(&gateway, "/", 503).await;
    }
    let (code, log) = gateway.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("has dialled in, in h2").count(), 4, "{log}");
    assert_eq!(log.matches("is gone: ").count(), 4, "{log}");
}

/// A dialler that goes silent after the 101 is no upstream for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_dialler_that_says_nothing_is_given_up() {
    let tokens = fresh_tokens();
    let gateway = gateway(&tokens, &[]);
    let (mut io, head) = ask(gateway.http, "GET /office", &bearer(TOKEN));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (status, text) = get(&gateway, "/").await;
    assert!(matches!(status, 503 | 504), "{status} {text}");
    let mut said = Vec::new();
    let _ = io.read_to_end(&mut said);
}

/// The dialler's log says why there is no tunnel.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_dialler_says_why() {
    let tokens = fresh_tokens();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (tokens.path("cert.pem"), tokens.path("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let office = format!("office={}", tokens.path("token").display());
    let gateway = Running::start_by(
        Command::new(PROGRAM),
        None,
        &[
            "--https",
            "127.0.0.1:0",
            "--cert",
            cert,
            "--key",
            key,
            "--tunnel",
            &office,
            "--proxy",
            "tunnel:office",
        ],
    );
    let directory = Directory::new("lacewingd-reverse-plain");
    let plain = Running::start(&directory, &["--https", "off"]);
    let port = gateway.https.unwrap().port();
    let other = tokens.path("other").display().to_string();
    let secure = format!("https://localhost:{port}/office");
    for (url, options, why) in [
        (secure.clone(), &[][..], "--dial-ca FILE"),
        (
            secure.clone(),
            &["--dial-ca", cert, "--dial-token-file", &other],
            "401 Unauthorized",
        ),
        (
            format!("https://127.0.0.1:{port}/office"),
            &["--dial-ca", cert],
            "not valid for",
        ),
        (
            format!("http://{}/office", plain.http),
            &[],
            "404 Not Found: no gateway is there",
        ),
        ("http://127.0.0.1:1/office".into(), &[], "refused"),
        (
            "http://no-such-name.invalid/office".into(),
            &[],
            "no-such-name.invalid",
        ),
    ] {
        let dialler = dialler_with(&url, &tokens, options);
        let (_dialler, log) = until(dialler, "again in").await;
        assert!(log.contains(why), "{url}: {log}");
    }
    let mut trusting = vec!["--dial-ca", cert, "--proxy"];
    let to = format!("http://{}", plain.http);
    trusting.push(&to);
    let _dialler = dialler_to(&secure, &tokens, &trusting);
    becomes(&gateway, "/hello.txt", 200).await;
}

fn dialler_with(url: &str, tokens: &Directory, options: &[&str]) -> Running {
    let token = tokens.path("token").display().to_string();
    let mut args = vec!["--https", "off", "--http", "off", "--dial", url];
    if !options.contains(&"--dial-token-file") {
        args.extend(["--dial-token-file", &token]);
    }
    args.extend(options);
    Running::launch(Command::new(PROGRAM), None, &args, Some("serves"))
}

/// What cannot work is an error before anything is dialled.
#[test]
fn options_that_do_not_go_together_are_refused() {
    let tokens = fresh_tokens();
    let (token, short) = (tokens.path("token"), tokens.path("short"));
    std::fs::write(&short, "hunter2").unwrap();
    let (token, short) = (token.to_str().unwrap(), short.to_str().unwrap());
    let (office, weak) = (format!("office={token}"), format!("office={short}"));
    let url = "https://gateway.example/office";
    for (args, why) in [
        (&["--dial", url][..], "LACEWINGD_DIAL_TOKEN"),
        (
            &["--dial", url, "--dial-token-file", "/no/file"],
            "/no/file",
        ),
        (&["--dial", url, "--dial-token-file", short], "16 to 1024"),
        (
            &["--dial", "https://gateway.example/"],
            "https://gateway.example/office",
        ),
        (&["--tunnel", "office"], "NAME=FILE"),
        (&["--tunnel", "a/b=c"], "no name of a tunnel"),
        (&["--tunnel", &weak], "openssl rand -hex 32"),
        (&["--tunnel", &office, "--tunnel", &office], "twice"),
        (&["--proxy", "tunnel:office"], "--tunnel office=FILE"),
        (
            &["--tunnel", &office, "--protocols", "h2"],
            "http/1.1 among --protocols",
        ),
        (
            &["--tunnel", &office, "--runtime", "per-thread"],
            "--runtime shared",
        ),
    ] {
        let mut command = Command::new(PROGRAM);
        command.arg("--check").args(args);
        let output = command.env_remove("LACEWINGD_DIAL_TOKEN").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{args:?}");
        assert!(said.contains(why), "{args:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let args = ["--check", "--dial", url, "--https", "off", "--http", "off"];
    let mut command = Command::new(PROGRAM);
    let output = command
        .args(args)
        .env("LACEWINGD_DIAL_TOKEN", super::TOKEN)
        .output();
    assert!(output.unwrap().status.success());
}

/// Diallers beyond the bound are refused, and room is there again when one leaves.
#[tokio::test(flavor = "multi_thread")]
async fn the_diallers_of_a_name_have_a_bound() {
    let tokens = fresh_tokens();
    let gateway = gateway(&tokens, &[]);
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let mut held = Vec::new();
    for _ in 0..64 {
        let (mut io, head) = ask(gateway.http, "GET /office", &bearer(TOKEN));
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        io.write_all(&settings).unwrap();
        // The preface shows that it is among the tunnel's connections.
        let mut preface = [0; 24];
        io.read_exact(&mut preface).unwrap();
        held.push(io);
    }
    let (_, head) = ask(gateway.http, "GET /office", &bearer(TOKEN));
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    held.clear();
    let folder = Directory::new("lacewingd-reverse-bound");
    let _dialler = dialler(gateway.http, &tokens, &[folder.0.to_str().unwrap()]);
    becomes(&gateway, "/hello.txt", 200).await;
}
