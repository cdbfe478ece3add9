//! `port-forward`.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, ChildStdout},
};

use super::*;

/// A service that returns what it gets, on a thread for each connection.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut from = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut from, &mut stream);
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
    port
}

struct Forwarding {
    child: Child,
    stdout: BufReader<ChildStdout>,
    local: u16,
}

fn forwarding(api: &Api, remote: u16, more: &[&str]) -> Forwarding {
    let ports = format!(":{remote}");
    let arguments = [
        &["port-forward", "mypod", &ports, "--address", "127.0.0.1"][..],
        more,
    ];
    let mut child = at(api, &arguments.concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let local = line
        .strip_prefix("Forwarding from 127.0.0.1:")
        .and_then(|rest| rest.trim_end().strip_suffix(&format!(" -> {remote}")))
        .unwrap_or_else(|| panic!("{line:?}"));
    Forwarding {
        local: local.parse().unwrap(),
        child,
        stdout,
    }
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.unwrap().success());
}

fn through(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut back = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = writer.write_all(bytes);
            let _ = writer.shutdown(Shutdown::Write);
        });
        // A connection that fails is reset.
        let _ = stream.read_to_end(&mut back);
    });
    back
}

#[test]
fn connections_pass_until_ctrl_c() {
    let (api, echo) = (Api::new(), echo());
    for transport in ["auto", "spdy", "http2"] {
        let mut forwarding = forwarding(&api, echo, &["--transport", transport]);
        let bytes: Vec<u8> = (0..2_000_000_u32).map(|n| (n * 7 % 251) as u8).collect();
        let port = forwarding.local;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(through(port, &bytes) == bytes, "{transport}"));
            }
        });
        let mut line = String::new();
        forwarding.stdout.read_line(&mut line).unwrap();
        assert_eq!(line, format!("Handling connection for {port}\n"));
        interrupt(&forwarding.child);
        let output = forwarding.child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(text(&output.stderr), "");
    }
}

/// A port that refuses is reported, and the next connection has its own chance.
#[test]
fn a_refused_port_ends_one_connection() {
    let api = Api::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap().port();
    drop(listener);
    let forwarding = forwarding(&api, free, &[]);
    for _ in 0..2 {
        assert_eq!(through(forwarding.local, b"hello"), b"");
    }
    interrupt(&forwarding.child);
    let output = forwarding.child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stderr = text(&output.stderr);
    assert_eq!(stderr.matches("cannot connect: ").count(), 2, "{stderr}");
}

#[test]
fn a_local_port_in_use_is_reported() {
    let api = Api::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ports = format!("{port}:80");
    let output = run(
        &api,
        &["port-forward", "mypod", &ports, "--address", "127.0.0.1"],
    );
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("unable to listen on 127.0.0.1"), "{stderr}");
}
