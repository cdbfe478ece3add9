//! The program `lacewingd`, run as a user would run it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lacewingd");

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("below")).unwrap();
        fs::write(path.join("hello.txt"), "hello world").unwrap();
        fs::write(path.join("a<b>&c.txt"), "").unwrap();
        fs::write(path.join("below/page.html"), "<p>below</p>").unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program, which ends with this.
struct Running {
    child: Child,
    said: Vec<String>,
    http: SocketAddr,
    _stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(directory: &Directory, args: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .arg(&directory.0)
            .args(["--http", "127.0.0.1:0"])
            .args(args)
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        let mut http = None;
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        for line in stdout.by_ref().lines().map_while(Result::ok) {
            if let Some(rest) = line.trim().strip_prefix("http://") {
                http = rest.split('/').next().unwrap().parse().ok();
            }
            let last = line.contains("certificate SHA-256");
            said.push(line);
            if last {
                break;
            }
        }
        let http = http.unwrap_or_else(|| panic!("no address: {said:?}"));
        Self {
            child,
            said,
            http,
            _stdout: stdout,
        }
    }

    fn get(&self, path: &str, fields: &str) -> String {
        let mut io = TcpStream::connect(self.http).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fields}\r\n");
        io.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        io.read_to_string(&mut answer).unwrap();
        answer
    }

    /// SIGTERM, and what the log said.
    fn terminate(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_directory_is_served_until_sigterm() {
    let directory = Directory::new("lacewingd-serves");
    let running = Running::start(&directory, &["--https", "127.0.0.1:0", "--threads", "1"]);
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

/// Neither the announcement nor the log has to be read: requests are answered,
/// and the end is as it should be.
#[test]
fn a_log_that_nobody_reads_is_no_error() {
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
    let id = running.child.id().to_string();
    let mut kill = Command::new("kill");
    assert!(kill.args(["-TERM", &id]).status().unwrap().success());
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

fn fails(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = Command::new(PROGRAM).args(args).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn a_start_that_fails_says_why_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = fails(&[".", "--https", "off", "--http", &address]);
    assert_eq!(code, Some(1), "{said}");
    for expected in [&*address, "another program has port", "--http ADDR"] {
        assert!(said.contains(expected), "{said}");
    }

    let (code, said) = fails(&["/no/such/directory"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("/no/such/directory"), "{said}");

    let (code, said) = fails(&[".", "--https", "off", "--http", "off"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("nobody could connect"), "{said}");

    let (code, said) = fails(&["--protocols", "h2,h3"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("`h3` is no protocol"), "{said}");

    let (code, said) = fails(&[".", "--cert", "/no/cert.pem", "--key", "/no/key.pem"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("/no/cert.pem"), "{said}");
}
