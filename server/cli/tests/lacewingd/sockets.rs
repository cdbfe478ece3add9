//! Sockets of other kinds: inherited ones, Unix sockets, and shared ports.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    process::{Command, Stdio},
};

use crate::program::{Directory, PROGRAM, Running};

/// The program, with a socket as systemd passes it: descriptor 3, and its name.
fn activated(socket: impl Into<OwnedFd>) -> Command {
    let mut shell = Command::new("sh");
    let script = "exec 3<&0 </dev/null; \
        LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec \"$@\"";
    shell.args(["-c", script, "sh", PROGRAM]);
    shell.stdin(Stdio::from(socket.into()));
    shell
}

fn answer_of(socket: &Path) -> String {
    let mut io = UnixStream::connect(socket).unwrap();
    let request = "GET /hello.txt HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    io.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_socket_that_systemd_passes_is_served() {
    let directory = Directory::new("lacewingd-activated");
    for (option, runtime) in [
        ("fd:web", "shared"),
        ("fd:0", "shared"),
        ("fd:web", "per-thread"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // The kernel keeps connections from before the start.
        let mut early = std::net::TcpStream::connect(address).unwrap();
        let early_request = "GET /hello.txt HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        early.write_all(early_request.as_bytes()).unwrap();
        let args = [
            "--https",
            "off",
            "--http",
            option,
            "--runtime",
            runtime,
            "--threads",
            "2",
        ];
        let command = activated(listener);
        let running = Running::start_with(command, Some(&directory.0), &args);
        assert_eq!(running.http, address, "{:?}", running.said);
        let mut answer = String::new();
        early.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("hello world"), "{answer}");
        assert!(running.get("/hello.txt", "").ends_with("hello world"));
        let (code, log) = running.terminate();
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("WARN"), "{log}");
    }
}

#[test]
fn an_inherited_socket_may_have_tls() {
    let directory = Directory::new("lacewingd-activated-tls");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let args = ["--https", "fd:web", "--http", "127.0.0.1:0"];
    let running = Running::start_with(activated(listener), Some(&directory.0), &args);
    assert_eq!(running.https, Some(address), "{:?}", running.said);
}

#[test]
fn a_unix_socket_may_be_inherited_or_made() {
    let directory = Directory::new("lacewingd-unix");
    let path = directory.path("passed.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let args = [
        "--https",
        "off",
        "--http",
        "fd:web",
        "--metrics",
        "127.0.0.1:0",
    ];
    let started = |command: Command, args: &[&str]| {
        Running::launch(command, Some(&directory.0), args, Some("metrics at"))
    };
    let running = started(activated(listener), &args);
    assert!(answer_of(&path).ends_with("hello world"));
    running.signal("-TERM");
    drop(running);

    let path = directory.path("made.sock");
    let option = format!("unix:{}", path.display());
    let args = [
        "--https",
        "off",
        "--http",
        &option,
        "--metrics",
        "127.0.0.1:0",
    ];
    let running = started(Command::new(PROGRAM), &args);
    assert!(
        running.said.iter().any(|line| line.contains(&option)),
        "{:?}",
        running.said
    );
    assert!(answer_of(&path).ends_with("hello world"));
    let (code, log) = running.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("unix: http/1.1 GET /hello.txt 200"), "{log}");
    assert!(!path.exists());

    let args = [&args[..], &["--log-format", "json"]].concat();
    let running = started(Command::new(PROGRAM), &args);
    assert!(answer_of(&path).ends_with("hello world"));
    let (_, log) = running.terminate();
    let request = log.lines().find(|line| line.contains("/hello.txt"));
    let request: serde_json::Value = serde_json::from_str(request.unwrap()).unwrap();
    assert_eq!(request["remote_addr"], "unix:", "{log}");
}

#[test]
fn sockets_that_do_not_fit_the_options_are_named() {
    let directory = Directory::new("lacewingd-activated-wrong");
    let fails = |mut command: Command, args: &[&str]| {
        let output = command.arg(&directory.0).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let args = ["--https", "off", "--http", "fd:other"];
    let said = fails(Command::new(PROGRAM), &args);
    assert!(
        said.contains("fd:other: no such descriptor was passed"),
        "{said}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let said = fails(
        activated(listener),
        &["--https", "fd:web", "--http", "fd:web"],
    );
    assert!(said.contains("in use for another address"), "{said}");
    let file = fs::File::open(directory.path("hello.txt")).unwrap();
    let said = fails(activated(file), &["--https", "off", "--http", "fd:web"]);
    assert!(
        said.contains("fd:web: ") && said.contains("not a socket"),
        "{said}"
    );
    // One that no option names.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let args = ["--https", "off", "--http", "127.0.0.1:0"];
    let running = Running::start_with(activated(listener), Some(&directory.0), &args);
    let (_, log) = running.terminate();
    assert!(
        log.contains("descriptor 0 (web) was passed, and no option names it"),
        "{log}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_port_is_shared_only_if_both_sides_agree() {
    let directory = Directory::new("lacewingd-shared");
    for runtime in ["shared", "per-thread"] {
        let same = ["--https", "off", "--threads", "2", "--runtime", runtime];
        let first = [&same[..], &["--http", "127.0.0.1:0", "--reuse-port"]].concat();
        let first = Running::start_with(Command::new(PROGRAM), Some(&directory.0), &first);
        let address = first.http.to_string();
        let alone = [&same[..], &["--http", &address]].concat();
        let output = Command::new(PROGRAM)
            .arg(&directory.0)
            .args(&alone)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{runtime}");
        let both = [&same[..], &["--http", &address, "--reuse-port"]].concat();
        let second = Running::start_with(Command::new(PROGRAM), Some(&directory.0), &both);
        assert_eq!(second.http, first.http);
        // The new one serves when the old one has gone.
        let (code, log) = first.terminate();
        assert_eq!(code, Some(0), "{log}");
        assert!(second.get("/hello.txt", "").ends_with("hello world"));
    }
}
