//! HTTP/1.1, TLS, and the requests of a HAR file.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
};

use lacewing_client::Version;
use lacewing_server::Server;

use super::{
    super::{
        lacewing::run,
        servers::{self_signed, serve_routes, server_sending},
    },
    lines, load,
};
use crate::support::any_port;

#[test]
fn http1_has_one_request_at_a_time_on_a_connection() {
    let address = serve_routes(Server::builder().bind(any_port())).unwrap();
    let url = format!("http://{address}/bytes/1000");
    let way = ["--protocol", "http/1.1"];
    let (code, report, said) = load(&[&way[..], &["-n", "500", "-c", "4", &url]].concat());
    assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
    for expected in [
        "500 sent, 500 answered, 0 failed",
        "protocol       http/1.1 in cleartext",
        "connections    4 made",
        "500000 bytes of content",
    ] {
        assert!(report.contains(expected), "{report}");
    }
    assert!(lines(&report, "ended early").is_empty(), "{report}");
    let url = format!("http://{address}/echo");
    let (code, report, _) = load(&[&way[..], &["-n", "20", "-d", "content", &url]].concat());
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("140 bytes of content"), "{report}");
    let (code, _, said) = load(&[&way[..], &["-n", "1", "-m", "2", &url]].concat());
    assert_eq!(code, Some(2));
    assert!(said.contains("instead of -m, use -c"), "{said}");
    let (code, _, said) = load(&["--protocol", "h3", &url]);
    assert_eq!(code, Some(2));
    assert!(said.contains("or http/1.1"), "{said}");
}

/// Answers requests of HTTP/1.1 with this text, each on a connection of its own.
fn answering(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || answer_one(&stream, answer));
        }
    });
    address
}

fn answer_one(mut stream: &TcpStream, answer: &str) {
    let lines = BufReader::new(stream).lines();
    let head: Vec<_> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    if !head.is_empty() {
        let _ = stream.write_all(answer.as_bytes());
    }
}

#[test]
fn servers_that_close_or_break_http1_are_survived() {
    let ended = "connection closed by the server";
    for (answer, answered, cause) in [
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
            4,
            ended,
        ),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", 4, ended),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
            0,
            "4 × ",
        ),
        ("no HTTP at all\r\n\r\n", 0, "the server broke a rule"),
        ("", 0, ended),
    ] {
        let url = format!("http://{}/", answering(answer));
        let (code, report, _) = load(&["--protocol", "http/1.1", "-n", "4", &url]);
        let failed = 4 - answered;
        let expected = format!("4 sent, {answered} answered, {failed} failed, 0 in flight");
        assert!(report.contains(&expected), "{answer:?} {report}");
        assert!(report.contains(cause), "{answer:?} {report}");
        assert_eq!(code, Some(u8::from(answered == 0).into()), "{report}");
    }
}

#[test]
fn a_server_of_http1_that_is_silent_meets_the_timeout() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let way = ["--protocol", "http/1.1"];
    let limits = ["-n", "3", "--timeout", "50ms"];
    let (code, report, _) = load(&[&way[..], &limits, &[&url]].concat());
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("3 × timeout after 50ms"), "{report}");
    let limits = ["-D", "500ms", "--drain", "500ms"];
    let (_, report, _) = load(&[&way[..], &limits, &[&url]].concat());
    let expected = "1 sent, 0 answered, 0 failed, 1 in flight";
    assert!(report.contains(expected), "{report}");
}

#[test]
fn tls_agrees_on_each_protocol() {
    let url = format!("https://{}/bytes/100", self_signed());
    let names = Version::ALL.map(|version| version.alpn());
    let names = names.iter().copied().chain(["http/1.1"]);
    for name in names {
        let way = ["-k", "--protocol", name];
        let (code, report, said) = load(&[&way[..], &["-n", "100", "-c", "2", &url]].concat());
        assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
        let expected = format!("protocol       {name} over TLS");
        assert!(report.contains(&expected), "{report}");
        assert!(report.contains("10000 bytes of content"), "{report}");
    }
    // The server chooses.
    let (code, report, _) = load(&["-k", "-n", "10", &url]);
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("protocol       h2 over TLS"), "{report}");
}

#[test]
fn certificates_and_ports_without_tls_are_errors_before_the_run() {
    let (code, report, said) = load(&["-n", "1", &format!("https://{}/", self_signed())]);
    assert_eq!((code, report.as_str()), (Some(2), ""));
    assert!(said.contains("certificate"), "{said}");
    let plain = server_sending(b"220 mail.example.org ESMTP\r\n");
    let (code, _, said) = load(&["-k", "-n", "1", &format!("https://{plain}/")]);
    assert_eq!(code, Some(2));
    assert!(said.contains("does not speak TLS"), "{said}");
}

#[test]
fn a_har_of_get_is_replayed() {
    let folder = std::env::temp_dir().join(format!("lacewing-load-har-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let har = folder.join("page.har");
    let har = har.to_str().unwrap();
    let address = serve_routes(Server::builder().bind(any_port())).unwrap();
    let (bytes, echo) = (
        format!("http://{address}/bytes/300"),
        format!("http://{address}/bytes/2"),
    );
    let out = folder.join("out");
    std::fs::create_dir_all(&out).unwrap();
    let got = run(&[
        "get",
        "--har",
        har,
        "-o",
        out.to_str().unwrap(),
        &bytes,
        &echo,
    ]);
    assert_eq!(got.status.code(), Some(0));
    for protocol in ["h2", "spdy/3.1", "http/1.1"] {
        let (code, report, said) = load(&["--har", har, "-n", "20", "--protocol", protocol]);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
        assert!(report.contains("20 2xx"), "{report}");
        assert!(report.contains("3020 bytes of content"), "{report}");
    }
    let (code, _, said) = load(&["--har", har, "-n", "1", &bytes]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--har"), "{said}");
    std::fs::write(har, "{}").unwrap();
    let (code, _, said) = load(&["--har", har, "-n", "1"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("no HAR"), "{said}");
    std::fs::remove_dir_all(&folder).unwrap();
}
