//! The program without a reader of its output: no message, and the same exit code.

use std::{
    net::SocketAddr,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, ExitStatus, Stdio},
};

use lacewing_client::Version;

use super::servers::server;

/// An output whose reader has left.
fn unread() -> Stdio {
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    Stdio::from(OwnedFd::from(ours))
}

fn lacewing(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lacewing"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs the program without a reader of its standard output. Returns its exit
/// status and its standard error output.
fn without_stdout(args: &[&str]) -> (ExitStatus, String) {
    let output = lacewing(args)
        .stdout(unread())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status, said)
}

fn without_stderr(args: &[&str]) -> (ExitStatus, Vec<u8>) {
    let output = lacewing(args)
        .stderr(unread())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    (output.status, output.stdout)
}

/// An address without a listener.
fn closed_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn a_list_or_a_help_without_a_reader_is_no_error() {
    for args in [
        &["conform", "--list"][..],
        &["conform", "--list", "--client"],
        &["conform", "--list", "--protocol", "spdy/3.1"],
        &["--help"],
        &["get", "--help"],
        &["headers", "--help"],
        &["decode", "--help"],
        &["mux", "--help"],
        &["ping", "--help"],
        &["probe", "--help"],
        &["tap", "--help"],
        &["--version"],
    ] {
        let (status, said) = without_stdout(args);
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_body_without_a_reader_is_no_error() {
    for version in Version::ALL {
        let address = server(version);
        let url = format!("http://{address}/bytes/3000000");
        let protocol = ["get", "--protocol", version.alpn()];
        for urls in [&[url.as_str()][..], &[url.as_str(); 3]] {
            let (status, said) = without_stdout(&[&protocol[..], urls].concat());
            assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{version}");
        }
    }
}

/// The exit code does not depend on a reader.
#[test]
fn a_report_without_a_reader_keeps_its_exit_code() {
    let address = server(Version::Http2);
    let url = format!("http://{address}/hello");
    let (status, said) = without_stdout(&["conform", &url, "--only", "6.7/1"]);
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn notes_without_a_reader_change_nothing() {
    for version in Version::ALL {
        let address = server(version);
        let url = format!("http://{address}/hello");
        let protocol = version.alpn();
        let (status, body) = without_stderr(&["get", "-v", "--protocol", protocol, &url]);
        assert_eq!(status.code(), Some(0), "{version}");
        assert_eq!(body, b"hello world", "{version}");
        let url = format!("http://{address}/pushes");
        let (status, body) = without_stderr(&["get", "--push", "--protocol", protocol, &url]);
        assert_eq!((status.code(), &body[..]), (Some(0), &b"page"[..]));
    }
    let url = format!("http://{}/", closed_address());
    let (status, _) = without_stderr(&["get", &url]);
    assert_eq!(status.code(), Some(7), "the failure is in the code");
    let (status, _) = without_stderr(&["get", "--no-such-option"]);
    assert_eq!(status.code(), Some(2));
    let url = format!("http://{}/hello", server(Version::Http2));
    let (status, _) = without_stderr(&["conform", &url, "-v", "--only", "6.7"]);
    assert_eq!(status.code(), Some(0));
    let listen = ["conform", "--client", "--listen", "127.0.0.1:0"];
    let rest = ["--only", "6.7/1", "--patience", "0.1"];
    let (status, _) = without_stderr(&[&listen[..], &rest].concat());
    assert_eq!(status.code(), Some(0));
}
