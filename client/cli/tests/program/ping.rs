//! `lacewing ping`: the round trip by PING frames.

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

#[test]
fn a_port_without_a_server_is_an_error() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let output = ping(&["-c", "1", &url]);
    assert_eq!(output.status.code(), Some(7));
    assert!(output.stdout.is_empty());
}
