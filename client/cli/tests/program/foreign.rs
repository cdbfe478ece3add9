//! The program with servers of other protocols, and with untrusted certificates.

use std::net::SocketAddr;

use lacewing_client::Version;

use super::{
    lacewing::{ended, run},
    servers::{self_signed, server_reading, server_sending},
};

fn lacewing(args: &[&str]) -> (Option<i32>, String) {
    let (code, _, said) = ended(&run(args));
    (code, said)
}

#[test]
fn insecure_is_for_certificates_only() {
    let trusted = format!("https://localhost:{}/hello", self_signed().port());
    for args in [&["get", &trusted][..], &["conform", &trusted]] {
        let (code, said) = lacewing(args);
        assert_eq!(code, Some(60), "{said}");
        assert!(said.contains("--insecure"), "{said}");
    }
    let (code, said) = lacewing(&["get", "-k", &trusted]);
    assert_eq!(code, Some(0), "{said}");
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example.org ESMTP\r\n",
    ] {
        let plain = format!("https://{}/", server_sending(bytes));
        for args in [
            &["get"][..],
            &["get", "-k"],
            &["conform"],
            &["conform", "-k"],
        ] {
            let (code, said) = lacewing(&[args, &[&plain]].concat());
            assert_eq!(code, Some(35), "{said}");
            assert!(said.contains("does not speak TLS"), "{said}");
            assert!(!said.contains("--insecure"), "{said}");
        }
    }
}

/// A server that hangs up without a word, as many do at bytes of another protocol. If it did not
/// read them all, the transport is reset.
#[test]
fn a_server_that_hangs_up_may_speak_something_else() {
    for length in [1, 4096] {
        hangs_up(server_reading(length, b""));
    }
}

fn hangs_up(address: SocketAddr) {
    let mut ways = vec![vec!["get"], vec!["get", "-k"]];
    if cfg!(feature = "npn") {
        ways.push(vec!["get", "--npn"]);
    }
    let url = format!("https://{address}/");
    for args in ways {
        let (code, said) = lacewing(&[&args[..], &[&url]].concat());
        assert_eq!(code, Some(35), "{said}");
        assert!(said.contains("begin the URL with http;"), "{said}");
    }
    let url = format!("http://{address}/");
    for version in Version::ALL {
        let (code, said) = lacewing(&["get", "--protocol", version.alpn(), &url]);
        assert_eq!(code, Some(52), "{said}");
        assert!(
            said.contains("without a frame; check that it speaks"),
            "{version}: {said}"
        );
    }
}

#[test]
fn tls_on_a_port_that_was_taken_for_cleartext_is_said() {
    let port = self_signed().port();
    let url = format!("http://127.0.0.1:{port}/hello");
    for version in Version::ALL {
        let (code, said) = lacewing(&["get", "--protocol", version.alpn(), &url]);
        assert_eq!(code, Some(16), "{version}: {said}");
        assert!(
            said.contains("begin the URL with https"),
            "{version}: {said}"
        );
    }
}

#[cfg(feature = "npn")]
#[test]
fn the_same_with_openssl() {
    let (_, said) = lacewing(&[
        "get",
        "--npn",
        &format!("https://localhost:{}/hello", self_signed().port()),
    ]);
    assert!(said.contains("--insecure"), "{said}");
    let plain = format!(
        "https://{}/",
        server_sending(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    );
    let (_, said) = lacewing(&["get", "--npn", &plain]);
    assert!(said.contains("does not speak TLS"), "{said}");
    assert!(!said.contains("--insecure"), "{said}");
}
