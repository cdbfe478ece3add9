//! `lacewing ping`: the round trip by PING frames.

#[cfg(unix)]
use std::{
    io::{BufRead, BufReader, Read as _},
    process::{Command, Stdio},
};
use std::{net::TcpListener, process::Output};

use lacewing_client::Version;

use super::{lacewing::run, servers::server};

fn ping(args: &[&str]) -> Output {
    run(&[&["ping"], args].concat())
}

#[test]
fn every_protocol_answers() {
    for version in Version::ALL {
        let url = format!("http://{}/", server(version));
        let options = ["-c", "3", "-i", "0.01", "--protocol", version.alpn()];
        let output = ping(&[&options[..], &[&url]].concat());
        assert_eq!(output.status.code(), Some(0), "{version}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&format!("speaking {version}")), "{text}");
        assert!(text.contains("PING 3: "), "{text}");
        assert!(
            text.contains("3 PINGs sent, 3 answered\nrtt min/avg/max/mdev = "),
            "{text}"
        );
        let output = ping(&[&options[..], &["--json", &url]].concat());
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (json["sent"].as_u64(), json["answered"].as_u64()),
            (Some(3), Some(3))
        );
        assert_eq!(json["protocol"], version.alpn());
        assert!(json["min_ms"].as_f64() <= json["max_ms"].as_f64());
    }
}

/// A server that accepts, and says nothing.
#[test]
fn a_server_that_is_silent_is_left() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let output = ping(&["-c", "2", "-i", "0.01", "-W", "0.1", &url]);
    assert_eq!(output.status.code(), Some(28));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("PING 1: no answer within 100ms"), "{text}");
    assert!(text.contains("2 PINGs sent, 0 answered"), "{text}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no answer"));
}

/// Runs until the test wants Ctrl-C. Returns what it printed before, and its end.
#[cfg(unix)]
fn interrupted(args: &[&str], wait: impl FnOnce(&mut dyn BufRead) -> String) -> (String, Output) {
    let mut run = Command::new(env!("CARGO_BIN_EXE_lacewing"))
        .arg("ping")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(run.stdout.take().unwrap());
    let mut said = wait(&mut stdout);
    let pid = run.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    stdout.read_to_string(&mut said).unwrap();
    (said, run.wait_with_output().unwrap())
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_the_figures_of_what_was_answered() {
    let url = format!("http://{}/", server(Version::Http2));
    let (said, output) = interrupted(&["-i", "60", &url], |stdout| {
        let mut said = String::new();
        while !said.contains("PING 1: ") {
            assert!(stdout.read_line(&mut said).unwrap() > 0, "{said}");
        }
        said
    });
    assert_eq!(output.status.code(), Some(0));
    assert!(
        said.contains("1 PINGs sent, 1 answered\nrtt min/avg/max/mdev = "),
        "{said}"
    );
    assert!(output.stderr.is_empty());
}

#[cfg(unix)]
#[test]
fn ctrl_c_before_the_first_answer_does_not_claim_that_a_time_has_passed() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut silent = None;
    let (said, output) = interrupted(&["-W", "60", &url], |_| {
        let (mut peer, _) = listener.accept().unwrap();
        let (mut frames, mut buffer) = (Vec::new(), [0; 4096]);
        // The head of PING.
        let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0];
        while !frames.windows(ping.len()).any(|frame| frame == ping) {
            let len = peer.read(&mut buffer).unwrap();
            assert!(len > 0, "{frames:?}");
            frames.extend_from_slice(&buffer[..len]);
        }
        silent = Some(peer);
        String::new()
    });
    drop(silent);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(28), "{complaint}");
    assert!(said.contains("1 PINGs sent, 0 answered"), "{said}");
    assert!(complaint.contains("no answer before Ctrl-C"), "{complaint}");
    assert!(!complaint.contains("within"), "{complaint}");
}

#[test]
fn a_port_without_a_server_is_an_error() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let output = ping(&["-c", "1", &url]);
    assert_eq!(output.status.code(), Some(7));
    assert!(output.stdout.is_empty());
}
