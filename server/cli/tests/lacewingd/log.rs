//! The log never stops the server.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, Stdio},
};

use crate::{
    exchange::{ALL, get},
    program::{Directory, PROGRAM, Running},
};

/// Neither the announcement nor the log has to be read: requests are answered,
/// and the end is as it should be.
#[test]
fn a_log_without_a_reader_is_no_error() {
    let directory = Directory::new("lacewingd-unread");
    let mut running = Running::start(&directory, &["--https", "127.0.0.1:0"]);
    drop(running.child.stderr.take());
    for _ in 0..3 {
        let answer = running.get("/hello.txt", "");
        assert!(answer.ends_with("\r\n\r\nhello world"), "{answer}");
        // Something to warn of.
        let mut io = TcpStream::connect(running.http).unwrap();
        io.write_all(b"no protocol at all\r\n\r\n").unwrap();
        let _ = io.read_to_end(&mut Vec::new());
    }
    running.signal("-TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    // A failure has its exit code, heard or not.
    let child = Command::new(PROGRAM)
        .arg("/no/such/directory")
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// As with `lacewingd --help | head -1`: no message, and the exit code stays.
#[test]
fn an_output_without_a_reader_is_no_error() {
    let directory = Directory::new("lacewingd-pipes");
    let path = directory.0.to_str().unwrap();
    for (args, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["--no-such-option"], 2),
        // A failure keeps its exit code.
        (&[path, "--http", "off", "--https", "off"], 2),
        (&[path, "--cert", "/no/c", "--key", "/no/k"], 1),
    ] {
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        let output = Command::new(PROGRAM)
            .args(args)
            .stdout(Stdio::from(OwnedFd::from(writer)))
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        assert_eq!(said.is_empty(), code == 0, "{args:?}: {said}");
    }
}

/// More lines than the pipe and the queue hold, and a request on each protocol
/// after that.
#[test]
fn an_unread_log_does_not_stop_the_server() {
    let directory = Directory::new("lacewingd-stuck");
    let running = Running::start(&directory, &["--https", "127.0.0.1:0"]);
    let mut io = running.connect();
    let path = format!("/hello.txt?{}", "x".repeat(7000));
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut reading = io.try_clone().unwrap();
    // Each line shows 2 KiB: 1,500 of them are three times what may wait.
    let requests = 1500;
    let counting = std::thread::spawn(move || {
        let (mut seen, mut bytes) = (Vec::new(), [0; 4096]);
        let mut answers = 0;
        while answers < requests {
            let len = reading.read(&mut bytes).unwrap();
            assert!(len > 0, "only {answers} answers");
            seen.extend_from_slice(&bytes[..len]);
            let text = String::from_utf8_lossy(&seen).into_owned();
            answers += text.matches("hello world").count();
            let end = text.rfind("hello world").map_or(0, |at| at + 11);
            seen.drain(..end);
        }
    });
    for _ in 0..requests {
        io.write_all(request.as_bytes()).unwrap();
    }
    counting.join().unwrap();
    for protocol in ALL {
        let answer = get(&running, protocol, "/hello.txt", &[]);
        assert_eq!((answer.status, &*answer.text()), (200, "hello world"));
    }
    // Once it is read, the log says what it lost.
    let (code, log) = running.terminate();
    assert_eq!(code, Some(0));
    let lines = log
        .lines()
        .filter(|line| line.contains("GET /hello.txt?xxx"));
    let lines = lines.count();
    assert!(lines < requests, "{lines}");
    assert!(
        log.contains("lines of the log are left out here"),
        "{lines}"
    );
    assert!(log.lines().all(|line| line.len() < 4096));
}

/// The formats of the lines, with fields that try to forge another line.
#[test]
fn lines_have_the_format_that_is_asked_for() {
    let directory = Directory::new("lacewingd-formats");
    let hostile = "referer: \" 200 1 \"-\"\r\nuser-agent: curl/7.88.1 \"{}\\\r\n";
    for (format, expected) in [
        (
            "combined",
            "] \"GET /hello.txt?a=%0a HTTP/1.1\" 200 11 \"\\x22 200 1 \\x22-\\x22\" \
             \"curl/7.88.1 \\x22{}\\x5C\"",
        ),
        (
            "json",
            "\"proto\":\"http/1.1\",\"method\":\"GET\",\"host\":\"localhost\",\
             \"uri\":\"/hello.txt?a=%0a\",\"status\":200,\"size\":11,\"duration\":0.",
        ),
        ("text", "http/1.1 GET /hello.txt?a=%0a 200 11 B "),
    ] {
        let args = ["--https", "off", "--log-format", format];
        let running = Running::start(&directory, &args);
        running.get("/hello.txt?a=%0a", hostile);
        let (code, log) = running.terminate();
        assert_eq!(code, Some(0));
        let lines: Vec<_> = log
            .lines()
            .filter(|line| line.contains("hello.txt"))
            .collect();
        assert_eq!(lines.len(), 1, "{log}");
        assert!(lines[0].contains(expected), "{}\n{expected}", lines[0]);
        if format == "json" {
            for line in log.lines() {
                let object: serde_json::Value = serde_json::from_str(line).expect(line);
                assert!(
                    object["ts"].is_string() && object["level"] == "info",
                    "{line}"
                );
            }
            assert!(
                log.contains("\"msg\":\"all requests are answered, goodbye\""),
                "{log}"
            );
        } else if format == "combined" {
            assert!(lines[0].starts_with("127.0.0.1 - - ["), "{}", lines[0]);
        }
    }
}
