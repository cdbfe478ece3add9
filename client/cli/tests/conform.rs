//! `lacewing conform` over sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "../../conform/tests/conform/requests.rs"]
mod requests;

use std::{convert::Infallible, process::Stdio};

use http::{Request, Response};
use lacewing_client::{Connect as _, Connector, Origin, Trust, Version, tls::Tls};
use lacewing_conform::{Case, Filter, client_cases};
use lacewing_server::{RequestBody, Server, ServerOptions, serve_connection, service_fn};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::timeout,
};

/// The time after which a program that should have ended hangs.
const HANG: std::time::Duration = std::time::Duration::from_secs(60);

fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lacewing"));
    command.arg("conform").args(arguments).kill_on_drop(true);
    command
}

async fn server() -> String {
    let server = Server::builder().bind(([127, 0, 0, 1], 0).into());
    let server = server.build().await.unwrap();
    let address = server.local_addrs().next().unwrap();
    let service = service_fn(|_: Request<RequestBody>| async {
        Ok::<_, Infallible>(Response::new(String::from("hello, world")))
    });
    tokio::spawn(server.serve(service));
    format!("http://{address}/")
}

#[tokio::test]
async fn a_server_is_tested_and_reported() {
    let reports = std::env::temp_dir().join(format!("lacewing-conform-{}", std::process::id()));
    std::fs::create_dir_all(&reports).unwrap();
    let (junit, json) = (reports.join("r.xml"), reports.join("r.json"));
    let (junit, json) = (junit.to_str().unwrap(), json.to_str().unwrap());
    let url = server().await;
    let arguments = [
        &url, "--strict", "--only", "6.7", "--only", "4.1/1", "--junit", junit, "--json", json,
    ];
    let output = tool(&arguments).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("7 passed, 0 failed"), "{text}");

    let junit = std::fs::read_to_string(junit).unwrap();
    assert_eq!(junit.matches("<testcase ").count(), 7, "{junit}");
    let json = std::fs::read_to_string(json).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["passed"], 7);
    assert_eq!(json["cases"][0]["id"], "4.1/1");
    std::fs::remove_dir_all(&reports).unwrap();
}

#[tokio::test]
async fn a_filter_without_a_case_is_an_error() {
    for (arguments, list) in [
        (
            &["http://127.0.0.1:1/", "--only", "6.7", "--only", "99"][..],
            "h2 --list",
        ),
        (
            &["--client", "--listen", "127.0.0.1:0", "--only", "99"],
            "--client --protocol h2 --list",
        ),
        (
            &["--list", "--protocol", "spdy/3", "--only", "99"],
            "--protocol spdy/3 --list",
        ),
    ] {
        let output = tool(arguments).output().await.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("\"99\"") && text.contains(list), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_named_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    let arguments = [url.as_str(), "--timeout", "0.1", "--only", "6.7"];
    let output = tool(&arguments).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("sends nothing in h2, so most cases fail"),
        "{text}"
    );

    // The same server never makes a TLS handshake.
    let url = url.replace("http:", "https:");
    let arguments = [url.as_str(), "--timeout", "0.1", "--only", "6.7"];
    let ended = timeout(HANG, tool(&arguments).output()).await;
    let output = ended.expect("the handshake has no end").unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(28), "{text}");
    let expected = format!("{url}: no connection within 100ms (--timeout)");
    assert!(text.contains(&expected), "{text}");
}

/// The end of a connection is no frame.
#[tokio::test]
async fn a_server_that_closes_at_once_is_said_to_send_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut preface = [0; 24];
            let _ = stream.read_exact(&mut preface).await;
        }
    });
    for protocol in Version::ALL.map(Version::alpn) {
        let arguments = [
            "--protocol",
            protocol,
            &url,
            "--timeout",
            "0.1",
            "--only",
            "6.7",
        ];
        let arguments = match protocol {
            "h2" => &arguments[..],
            _ => &[&arguments[..5], &["--only", "2.6.5"]].concat(),
        };
        let output = tool(arguments).output().await.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let expected = format!("sends nothing in {protocol}, so most cases fail");
        assert!(text.contains(&expected), "{text}");
    }
}

#[tokio::test]
async fn an_echo_server_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // An echo server.
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    let arguments = [url.as_str(), "--timeout", "0.2", "--only", "6.7"];
    let output = tool(&arguments).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("6.7/1 failed (MUST)"), "{text}");
}

#[tokio::test]
async fn a_server_that_ends_fails_the_case_and_may_come_back() {
    let arguments = ["--only", "6.7", "--only", "5.1/1", "--patience"];
    for (patience, summary) in [("0", "1 passed, 1 failed, 0 advice, "), ("60", " 1 failed")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            // For the probe, and for two cases.
            serve(&listener, 3).await;
            drop(listener);
            if patience != "0" {
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                serve(&TcpListener::bind(address).await.unwrap(), usize::MAX).await;
            }
        });
        let mut command = tool(&[&format!("http://{address}/")]);
        let output = command
            .args(arguments)
            .arg(patience)
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(summary), "{text}");
        assert!(
            text.contains("a server that still accepts connections"),
            "{text}"
        );
        assert_eq!(text.contains("0 skipped"), patience != "0", "{text}");
    }
}

/// Serves this many connections.
async fn serve(listener: &TcpListener, connections: usize) {
    for _ in 0..connections {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|_: Request<RequestBody>| async {
            Ok::<_, Infallible>(Response::new(String::from("hello, world")))
        });
        let version = Version::Http2;
        let serving = serve_connection(stream, version, ServerOptions::default(), service);
        tokio::spawn(async move {
            // The cases judge the end of the connection.
            let _ = serving.await;
        });
    }
}

/// Starts the program; returns it and its URL.
async fn waiting(arguments: &[&str]) -> (Child, String) {
    let mut child = tool(&["--client", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let url = line.split([' ', ',']).find(|word| word.contains("://"));
    let url = url.unwrap().to_owned();
    // Its other messages must not fill the pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, url)
}

#[tokio::test]
async fn cases_are_listed_for_both_sides_and_all_protocols() {
    for version in ["h2", "spdy/2", "spdy/3", "spdy/3.1"] {
        for side in [&[][..], &["--client"]] {
            let arguments = [&["--list", "--protocol", version], side].concat();
            let output = tool(&arguments).output().await.unwrap();
            assert_eq!(output.status.code(), Some(0), "{arguments:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.lines().count() > 50, "{arguments:?}: {text}");
        }
    }
    // --listen is missing.
    let output = tool(&["--client"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn clients_are_tested_one_case_a_connection() {
    let arguments = ["--only", "3.4/3"];
    let (child, url) = waiting(&arguments).await;
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    // A client that closes after a server that starts with an acknowledgement.
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(preface).await.unwrap();
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, *b"\0\0\0\x04\x01\0\0\0\0");
    drop(stream);
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("1 passed, 0 failed"), "{text}");
}

/// Our client passes all cases of these sections, or all there are, strictly.
async fn our_client_passes(version: Version, options: &[&str], sections: &[&str]) {
    let mut arguments = vec!["--strict", "--timeout", "4", "--protocol", version.alpn()];
    arguments.extend(options);
    let mut cases = client_cases(version);
    if !sections.is_empty() {
        arguments.extend(sections.iter().flat_map(|section| ["--only", section]));
        let admits = |case: &Case| sections.iter().any(|s| Filter::new(*s).admits(case));
        cases.retain(admits);
    }
    let (child, url) = waiting(&arguments).await;
    let origin = Origin::of(&url.parse().unwrap()).unwrap();
    // Negotiated with TLS, else by prior knowledge.
    let tls = Tls::with_trust(
        Trust::DangerAcceptAny,
        vec![Version::Spdy3, Version::Http2, version],
    );
    let connector = Connector::tls(tls, Some(version));
    for case in &cases {
        let connected = connector.connect(&origin).await.unwrap();
        assert_eq!(connected.version, Some(version));
        requests::make(case, connected.io).await.unwrap();
    }
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let passed = format!("{} passed, 0 failed, 0 advice, 0 skipped", cases.len());
    assert!(text.contains(&passed), "{version}: {text}");
    assert_eq!(output.status.code(), Some(0), "{text}");
}

#[tokio::test]
async fn our_client_passes_over_sockets_on_spdy_2() {
    our_client_passes(Version::Spdy2, &[], &[]).await;
}

#[tokio::test]
async fn our_client_passes_over_sockets_on_spdy_3() {
    our_client_passes(Version::Spdy3, &[], &[]).await;
}

#[tokio::test]
async fn our_client_passes_over_sockets_on_spdy_31() {
    our_client_passes(Version::Spdy31, &[], &[]).await;
}

#[tokio::test]
async fn clients_are_tested_over_tls_by_the_protocol_that_alpn_chose() {
    our_client_passes(Version::Http2, &["--tls"], &["6.7", "8.1"]).await;
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        our_client_passes(version, &["--tls"], &["2.6.5", "2.6.10"]).await;
    }
}

#[tokio::test]
async fn a_client_without_alpn_runs_no_case() {
    let arguments = ["--tls", "--patience", "30", "--only", "6.7/1"];
    let (child, url) = waiting(&arguments).await;
    let origin = Origin::of(&url.parse().unwrap()).unwrap();
    // Three that fail the handshake: no ALPN, the wrong protocol, and one that
    // rejects the certificate. Then a good one.
    for (trust, offered) in [
        (Trust::DangerAcceptAny, vec![]),
        (Trust::DangerAcceptAny, vec![Version::Spdy2]),
        (Trust::Roots, vec![Version::Http2]),
    ] {
        let wrong = Connector::tls(Tls::with_trust(trust, offered), None);
        assert!(wrong.connect(&origin).await.is_err());
    }
    let right = Tls::with_trust(Trust::DangerAcceptAny, vec![Version::Http2]);
    let connected = Connector::tls(right, None).connect(&origin).await.unwrap();
    let cases = client_cases(Version::Http2);
    let case = cases.iter().find(|case| case.id() == "6.7/1").unwrap();
    requests::make(case, connected.io).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("1 passed, 0 failed"), "{text}");
}
