//! The `lacewing` program against a server on loopback.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use lacewing_client::Version;

use super::{lacewing::run, servers::server};
use crate::support::*;

fn lacewing(args: &[&str]) -> Output {
    run(&[&["get"], args].concat())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn scratch(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn a_body_goes_to_stdout_and_nothing_else_is_said() {
    for version in Version::ALL {
        let url = format!("http://{}/bytes/300000", server(version));
        let output = lacewing(&["--protocol", version.alpn(), &url]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(output.stdout, pattern(300_000));
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn pushes_are_reported_on_request() {
    for version in Version::ALL {
        let address = server(version);
        let url = format!("http://{address}/pushes");
        let output = lacewing(&["--push", "--protocol", version.alpn(), &url]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(output.stdout, b"page");
        let line = format!("lacewing: pushed http://{address}/bytes/1000: 200 OK, 1000 bytes\n");
        assert_eq!(stderr(&output), line, "{version}");
        let output = lacewing(&["--protocol", version.alpn(), &url]);
        assert_eq!(
            (output.stdout.clone(), stderr(&output)),
            (b"page".to_vec(), "".into())
        );
    }
}

/// A server that stays in HTTP/1.1 is an error of the connection.
#[test]
fn an_upgrade_that_the_server_declines_is_reported() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
            head.push(byte[0]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    });
    let output = lacewing(&["--h2c-upgrade", &format!("http://{address}/x")]);
    assert!(serving.join().unwrap().contains("upgrade: h2c\r\n"));
    assert_eq!(output.status.code(), Some(16));
    assert!(
        stderr(&output)
            .contains("did not switch to HTTP/2: it answered 200 OK in HTTP/1.1; leave out --h2c"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn verbose_shows_the_frames_of_both_directions() {
    for version in Version::ALL {
        let url = format!("http://{}/hello", server(version));
        let output = lacewing(&["-v", "-H", "x-mine: 1", "--protocol", version.alpn(), &url]);
        assert_eq!(output.stdout, b"hello world");
        let log = stderr(&output);
        let (request, reply) = match version {
            Version::Http2 => ("> HEADERS stream=1 ", "< HEADERS stream=1 "),
            _ => ("> SYN_STREAM stream=1 ", "< SYN_REPLY stream=1 "),
        };
        for line in [
            request,
            reply,
            ">     x-mine: 1",
            "< DATA stream=1 length=11",
            "> SETTINGS",
        ] {
            assert!(log.contains(line), "{version} lacks {line:?}:\n{log}");
        }
        assert!(!log.contains('!'), "{version}:\n{log}");
    }
}

#[test]
fn a_file_or_stdin_is_uploaded() {
    let directory = scratch("upload");
    let file = directory.join("data");
    fs::write(&file, pattern(1_000_000)).unwrap();
    for version in Version::ALL {
        let url = format!("http://{}/digest", server(version));
        let common = ["--protocol", version.alpn(), &url];
        let output =
            lacewing(&[&["-X", "POST", "-T", file.to_str().unwrap()][..], &common].concat());
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            sha256(&pattern(1_000_000))
        );

        let mut child = Command::new(env!("CARGO_BIN_EXE_lacewing"))
            .args(["get", "--data-binary", "@-"])
            .args(common)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(&pattern(500_000))
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            sha256(&pattern(500_000))
        );
    }
}

#[test]
fn several_urls_go_into_a_directory_over_one_connection() {
    let directory = scratch("several");
    let base = format!("http://{}", server(Version::Spdy31));
    let urls: Vec<_> = (1..=12)
        .map(|size| format!("{base}/bytes/{}", size * 10_000))
        .collect();
    let mut args = vec!["-v", "--protocol", "spdy/3.1", "--parallel", "5", "-o"];
    args.push(directory.to_str().unwrap());
    args.extend(urls.iter().map(String::as_str));
    let output = lacewing(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for size in 1..=12 {
        let name = (size * 10_000).to_string();
        assert_eq!(
            fs::read(directory.join(name)).unwrap(),
            pattern(size * 10_000)
        );
    }
    assert_eq!(stderr(&output).matches("* connected to").count(), 1);
}

#[test]
fn exit_codes_name_the_kind_of_failure() {
    let base = format!("http://{}", server(Version::Http2));
    let cases: [(&[&str], i32, &str); 7] = [
        (&["not a url"], 2, "not a URL"),
        (&["ftp://a.example/"], 2, "http and https"),
        (
            &["--parallel", "2", "http://a.example/", "http://a.example/"],
            2,
            "--output",
        ),
        (&["http://127.0.0.1:1/"], 7, "cannot connect"),
        (&["http://no-such-host.invalid/"], 6, "cannot connect"),
        (&["-f", "BASE/nothing-here"], 22, "404"),
        (&["-T", "/no/such/file", "BASE/digest"], 26, "/no/such/file"),
    ];
    for (args, code, text) in cases {
        let args: Vec<_> = args.iter().map(|arg| arg.replace("BASE", &base)).collect();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let output = lacewing(&args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(text),
            "{args:?}: {}",
            stderr(&output)
        );
    }
    // A server of HTTP/2 is spoken to in SPDY/2: either side may be the first to see that.
    let output = lacewing(&["--protocol", "spdy/2", &format!("{base}/hello")]);
    assert!(
        matches!(output.status.code(), Some(16 | 52)),
        "{}",
        stderr(&output)
    );
    let help = lacewing(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Exit codes"));
}
