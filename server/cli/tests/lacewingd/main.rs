//! The program `lacewingd`, run as a user would run it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod codings;
mod configuration;
mod content;
mod descriptors;
mod directories;
mod exchange;
mod files;
mod held;
mod hosts;
mod live;
mod log;
mod metrics;
mod packaging;
mod program;
mod ranges;
mod reload;
mod sockets;
#[path = "../../../tests/support/viewer.rs"]
mod viewer;

use std::{
    net::TcpListener,
    process::{Command, Output},
};

use program::{Directory, PROGRAM, Running};

#[test]
fn a_directory_is_served_until_sigterm() {
    for threads in [
        &["--threads", "1"][..],
        &["--threads", "2"],
        &["--threads", "2", "--runtime", "per-thread"],
    ] {
        serves_until_sigterm(threads);
    }
}

fn serves_until_sigterm(threads: &[&str]) {
    let directory = Directory::new("lacewingd-serves");
    let running = Running::start(&directory, &[&["--https", "127.0.0.1:0"], threads].concat());
    let said = running.said.join("\n");
    for expected in [
        "https://127.0.0.1:",
        "h2, spdy/3.1, spdy/3, spdy/2, http/1.1",
        "SHA-256 ",
    ] {
        assert!(said.contains(expected), "{said}");
    }

    let answer = running.get("/hello.txt", "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("content-type: text/plain"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello world"), "{answer}");
    let answer = running.get("/hello.txt", "range: bytes=6-\r\n");
    assert!(answer.starts_with("HTTP/1.1 206"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nworld"), "{answer}");

    let page = running.get("/", "");
    assert!(page.contains("content-type: text/html"), "{page}");
    assert!(
        page.contains(">below/</a>") && page.contains("a&lt;b&gt;&amp;c.txt"),
        "{page}"
    );
    assert!(running.get("/below/", "").contains("href=\"../\""));
    assert!(running.get("/below", "").starts_with("HTTP/1.1 307"));
    assert!(running.get("/none", "").starts_with("HTTP/1.1 404"));
    for path in [
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/",
        "/below/..%5c",
    ] {
        let answer = running.get(path, "");
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }

    let (code, log) = running.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("http/1.1 GET /hello.txt 200 11 B"), "{log}");
    assert!(log.contains("http/1.1 GET /hello.txt 206 5 B"), "{log}");
    assert!(!log.contains("cut short") && !log.contains("WARN"), "{log}");
}

fn fails(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = Command::new(PROGRAM).args(args).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn a_failed_start_prints_the_reason_and_the_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = fails(&[".", "--https", "off", "--http", &address]);
    assert_eq!(code, Some(1), "{said}");
    for expected in [&*address, "another program has port", "--http ADDR"] {
        assert!(said.contains(expected), "{said}");
    }

    let (code, said) = fails(&["/no/such/directory"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("the directory /no/such/directory"), "{said}");
    let (code, said) = fails(&["--config", "/no/such.toml"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("--config /no/such.toml"), "{said}");

    // Options that contradict each other are as wrong as those that do not exist.
    for (words, expected) in [
        ("--https off --http off", "no client could connect"),
        ("--cert a --cert b --key a", "--cert is there 2 times"),
        ("--dial https://a.example/b", "--dial-token-file FILE"),
        ("--proxy /=tunnel:office", "add --tunnel office=FILE"),
        (
            "--tunnel a=/no/token --runtime per-thread",
            "--runtime shared",
        ),
        ("--tunnel a=/no/token --protocols h2", "http/1.1"),
        (
            "--https off --http off --dial https://a.example/b --dial-token-file /no/token \
             --tunnel a=/no/token",
            "where diallers connect: both are off",
        ),
    ] {
        let args: Vec<_> = words.split_whitespace().collect();
        let (code, said) = fails(&args);
        assert_eq!(code, Some(2), "{words}: {said}");
        assert!(said.contains(expected), "{words}: {said}");
    }

    for (words, expected) in [
        ("--proxy /=http://127.0.0.1:65536", "65536 is above 65535"),
        ("--proxy /=https://[::1]:99999", "99999 is above 65535"),
        (
            "--dial https://a.example:65536/b --dial-token-file /no/token",
            "a port is a number, at most 65535",
        ),
        ("--log-level hyper", "write hyper=trace"),
    ] {
        let args: Vec<_> = words.split_whitespace().collect();
        let (code, said) = fails(&args);
        assert_eq!(code, Some(2), "{words}: {said}");
        assert!(said.contains(expected), "{words}: {said}");
    }

    let (code, said) = fails(&["--protocols", "h2,h3"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("`h3` is no protocol"), "{said}");

    let (code, said) = fails(&[".", "--cert", "/no/cert.pem", "--key", "/no/key.pem"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("--cert") && said.contains("/no/cert.pem"),
        "{said}"
    );
}

#[test]
fn completions_and_the_manual_page_are_written() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let Output { status, stdout, .. } = Command::new(PROGRAM)
            .args(["--completions", shell])
            .output()
            .unwrap();
        let text = String::from_utf8(stdout).unwrap();
        assert!(
            status.success() && text.contains("follow-links"),
            "{shell}: {text}"
        );
    }
    let Output { status, stdout, .. } = Command::new(PROGRAM).arg("--man").output().unwrap();
    let text = String::from_utf8(stdout).unwrap();
    assert!(
        status.success() && text.contains(".TH lacewingd 1"),
        "{text}"
    );
    assert!(text.contains("lacewingd ~/notes"), "{text}");
    // An output that takes nothing.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    if let Ok(full) = full {
        let status = Command::new(PROGRAM).arg("--man").stdout(full).status();
        assert_eq!(status.unwrap().code(), Some(1));
    }
}
